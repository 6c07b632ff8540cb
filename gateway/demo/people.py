"""Who can log in to the demo, and how."""

from dataclasses import dataclass
from typing import Final

DOMAIN: Final = "demo.example"  # RFC 2606: nobody's
GROUP_POLICY: Final = "MAILUSERS"


@dataclass(frozen=True, slots=True)
class Person:
    """One user twice: as the gateway's AAA knows them (VPN user), and as the mail server does (mail user)."""

    vpn_user: str
    vpn_password: str
    mail_user: str
    mail_password: str

    @property
    def user_name(self) -> str:
        """What is typed as the user name; one name serves as both."""
        return _joined(self.vpn_user, self.mail_user)

    @property
    def password(self) -> str:
        return _joined(self.vpn_password, self.mail_password)

    @property
    def address(self) -> str:
        return address_of(self.mail_user)


def address_of(user: str) -> str:
    return f"{user}@{DOMAIN}"


def _joined(vpn: str, mail: str) -> str:
    return vpn if vpn == mail else f"{vpn}:{mail}"


BOB: Final = Person("bob", "secret", "bob", "secret")
ALICE: Final = Person("vpn", "portal", "alice", "mail")
PEOPLE: Final = (BOB, ALICE)
