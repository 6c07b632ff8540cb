"""A record as RADIUS attributes, by the names of the RADIUS dictionary. Pure: the present comes in.

Every report of one record is the same but for Acct-Delay-Time. NAS-Identifier, NAS-IP-Address and NAS-Port-Type are
added where it is sent. 3076/151 says Clientless-Email-Proxy, the ASA's own value for exactly this.

Limits: MAX_CLASSES_OCTETS of Class attributes; what does not fit into one packet with the rest is left out.
Source: RFC 2866 section 5, RFC 2869 sections 5.1 to 5.3, RFC 6911 section 3.1; for vendor 3076 Cisco's list of
attributes for the ASA.
"""

import hashlib
import ipaddress
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Final

from gateway.accounting.base import SessionFacts
from gateway.accounting.records import Kind
from gateway.accounting.records import Moment
from gateway.accounting.records import Record
from gateway.accounting.records import Usage

Value = str | int | bytes | Sequence[bytes]
Attributes = Mapping[str, Value]

# Of 4096 octets (RFC 2866 section 3) at most 1400 are all the others: five texts of 255, 18 numbers of 6 to 12.
MAX_CLASSES_OCTETS: Final = 4096 - 1400

_STATUS: Final = {
    Kind.START: "Start",
    Kind.STOP: "Stop",
    Kind.INTERIM: "Interim-Update",
    Kind.NODE_UP: "Accounting-On",
    Kind.NODE_DOWN: "Accounting-Off",
}
_WORD: Final = 1 << 32


def attributes_of(record: Record, now: Moment, *, same_boot: bool) -> Attributes:
    """same_boot: the record's monotonic time is of the clock that still runs."""
    attributes: dict[str, Value] = {
        "Acct-Status-Type": _STATUS[record.kind],
        "Acct-Session-Id": record.session_id,
        "Event-Timestamp": record.at.wall_s,
        "Acct-Delay-Time": _delay_s(record.at, now, same_boot=same_boot),
    }
    if record.facts is not None:
        attributes |= _session(record.facts)
    if record.kind in (Kind.STOP, Kind.INTERIM):
        attributes |= _usage(record.usage)
    if record.kind is Kind.STOP:
        attributes["Acct-Terminate-Cause"] = record.cause
    return attributes


def multi_session_id(facts: SessionFacts) -> str:
    """What all sessions of one user from one address have in common: a mail program opens several at a time."""
    return hashlib.blake2b(f"{facts.user}\0{facts.client}".encode(), digest_size=8).hexdigest()


def _delay_s(at: Moment, now: Moment, *, same_boot: bool) -> int:
    """Never negative: the wall clock may have been set back since."""
    passed_s = now.monotonic_s - at.monotonic_s if same_boot else now.wall_s - at.wall_s
    return min(max(int(passed_s), 0), _WORD - 1)


def _session(facts: SessionFacts) -> dict[str, Value]:
    attributes: dict[str, Value] = {
        "Acct-Multi-Session-Id": multi_session_id(facts),
        "Acct-Authentic": int(facts.authentic),
        "User-Name": facts.user,
        "Service-Type": "Login",
        "Calling-Station-Id": facts.client,
        "Called-Station-Id": facts.interface,
        "ASA-TunnelGroupName": facts.protocol,
        "ASA-ClientType": "Clientless-SSL-VPN",
        "ASA-SessionType": "Clientless-Email-Proxy",
        "ASA-SessionSubtype": "Clientless",
        **_framed_address(facts.client),
    }
    classes = _fitting(facts.classes)
    if classes:
        attributes["Class"] = classes
    return attributes


def _framed_address(client: str) -> dict[str, Value]:
    """What maps users to addresses (firewalls, proxies) looks for the client's address here."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return {}
    return {"Framed-IP-Address" if address.version == 4 else "Framed-IPv6-Address": client.partition("%")[0]}


def _usage(usage: Usage) -> dict[str, Value]:
    return {
        "Acct-Session-Time": min(usage.seconds, _WORD - 1),
        "Acct-Input-Octets": usage.octets_in % _WORD,
        "Acct-Input-Gigawords": usage.octets_in // _WORD % _WORD,
        "Acct-Output-Octets": usage.octets_out % _WORD,
        "Acct-Output-Gigawords": usage.octets_out // _WORD % _WORD,
    }


def _fitting(classes: Sequence[bytes]) -> list[bytes]:
    fitting: list[bytes] = []
    room = MAX_CLASSES_OCTETS
    for one in classes:
        room -= 2 + len(one)
        if room < 0:
            break
        fitting.append(one)
    return fitting
