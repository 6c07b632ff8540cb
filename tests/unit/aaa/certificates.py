"""Certificates with any subject. Nobody verifies them here, so one key signs them all, itself."""

import warnings
from datetime import UTC
from datetime import datetime
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

_KEY = ec.generate_private_key(ec.SECP256R1())


def certificate_der(*attributes: tuple[x509.ObjectIdentifier, str]) -> bytes:
    """attributes: of the subject, the least specific first, as certificates have them."""
    with warnings.catch_warnings(action="ignore"):  # of a value that is too long for its attribute
        subject = x509.Name([x509.NameAttribute(oid, value, _validate=False) for oid, value in attributes])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        x509.Name([]), subject, _KEY.public_key(), 7, now - timedelta(hours=1), now + timedelta(days=1)
    )
    return builder.sign(_KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def certificate(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Certificate:
    return x509.load_der_x509_certificate(certificate_der(*attributes))


def spoilt(before: bytes, after: bytes, *attributes: tuple[x509.ObjectIdentifier, str]) -> bytes:
    """A certificate in whose octets `before` was replaced: what no library would write."""
    assert len(before) == len(after)
    der = certificate_der(*attributes)
    assert before in der
    return der.replace(before, after)
