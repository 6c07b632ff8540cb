"""What every command shares: which configuration file, and how its problems are shown."""

import os
import sys
from collections.abc import Callable
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from typing import TypeVar

import click

from gateway.config.load import load
from gateway.config.model import Config
from gateway.config.problems import Problem
from gateway.config.problems import summary

DEFAULT_PATH: Final = Path("/etc/gateway/gateway.ini")
USAGE_ERROR: Final = 2
F = TypeVar("F", bound=Callable[..., object])
_COLOURS: Final = {"error": "red", "warning": "yellow"}


def config_option(command: F) -> F:
    """The option -c; the command gets `config_path`."""
    option = click.option(
        "-c",
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        envvar="GATEWAY_CONFIG",
        default=DEFAULT_PATH,
        show_default=True,
        show_envvar=True,
        metavar="FILE",
        help="The configuration file.",
    )
    return option(command)


def no_config_option(command: F) -> F:
    """The option -c, which every command takes, on one that reads no configuration."""
    option = click.option(
        "-c", "--config", expose_value=False, metavar="FILE", help="As on every command; this one reads no file."
    )
    return option(command)


def load_or_exit(path: Path, warn: Callable[[Config, Iterable[Problem]], None] | None = None) -> Config:
    """The configuration; an error in it ends the program with exit code 2, and its problems on stderr.

    Warnings alone are given to `warn`; without it they go to stderr, too."""
    result = load(path)
    if result.config is None:
        echo_problems(result.problems, err=True)
        sys.exit(USAGE_ERROR)
    if warn is not None:
        warn(result.config, result.problems)
    elif result.problems:
        echo_problems(result.problems, err=True)
    return result.config


def echo_problems(problems: Iterable[Problem], *, err: bool = False) -> None:
    """Each problem with its line, and a summary; in colour on a terminal that did not set NO_COLOR."""
    listed = list(problems)
    for problem in listed:
        _echo("\n".join([_coloured(problem), *problem.context()]), err)
    _echo(summary(listed), err)


def _coloured(problem: Problem) -> str:
    place, severity, rest = problem.headline().partition(f" {problem.severity}[")
    return f"{click.style(place, bold=True)}{click.style(severity, fg=_COLOURS[problem.severity], bold=True)}{rest}"


def _echo(text: str, err: bool) -> None:
    click.echo(text, err=err, color=False if os.environ.get("NO_COLOR") else None)
