"""DN fields and the lines of attribute maps."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.attributes import DN_ATTRIBUTES
from gateway.config.attributes import MAP_NAME
from gateway.config.attributes import MAP_VALUE
from gateway.config.attributes import DnAttributes
from gateway.config.attributes import DnField
from gateway.config.attributes import MapName
from gateway.config.attributes import MapValue
from gateway.config.kinds import BadValue
from gateway.config.kinds import Context

HERE = Context(Path("/"))


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("CN OU", DnAttributes(DnField.CN, DnField.OU)),
        ("ea, uid", DnAttributes(DnField.EA, DnField.UID)),
        ("CN none", DnAttributes(DnField.CN, None)),
        ("SER", DnAttributes(DnField.SER, None)),
        ("use-entire-name", DnAttributes(None, None)),
    ],
)
def test_the_fields_of_a_dn(text: str, meaning: DnAttributes) -> None:
    assert DN_ATTRIBUTES.parse(text, HERE) == meaning
    assert DN_ATTRIBUTES.parse(DN_ATTRIBUTES.render(meaning), HERE) == meaning


@pytest.mark.parametrize("text", ["", "none", "none CN", "CN OU O", "CN CN", "XX", "CN use-entire-name"])
def test_what_are_no_fields_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        DN_ATTRIBUTES.parse(text, HERE)


def test_the_asa_knows_sixteen_fields() -> None:
    assert " ".join(DnField) == "C CN DNQ EA GENQ GN I L N O OU SER SN SP T UID"


def test_the_lines_of_a_map() -> None:
    assert MAP_NAME.parse("memberOf IETF-Radius-Class", HERE) == MapName("memberOf", "IETF-Radius-Class")
    line = r'memberOf "CN=Mail \"EU\",OU=Groups" MAILUSERS'
    assert MAP_VALUE.parse(line, HERE) == MapValue("memberOf", 'CN=Mail "EU",OU=Groups', "MAILUSERS")
    assert MAP_VALUE.parse("memberOf CN=Mail,OU=Groups\tMAILUSERS", HERE).value == "CN=Mail,OU=Groups"


@pytest.mark.parametrize("text", ["", "a", "a b", "a b c d", 'a "b c', 'a "b c" d e', 'a b"c d'])
def test_what_is_no_line_of_a_map_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        MAP_VALUE.parse(text, HERE)


@given(st.tuples(*[st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]))] * 3))
def test_a_line_of_a_map_survives_being_written(words: tuple[str, str, str]) -> None:
    line = MapValue(*words)
    assert MAP_VALUE.parse(MAP_VALUE.render(line), HERE) == line
