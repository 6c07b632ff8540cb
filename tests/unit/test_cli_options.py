"""What every command takes."""

import click
import pytest

from gateway.cli import main


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_takes_a_configuration_file(name: str) -> None:
    options = {word for one in main.commands[name].params if isinstance(one, click.Option) for word in one.opts}
    assert {"-c", "--config"} <= options
