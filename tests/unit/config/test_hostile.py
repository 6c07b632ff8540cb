"""Whatever octets a configuration holds: problems are returned, nothing is raised, and no terminal is written to."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from gateway.config.ini import MAX_LINE_OCTETS
from gateway.config.load import judge
from gateway.config.problems import summary
from gateway.config.sections import SHAPES
from gateway.config.sections import vocabulary
from gateway.config.sources import parse

WORDS = vocabulary()
KEYS = sorted(WORDS.settings)
HEADERS = [f"[{' '.join([shape.kind, *(name for name in shape.names)])}]" for shape in SHAPES]
NASTY = [
    "none",
    "*",
    "",
    '"',
    "\\",
    ";",
    "#",
    "=",
    ":",
    "[",
    "]",
    "$argon2id$",
    "file:",
    "file:/dev/zero",
    "env:",
    "\t",
]
NASTY += ["credential:..", "-1", "0", "9" * 400, "\u0661", "::", "[::1", "1.2.3.4/99", "\u2028", "\ud7ff", "a" * 300]
SEPARATORS = [" = ", "=", ":", " : ", " ", ""]


@st.composite
def almost_configurations(draw: st.DrawFn) -> bytes:
    """Lines that are mostly well-formed, so that values and rules are reached, too."""
    values = st.one_of(st.sampled_from(NASTY), st.sampled_from(KEYS), st.text(max_size=20))
    lines = draw(
        st.lists(
            st.one_of(
                st.sampled_from(HEADERS),
                st.builds(
                    lambda indent, key, separator, value: f"{indent}{key}{separator}{value}",
                    st.sampled_from(["", "", "", " "]),
                    st.sampled_from(KEYS),
                    st.sampled_from(SEPARATORS),
                    values,
                ),
                st.text(max_size=20),
            ),
            max_size=30,
        )
    )
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def judged(octets: bytes) -> str:
    """All that would be printed."""
    result = judge(Path("gw.ini"), parse(octets, "gw.ini", WORDS))
    assert (result.config is None) is any(problem.is_error for problem in result.problems)
    return "\n".join([*(problem.render() for problem in result.problems), summary(result.problems)])


@given(st.binary(max_size=400))
def test_any_octets_give_problems_and_nothing_else(octets: bytes) -> None:
    assert all(line.isprintable() for line in judged(octets).split("\n"))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=300)
@given(almost_configurations())
def test_almost_configurations_give_problems_and_nothing_else(octets: bytes) -> None:
    assert all(line.isprintable() for line in judged(octets).split("\n"))


@settings(deadline=None)
@given(almost_configurations())
def test_every_place_is_in_the_text(octets: bytes) -> None:
    lines = octets.split(b"\n")
    for problem in judge(Path("gw.ini"), parse(octets, "gw.ini", WORDS)).problems:
        place = problem.place
        assert 1 <= place.line <= len(lines)
        assert 1 <= place.column <= len(lines[place.line - 1].decode("utf-8", "replace")) + 1
        assert place.width >= 1


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.label)
@pytest.mark.parametrize("value", [*NASTY, "x" * 10_000, "\u00e9", "a\n b\n c", "a, b,, c", "%s%n{0}"])
def test_every_setting_survives_every_nasty_value(shape: object, value: str) -> None:
    (kind, names, keys) = next((one.kind, one.names, list(one.settings)) for one in SHAPES if one is shape)
    text = f"[{' '.join([kind, *names])}]\n" + "".join(f"{key} = {value}\n" for key in keys)
    judged(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    "octets",
    [
        b"x" * 1_000_000,
        b"[gateway]\nuser = " + b"x" * 1_000_000,
        b"\0" * 100_000,
        b"\n" * 100_000,
        b"[" * 100_000,
        b"[gateway]\nhostname = a\n" + b" b\n" * 20_000,
        b'[gateway]\nhostname = "' + b"\\" * (MAX_LINE_OCTETS - 100),
        b"[user " + b'"' * 10_000 + b"]",
        b"[gateway]\n" + b" = \n" * 1000,
        b"".join(b"[user u%d]\n" % number for number in range(2000)),
        b"[gateway]\ninclude = " + b"conf.d/* " * 1000,
        b"\xff\xfe[\x00g\x00",
    ],
    ids=range(12),
)
def test_enormous_and_absurd_files_are_read_to_their_end(octets: bytes) -> None:
    assert "error" in judged(octets)
