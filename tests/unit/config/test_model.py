"""The model: every setting is documented, and is used or says that it is not."""

import ast
import dataclasses
from pathlib import Path
from typing import Any

import pytest

import gateway
from gateway.config.load import judge
from gateway.config.model.words import AaaProtocol
from gateway.config.model.words import Method
from gateway.config.sections import SHAPES
from gateway.config.sections import Shape
from gateway.config.sections import vocabulary
from gateway.config.settings import Setting
from gateway.config.sources import parse

SETTINGS = [
    pytest.param(shape, setting, id=f"{shape.label} {key}")
    for shape in SHAPES
    for key, setting in shape.settings.items()
]
PACKAGE = Path(gateway.__file__).parent
# sources.py follows `include` by its name in the text; the two directories are for what comes to be kept in them.
USED_OTHERWISE = {"include", "runtime_directory", "state_directory"}


def attributes_read() -> set[str]:
    """The name of every attribute that a module outside the model reads."""
    modules = [path for path in PACKAGE.rglob("*.py") if PACKAGE / "config" / "model" not in path.parents]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in modules]
    return {node.attr for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


READ = attributes_read() | {"workers"}  # by Config.worker_count


@pytest.mark.parametrize(("shape", "setting"), SETTINGS)
def test_a_setting_is_documented(shape: Shape, setting: Setting[Any]) -> None:
    assert len(setting.doc) >= 10
    assert setting.doc.endswith((".", ")"))
    assert setting.kind.word
    assert setting.defaults or setting.example, "a required setting needs an example"


@pytest.mark.parametrize(("shape", "setting"), SETTINGS)
def test_a_setting_is_read_or_says_that_it_is_not_in_effect(shape: Shape, setting: Setting[Any]) -> None:
    assert setting.field_name in READ | USED_OTHERWISE or setting.not_yet


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.label)
def test_every_field_of_a_section_is_a_setting_or_its_name(shape: Shape) -> None:
    declared = {setting.field_name for setting in shape.settings.values()}
    fields = {field.name for field in dataclasses.fields(shape.model)}
    assert fields - declared <= {*shape.names, "name", "servers"}
    assert str(shape.model.__doc__).strip()


@pytest.mark.parametrize(("shape", "setting"), SETTINGS)
def test_a_number_of_a_unit_has_it_in_its_field(shape: Shape, setting: Setting[Any]) -> None:
    assert setting.field_name.endswith(setting.kind.unit)
    assert "_" not in setting.key


def test_one_name_has_one_kind() -> None:
    """An administrator who knows a setting in one section knows it in all."""
    kinds: dict[str, set[str]] = {}
    for shape in SHAPES:
        for key, setting in shape.settings.items():
            kinds.setdefault(key, set()).add(setting.kind.word.removesuffix(", or none").removesuffix(", or auto"))
    different = {key for key, words in kinds.items() if len(words) > 1}
    assert different == {"enable"}  # protocols on an interface, interfaces of the portal


def test_a_secret_is_hidden_from_messages() -> None:
    words = vocabulary()
    assert words.secrets == {"key", "ldap-login-password", "password", "store"}
    assert all(words.hides(key) for key in words.secrets)
    assert not [key for key in words.settings - words.secrets if words.hides(key)]


@pytest.mark.parametrize(
    "header_and_line",
    [f"[imap4s]\nauthentication = {method}" for method in (Method.CERTIFICATE, Method.PIGGYBACK)]
    + [f"[aaa-server-group G]\nprotocol = {protocol}" for protocol in (AaaProtocol.RADIUS, AaaProtocol.LDAP)],
)
def test_what_is_accepted_and_not_yet_there_is_said_to_refuse_logins(header_and_line: str) -> None:
    document = parse(header_and_line.encode(), "gw.ini", vocabulary())
    (warning,) = [one for one in judge(Path("gw.ini"), document).problems if one.code == "W102"]
    assert warning.place.line == 2
    assert "is not yet in effect: every login" in warning.text
    assert warning.text.endswith("is refused")
