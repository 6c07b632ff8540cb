"""Why a session ended, in the words of RADIUS.

Source: RFC 2866 section 5.10 (Acct-Terminate-Cause).
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from gateway.outcome import EndReason


class TerminateCause(IntEnum):
    USER_REQUEST = 1
    LOST_CARRIER = 2
    LOST_SERVICE = 3
    IDLE_TIMEOUT = 4
    SESSION_TIMEOUT = 5
    ADMIN_RESET = 6
    ADMIN_REBOOT = 7
    NAS_ERROR = 9
    NAS_REQUEST = 10
    NAS_REBOOT = 11
    PORT_PREEMPTED = 13
    HOST_REQUEST = 18


_CAUSES: Final[Mapping[EndReason, TerminateCause]] = {
    EndReason.CLIENT_CLOSED: TerminateCause.USER_REQUEST,
    EndReason.LOGOUT: TerminateCause.USER_REQUEST,
    EndReason.CLIENT_LOST: TerminateCause.LOST_CARRIER,
    EndReason.UPSTREAM_LOST: TerminateCause.LOST_SERVICE,
    EndReason.UPSTREAM_CLOSED: TerminateCause.HOST_REQUEST,  # "login host terminated session normally"
    EndReason.IDLE_TIMEOUT: TerminateCause.IDLE_TIMEOUT,
    EndReason.SESSION_TIMEOUT: TerminateCause.SESSION_TIMEOUT,
    EndReason.LOGGED_OFF: TerminateCause.ADMIN_RESET,
    EndReason.SHUTDOWN: TerminateCause.ADMIN_REBOOT,
    EndReason.INTERNAL_ERROR: TerminateCause.NAS_ERROR,
    EndReason.EVICTED: TerminateCause.PORT_PREEMPTED,
}


def cause_of(reason: EndReason) -> TerminateCause:
    """NAS-Request is "a non-error reason not otherwise listed here": whatever else ends an accounted session."""
    return _CAUSES.get(reason, TerminateCause.NAS_REQUEST)
