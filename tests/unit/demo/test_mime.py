"""A message taken apart: the octets of its parts are those of the message."""

from datetime import UTC
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP

from gateway.demo.mail_servers.imap.fetch import parse_items
from gateway.demo.mail_servers.imap.fetch import render
from gateway.demo.mail_servers.imap.structure import body_structure
from gateway.demo.mail_servers.mime import parse_part
from gateway.demo.mail_servers.store import Message

MIXED = (
    b'Subject: a\r\n folded\r\nContent-Type: multipart/mixed; boundary="b b"\r\n\r\n'
    b"preamble\r\n"
    b"--b b\r\n\r\nfirst\r\n\r\n"
    b"--b b  \r\nContent-Type: TEXT/HTML; Charset=utf-8\r\nContent-Disposition: attachment; filename=x.html\r\n\r\n"
    b"<p>\r\n"
    b"--b b--\r\nepilogue\r\n"
)
OUTER = (
    b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n"
)
FORWARDED = OUTER + MIXED + b"\r\n--o--\r\n"


def fetched(octets: bytes, item: str) -> bytes:
    response = render(1, Message(1, octets, datetime.now(UTC)), parse_items([item], with_uid=False))
    return response.removeprefix(f"* 1 FETCH ({item} ".encode()).removesuffix(b")").partition(b"\r\n")[2]


def test_parts_end_before_the_line_end_of_their_boundary() -> None:
    part = parse_part(MIXED)
    assert [one.body for one in part.parts] == [b"first\r\n", b"<p>"]
    assert [one.content_type for one in part.parts] == ["text/plain", "text/html"]


def test_fields_are_unfolded_and_chosen() -> None:
    part = parse_part(MIXED)
    assert part.field("subject") == "a folded"
    assert part.selected_fields(frozenset({"subject"})) == b"Subject: a\r\n folded\r\n\r\n"
    assert part.selected_fields(frozenset({"subject"}), others=True).startswith(b"Content-Type: multipart/mixed")


def test_structure_of_parts() -> None:
    assert body_structure(parse_part(MIXED), is_extended=False) == (
        b'(("TEXT" "PLAIN" NIL NIL NIL "7BIT" 7 1)("TEXT" "HTML" ("CHARSET" "utf-8") NIL NIL "7BIT" 3 0) "MIXED")'
    )
    assert b'NIL ("ATTACHMENT" ("FILENAME" "x.html")) NIL NIL)' in body_structure(parse_part(MIXED), is_extended=True)


def test_sections_of_a_forwarded_message() -> None:
    """RFC 9051 section 6.4.5.1: HEADER and TEXT of a part are those of the message in it, MIME its own."""
    assert fetched(FORWARDED, "BODY[1]") == MIXED
    assert fetched(FORWARDED, "BODY[1.MIME]") == b"Content-Type: message/rfc822\r\n\r\n"
    assert fetched(FORWARDED, "BODY[1.HEADER]") == MIXED.partition(b"preamble")[0]
    assert fetched(FORWARDED, "BODY[1.TEXT]").startswith(b"preamble\r\n")
    assert fetched(FORWARDED, "BODY[1.1]") == b"first\r\n"
    assert fetched(FORWARDED, "BODY[1.2]") == b"<p>"
    assert fetched(FORWARDED, "BODY[HEADER]").startswith(b"Subject: outer\r\n")


def test_structure_of_a_forwarded_message_holds_its_envelope() -> None:
    structure = body_structure(parse_part(FORWARDED), is_extended=False)
    assert structure.startswith(b'(("MESSAGE" "RFC822" NIL NIL NIL "7BIT" %d (NIL "a folded" NIL' % len(MIXED))


def test_message_that_is_nothing_but_a_message_keeps_its_own_header() -> None:
    octets = b"Subject: outer\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ntext"
    assert fetched(octets, "BODY[HEADER]").startswith(b"Subject: outer\r\n")
    assert fetched(octets, "BODY[TEXT]") == b"Subject: inner\r\n\r\ntext"
    assert fetched(octets, "BODY[1]") == b"Subject: inner\r\n\r\ntext"


def test_multipart_without_parts_is_text() -> None:
    part = parse_part(b"Content-Type: multipart/mixed; boundary=b\r\n\r\nnothing")
    assert (part.content_type, part.parts) == ("text/plain", ())


def test_nested_deeper_than_the_limit_ends() -> None:
    octets = b"Content-Type: message/rfc822\r\n\r\n" * 5000
    depth, part = 0, parse_part(octets)
    while part.inner is not None:
        depth, part = depth + 1, part.inner
    assert depth == 20


def test_text_is_decoded_as_python_encodes_it() -> None:
    for encoding in ("base64", "quoted-printable", "8bit"):
        letter = EmailMessage(policy=SMTP)
        letter.set_content("Grüße\n", cte=encoding)
        assert parse_part(letter.as_bytes()).text() == "Grüße\r\n"
