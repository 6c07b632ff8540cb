"""FreeRADIUS: authentication and accounting over UDP, with users for each answer a RADIUS server can give.

| user       | answer to the password `secret`                                            |
|------------|----------------------------------------------------------------------------|
| alice      | Access-Accept, Class `OU=MAILUSERS;`                                       |
| vsa        | Access-Accept, ASA-Group-Policy (vendor 3076, attribute 25) `MAILUSERS`    |
| bare       | Access-Accept without a group policy                                       |
| rejected   | Access-Reject with a Reply-Message                                         |
| silent     | nothing at all                                                             |
| otp        | Access-Challenge with State; with that State, the password `123456`: Accept |

Debian 12 has 3.2.1, which does not sign its answers by itself: the configuration makes it add Message-Authenticator,
except to Status-Server, where this version cannot.

Source: RFC 2865, RFC 2866 (accounting), RFC 5997 (Status-Server).
"""

from typing import ClassVar

from tests.support.peers.base import Peer
from tests.support.peers.base import PeerError
from tests.support.peers.base import run_program
from tests.support.ports import LOOPBACK
from tests.support.ports import free_port

SECRET = "testing123testing123"
PASSWORD = "secret"
OTP_STATE = b"otp-state"
OTP_PASSWORD = "123456"


class FreeRadius(Peer):
    """`users` is text for FreeRADIUS's users file, in front of the users above."""

    packages: ClassVar = {"freeradius": "freeradius", "radclient": "freeradius-utils"}

    def __init__(self, *, users: str = "") -> None:
        self.users = users
        self.authentication_port, self.accounting_port = free_port(), free_port()

    def configure(self) -> None:
        values = {
            "directory": str(self.directory),
            "address": LOOPBACK,
            "secret": SECRET,
            "authentication_port": str(self.authentication_port),
            "accounting_port": str(self.accounting_port),
            "state": f"0x{OTP_STATE.hex()}",
            "otp": OTP_PASSWORD,
            "password": PASSWORD,
        }
        (self.directory / "radiusd.conf").write_text(_fill(CONFIGURATION, values))
        (self.directory / "users").write_text(f"{self.users}\n{_fill(USERS, values)}")

    def command(self) -> list[str]:
        return ["freeradius", "-f", "-d", str(self.directory), "-n", "radiusd", "-l", "stdout"]

    def probe(self) -> None:
        self.ask("status", retries=1, interval_s=0.1)

    def ask(self, kind: str, *attributes: str, retries: int = 3, interval_s: float = 0.5) -> str:
        """One request by radclient (`auth`, `acct`, `status`); its report of the answer.

        PeerError when there is no answer, or a refusal.
        """
        port = self.accounting_port if kind == "acct" else self.authentication_port
        options = ["-x", "-t", str(interval_s), "-r", str(retries)]
        signature = [] if kind == "acct" else ["Message-Authenticator = 0x00"]
        request = "\n".join([*attributes, *signature, ""])
        return run_program("radclient", *options, f"{LOOPBACK}:{port}", kind, SECRET, stdin=request)

    def authenticate(self, user: str, password: str) -> bool:
        """True for Access-Accept."""
        try:
            answer = self.ask("auth", f'User-Name = "{user}"', f'User-Password = "{password}"')
        except PeerError:
            return False
        return "Received Access-Accept" in answer

    def accounting_records(self) -> list[dict[str, str]]:
        """What was accounted, in the order of arrival, attribute -> value as FreeRADIUS prints it."""
        detail = self.directory / "accounting.detail"
        text = detail.read_text() if detail.exists() else ""
        return [_record(block) for block in text.split("\n\n") if block.strip()]


def _record(block: str) -> dict[str, str]:
    pairs = (line.partition(" = ") for line in block.splitlines() if " = " in line)
    return {name.strip(): value.strip().strip('"') for name, _, value in pairs}


def _fill(template: str, values: dict[str, str]) -> str:
    """`@name@` marks a place: FreeRADIUS has its own use for braces, dollars and percent signs."""
    for name, value in values.items():
        template = template.replace(f"@{name}@", value)
    return template


# One item per line: FreeRADIUS takes no more.
CONFIGURATION = """\
prefix = /usr
logdir = @directory@
run_dir = @directory@
radacctdir = @directory@
libdir = /usr/lib/freeradius
security {
  reject_delay = 0
  status_server = yes
}
log {
  destination = stdout
  auth = yes
}
client loopback {
  ipaddr = @address@
  secret = @secret@
  require_message_authenticator = yes
}
modules {
  pap {
  }
  files {
    filename = @directory@/users
  }
  detail {
    filename = @directory@/accounting.detail
  }
  always handled {
    rcode = handled
  }
  always reject {
    rcode = reject
  }
}
server default {
  listen {
    type = auth
    ipaddr = @address@
    port = @authentication_port@
  }
  listen {
    type = acct
    ipaddr = @address@
    port = @accounting_port@
  }
  authorize {
    if (&User-Name == "silent") {
      update control {
        Response-Packet-Type := Do-Not-Respond
      }
      handled
    }
    if (&User-Name == "otp") {
      if (&State == @state@ && &User-Password == "@otp@") {
        update control {
          Auth-Type := Accept
        }
        update reply {
          Class := "OU=MAILUSERS;"
        }
      }
      elsif (&User-Password == "@password@") {
        update reply {
          State := @state@
          Reply-Message := "Enter OTP"
          Message-Authenticator := 0x00
        }
        update control {
          Response-Packet-Type := Access-Challenge
        }
        handled
      }
      else {
        reject
      }
    }
    files
    pap
  }
  authenticate {
    Auth-Type PAP {
      pap
    }
  }
  accounting {
    detail
  }
  post-auth {
    update reply {
      Message-Authenticator := 0x00
    }
    Post-Auth-Type REJECT {
      update reply {
        Message-Authenticator := 0x00
      }
    }
  }
}
"""

USERS = """\
alice Cleartext-Password := "@password@"
      Class = "OU=MAILUSERS;"

vsa   Cleartext-Password := "@password@"
      ASA-Group-Policy = "MAILUSERS"

bare  Cleartext-Password := "@password@"

rejected Auth-Type := Reject
      Reply-Message = "Go away"
"""
