"""A certificate authority for the tests: server and client certificates with the names, keys and dates a test needs.

Everything is written to disk as PEM, since daemons and mail programs read files. Certificates carry a CN as well as
subject alternative names: isync and other old mail programs insist on the CN.

Source: RFC 5280 (certificates and CRLs), RFC 9525 (names in them).
"""

import ipaddress
import ssl
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from enum import Enum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.oid import NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

LOCAL_NAMES = ("localhost", "gateway.example.test", "127.0.0.1", "127.0.0.2", "::1")
VALID_FOR = timedelta(days=30)
# Clocks of containers differ by a little; a certificate from this very second is "not yet valid" on some.
BACKDATED = timedelta(hours=1)


class KeyKind(Enum):
    ECDSA = "ecdsa"
    RSA = "rsa"


@dataclass(frozen=True, slots=True)
class Certificate:
    """Paths of one certificate: `chain` (leaf first, then the CA), `key`, and the parsed leaf."""

    chain: Path
    key: Path
    leaf: x509.Certificate

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        return context


class CertificateAuthority:
    """Issues certificates below `directory`; `path` is the file a client trusts."""

    def __init__(self, directory: Path, name: str = "Gateway test CA") -> None:
        self.directory = directory
        self.path = directory / "ca.pem"
        self._key = _new_key(KeyKind.ECDSA)
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._count = 0
        self._certificate = self._self_signed()
        self.path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        *names: str,
        key_kind: KeyKind = KeyKind.ECDSA,
        subject: Mapping[x509.ObjectIdentifier, str] | None = None,
        not_after: datetime | None = None,
    ) -> Certificate:
        """For a server: DNS names (also `*.example.test`) and IP addresses; without any, those of this machine.

        The CN is the first name unless `subject` says otherwise. A `not_after` in the past makes an expired one.
        """
        alternatives = [_alternative_name(name) for name in names or LOCAL_NAMES]
        subject = subject or {NameOID.COMMON_NAME: (names or LOCAL_NAMES)[0]}
        return self._issue(subject, alternatives, ExtendedKeyUsageOID.SERVER_AUTH, key_kind, not_after)

    def issue_client(
        self,
        common_name: str,
        *,
        email: str | None = None,
        subject: Mapping[x509.ObjectIdentifier, str] | None = None,
        key_kind: KeyKind = KeyKind.ECDSA,
        not_after: datetime | None = None,
    ) -> Certificate:
        """For a user; `subject` adds attributes (NameOID.ORGANIZATIONAL_UNIT_NAME ...) to the CN."""
        alternatives: list[x509.GeneralName] = [x509.RFC822Name(email)] if email else []
        attributes = {NameOID.COMMON_NAME: common_name, **(subject or {})}
        return self._issue(attributes, alternatives, ExtendedKeyUsageOID.CLIENT_AUTH, key_kind, not_after)

    def revoke(self, certificates: Iterable[Certificate], path: Path) -> Path:
        """Write a CRL which names `certificates` (none: an empty list) to `path`."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._name)
        builder = builder.last_update(now - BACKDATED).next_update(now + VALID_FOR)
        for certificate in certificates:
            revoked = x509.RevokedCertificateBuilder().serial_number(certificate.leaf.serial_number)
            builder = builder.add_revoked_certificate(revoked.revocation_date(now - BACKDATED).build())
        crl = builder.sign(self._key, hashes.SHA256())
        path.write_bytes(crl.public_bytes(serialization.Encoding.PEM))
        return path

    def client_context(self, certificate: Certificate | None = None) -> ssl.SSLContext:
        """Verifies against this CA and no other; shows `certificate` to the server when there is one."""
        context = ssl.create_default_context(cafile=str(self.path))
        if certificate is not None:
            context.load_cert_chain(certificate.chain, certificate.key)
        return context

    def _issue(
        self,
        subject: Mapping[x509.ObjectIdentifier, str],
        alternatives: list[x509.GeneralName],
        usage: x509.ObjectIdentifier,
        key_kind: KeyKind,
        not_after: datetime | None,
    ) -> Certificate:
        key = _new_key(key_kind)
        name = x509.Name([x509.NameAttribute(oid, value) for oid, value in subject.items()])
        builder = _builder(name, self._name, key, not_after)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return self._write(builder.sign(self._key, hashes.SHA256()), key)

    def _write(self, leaf: x509.Certificate, key: PrivateKey) -> Certificate:
        self._count += 1
        chain, key_path = self.directory / f"{self._count}.pem", self.directory / f"{self._count}.key"
        certificates = (leaf, self._certificate)
        chain.write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates))
        key_path.touch(mode=0o600)
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return Certificate(chain, key_path, leaf)

    def _self_signed(self) -> x509.Certificate:
        builder = _builder(self._name, self._name, self._key, None)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_CA_USAGE, critical=True)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
        )
        return builder.sign(self._key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, not_after: datetime | None
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    until = not_after or now + VALID_FOR
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, until) - BACKDATED)
        .not_valid_after(until)
    )


def _new_key(kind: KeyKind) -> PrivateKey:
    if kind is KeyKind.RSA:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


_CA_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
