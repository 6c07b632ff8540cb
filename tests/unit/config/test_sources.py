"""Files and what they include."""

import os
from pathlib import Path

import pytest

from gateway.config.document import Document
from gateway.config.document import Vocabulary
from gateway.config.sources import MAX_FILE_OCTETS
from gateway.config.sources import MAX_FILES
from gateway.config.sources import read


def load(directory: Path, files: dict[str, str]) -> Document:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return read(directory / "gw.ini", Vocabulary())


def codes(document: Document) -> list[str]:
    return [problem.code for problem in document.problems]


def kinds(document: Document) -> list[str]:
    return [section.kind for section in document.sections]


def test_a_pattern_reads_its_matches_by_name_behind_the_main_file(tmp_path: Path) -> None:
    main = "[gateway]\ninclude = conf.d/*.ini\n[z]\n"
    document = load(tmp_path, {"gw.ini": main, "conf.d/b.ini": "[b]\n", "conf.d/a.ini": "[a]\n", "conf.d/c.txt": "[c]"})
    assert codes(document) == []
    assert kinds(document) == ["gateway", "z", "a", "b"]


def test_an_included_value_knows_its_own_file_and_directory(tmp_path: Path) -> None:
    document = load(tmp_path, {"gw.ini": "[gateway]\ninclude = conf.d/a.ini\n", "conf.d/a.ini": "[tls]\nx = y\n"})
    section = document.sections[1]
    assert section.directory == tmp_path / "conf.d"
    assert str(section.options[0].place) == f"{tmp_path}/conf.d/a.ini:2:1"


def test_a_pattern_without_matches_is_no_problem(tmp_path: Path) -> None:
    assert codes(load(tmp_path, {"gw.ini": "[gateway]\ninclude = conf.d/*.ini\n"})) == []


def test_a_named_file_that_is_not_there_is_a_problem_at_its_name(tmp_path: Path) -> None:
    (problem,) = load(tmp_path, {"gw.ini": "[gateway]\ninclude = conf.d/*.ini b.ini\n"}).problems
    assert (problem.code, problem.place.line, problem.place.column, problem.place.width) == ("E101", 2, 24, 5)


@pytest.mark.parametrize("include", ["gw.ini", "*.ini", "./gw.ini", "link.ini"])
def test_a_file_that_includes_itself_is_refused(tmp_path: Path, include: str) -> None:
    (tmp_path / "link.ini").symlink_to("gw.ini")
    document = load(tmp_path, {"gw.ini": f"[gateway]\ninclude = {include}\n"})
    assert set(codes(document)) == {"E102"}
    assert kinds(document) == ["gateway"]


def test_a_file_that_two_patterns_name_is_read_once(tmp_path: Path) -> None:
    document = load(tmp_path, {"gw.ini": "[gateway]\ninclude = a.ini a.* [a].ini\n", "a.ini": "[a]\n"})
    assert codes(document) == []
    assert kinds(document) == ["gateway", "a"]


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    files = {f"conf.d/{number}.ini": "" for number in range(MAX_FILES + 5)}
    assert codes(load(tmp_path, {"gw.ini": "[gateway]\ninclude = conf.d/*\n", **files})) == ["E102"]


def test_problems_of_included_files_are_found_too(tmp_path: Path) -> None:
    document = load(tmp_path, {"gw.ini": "[gateway]\ninclude = a.ini\njunk\n", "a.ini": "junk\n"})
    assert codes(document) == ["E105", "E105"]


def test_a_directory_with_pattern_characters_is_taken_literally(tmp_path: Path) -> None:
    odd = tmp_path / "a[b]*"
    odd.mkdir()
    document = load(odd, {"gw.ini": "[gateway]\ninclude = *.in\n", "x.in": "[x]\n"})
    assert kinds(document) == ["gateway", "x"]


def test_a_file_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    (problem,) = load(tmp_path, {}).problems
    assert problem.place.file == f"{tmp_path}/gw.ini"
    assert problem.code == "E100"
    assert problem.text.endswith("No such file or directory")


def test_a_directory_is_no_configuration(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, Vocabulary()).problems
    assert problem.code == "E100"
    assert problem.text.endswith("Is a directory")


def test_a_path_that_cannot_be_one_is_one_problem() -> None:
    assert codes(read(Path("a\0b"), Vocabulary())) == ["E100"]


def test_an_endless_file_is_refused(tmp_path: Path) -> None:
    assert codes(read(Path("/dev/zero"), Vocabulary())) == ["E100"]
    assert MAX_FILE_OCTETS < 2**24


def test_a_pipe_can_be_the_configuration() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"[gateway]\n")
    os.close(writing)
    try:
        assert kinds(read(Path(f"/dev/fd/{reading}"), Vocabulary())) == ["gateway"]
    finally:
        os.close(reading)
