"""The mail that waits in the demo's mailboxes: a welcome, one in many scripts, one with an attachment."""

from collections.abc import Iterator
from datetime import datetime
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from email.utils import make_msgid
from typing import Final

from gateway.demo.people import DOMAIN
from gateway.demo.people import address_of

# Lines of at most 76 characters: then `curl` shows them as they stand here.
_WELCOME: Final = """\
Welcome.

You read this through the gateway. Your mail program made a TLS connection
to it and logged in there. The gateway checked the VPN user with its own
user database, chose the user's group policy, and logged in to the mail
server as the mail user. Since then it relays octets, and counts them.

What to try next:

- Send a mail to {friend}: it is in that INBOX at once.
- Type a wrong password and look at the gateway's log: event=auth_failed
  says which half was wrong. The mail program is not told.
- Log in as vpn:alice@localhost. What follows the last @ is the mail server
  of your choice, if it is one of allowed-servers.
- Read the configuration, the gateway.ini that the demo has named. It is
  complete, and short.

All of this is in memory. It is gone when the demo ends.
"""
_SCRIPTS: Final = """\
Grüße! Здравствуйте! Γειά σας! שלום! 你好! こんにちは!

The subject of this mail is in encoded words, its text is UTF-8.
The gateway relays mail, it does not look into it.
"""
_PLAN: Final = "The plan is attached, as a table.\n"
_PLAN_HTML: Final = "<p>The plan is <b>attached</b>, as a table.</p>\n"
_TABLE: Final = "day,what\nMonday,read mail\nTuesday,answer mail\nWednesday,empty the inbox\n"


def letters_for(user: str, friend: str) -> Iterator[tuple[datetime, bytes]]:
    """Each with the time of its arrival, oldest first."""
    now = datetime.now().astimezone()
    letters = (
        _letter("Welcome to the gateway", _WELCOME.format(friend=address_of(friend))),
        _letter("Grüße aus aller Welt: привет, 你好 ✉", _SCRIPTS),
        _letter_with_attachment(),
    )
    for hours, letter in zip((3, 2, 1), letters, strict=True):
        arrived = now - timedelta(hours=hours)
        letter["To"] = address_of(user)
        letter["Date"] = format_datetime(arrived)
        yield arrived, letter.as_bytes()


def _letter(subject: str, text: str) -> EmailMessage:
    letter = EmailMessage(policy=SMTP)
    letter["From"] = f"The demo <postmaster@{DOMAIN}>"
    letter["Subject"] = subject
    letter["Message-ID"] = make_msgid(domain=DOMAIN)
    letter.set_content(text, cte="7bit" if text.isascii() else "8bit")
    return letter


def _letter_with_attachment() -> EmailMessage:
    letter = _letter("The plan for the week", _PLAN)
    letter.add_alternative(_PLAN_HTML, subtype="html")
    letter.add_attachment(_TABLE, subtype="csv", filename="plan.csv")
    return letter
