"""A user's name out of a certificate's subject."""

import contextlib

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from cryptography.x509.oid import ObjectIdentifier

from gateway.aaa.dn import certified_name
from gateway.aaa.dn import dn_name
from gateway.config.attributes import DnAttributes
from gateway.config.attributes import DnField
from gateway.errors import Refused
from gateway.outcome import Refusal
from tests.unit.aaa.certificates import certificate
from tests.unit.aaa.certificates import spoilt

# Written out by hand: a table that is tested against itself tests nothing. X.520, RFC 2985 (EA), RFC 4519 (UID).
OIDS = {
    "C": "2.5.4.6",
    "CN": "2.5.4.3",
    "DNQ": "2.5.4.46",
    "EA": "1.2.840.113549.1.9.1",
    "GENQ": "2.5.4.44",
    "GN": "2.5.4.42",
    "I": "2.5.4.43",
    "L": "2.5.4.7",
    "N": "2.5.4.41",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "SER": "2.5.4.5",
    "SN": "2.5.4.4",
    "SP": "2.5.4.8",
    "T": "2.5.4.12",
    "UID": "0.9.2342.19200300.100.1.1",
}
EVERYTHING = [(ObjectIdentifier(oid), f"the {name}" if name != "C" else "DE") for name, oid in OIDS.items()]
ENTIRE_NAME = (
    "UID=the UID,title=the T,ST=the SP,SN=the SN,serialNumber=the SER,OU=the OU,O=the O,name=the N,L=the L,"
    "initials=the I,givenName=the GN,generationQualifier=the GENQ,emailAddress=the EA,dnQualifier=the DNQ,"
    "CN=the CN,C=DE"
)
ENTIRE = DnAttributes(None, None)
CN_OU = DnAttributes(DnField.CN, DnField.OU)
CN = DnAttributes(DnField.CN, None)


def refused(shown: x509.Certificate | bytes | None, attributes: DnAttributes) -> str:
    with pytest.raises(Refused) as caught:
        dn_name(shown, attributes) if isinstance(shown, x509.Certificate) else certified_name(shown, attributes)
    assert caught.value.refusal is Refusal.BAD_CREDENTIALS
    return caught.value.detail


@pytest.mark.parametrize("field", DnField)
def test_each_field_is_the_one_of_its_name(field: DnField) -> None:
    expected = "DE" if field is DnField.C else f"the {field}"
    assert dn_name(certificate(*EVERYTHING), DnAttributes(field, None)) == expected


def test_second_field_where_there_is_no_first() -> None:
    person = (NameOID.EMAIL_ADDRESS, "johndoe@cisco.com"), (NameOID.ORGANIZATION_NAME, "Cisco Systems, Inc.")
    attributes = DnAttributes(DnField.EA, DnField.O)
    assert dn_name(certificate(*person), attributes) == "johndoe@cisco.com"
    assert dn_name(certificate(person[1]), attributes) == "Cisco Systems, Inc."
    assert refused(certificate((NameOID.COMMON_NAME, "John Doe")), attributes) == "the certificate has no EA and no O"
    assert refused(certificate(person[1]), CN) == "the certificate has no CN"


def test_field_that_is_there_twice_names_nobody_not_even_by_the_second() -> None:
    twice = (NameOID.COMMON_NAME, "alice"), (NameOID.COMMON_NAME, "bob"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "mail")
    assert refused(certificate(*twice), CN_OU) == "the certificate has 2 of CN"


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ([(NameOID.COUNTRY_NAME, "DE"), (NameOID.COMMON_NAME, "alice")], "CN=alice,C=DE"),
        ([(NameOID.ORGANIZATION_NAME, "A, B+C"), (NameOID.COMMON_NAME, "#a ")], "CN=\\#a\\ ,O=A\\, B\\+C"),
        ([(NameOID.COMMON_NAME, "grüße")], "CN=grüße"),
        (
            EVERYTHING,
            ENTIRE_NAME,
        ),
    ],
)
def test_entire_name_as_rfc_4514_writes_it(attributes: list[tuple[ObjectIdentifier, str]], name: str) -> None:
    assert dn_name(certificate(*attributes), ENTIRE) == name


