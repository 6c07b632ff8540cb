"""Rules about the machine: users, groups, and who can read the secrets."""

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from gateway.config.checks.subject import Subject
from gateway.config.kinds import did_you_mean
from gateway.config.problems import Problem
from gateway.config.problems import quoted
from gateway.config.secret import Secret


def check_accounts(subject: Subject) -> Iterator[Problem]:
    gateway = subject.config.gateway
    users, groups = [one.pw_name for one in pwd.getpwall()], [one.gr_name for one in grp.getgrall()]
    for key, name, known in (("user", gateway.user, users), ("group", gateway.group, groups)):
        if name is not None and name not in known:
            text = f"there is no {key} {quoted(name)} on this machine"
            yield from subject.problem("E324", ("gateway",), key, text, did_you_mean(name, known))


def check_secrets(subject: Subject) -> Iterator[Problem]:
    """A secret that others can read, in this file or in the one it names. The hash of a password may stand here."""
    for section, setting, value in subject.given():
        if not isinstance(value, Secret):
            continue
        path = Path(section.place.file) if value.is_bare else value.path
        if path is not None and _others_read(path):
            hint = "chmod o-r, or use file:PATH, env:NAME or credential:NAME" if value.is_bare else "chmod o-r"
            text = f"everybody on this machine can read this secret in {quoted(str(path))}"
            yield from subject.problem("W106", section.words, setting.key, text, hint)


def _others_read(path: Path) -> bool:
    try:
        return bool(os.stat(path).st_mode & stat.S_IROTH)
    except OSError:
        return False
