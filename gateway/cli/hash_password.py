"""`gateway hash-password`: the argon2id hash for a [user …] section."""

import click

from gateway.aaa.local import hash_password


@click.command("hash-password")
@click.password_option(help="Asked for, twice, when it is not given; better so: arguments show in `ps`.")
def hash_password_command(password: str) -> None:
    """Print the argon2id hash of a password, for `password =` in a [user NAME] section.

    \b
        [user alice]
        password = $argon2id$v=19$...
    """
    click.echo(hash_password(password.encode()))
