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

_ELSEWHERE: Final = "@localhost"


def show_instructions(stage: Stage) -> None:
    imap, pop3, smtp = (stage.ports[protocol] for protocol in ProtocolName)
    heading("The gateway is running, on this machine and for it alone. Ctrl-C ends it and removes all it made.")
    heading("In a mail program")
    say(f"  incoming mail   IMAP   server {HOST}   port {imap}   SSL/TLS   normal password")
    say(f"         or       POP3   server {HOST}   port {pop3}   SSL/TLS   normal password")
    say(f"  outgoing mail   SMTP   server {HOST}   port {smtp}   SSL/TLS   normal password")
    say(f"  certificate     trust {stage.authority}, or accept the warning")
    _show_logins()
    heading("In another terminal: read mail, send mail")
    for command in curl_commands(stage):
        say(f"  {command}")
    heading("The same by hand, or with other programs, if you have them")
    for command in other_commands(stage):
        say(f"  {command}")
    heading("Behind it")
    say(f"  configuration   {stage.directory / FILE}")
    say("  log             below, one event a line: a login, a refusal, the end of a session")
    say()


def _show_logins() -> None:
    heading("Who can log in")
    rows = [
        ("user name", "password", "e-mail address", ""),
        (BOB.user_name, BOB.password, BOB.address, "one name and password for the gateway and the mail server"),
        (ALICE.user_name, ALICE.password, ALICE.address, "VPN user vpn at the gateway, alice at the mail server"),
        (ALICE.user_name + _ELSEWHERE, ALICE.password, ALICE.address, "likewise, and a mail server of your choice"),
    ]
    for name, password, address, remark in rows:
        say(f"  {name:<21}{password:<14}{address:<21}{remark}".rstrip())


def curl_commands(stage: Stage) -> list[str]:
    """Each line stands alone. In a URL, %3A is the colon and %40 the @."""
    imap, pop3, smtp = (stage.ports[protocol] for protocol in ProtocolName)
    curl = f"curl --cacert {shlex.quote(str(stage.authority))}"
    addresses = f"--mail-from {BOB.address} --mail-rcpt {ALICE.address}"
    return [
        f"{curl} 'imaps://{_credentials(BOB)}@{HOST}:{imap}/INBOX;MAILINDEX=1'",
        f"{curl} 'imaps://{_credentials(ALICE, _ELSEWHERE)}@{HOST}:{imap}/INBOX;MAILINDEX=1'",
        f"{curl} 'pop3s://{_credentials(ALICE)}@{HOST}:{pop3}/1'",
        f"{curl} 'smtps://{_credentials(BOB)}@{HOST}:{smtp}' {addresses} -T {shlex.quote(str(stage.letter))}",
    ]


def other_commands(stage: Stage) -> list[str]:
    imap, _, smtp = (stage.ports[protocol] for protocol in ProtocolName)
    authority = shlex.quote(str(stage.authority))
    login = f"--auth PLAIN --auth-user {ALICE.user_name} --auth-password {ALICE.password}"
    addresses = f"--from {ALICE.address} --to {BOB.address}"
    return [
        f"openssl s_client -quiet -crlf -CAfile {authority} -connect {HOST}:{imap}",
        f"    and then:  a LOGIN {ALICE.user_name} {ALICE.password}",
        f"swaks --server {HOST}:{smtp} --tls-on-connect --tls-verify --tls-ca-path {authority} {login} {addresses}",
        f"mutt -e 'set certificate_file={authority}' -f 'imaps://{_credentials(BOB)}@{HOST}:{imap}/'",
    ]


def _credentials(person: Person, server: str = "") -> str:
    """For a URL."""
    return f"{quote(person.user_name + server, safe='')}:{quote(person.password, safe='')}"
