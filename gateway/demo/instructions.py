"""What to type: in a mail program, and in another terminal."""

import shlex
from typing import Final
from urllib.parse import quote

from gateway.config.model.words import ProtocolName
from gateway.demo.certificates import HOST
from gateway.demo.configuration import FILE
from gateway.demo.people import ALICE
from gateway.demo.people import BOB
from gateway.demo.people import Person
from gateway.demo.stage import Stage
from gateway.demo.terminal import heading
from gateway.demo.terminal import say

_SERVER: Final = f"@{HOST}"
_LOGINS: Final = (
    ("user name", "password", "e-mail address", ""),
    (BOB.user_name, BOB.password, BOB.address, "one name for both"),
    (ALICE.user_name, ALICE.password, ALICE.address, "VPN user:mail user"),
    (ALICE.user_name + _SERVER, ALICE.password, ALICE.address, "... @mail server"),
)


def show_instructions(stage: Stage) -> None:
    """No line but a command is longer than 80 characters."""
    heading("The gateway runs, on this machine only. Ctrl-C ends it and removes what it made.")
    heading("In a mail program")
    for use, protocol in zip(("incoming   IMAP", "   or      POP3", "outgoing   SMTP"), ProtocolName, strict=True):
        say(f"  {use}   server {HOST}   port {stage.ports[protocol]}   SSL/TLS   normal password")
    say(f"  trust {stage.authority}, or accept the warning")
    heading("Who can log in")
    for name, password, address, remark in _LOGINS:
        say(f"  {name:<21}{password:<13}{address:<20}{remark}".rstrip())
    say("  The gateway checks what is before the colon, the mail server what is behind.")
    say("  Mail to bob@... and alice@... arrives at once, other recipients are refused.")
    heading("In another terminal")
    for purpose, command in commands(stage):
        say(f"  {purpose}")
        say(f"    {command}")
    heading("Behind it")
    say(f"  configuration   {stage.directory / FILE}")
    say("  log             below, one event a line")
    say()


def commands(stage: Stage) -> list[tuple[str, str]]:
    """What each is for, and the line to type as it is."""
    imap, pop3, smtp = (stage.ports[protocol] for protocol in ProtocolName)
    authority, letter = shlex.quote(str(stage.authority)), shlex.quote(str(stage.letter))
    curl = f"curl -sS --cacert {authority}"
    addresses = f"--mail-from {BOB.address} --mail-rcpt {ALICE.address}"
    openssl = f"openssl s_client -quiet -crlf -CAfile {authority}"
    swaks = f"swaks --server {HOST}:{smtp} --tls-on-connect --tls-verify --tls-ca-path {authority}"
    login = f"--auth PLAIN --auth-user {ALICE.user_name} --auth-password {ALICE.password}"
    return [
        ("SMTP: bob sends a mail to alice", f"{curl} {_url('smtps', BOB, smtp)} {addresses} -T {letter}"),
        (
            "IMAP: alice reads it, at a mail server of her choice (%3A is :, %40 is @)",
            f"{curl} {_url('imaps', ALICE, imap, path='INBOX;MAILINDEX=*', server=_SERVER)}",
        ),
        ("POP3: alice reads her first mail", f"{curl} {_url('pop3s', ALICE, pop3, path='1')}"),
        (
            f"IMAP by hand: type  a LOGIN {ALICE.user_name} {ALICE.password}",
            f"{openssl} -connect {HOST}:{imap}",
        ),
        ("SMTP with swaks, if you have it", f"{swaks} {login} --from {ALICE.address} --to {BOB.address}"),
        ("IMAP with mutt", f"mutt -e 'set certificate_file={authority}' -f {_url('imaps', BOB, imap)}"),
    ]


def _url(scheme: str, person: Person, port: int, path: str = "", server: str = "") -> str:
    """Quoted for a shell."""
    login = f"{quote(person.user_name + server, safe='')}:{quote(person.password, safe='')}"
    return f"'{scheme}://{login}@{HOST}:{port}/{path}'"
