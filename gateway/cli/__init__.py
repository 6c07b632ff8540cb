"""The command `gateway`: one module for each group of subcommands.

Exit codes: 0 done, 1 failure (or warnings of `check`), 2 usage or configuration error, 3 incomplete import,
4 the server is not running.
"""

import click

from gateway import __version__
from gateway.cli.check import check_command
from gateway.cli.demo import demo_command
from gateway.cli.hash_password import hash_password_command
from gateway.cli.reference import config_reference_command
from gateway.cli.run import run_command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gateway")
def main() -> None:
    """The e-mail proxy: IMAP4S, POP3S and SMTPS, with AAA, group policies and accounting.

    \b
    First steps
      gateway demo                     a complete gateway on loopback, no file, no root
      gateway hash-password            a password hash for a [user NAME] section
      gateway check -c gateway.ini     every problem of a configuration, before it runs
      gateway run -c gateway.ini       the server, in the foreground
    """


for command in (demo_command, run_command, check_command, hash_password_command, config_reference_command):
    main.add_command(command)
