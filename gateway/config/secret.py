"""Secrets of the configuration: a literal, `file:PATH`, `env:NAME` or `credential:NAME` (systemd credentials).

They are looked up when the configuration is loaded, so that a missing one stops the start and not a login.
Errors: `BadValue`, which never holds an octet of a literal. Limits: a secret's file has at most MAX_OCTETS octets."""

import os
import re
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Final

from gateway.config.files import read_regular_file
from gateway.config.kinds import BadValue
from gateway.config.kinds import Context
from gateway.config.kinds import Kind
from gateway.config.problems import quoted

MAX_OCTETS: Final = 65536
SHOWN: Final = "<set>"
_SCHEME: Final = re.compile(r"(file|env|credential):(.*)", re.DOTALL)
# RFC 9106 section 3.1: variant, version, then m, t and p, salt and tag.
_ARGON2: Final = re.compile(r"\$argon2(?:id|i|d)\$v=[0-9]+\$m=[0-9]+,t=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+")


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """Shows itself to `reveal` alone: not to repr, str or format.

    `is_bare`: who can read the configuration can read it. `path` is the file it was read from, if it was."""

    _text: str
    is_bare: bool
    path: Path | None = None

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return SHOWN

    def __str__(self) -> str:
        return SHOWN


def _parse_secret(text: str, context: Context) -> Secret:
    match = _SCHEME.fullmatch(text)
    if match is None:
        if not text:
            raise BadValue("the secret is empty")
        return Secret(text, is_bare=True)
    scheme, name = match[1], match[2].strip()
    if scheme == "env":
        return _from_environment(name)
    path = context.directory / name if scheme == "file" else _credential_path(name)
    return Secret(_from_file(path), is_bare=False, path=path)


def _from_environment(name: str) -> Secret:
    text = os.environ.get(name, "")
    if not text:
        raise BadValue(f"the environment has no variable {quoted(name)}, or it is empty")
    return Secret(text, is_bare=False)


def _credential_path(name: str) -> Path:
    directory = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if not directory:
        raise BadValue(
            f"there are no systemd credentials here to take {quoted(name)} from",
            hint="set LoadCredential= in the unit, or CREDENTIALS_DIRECTORY when you call it by hand",
        )
    if not re.fullmatch(r"[A-Za-z0-9_.@-]+", name) or name in (".", ".."):
        raise BadValue(f"{quoted(name)} is not the name of a credential")
    return Path(directory) / name


def _from_file(path: Path) -> str:
    try:
        octets = read_regular_file(path, MAX_OCTETS)
        text = octets.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise BadValue(f"cannot read the secret from {quoted(str(path))}: {error.strerror}") from None
    except ValueError:
        raise BadValue(f"{quoted(str(path))} is not UTF-8 text") from None
    if not text:
        raise BadValue(f"{quoted(str(path))} is empty")
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in text):
        raise BadValue(f"{quoted(str(path))} holds more than one line, or control characters")
    return text


def _render(secret: Secret) -> str:
    return str(secret)


SECRET: Final[Kind[Secret]] = Kind(
    word="secret: text, file:PATH, env:NAME or credential:NAME",
    code="E207",
    secret=True,
    parse=_parse_secret,
    render=_render,
)


def _parse_hash(text: str, context: Context) -> Secret:
    try:
        secret = _parse_secret(text, context)
    except BadValue as bad:
        bad.code = SECRET.code
        raise
    if not _ARGON2.fullmatch(secret.reveal()):
        raise BadValue("the password is not an argon2 hash", hint='make one with "gateway hash-password"')
    return replace(secret, is_bare=False)


PASSWORD_HASH: Final[Kind[Secret]] = Kind(
    word="argon2 hash, from gateway hash-password", code="E208", secret=True, parse=_parse_hash, render=_render
)


def _parse_store(text: str, context: Context) -> Secret:
    secret = _parse_secret(text, context)
    if not re.fullmatch(r"(redis|rediss|valkey|valkeys|unix)://\S+", secret.reveal()):
        raise BadValue("the store is not a URL such as redis://10.0.0.9/0")
    return replace(secret, is_bare=secret.is_bare and "@" in secret.reveal())


STORE_URL: Final[Kind[Secret]] = Kind(
    word="URL redis://HOST:PORT/NUMBER, as a secret: it may hold a password",
    code="E207",
    secret=True,
    parse=_parse_store,
    render=_render,
)
