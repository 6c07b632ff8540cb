"""`gateway hash-password`: the argon2id hash for a [user …] section."""

import sys

import click

from gateway.aaa.local import hash_password
from gateway.cli.options import no_config_option


@click.command("hash-password")
@no_config_option
@click.option("--password", help="Better typed or piped: arguments show in `ps`.")
def hash_password_command(password: str | None) -> None:
    """Print the argon2id hash of a password, for `password =` in a [user NAME] section.

    The password is asked for, twice; from a pipe or a file the first line is taken.

    \b
        [user alice]
        password = $argon2id$v=19$...
    """
    if password is None:
        password = _asked() if sys.stdin.isatty() else _first_line()
    if not password:
        raise click.UsageError("an empty password is none")
    click.echo(hash_password(password.encode()))


def _asked() -> str:
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


def _first_line() -> str:
    return sys.stdin.readline().rstrip("\r\n")
