"""`gateway config-reference`: the settings reference and the example, written from the model."""

import sys
from pathlib import Path

import click

from gateway.cli.options import no_config_option
from gateway.config.reference import example
from gateway.config.reference import settings_page

_FILES = {Path("conf/gateway.ini.example"): example, Path("docs/settings.md"): settings_page}


@click.command("config-reference")
@no_config_option
@click.option(
    "-d",
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Where to write; the current directory by default.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when a file is not what the model says.")
def config_reference_command(directory: Path, check: bool) -> None:
    """Write conf/gateway.ini.example and docs/settings.md from the model of the settings."""
    stale = [name for name, make in _FILES.items() if _text(directory / name) != make()]
    for name in stale:
        click.echo(f"{directory / name}: {'is stale' if check else 'written'}")
        if not check:
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(_FILES[name](), encoding="utf-8")
    sys.exit(1 if check and stale else 0)


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
