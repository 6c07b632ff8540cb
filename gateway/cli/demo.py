"""`gateway demo`: a complete gateway on loopback, with mail servers, users and a certificate of its own."""

import sys

import click

from gateway.cli.options import no_config_option
from gateway.demo.ports import DEFAULT_PORTS
from gateway.demo.ports import MAX_OFFSET
from gateway.demo.run import run_demo


@click.command("demo")
@no_config_option
@click.option("--once", is_flag=True, help="Drive one session of each protocol, print what happened, and end.")
@click.option(
    "--port-offset",
    type=click.IntRange(0, MAX_OFFSET),
    default=0,
    metavar="N",
    help=f"Add N to the ports {', '.join(map(str, DEFAULT_PORTS.values()))}.",
)
def demo_command(once: bool, port_offset: int) -> None:
    """A complete gateway on loopback, with mail servers and users of its own. No file, no root.

    It makes a certificate, starts mail servers with a few messages in them, and prints what to type in a mail program
    and ready command lines for curl. Ctrl-C ends it and removes all it made.

    \b
    The gateway's log goes to stderr, dimmed on a terminal (not with NO_COLOR).
    Exit code 0   ended by Ctrl-C or SIGTERM; with --once: all went as it should
              1   the gateway did not start or ended by itself, or a port is taken
    """
    sys.exit(run_demo(once=once, port_offset=port_offset))
