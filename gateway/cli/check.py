"""`gateway check`: every problem of a configuration, before it runs."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from gateway.cli.options import config_option
from gateway.cli.options import echo_problems
from gateway.cli.probe import probe_servers
from gateway.config.load import load
from gateway.config.problems import Problem


@click.command("check")
@config_option
@click.option("--connect", is_flag=True, help="Also connect to every mail server that a protocol has as its default.")
@click.option("--json", "as_json", is_flag=True, help="Print the problems as JSON, for programs.")
def check_command(config_path: Path, connect: bool, as_json: bool) -> None:
    """Read and validate the configuration; print all that is wrong with it.

    \b
    Exit code 0   no problem
              1   warnings only
              2   errors: the server would not start
    """
    result = load(config_path)
    outcomes = probe_servers(result.config, result.document) if connect and result.config is not None else []
    problems = [*result.problems, *(outcome.problem for outcome in outcomes if outcome.problem is not None)]
    if as_json:
        click.echo(json.dumps(_as_json(config_path, problems), indent=2))
    else:
        for outcome in outcomes:
            if outcome.problem is None:
                click.echo(outcome.text)
        echo_problems(problems)
    sys.exit(exit_code(problems))


def exit_code(problems: Sequence[Problem]) -> int:
    if any(problem.is_error for problem in problems):
        return 2
    return 1 if problems else 0


def _as_json(path: Path, problems: Sequence[Problem]) -> dict[str, object]:
    errors = sum(problem.is_error for problem in problems)
    listed = [
        {"severity": one.severity, "code": one.code, "text": one.text, "hint": one.hint, **asdict(one.place)}
        for one in problems
    ]
    return {"file": str(path), "errors": errors, "warnings": len(problems) - errors, "problems": listed}
