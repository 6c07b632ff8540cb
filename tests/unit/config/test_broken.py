"""Broken configurations, and to the letter what is said of each: broken.txt.

A case is `=== name`, the text, `---`, the problems as `gateway check` prints them. The text stands behind `SOUND`,
which is without fault; after `=== alone:` it stands alone, and after `=== before:` before it. Words in braces stand for
octets that a text file cannot hold, and DIR for the directory. That something is "not yet in effect" is said only in
the cases about that, so that a new function changes only those."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.config.codes import CODES
from gateway.config.load import load
from tests.support.tls import CertificateAuthority

SOUND = """\
[interface lo]
address = 127.0.0.1
enable = imap4s
[imap4s]
server = 127.0.0.1
[tls]
certificate = cert.pem
private-key = key.pem
"""
OCTETS = {
    "{HASH}": b"$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21l$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo",
    "{E9}": b"\xe9",
    "{NUL}": b"\0",
    "{ESCAPE}": b"\x1b",
    "{9 x 9000}": b"9" * 9000,
    "{9 x 20000}": b"9" * 20000,
}
HEAD = re.compile(r"(?:(alone|before): )?(.*)")
NOT_YET = {"W101", "W102"}
# No file at all, several files, certificates of today, mail servers: tested in the modules for these.
ELSEWHERE = {"E100", "E101", "E102", "W109", "E401", "E402", "E403"}


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    where: str
    text: str
    problems: str

    def octets(self) -> bytes:
        text = self.text.encode()
        for word, octets in OCTETS.items():
            text = text.replace(word.encode(), octets)
        return {"": SOUND.encode() + text, "alone": text, "before": text + SOUND.encode()}[self.where]


def read_cases() -> Iterator[Case]:
    text = Path(__file__).with_name("broken.txt").read_text(encoding="utf-8")
    for block in text.split("=== ")[1:]:
        head, _, rest = block.partition("\n")
        match = HEAD.fullmatch(head)
        assert match is not None
        broken, _, problems = rest.partition("---\n")
        yield Case(match[2], match[1] or "", broken, problems.strip("\n"))


CASES = list(read_cases())


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates: cert.pem is sound (key.pem), other.pem for a.example, the rest is what its name says."""
    made = tmp_path_factory.mktemp("broken")
    authority = CertificateAuthority(made)
    _issue(authority, "cert.pem", "key.pem")
    _issue(authority, "other.pem", "other.key", "a.example")
    _issue(authority, "expired.pem", "expired.key", "a.example", datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    _write_key(made / "short.key", rsa.generate_private_key(65537, 1024), b"")  # noqa: S505 - it is to be refused
    _write_key(made / "locked.key", ec.generate_private_key(ec.SECP256R1()), b"passphrase")
    return made


def _issue(
    authority: CertificateAuthority, chain: str, key: str, name: str = "localhost", until: datetime | None = None
) -> None:
    issued = authority.issue(name, not_after=until)
    shutil.copy(issued.chain, authority.directory / chain)
    shutil.copy(issued.key, authority.directory / key)


def _write_key(path: Path, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, passphrase: bytes) -> None:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_problem_is_shown_to_the_letter(case: Case, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(directory)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setenv("A_SECRET", "swordfish")
    Path("gw.ini").write_bytes(case.octets())
    Path("gw.ini").chmod(0o644)

    result = load(Path("gw.ini"))

    about_not_yet = "not yet in effect" in case.name
    told = [problem for problem in result.problems if about_not_yet or problem.code not in NOT_YET]
    shown = "\n".join(problem.render() for problem in told)
    assert shown.replace(str(directory), "DIR") == case.problems
    assert (result.config is None) is ("error[" in case.problems)


def test_no_secret_is_ever_shown() -> None:
    assert "geheim" in "".join(case.text for case in CASES)
    assert not [case.name for case in CASES if "geheim" in case.problems]


def test_every_code_has_a_case() -> None:
    shown = set(re.findall(r"\[([EW][0-9]{3})\]", "".join(case.problems for case in CASES)))
    assert shown | ELSEWHERE == set(CODES)
