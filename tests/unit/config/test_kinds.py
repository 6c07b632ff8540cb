"""Kinds of value: text to value, and back."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.kinds import DURATION
from gateway.config.kinds import LINE
from gateway.config.kinds import PATH
from gateway.config.kinds import SIZE
from gateway.config.kinds import YES_NO
from gateway.config.kinds import BadValue
from gateway.config.kinds import Context
from gateway.config.kinds import listed
from gateway.config.kinds import number
from gateway.config.kinds import optional
from gateway.config.kinds import repeated
from gateway.config.kinds import some_of
from gateway.config.model.words import Method
from gateway.config.sections import SHAPES
from gateway.config.sections import Shape

HERE = Context(Path("/etc/gateway"))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86400), ("250ms", 0.25), ("1h30m", 5400), ("0s5ms", 0.005)],
)
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert DURATION.parse(text, HERE) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "s", "-1s", "1.5h", "1 h", "1w", "0s", "0h", "\u0661s", "9" * 13 + "s", "1H"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        DURATION.parse(text, HERE)


@given(st.integers(1, 10**12))
def test_a_duration_survives_being_written(milliseconds: int) -> None:
    assert DURATION.parse(DURATION.render(milliseconds / 1000), HERE) == milliseconds / 1000


@pytest.mark.parametrize(("text", "octets"), [("64k", 65536), ("8m", 8388608), ("1G", 2**30), ("100", 100)])
def test_a_size_is_octets(text: str, octets: int) -> None:
    assert SIZE.parse(text, HERE) == octets
    assert SIZE.parse(SIZE.render(octets), HERE) == octets


@pytest.mark.parametrize("text", ["", "0", "0k", "64kb", "-1", "1.5m", "64 k"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        SIZE.parse(text, HERE)


def test_a_number_keeps_to_its_range() -> None:
    kind = number(1, 5)
    assert [kind.parse(text, HERE) for text in ("1", "05", "5")] == [1, 5, 5]
    for text in ("0", "6", "-1", "+1", "1_0", "\u0661", "", "1.0"):
        with pytest.raises(BadValue):
            kind.parse(text, HERE)


@pytest.mark.parametrize(
    ("text", "value"), [("yes", True), ("ON", True), ("true", True), ("no", False), ("off", False)]
)
def test_yes_and_no_have_synonyms(text: str, value: bool) -> None:
    assert YES_NO.parse(text, HERE) is value


def test_none_and_nothing_are_none() -> None:
    kind = optional(number(1, 9))
    assert [kind.parse(text, HERE) for text in ("none", "None", "", "4")] == [None, None, None, 4]
    assert kind.render(None) == "none"


def test_a_relative_path_starts_at_the_directory_of_its_file() -> None:
    assert PATH.parse("tls/key.pem", HERE) == Path("/etc/gateway/tls/key.pem")
    assert PATH.parse("/key.pem", HERE) == Path("/key.pem")


def test_items_are_separated_by_blanks_commas_and_lines() -> None:
    kind = listed(number(1, 99), "numbers")
    assert kind.parse("1, 2 3,,4\n5 1", HERE) == (1, 2, 3, 4, 5)
    assert kind.parse("", HERE) == ()


def test_a_bad_item_says_where_it_is() -> None:
    with pytest.raises(BadValue) as caught:
        some_of(Method).parse("aaa, malhost", HERE)
    assert (caught.value.offset, caught.value.width, caught.value.hint) == (5, 7, 'did you mean "mailhost"?')


def test_a_repeatable_setting_has_one_value_a_line() -> None:
    assert repeated(LINE).parse("\na b\nc", HERE) == ("a b", "c")


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.label)
def test_every_default_survives_being_written_and_read(shape: Shape) -> None:
    """What a running configuration is written as must mean what is running."""
    for key, setting in shape.settings.items():
        for value in setting.defaults.values():
            assert setting.kind.parse(setting.kind.render(value), HERE) == value, key


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.label)
def test_every_example_is_valid(shape: Shape, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ldap").write_text("swordfish\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    examples = [(one.kind, one.example) for one in shape.settings.values() if one.example]
    for kind, example in examples:
        if not example.startswith("file:"):
            kind.parse(example, HERE)
