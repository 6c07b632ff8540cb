"""Rules about files of certificates and keys: there, readable, matching, in time.

Errors: none is raised. Limits: MAX_OCTETS for a file; no octet of a key is ever in a problem."""

import re
import ssl
from collections.abc import Iterator
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.config.checks.subject import Subject
from gateway.config.files import read_regular_file
from gateway.config.network import is_host_name
from gateway.config.problems import Problem
from gateway.config.problems import quoted
from gateway.errors import GatewayError

MAX_OCTETS: Final = 4 * 1024 * 1024
EXPIRES_SOON: Final = timedelta(days=14)
MIN_RSA_BITS: Final = 2048  # OpenSSL 3's security level 2 refuses shorter ones
_KEY: Final = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)
_PUBLIC: Final = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


class _Unusable(GatewayError):
    """Why a file cannot be used, and the code of that."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def check_server_certificates(subject: Subject) -> Iterator[Problem]:
    tls = subject.config.tls
    if tls.certificate is not None:
        yield from _check_pair(subject, ("tls",), tls.certificate, tls.private_key, "")
    elif any(subject.enabled()):
        yield from _no_certificate(subject)
    for name, named in subject.config.tls_by_name.items():
        section = ("tls", named.name)
        if not is_host_name(name.removeprefix("*.")):
            text = f"{quoted(name)} is not a host name such as mail.example.org or *.example.org"
            yield from subject.problem("E206", section, "", text)
        else:
            yield from _check_pair(subject, section, named.certificate, named.private_key, name)


def _no_certificate(subject: Subject) -> Iterator[Problem]:
    interface = next(one.name for one in subject.config.interfaces.values() if one.enable)
    text = "an enabled protocol needs a certificate in [tls]"
    if subject.document.section("tls") is not None:
        yield from subject.problem("E315", ("tls",), "certificate", text)
    else:
        yield from subject.problem("E315", ("interface", interface), "enable", text)


def _check_pair(
    subject: Subject, section: tuple[str, ...], certificate: Path, private_key: Path | None, name: str
) -> Iterator[Problem]:
    """A certificate, its key, and the name it is chosen by."""
    try:
        leaf = _certificates(certificate)[0]
    except _Unusable as bad:
        yield from subject.problem(bad.code, section, "certificate", bad.text)
        return
    yield from _check_leaf(subject, section, leaf, name)
    key_setting = "private-key" if private_key is not None else "certificate"
    try:
        public = _public_key(private_key or certificate)
    except _Unusable as bad:
        yield from subject.problem(bad.code, section, key_setting, bad.text)
        return
    if public != leaf.public_key().public_bytes(*_PUBLIC):
        text = f"the key in {quoted(str(private_key or certificate))} is not that of the certificate"
        yield from subject.problem("E313", section, key_setting, text)


def _check_leaf(subject: Subject, section: tuple[str, ...], leaf: x509.Certificate, name: str) -> Iterator[Problem]:
    now, ends = datetime.now(UTC), leaf.not_valid_after_utc
    if ends <= now:
        yield from subject.problem("E314", section, "certificate", f"the certificate expired at {_time(ends)}")
    elif ends - now < EXPIRES_SOON:
        yield from subject.problem("W109", section, "certificate", f"the certificate expires at {_time(ends)}")
    if leaf.not_valid_before_utc > now:
        text = f"the certificate is valid from {_time(leaf.not_valid_before_utc)} only"
        yield from subject.problem("W109", section, "certificate", text)
    if name and not any(_covers(one, name) for one in _dns_names(leaf)):
        text = f"the certificate is not for {quoted(name)}, it is for {', '.join(_dns_names(leaf)[:5]) or 'no host'}"
        yield from subject.problem("W110", section, "certificate", text)


def _covers(pattern: str, name: str) -> bool:
    """A wildcard stands for one label (RFC 9525 section 6.3)."""
    return pattern == name or (pattern.startswith("*.") and pattern[1:] == "." + name.partition(".")[2])


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _dns_names(leaf: x509.Certificate) -> list[str]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return []
    return [name.lower() for name in found.value.get_values_for_type(x509.DNSName)]


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_octets(path))
    except (ValueError, UnsupportedAlgorithm):
        raise _Unusable("E312", f"{quoted(str(path))} holds no PEM certificate that can be read") from None


def _public_key(path: Path) -> bytes:
    """The public half of the private key in a file, as DER."""
    block = _KEY.search(_octets(path))
    if block is None:
        raise _Unusable("E312", f"{quoted(str(path))} holds no PEM private key")
    try:
        key = serialization.load_pem_private_key(block[0] + b"\n", None)
    except TypeError:
        raise _Unusable("E312", f"the key in {quoted(str(path))} is protected by a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _Unusable("E312", f"the private key in {quoted(str(path))} cannot be read") from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < MIN_RSA_BITS:
        raise _Unusable("E312", f"the RSA key in {quoted(str(path))} has {key.key_size} bits of {MIN_RSA_BITS}")
    return key.public_key().public_bytes(*_PUBLIC)


def _octets(path: Path) -> bytes:
    try:
        return read_regular_file(path, MAX_OCTETS)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _Unusable("E311", f"cannot read {quoted(str(path))}: {reason}") from None


def check_ciphers(subject: Subject) -> Iterator[Problem]:
    ciphers = subject.config.tls.ciphers
    if ciphers is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(ciphers)
    except (ssl.SSLError, ValueError):
        yield from subject.problem("E327", ("tls",), "ciphers", "OpenSSL knows no cipher suite of this list")


def check_authorities(subject: Subject) -> Iterator[Problem]:
    """Files of certificate authorities, and the revocation list."""
    config = subject.config
    files: list[tuple[tuple[str, ...], str, Path | None]] = [(("tls",), "client-ca", config.tls.client_ca)]
    files += [((one.name,), "server-ca", one.server_ca) for one in config.protocols.values()]
    for group in config.aaa_groups.values():
        files += [(("aaa-server", one.group, one.label), "server-ca", one.server_ca) for one in group.servers]
    for section, key, path in files:
        if path is not None:
            try:
                _certificates(path)
            except _Unusable as bad:
                yield from subject.problem(bad.code, section, key, bad.text)
    yield from _check_revocation_list(subject)


def _check_revocation_list(subject: Subject) -> Iterator[Problem]:
    path = subject.config.tls.client_crl
    if path is None:
        return
    try:
        x509.load_pem_x509_crl(_octets(path))
    except _Unusable as bad:
        yield from subject.problem(bad.code, ("tls",), "client-crl", bad.text)
    except (ValueError, UnsupportedAlgorithm):
        text = f"{quoted(str(path))} holds no PEM revocation list"
        yield from subject.problem("E312", ("tls",), "client-crl", text)
