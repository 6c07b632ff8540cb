"""Giving up root for good, in a child of our own."""

import os
import pwd
import traceback

import pytest

from gateway.errors import ConfigError
from gateway.master.privileges import drop_to
from gateway.master.privileges import find_account

IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root has something to give up")


def status_after(user: str | None) -> dict[str, str]:
    """/proc/self/status of a child that began with root's and one more group, then dropped to the account."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if IS_ROOT:
                os.setgroups([0, 4])
            drop_to(find_account(user, None))
            with open("/proc/self/status", "rb") as status:
                os.write(write_end, status.read())
            _try_to_return()
            os._exit(0)
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
            os._exit(1)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        lines = pipe.read().splitlines()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return {name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in lines)}


def _try_to_return() -> None:
    if not IS_ROOT or os.geteuid() == 0:
        return
    for back in (os.setuid, os.seteuid, os.setgid):
        with pytest.raises(PermissionError):
            back(0)


@needs_root
def test_user_groups_and_the_way_back_are_given_up() -> None:
    nobody = pwd.getpwnam("nobody")
    status = status_after("nobody")
    assert status["Uid"] == " ".join([str(nobody.pw_uid)] * 4)
    assert status["Gid"] == " ".join([str(nobody.pw_gid)] * 4)
    assert status["Groups"] == str(nobody.pw_gid)
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"


def test_without_an_account_we_stay_who_we_are_and_gain_nothing() -> None:
    status = status_after(None)
    assert status["Uid"].split()[0] == str(os.getuid())
    assert status["NoNewPrivs"] == "1"


@needs_root
@pytest.mark.parametrize(("user", "group"), [("no-such-user", None), ("nobody", "no-such-group")])
def test_an_account_that_does_not_exist_is_an_error_of_the_configuration(user: str, group: str | None) -> None:
    with pytest.raises(ConfigError, match="no-such-"):
        find_account(user, group)
