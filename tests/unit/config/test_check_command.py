"""`gateway check`: exit codes, JSON, colours, and connections to real sockets."""

import json
import socket
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from click.testing import Result

from gateway.cli.check import check_command
from gateway.cli.options import load_or_exit
from tests.support.tls import Certificate
from tests.support.tls import CertificateAuthority

Script = Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("check"))


@pytest.fixture(scope="module")
def issued(authority: CertificateAuthority) -> Certificate:
    return authority.issue("127.0.0.1")


@pytest.fixture
def write(tmp_path: Path, issued: Certificate) -> Callable[[str], Path]:
    """A sound configuration with more behind it."""

    def written(more: str) -> Path:
        path = tmp_path / "gw.ini"
        tls = f"[tls]\ncertificate = {issued.chain}\nprivate-key = {issued.key}\n"
        path.write_text(
            f"[interface lo]\naddress = 127.0.0.1\nenable = pop3s\n{tls}[pop3s]\nserver = 127.0.0.1\n{more}"
        )
        return path

    return written


def check(path: Path, *arguments: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(check_command, ["-c", str(path), *arguments])


@contextmanager
def server(script: Script) -> Iterator[int]:
    """A mail server that serves one connection by a script; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            accepted, _ = listener.accept()
            with accepted:
                accepted.settimeout(5)
                script(accepted)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)
        assert not thread.is_alive()


def test_a_sound_configuration_exits_0(write: Callable[[str], Path]) -> None:
    result = check(write(""))
    assert (result.exit_code, result.output) == (0, "no problems found\n")


def test_warnings_exit_1(write: Callable[[str], Path]) -> None:
    result = check(write("[metrics]\nlisten = 127.0.0.1:9180\n"))
    assert result.exit_code == 1
    assert result.output.endswith("1 problem: 0 errors, 1 warning\n")


def test_errors_exit_2_and_all_are_shown(write: Callable[[str], Path]) -> None:
    path = write("prot = 1\noutstanding = x\n")
    result = check(path)
    assert result.exit_code == 2
    assert result.output == (
        f'{path}:9:1: error[E103]: unknown setting "prot" in [pop3s]\n'
        "    9 | prot = 1\n"
        '      | ^^^^ did you mean "port"?\n'
        f'{path}:10:15: error[E202]: outstanding: "x" is not a number from 1 to 1000000\n'
        "   10 | outstanding = x\n"
        "      |               ^\n"
        "2 problems: 2 errors, 0 warnings\n"
    )


def test_a_missing_file_exits_2_and_says_so(tmp_path: Path) -> None:
    result = check(tmp_path / "nowhere.ini")
    assert result.exit_code == 2
    assert f'cannot read "{tmp_path}/nowhere.ini": No such file or directory' in result.output


def test_the_file_of_the_environment_is_the_default(write: Callable[[str], Path]) -> None:
    path = write("")
    result = CliRunner(env={"GATEWAY_CONFIG": str(path)}).invoke(check_command, [])
    assert result.exit_code == 0


def test_json_is_for_programs(write: Callable[[str], Path]) -> None:
    path = write("prot = 1\n")
    result = check(path, "--json")
    told = json.loads(result.output)
    assert result.exit_code == 2
    assert (told["file"], told["errors"], told["warnings"]) == (str(path), 1, 0)
    assert told["problems"] == [
        {
            "severity": "error",
            "code": "E103",
            "text": 'unknown setting "prot" in [pop3s]',
            "hint": 'did you mean "port"?',
            "file": str(path),
            "line": 9,
            "column": 1,
            "width": 4,
            "excerpt": "prot = 1",
        }
    ]


@pytest.mark.parametrize(("environment", "has_colour"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_is_for_terminals_without_no_color(
    write: Callable[[str], Path], environment: dict[str, str], has_colour: bool
) -> None:
    path = write("prot = 1\n")
    coloured = CliRunner(env=environment).invoke(check_command, ["-c", str(path)], color=True)
    assert ("\x1b[" in coloured.output) is has_colour
    assert "\x1b[" not in check(path).output


def test_load_or_exit_gives_the_configuration_or_ends(
    write: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_or_exit(write("")).protocols["pop3s"].server == "127.0.0.1"
    assert capsys.readouterr() == ("", "")
    with pytest.raises(SystemExit) as ended:
        load_or_exit(write("prot = 1\n"))
    assert ended.value.code == 2
    assert "E103" in capsys.readouterr().err


def test_load_or_exit_gives_warnings_to_who_asks_for_them(
    write: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    warned: list[str] = []
    path = write("[metrics]\nlisten = 127.0.0.1:9180\n")
    load_or_exit(path, lambda _, problems: warned.extend(problem.code for problem in problems))
    assert warned == ["W101"]
    assert capsys.readouterr() == ("", "")
    load_or_exit(path)
    assert "W101" in capsys.readouterr().err


def greet(*lines: bytes) -> Script:
    def script(link: socket.socket) -> None:
        for line in lines:
            link.sendall(line)
        while link.recv(4096):
            pass

    return script


def test_connect_tells_of_a_server_that_greets(write: Callable[[str], Path]) -> None:
    with server(greet(b"+OK\x1b[31m ready\r\n")) as port:
        result = check(write(f"server-port = {port}\n"), "--connect")
    assert result.exit_code == 0
    assert result.output.startswith(f"pop3s: 127.0.0.1 port {port}: no TLS, ")
    assert "\x1b" not in result.output


@pytest.mark.parametrize(
    ("protocol", "greeting"),
    [("imap4s", b"* OK [CAPABILITY IMAP4rev1] ready\r\n"), ("smtps", b"220-mail\r\n220 ready\r\n")],
)
def test_connect_knows_every_protocol(write: Callable[[str], Path], protocol: str, greeting: bytes) -> None:
    with server(greet(greeting)) as port:
        path = write("")
        path.write_text(
            path.read_text().replace("pop3s", protocol) + f"server-port = {port}\nauthentication = mailhost\n"
        )
        assert check(path, "--connect").exit_code == 0


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (greet(b"-ERR no\r\n"), 'the greeting is "-ERR no"'),
        (greet(b"HTTP/1.1 400 Bad\r\n\r\n"), 'the greeting is "HTTP/1.1 400 Bad"'),
        (greet(b"x" * 3000), "a line of more than 2048 octets"),
        (lambda link: None, "the server closed the connection"),
        (greet(), "no answer from the server: timed out"),
    ],
)
def test_connect_says_what_a_server_does_wrong(write: Callable[[str], Path], script: Script, text: str) -> None:
    with server(script) as port:
        result = check(write(f"server-port = {port}\nconnect-timeout = 300ms\n"), "--connect")
    assert result.exit_code == 2
    assert f"error[E403]: server: {text}\n" in result.output
    assert "    8 | server = 127.0.0.1\n" in result.output


def test_connect_says_that_nobody_listens(write: Callable[[str], Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = check(write(f"server-port = {port}\n"), "--connect")
    assert result.exit_code == 2
    assert f"error[E401]: server: no connection to 127.0.0.1 port {port}: Connection refused\n" in result.output


def serve_tls(issued: Certificate, *, start: bytes = b"") -> Script:
    """A server with TLS from the start, or behind the answer `start` to STLS."""

    def script(link: socket.socket) -> None:
        if start:
            link.sendall(b"+OK ready\r\n")
            assert link.recv(100) == b"STLS\r\n"
            link.sendall(start)
        try:
            with issued.server_context().wrap_socket(link, server_side=True) as tls:
                if not start:
                    tls.sendall(b"+OK ready\r\n")
                assert tls.recv(100) == b"QUIT\r\n"
        except OSError:
            pass

    return script


@pytest.mark.parametrize(("mode", "start"), [("implicit", b""), ("starttls", b"+OK go\r\n")])
def test_connect_verifies_the_server_s_certificate(
    write: Callable[[str], Path], authority: CertificateAuthority, issued: Certificate, mode: str, start: bytes
) -> None:
    with server(serve_tls(issued, start=start)) as port:
        more = f"server-port = {port}\nserver-tls = {mode}\nserver-ca = {authority.path}\n"
        result = check(write(more), "--connect")
    assert result.exit_code == 0
    assert ": TLSv1.3, " in result.output
    with server(serve_tls(issued, start=start)) as port:
        more = f"server-port = {port}\nserver-tls = {mode}\nserver-ca = {authority.path}\nserver-name = a.example\n"
        result = check(write(more), "--connect")
    assert result.exit_code == 2
    assert "error[E402]: server: TLS with 127.0.0.1 fails: Hostname mismatch" in result.output
    with server(serve_tls(issued, start=start)) as port:
        result = check(write(f"server-port = {port}\nserver-tls = {mode}\n"), "--connect")
    assert "TLS with 127.0.0.1 fails: self-signed certificate in certificate chain" in result.output


def test_connect_does_not_go_on_in_clear_when_starttls_is_refused(write: Callable[[str], Path]) -> None:
    heard: list[bytes] = []

    def script(link: socket.socket) -> None:
        link.sendall(b"+OK ready\r\n")
        heard.append(link.recv(100))
        link.sendall(b"-ERR what?\r\n")
        heard.append(link.recv(100))

    with server(script) as port:
        result = check(write(f"server-port = {port}\nserver-tls = starttls\n"), "--connect")
    assert 'error[E402]: server: the server refuses STARTTLS: "-ERR what?"\n' in result.output
    assert heard == [b"STLS\r\n", b""]
