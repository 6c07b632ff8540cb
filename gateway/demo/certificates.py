"""A certificate authority and one server certificate for this machine's names for itself, made anew for each demo.

ECDSA P-256. The certificate has a CN as well as alternative names: isync and other old mail programs insist on it.
Source: RFC 5280, RFC 9525.
"""

import ipaddress
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.oid import NameOID

HOST: Final = "localhost"
_ADDRESSES: Final = ("127.0.0.1", "::1")
_VALID_FOR: Final = timedelta(days=30)
_BACKDATED: Final = timedelta(hours=1)  # for a mail program on a machine whose clock is a little behind
_PEM: Final = serialization.Encoding.PEM
_AUTHORITY: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Gateway demo CA")])


def write_certificates(authority: Path, chain: Path, key: Path) -> None:
    """Three PEM files: what mail programs trust, what the gateway shows, and the key of that (mode 0600)."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_certificate = _sign_authority(authority_key)
    server_certificate = _sign_server(server_key, authority_key)
    authority.write_bytes(authority_certificate.public_bytes(_PEM))
    chain.write_bytes(server_certificate.public_bytes(_PEM) + authority_certificate.public_bytes(_PEM))
    key.touch(mode=0o600)
    key.write_bytes(server_key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def _sign_authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = _builder(_AUTHORITY, key).add_extension(identifier, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True).sign(key, hashes.SHA256())


def _sign_server(key: ec.EllipticCurvePrivateKey, authority_key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    names: list[x509.GeneralName] = [x509.DNSName(HOST)]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in _ADDRESSES]
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)]), key)
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage("digital_signature"), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.add_extension(issuer, critical=False).sign(authority_key, hashes.SHA256())


def _builder(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_AUTHORITY)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _VALID_FOR)
    )


def _key_usage(*allowed: str) -> x509.KeyUsage:
    usages = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    every = (*usages, "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{usage: usage in allowed for usage in every})
