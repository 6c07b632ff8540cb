"""`gateway demo --once`: one session of each protocol and one wrong password, by the mail clients of Python itself.

Each step says in one line what happened. What should have happened and did not is a line, too, and fails the run.
Limits: TIMEOUT_S for each answer.
"""

import imaplib
import poplib
import smtplib
import ssl
from collections.abc import Callable
from email import message_from_bytes
from email.header import decode_header
from email.header import make_header
from typing import Final

import click

from gateway.config.model.words import ProtocolName
from gateway.demo.certificates import HOST
from gateway.demo.people import ALICE
from gateway.demo.people import BOB
from gateway.demo.stage import Stage
from gateway.demo.terminal import say
from gateway.errors import GatewayError

TIMEOUT_S: Final = 15.0
_SUBJECT: Final = "Lunch on Friday?"
_LETTER: Final = f"From: {BOB.address}\r\nTo: {ALICE.address}\r\nSubject: {_SUBJECT}\r\n\r\nAt noon, as always.\r\n"
_FAULTS: Final = (OSError, imaplib.IMAP4.error, poplib.error_proto, smtplib.SMTPException)


class Unexpected(GatewayError):
    """What happened instead."""


def drive_sessions(stage: Stage) -> bool:
    """Whether all went as it should."""
    context = ssl.create_default_context(cafile=str(stage.authority))
    steps: list[tuple[ProtocolName, Callable[[int, ssl.SSLContext], str]]] = [
        (ProtocolName.SMTPS, _send),
        (ProtocolName.IMAP4S, _read_by_imap),
        (ProtocolName.POP3S, _read_by_pop3),
        (ProtocolName.IMAP4S, _fail_to_log_in),
    ]
    results = [_take(protocol, stage.ports[protocol], context, step) for protocol, step in steps]
    return all(results)


def _take(
    protocol: ProtocolName, port: int, context: ssl.SSLContext, step: Callable[[int, ssl.SSLContext], str]
) -> bool:
    try:
        told, as_expected = step(port, context), True
    except (*_FAULTS, Unexpected) as fault:
        told, as_expected = f"{type(fault).__name__}: {fault}", False
    mark = click.style("ok", fg="green") if as_expected else click.style("FAILED", fg="red")
    say(f"{mark:<4} {protocol:<7} {HOST}:{port}  {told}")
    return as_expected


def _send(port: int, context: ssl.SSLContext) -> str:
    with smtplib.SMTP_SSL(HOST, port, timeout=TIMEOUT_S, context=context) as smtp:
        smtp.login(BOB.user_name, BOB.password)
        smtp.sendmail(BOB.address, [ALICE.address], _LETTER)
    return f'{BOB.user_name} sent "{_SUBJECT}" to {ALICE.address}'


def _read_by_imap(port: int, context: ssl.SSLContext) -> str:
    """With the mail server in the user name; what was sent before must be there."""
    user_name = f"{ALICE.user_name}@{HOST}"
    with imaplib.IMAP4_SSL(HOST, port, ssl_context=context, timeout=TIMEOUT_S) as imap:
        imap.login(user_name, ALICE.password)
        _, (count, *_) = imap.select("INBOX", readonly=True)
        newest = (count or b"").decode()
        _, fetched = imap.fetch(newest, "(BODY.PEEK[HEADER])")
    subject = _subject(b"".join(part[1] for part in fetched if isinstance(part, tuple)))
    if subject != _SUBJECT:
        raise Unexpected(f'{user_name} found "{subject}" as the newest mail, not "{_SUBJECT}"')
    return f'{user_name} found {newest} messages in INBOX, the newest is "{subject}"'


def _read_by_pop3(port: int, context: ssl.SSLContext) -> str:
    pop3 = poplib.POP3_SSL(HOST, port, context=context, timeout=TIMEOUT_S)
    try:
        pop3.user(BOB.user_name)
        pop3.pass_(BOB.password)
        count, octets = pop3.stat()
        _, lines, _ = pop3.retr(1)
        pop3.quit()
    finally:
        pop3.close()
    subject = _subject(b"\r\n".join(lines))
    return f'{BOB.user_name} has {count} messages of {octets} octets, the first is "{subject}"'


def _fail_to_log_in(port: int, context: ssl.SSLContext) -> str:
    with imaplib.IMAP4_SSL(HOST, port, ssl_context=context, timeout=TIMEOUT_S) as imap:
        try:
            imap.login(ALICE.user_name, f"wrong:{ALICE.mail_password}")
        except imaplib.IMAP4.error as refusal:
            answer = refusal.args[0].decode() if isinstance(refusal.args[0], bytes) else str(refusal)
        else:
            raise Unexpected(f"{ALICE.user_name} logged in with a wrong password")
    if "AUTHENTICATIONFAILED" not in answer:
        raise Unexpected(f"a wrong password was answered {answer}")
    return f"{ALICE.user_name} with a wrong password was refused: {answer}"


def _subject(octets: bytes) -> str:
    return str(make_header(decode_header(message_from_bytes(octets)["Subject"] or "")))
