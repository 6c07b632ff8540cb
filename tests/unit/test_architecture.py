"""The rules that import-linter cannot see: who imports compiled modules, and who asks for the name of a protocol."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "gateway").rglob("*.py"))

COMPILED_MODULES = {path.stem for path in (ROOT / "gateway").glob("_*.pyx")}
MAY_IMPORT_COMPILED = (
    "gateway/protocol/framing.py",
    "gateway/transport/",
    "gateway/session/",
    "gateway/worker/",
    "gateway/master/",
)
PROTOCOL_NAMES = {"imap", "imap4s", "pop3", "pop3s", "smtp", "smtps"}


def compiled_imports(tree: ast.AST, compiled: set[str]) -> Iterator[tuple[int, str]]:
    """(line, module) for each import of `gateway._NAME`, however it is written."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "gateway":
            imported = [f"gateway.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported = [node.module]
        else:
            continue
        for module in imported:
            package, _, name = module.partition(".")
            if package == "gateway" and name.split(".")[0] in compiled:
                yield node.lineno, module


def protocol_comparisons(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, name) for each comparison with a literal protocol name: ==, !=, is, in, and the cases of a match."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            operands = [node.value]
        else:
            continue
        for name in map(protocol_name, operands):
            if name:
                yield node.lineno, name


def protocol_name(operand: ast.expr) -> str | None:
    match operand:
        case ast.Constant(value=str(text)):
            name = text
        case ast.Constant(value=bytes(octets)):
            name = octets.decode("latin-1")
        case ast.Attribute(attr=attribute):  # a member of an enum
            name = attribute if attribute.isupper() else ""
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            return next(filter(None, map(protocol_name, elements)), None)
        case _:
            return None
    return name if name.lower() in PROTOCOL_NAMES else None


def at(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_sources_and_compiled_modules_are_found() -> None:
    assert ROOT / "gateway" / "outcome.py" in SOURCES
    assert "_fastpath" in COMPILED_MODULES


def test_only_the_rim_imports_compiled_modules() -> None:
    offenders = [
        f"{at(path)}:{line} imports {module}"
        for path in SOURCES
        if not at(path).startswith(MAY_IMPORT_COMPILED)
        for line, module in compiled_imports(ast.parse(path.read_text()), COMPILED_MODULES)
    ]
    assert offenders == []


def test_nobody_asks_for_the_name_of_a_protocol() -> None:
    """What differs between protocols stands in the folder of each; elsewhere a table is looked up."""
    offenders = [
        f"{at(path)}:{line} compares with {name!r}"
        for path in SOURCES
        if at(path).split("/")[1:3] not in (["protocol", "imap"], ["protocol", "pop3"], ["protocol", "smtp"])
        for line, name in protocol_comparisons(ast.parse(path.read_text()))
    ]
    assert offenders == []


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import gateway._fastpath", ["gateway._fastpath"]),
        ("import gateway._fastpath as engine, os", ["gateway._fastpath"]),
        ("from gateway import _fastpath, log", ["gateway._fastpath"]),
        ("from gateway._fastpath import Framer", ["gateway._fastpath"]),
        ("def late():\n    from gateway._fastpath import Framer", ["gateway._fastpath"]),
        ("from gateway._other import name\nfrom gateway import log\nfrom other import _fastpath", []),
    ],
)
def test_every_way_to_import_a_compiled_module_is_seen(source: str, modules: list[str]) -> None:
    assert [module for _, module in compiled_imports(ast.parse(source), {"_fastpath"})] == modules


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("if protocol == 'imap': pass", ["imap"]),
        ("x = 'smtps' != listener.protocol", ["smtps"]),
        ("x = spec.name in ('pop3', 'other')", ["pop3"]),
        ("x = name == b'imap4s'", ["imap4s"]),
        ("x = protocol is Protocol.SMTP", ["SMTP"]),
        ("match protocol:\n    case 'imap': pass\n    case Protocol.POP3 | 'smtp': pass", ["imap", "POP3", "smtp"]),
        ("x = SPECS['imap']\ny = protocol == other.imap\nz = word == 'imaps'", []),
    ],
)
def test_every_way_to_compare_a_protocol_name_is_seen(source: str, names: list[str]) -> None:
    assert [name for _, name in protocol_comparisons(ast.parse(source))] == names
