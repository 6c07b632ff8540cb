"""The reference is made from the model and is not stale; the example is a configuration."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import gateway
from gateway.cli.reference import config_reference_command
from gateway.config.load import load
from gateway.config.reference import example
from gateway.config.reference import settings_page
from gateway.config.sections import SHAPES

ROOT = Path(gateway.__file__).parent.parent


@pytest.mark.parametrize(
    ("file", "text"), [("conf/gateway.ini.example", example()), ("docs/settings.md", settings_page())]
)
def test_the_files_say_what_the_model_says(file: str, text: str) -> None:
    assert (ROOT / file).read_text(encoding="utf-8") == text, "run: make config-reference"


def problems_of(directory: Path, text: str) -> set[str]:
    path = directory / "gw.ini"
    path.write_text(text)
    return {problem.code for problem in load(path).problems if problem.is_error}


def test_the_example_lacks_only_its_files(tmp_path: Path) -> None:
    assert problems_of(tmp_path, example()) == {"E311"}
    (problem,) = load(tmp_path / "gw.ini").problems
    assert problem.text.startswith("certificate: cannot read")


def test_the_example_is_well_formed_with_everything_switched_on(tmp_path: Path) -> None:
    everything = re.sub(r"^;", "", example(), flags=re.MULTILINE)
    codes = problems_of(tmp_path, everything)
    # Files, secrets, the device and the account "none" of this machine; nothing about text, values or names.
    assert codes <= {"E207", "E311", "E318", "E324"}


def test_every_setting_is_in_the_example_and_on_the_page() -> None:
    keys = {key for shape in SHAPES for key in shape.settings}
    assert keys == {match[1] for match in re.finditer(r"^;?([a-z-]+[a-z0-9-]*) =", example(), re.MULTILINE)}
    assert keys <= {match[1] for match in re.finditer(r"^\| `([a-z0-9-]+)` \|", settings_page(), re.MULTILINE)}


def test_the_command_writes_and_checks(tmp_path: Path) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(config_reference_command, ["-d", str(tmp_path), *arguments])
        return result.exit_code, result.output

    assert run("--check") == (
        1,
        f"{tmp_path}/conf/gateway.ini.example: is stale\n{tmp_path}/docs/settings.md: is stale\n",
    )
    assert not (tmp_path / "conf").exists()
    assert run()[0] == 0
    assert run("--check") == (0, "")
    (tmp_path / "docs" / "settings.md").write_text("old")
    assert run("--check") == (1, f"{tmp_path}/docs/settings.md: is stale\n")
