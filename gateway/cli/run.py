"""`gateway run`: the server, in the foreground."""

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from gateway.cli.options import config_option
from gateway.cli.options import load_or_exit
from gateway.config.model import Config
from gateway.config.problems import Problem
from gateway.errors import ConfigError
from gateway.log import Level
from gateway.log import Log
from gateway.master.arbiter import Arbiter
from gateway.master.contexts import make_tls


@click.command("run")
@config_option
@click.option("--workers", type=click.IntRange(1, 1024), help="Worker processes, instead of the file's `workers`.")
def run_command(config_path: Path, workers: int | None) -> None:
    """Run the server in the foreground; it logs to stderr, one event a line.

    \b
    The line with event=ready says that every listener accepts.
    SIGTERM, SIGINT   stop now: sessions are told and closed
    SIGQUIT           stop when the sessions are over, or shutdown-grace has passed
    """
    config = load_or_exit(config_path, log_warnings)
    try:
        arbiter = Arbiter(config, workers or config.worker_count, make_tls(config), log_of(config))
    except ConfigError as error:
        click.echo(f"gateway: {error}", err=True)
        sys.exit(2)
    sys.exit(arbiter.run())


def log_warnings(config: Config, warnings: Iterable[Problem]) -> None:
    """What `gateway check` warns of, as events: stderr holds nothing else."""
    log = log_of(config)
    for warning in warnings:
        log.warning("config_warning", code=warning.code, place=str(warning.place), detail=warning.text)


def log_of(config: Config) -> Log:
    """The log as configured."""
    return Log(config.gateway.log_format.value, Level[config.gateway.log_level.name])