def test_no_subject_names_nobody() -> None:
    assert refused(certificate(), ENTIRE) == "the certificate has no subject"
    assert refused(certificate(), CN_OU) == "the certificate has no CN and no OU"


@pytest.mark.parametrize("replacement", [b"\0", b"\r", b"\n", b"\x1b", b"\x7f"])
@pytest.mark.parametrize("attributes", [CN, CN_OU])
def test_inc_B9_control_character_names_nobody(replacement: bytes, attributes: DnAttributes) -> None:  # noqa: N802
    subject = spoilt(b"alice!mail", b"alice" + replacement + b"mail", (NameOID.COMMON_NAME, "alice!mail"))
    assert refused(subject, attributes) == "control character in the certificate's name"


@pytest.mark.parametrize("replacement", [b"\r", b"\n", b"\x1b", b"\x7f"])
def test_inc_B9_control_character_in_the_entire_name(replacement: bytes) -> None:  # noqa: N802
    subject = spoilt(b"alice!mail", b"alice" + replacement + b"mail", (NameOID.COMMON_NAME, "alice!mail"))
    assert refused(subject, ENTIRE) == "control character in the certificate's name"


def test_nul_in_the_entire_name_is_written_out_and_ends_nothing() -> None:
    subject = spoilt(b"alice!mail", b"alice\0mail", (NameOID.COMMON_NAME, "alice!mail"))
    assert certified_name(subject, ENTIRE) == "CN=alice\\00mail"


@pytest.mark.parametrize("attributes", [CN, ENTIRE])
def test_text_that_is_not_of_its_encoding_names_nobody(attributes: DnAttributes) -> None:
    refused(spoilt(b"ali\xc3\xa7e", b"ali\xff\xfee", (NameOID.COMMON_NAME, "aliçe")), attributes)


@pytest.mark.parametrize("der", [None, b"", b"0\x82", b"no certificate", spoilt(b"\xa0\3\2\1\2", b"\xa0\3\2\1\7")])
def test_what_is_no_certificate_names_nobody(der: bytes | None) -> None:
    """The last one is of a version that does not exist."""
    assert refused(der, CN).startswith(("the client's certificate cannot", "no client certificate"))


@pytest.mark.parametrize("attributes", [DnAttributes(DnField.C, None), ENTIRE])
def test_country_that_is_too_long_is_read_without_a_warning(attributes: DnAttributes) -> None:
    assert dn_name(certificate((NameOID.COUNTRY_NAME, "Deutschland")), attributes).endswith("Deutschland")


@pytest.mark.parametrize("value", [" ", "  "])
def test_blank_name_names_nobody(value: str) -> None:
    assert refused(certificate((NameOID.COMMON_NAME, value)), CN) == "the certificate's name is empty"


def test_name_longer_than_any_typed_one_names_nobody() -> None:
    attributes = [(NameOID.ORGANIZATIONAL_UNIT_NAME, "x" * 64)] * 16
    assert refused(certificate(*attributes), ENTIRE).startswith("a name of ")


@pytest.mark.parametrize("tag", [0x03, 0x04, 0x05, 0x1C, 0x1E, 0x30], ids=hex)
@pytest.mark.parametrize("attributes", [CN, ENTIRE])
def test_value_of_another_type_is_a_name_that_can_be_logged_or_none(tag: int, attributes: DnAttributes) -> None:
    """A bit string, an octet string, a null, UTF-32 and UTF-16 of an odd length, a sequence."""
    subject = spoilt(b"\x0c\x05alice", bytes([tag]) + b"\x05alice", (NameOID.COMMON_NAME, "alice"))
    with contextlib.suppress(Refused):
        assert certified_name(subject, attributes).isprintable()
