"""What a worker gives up after the fork: root, the groups of root, and any way back.

Errors: `ConfigError` when the user or group does not exist; OSError when the kernel refuses, which ends the worker.
"""

import ctypes
import grp
import os
import pwd
from typing import Final

from gateway.errors import ConfigError
from gateway.worker.inheritance import Account

_PR_SET_NO_NEW_PRIVS: Final = 38  # linux/prctl.h


def find_account(user: str | None, group: str | None) -> Account | None:
    """None: no user is configured, or we are not root and stay who we are."""
    if user is None or os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(user)
        gid = grp.getgrnam(group).gr_gid if group else entry.pw_gid
    except KeyError as error:
        raise ConfigError(f"[gateway] user, group: {error.args[0]}; create it, or name another") from None
    return Account(user, entry.pw_uid, gid)


def drop_to(account: Account | None) -> None:
    """Become the account for good; no program that is executed later can gain more."""
    if account is not None:
        os.initgroups(account.user, account.gid)
        os.setresgid(account.gid, account.gid, account.gid)
        os.setresuid(account.uid, account.uid, account.uid)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
