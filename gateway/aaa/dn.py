"""A user's name out of the subject of a client certificate: one field of it, or all of it.

With two fields the second is used where the certificate does not have the first, as the ASA's AAA chapter says. (Its
e-mail proxy chapter says that a user must "authenticate as" both, and not how that would be written.) A field that is
there more than once names nobody: which of its values counts would be a guess.

The entire DN is written as RFC 4514 does, most specific part first, with the registered names of the attributes.

Errors: Refused(BAD_CREDENTIALS) for a certificate that names nobody, or whose name no login could hold.
Limits: MAX_USER_FIELD_OCTETS, and no control characters, as for a name that is typed.
Source: RFC 5280 appendix A and RFC 4519 for the attributes; the ASA's `authorization-dn-attributes`.
"""

import unicodedata
import warnings
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID
from cryptography.x509.oid import ObjectIdentifier

from gateway.config.attributes import DnAttributes
from gateway.config.attributes import DnField
from gateway.credentials import MAX_USER_FIELD_OCTETS
from gateway.errors import Refused
from gateway.outcome import Refusal

_NAME: Final = ObjectIdentifier("2.5.4.41")  # the one of the sixteen that `cryptography` has no name for
_FIELDS: Final = {
    DnField.C: NameOID.COUNTRY_NAME,
    DnField.CN: NameOID.COMMON_NAME,
    DnField.DNQ: NameOID.DN_QUALIFIER,
    DnField.EA: NameOID.EMAIL_ADDRESS,
    DnField.GENQ: NameOID.GENERATION_QUALIFIER,
    DnField.GN: NameOID.GIVEN_NAME,
    DnField.I: NameOID.INITIALS,
    DnField.L: NameOID.LOCALITY_NAME,
    DnField.N: _NAME,
    DnField.O: NameOID.ORGANIZATION_NAME,
    DnField.OU: NameOID.ORGANIZATIONAL_UNIT_NAME,
    DnField.SER: NameOID.SERIAL_NUMBER,
    DnField.SN: NameOID.SURNAME,
    DnField.SP: NameOID.STATE_OR_PROVINCE_NAME,
    DnField.T: NameOID.TITLE,
    DnField.UID: NameOID.USER_ID,
}
# Beside the nine names of RFC 4514 section 3, which `cryptography` uses: from the IANA registry of LDAP descriptors.
_DESCRIPTORS: Final = {
    NameOID.DN_QUALIFIER: "dnQualifier",
    NameOID.EMAIL_ADDRESS: "emailAddress",
    NameOID.GENERATION_QUALIFIER: "generationQualifier",
    NameOID.GIVEN_NAME: "givenName",
    NameOID.INITIALS: "initials",
    _NAME: "name",
    NameOID.SERIAL_NUMBER: "serialNumber",
    NameOID.SURNAME: "SN",
    NameOID.TITLE: "title",
}


def certified_name(certificate_der: bytes | None, attributes: DnAttributes) -> str:
    """The name of the owner of the certificate that a client has shown; None: it has shown none."""
    if certificate_der is None:
        raise _nobody("no client certificate to take a name from")
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
    except (ValueError, x509.InvalidVersion):
        raise _nobody("the client's certificate cannot be read") from None
    return dn_name(certificate, attributes)


def dn_name(certificate: x509.Certificate, attributes: DnAttributes) -> str:
    """The name of the certificate's owner."""
    subject = _subject(certificate)
    return _checked(_field_value(subject, attributes) if attributes.primary else _entire(subject))


def _subject(certificate: x509.Certificate) -> x509.Name:
    try:
        with warnings.catch_warnings(action="ignore"):  # of a country that is not two letters, on stderr
            return certificate.subject
    except (ValueError, TypeError):  # TypeError: a bit string where a text belongs
        raise _nobody("the certificate's subject cannot be read") from None


def _entire(subject: x509.Name) -> str:
    if not subject.rdns:
        raise _nobody("the certificate has no subject")
    return subject.rfc4514_string(_DESCRIPTORS)


def _field_value(subject: x509.Name, attributes: DnAttributes) -> str:
    wanted = [field for field in (attributes.primary, attributes.secondary) if field]
    for field in wanted:
        values = [attribute.value for attribute in subject.get_attributes_for_oid(_FIELDS[field])]
        if len(values) > 1:
            raise _nobody(f"the certificate has {len(values)} of {field}")
        if values:
            return _text(values[0], field)
    raise _nobody(f"the certificate has no {' and no '.join(wanted)}")


def _text(value: str | bytes, field: DnField) -> str:
    if isinstance(value, bytes):
        raise _nobody(f"the certificate's {field} is no text")
    return value


def _checked(name: str) -> str:
    if not name.strip():
        raise _nobody("the certificate's name is empty")
    if any(unicodedata.category(char) in ("Cc", "Zl", "Zp", "Cs") for char in name):
        raise _nobody("control character in the certificate's name")
    if len(name.encode()) > MAX_USER_FIELD_OCTETS:
        raise _nobody(f"a name of {len(name.encode())} octets in the certificate")
    return name


def _nobody(detail: str) -> Refused:
    return Refused(Refusal.BAD_CREDENTIALS, detail)
