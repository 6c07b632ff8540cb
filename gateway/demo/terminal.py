"""The demo's output: what it says goes to stdout, the gateway's log to stderr, dimmed on a terminal.

NO_COLOR (https://no-color.org) and a stream that is no terminal get the text alone.
"""

import contextlib
import os
from typing import Final

import click

from gateway.demo.process import LogLine

_COLORS: Final = {"warning": "yellow", "error": "red"}


def say(text: str = "") -> None:
    """Printed at once."""
    click.echo(text, color=_color())


def heading(text: str) -> None:
    say()
    say(click.style(text, bold=True))


def complain(text: str) -> None:
    """To stderr."""
    click.echo(click.style(f"gateway demo: {text}", fg="red"), err=True, color=_color())


def show_log(line: LogLine) -> None:
    """One line of the gateway's log; what needs eyes is not dimmed. Nobody may be reading: that is no error."""
    is_dim, color = line.level in ("debug", "info"), _COLORS.get(line.level)
    with contextlib.suppress(OSError):
        click.echo(click.style(line.text, dim=is_dim or None, fg=color), err=True, color=_color())


def _color() -> bool | None:
    """None: as the stream is."""
    return False if os.environ.get("NO_COLOR") else None
