"""Certificates that are fine today, and for how long."""

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.config.load import load
from tests.support.tls import Certificate
from tests.support.tls import CertificateAuthority
from tests.support.tls import KeyKind


def problems(directory: Path, *tls: str) -> list[tuple[str, str]]:
    text = "[interface lo]\naddress = 127.0.0.1\nenable = imap4s\n[imap4s]\nserver = 127.0.0.1\n"
    (directory / "gw.ini").write_text(text + "".join(f"{line}\n" for line in tls))
    return [(problem.code, problem.text) for problem in load(directory / "gw.ini").problems]


def section(certificate: Certificate, header: str = "[tls]") -> tuple[str, str, str]:
    return header, f"certificate = {certificate.chain}", f"private-key = {certificate.key}"


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


@pytest.mark.parametrize("kind", list(KeyKind))
def test_both_kinds_of_keys_are_fine(authority: CertificateAuthority, kind: KeyKind) -> None:
    assert problems(authority.directory, *section(authority.issue(key_kind=kind))) == []


@pytest.mark.parametrize(("days", "codes"), [(13, ["W109"]), (15, [])])
def test_two_weeks_before_its_end_a_certificate_is_warned_about(
    authority: CertificateAuthority, days: int, codes: list[str]
) -> None:
    ends = datetime.now(UTC) + timedelta(days=days)
    found = problems(authority.directory, *section(authority.issue(not_after=ends)))
    assert [code for code, _ in found] == codes
    assert all(f"{ends:%Y-%m-%d}" in text for _, text in found)


def test_a_key_in_the_certificate_s_file_is_found(authority: CertificateAuthority) -> None:
    issued = authority.issue()
    both = authority.directory / "both.pem"
    both.write_bytes(issued.chain.read_bytes() + issued.key.read_bytes())
    assert problems(authority.directory, "[tls]", f"certificate = {both}") == []
    both.write_bytes(issued.key.read_bytes() + issued.chain.read_bytes())
    assert problems(authority.directory, "[tls]", f"certificate = {both}") == []


@pytest.mark.parametrize(
    ("names", "asked", "codes"),
    [
        (["mail.example.org"], "mail.example.org", []),
        (["mail.example.org"], "MAIL.example.org", []),
        (["*.example.org"], "mail.example.org", []),
        (["*.example.org"], "*.example.org", []),
        (["*.example.org"], "a.mail.example.org", ["W110"]),
        (["*.example.org"], "example.org", ["W110"]),
        (["mail.example.org"], "*.example.org", ["W110"]),
    ],
)
def test_the_certificate_of_a_name_must_be_for_it(
    authority: CertificateAuthority, names: list[str], asked: str, codes: list[str]
) -> None:
    named = section(authority.issue(*names), f"[tls {asked}]")
    found = problems(authority.directory, *section(authority.issue()), *named)
    assert [code for code, _ in found] == codes


def test_a_file_of_garbage_between_pem_lines_is_refused(authority: CertificateAuthority) -> None:
    issued = authority.issue()
    issued.chain.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    issued.key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    assert [code for code, _ in problems(authority.directory, *section(issued))] == ["E312"]
    other = authority.issue()
    issued.chain.write_bytes(other.chain.read_bytes())
    assert [code for code, _ in problems(authority.directory, *section(issued))] == ["E312"]


def test_a_key_is_in_no_message(authority: CertificateAuthority) -> None:
    issued, other = authority.issue(), authority.issue()
    found = problems(authority.directory, "[tls]", f"certificate = {issued.chain}", f"private-key = {other.key}")
    body = other.key.read_text().splitlines()[1]
    assert [code for code, _ in found] == ["E313"]
    assert body not in found[0][1]
