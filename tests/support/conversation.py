"""Conversations: protocol tests as data. A conversation is (id, RFC section, steps); this module plays it.

SERVER role steps                                   CLIENT role steps
("C", octets)    the client sends                   ("U", octets)    the mail server sends
("S", octets)    the dialogue answers exactly this  ("G", octets)    the dialogue sends exactly this
("E", event)     UserNamed, LoginAttempt, Closed    ("E", event)     StartTls, LoggedIn, a Refusal or ProtocolError
("D", decision)  UpstreamReady: accept,             ("T", b"")       TLS is up: `tls_started`
                 Refusal: refuse,
                 EndReason: farewell
("R", octets)    what is left unread at the end     ("R", octets)    what is left unread at the end

Every octet and every event has to be in the table, in order; a server conversation begins with the greeting,
("S", ...). What is pipelined behind a login stays unread until the decision: after a refusal the dialogue parses it,
after an acceptance it is what ("R", ...) names (nothing, without such a step). Behind `Closed` or a failure anything
may be left.
"""

from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
from random import Random
from typing import Final
from typing import Literal

from gateway.errors import FrameTooLong
from gateway.errors import ProtocolError
from gateway.errors import Refused
from gateway.outcome import EndReason
from gateway.outcome import Refusal
from gateway.protocol.base import ClientDialogue
from gateway.protocol.base import ClientSettings
from gateway.protocol.base import ClientStep
from gateway.protocol.base import Closed
from gateway.protocol.base import Line
from gateway.protocol.base import LoggedIn
from gateway.protocol.base import LoginAttempt
from gateway.protocol.base import MailLogin
from gateway.protocol.base import ProtocolSpec
from gateway.protocol.base import ServerDialogue
from gateway.protocol.base import ServerSettings
from gateway.protocol.base import StartTls
from gateway.protocol.base import UpstreamReady
from gateway.protocol.base import UserNamed
from gateway.protocol.base import Want

Decision = UpstreamReady | Refusal | EndReason
Happening = UserNamed | LoginAttempt | Closed | StartTls | LoggedIn | Refusal | type[ProtocolError] | type[FrameTooLong]
Turn = (
    tuple[Literal["C", "S", "U", "G", "R", "T"], bytes] | tuple[Literal["E"], Happening] | tuple[Literal["D"], Decision]
)
Cut = Callable[[bytes], Iterable[bytes]]

MAX_SHOWN_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class ServerConversation:
    """We are the server; `settings` as the table's protocol would have them."""

    id: str
    rfc: str
    steps: tuple[Turn, ...]
    settings: ServerSettings


@dataclass(frozen=True, slots=True)
class ClientConversation:
    """We are the client of a mail server and log in with `login`."""

    id: str
    rfc: str
    steps: tuple[Turn, ...]
    settings: ClientSettings
    login: MailLogin


Conversation = ServerConversation | ClientConversation


def shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 3] + "..."


def take_frame(unread: bytearray, want: Want) -> bytes | None:
    """Remove the wanted frame from the front; None: it is not all there. Raises FrameTooLong."""
    if not isinstance(want, Line):
        if len(unread) < want.count:
            return None
        frame = bytes(unread[: want.count])
        del unread[: want.count]
        return frame
    end = unread.find(b"\n")
    line = bytes(unread if end < 0 else unread[:end]).removesuffix(b"\r")
    if len(line) > want.limit_octets:
        raise FrameTooLong(want.limit_octets)
    if end < 0:
        return None
    del unread[: end + 1]
    return line


@dataclass(slots=True)
class Output:
    """What a dialogue said and announced, in order; adjacent octets are one item."""

    items: list[bytes | Happening] = field(default_factory=list)

    def say(self, octets: bytes) -> None:
        if octets and self.items and isinstance(self.items[-1], bytes):
            self.items[-1] += octets
        elif octets:
            self.items.append(octets)

    def expect_octets(self, octets: bytes) -> None:
        said = self.items[0] if self.items else b""
        assert isinstance(said, bytes), f"expected {shown(octets)}, the dialogue announced {shown(said)}"
        assert said[: len(octets)] == octets, f"expected {shown(octets)}, the dialogue said {shown(said)}"
        self.items[:1] = [rest] if (rest := said[len(octets) :]) else []

    def expect_event(self, event: Happening) -> None:
        got = self.items.pop(0) if self.items else None
        assert got == event, f"expected {shown(event)}, got {shown(got)}"

    def expect_nothing(self) -> None:
        assert not self.items, f"not in the table: {shown(self.items)}"


class ServerDriver:
    """Reads for a ServerDialogue as the session does: frame by frame, and none while a login is being decided."""

    def __init__(self, dialogue: ServerDialogue) -> None:
        self.dialogue = dialogue
        self.unread = bytearray()
        self.output = Output()
        self.is_deciding = False
        self.is_over = False  # closed, or accepted
        self.is_broken_off = False  # closed: what the client still sends is nobody's
        self.output.say(dialogue.greeting())

    def feed(self, octets: bytes) -> None:
        self.unread += octets
        self._read()

    def decide(self, decision: Decision) -> None:
        if isinstance(decision, EndReason):
            self.is_over = self.is_broken_off = True
            self.output.say(self.dialogue.farewell(decision))
            return
        assert self.is_deciding, "a decision without a login attempt"
        self.is_deciding = False
        if isinstance(decision, UpstreamReady):
            self.is_over = True
            self.output.say(self.dialogue.accept(decision))
            return
        self.output.say(self.dialogue.refuse(decision))
        self._read()

    def _read(self) -> None:
        while not self.is_over and not self.is_deciding:
            try:
                frame = take_frame(self.unread, self.dialogue.want)
            except FrameTooLong:
                step = self.dialogue.too_long()
                assert isinstance(step.event, Closed), "too_long has to close"
            else:
                if frame is None:
                    return
                step = self.dialogue.receive(frame)
            self.output.say(step.reply)
            if step.event is not None:
                self.output.items.append(step.event)
            self.is_deciding = isinstance(step.event, LoginAttempt)
            self.is_over = self.is_broken_off = isinstance(step.event, Closed)


class ClientDriver:
    """Reads for a ClientDialogue; what it raises is put among the output, as a Refusal or the exception's class."""

    def __init__(self, dialogue: ClientDialogue) -> None:
        self.dialogue = dialogue
        self.unread = bytearray()
        self.output = Output()
        self.is_starting_tls = False
        self.is_logged_in = False
        self.is_broken_off = False  # it raised

    def feed(self, octets: bytes) -> None:
        self.unread += octets
        try:
            while not (self.is_broken_off or self.is_logged_in or self.is_starting_tls):
                frame = take_frame(self.unread, self.dialogue.want)
                if frame is None:
                    return
                self._follow(self.dialogue.receive(frame))
        except Refused as refused:
            self._break_off(refused.refusal)
        except ProtocolError:
            self._break_off(ProtocolError)
        except FrameTooLong:
            self._break_off(FrameTooLong)

    def tls_started(self) -> None:
        assert self.is_starting_tls, "TLS without StartTls"
        assert not self.unread, "octets behind the agreement to STARTTLS"
        self.is_starting_tls = False
        self._follow(self.dialogue.tls_started())

    def _follow(self, step: ClientStep) -> None:
        self.output.say(step.send)
        if step.event is not None:
            self.output.items.append(step.event)
        self.is_starting_tls = isinstance(step.event, StartTls)
        self.is_logged_in = isinstance(step.event, LoggedIn)

    def _break_off(self, happening: Happening) -> None:
        self.output.items.append(happening)
        self.is_broken_off = True


def whole(octets: bytes) -> Iterable[bytes]:
    return [octets]


def octet_by_octet(octets: bytes) -> Iterable[bytes]:
    return [octets[i : i + 1] for i in range(len(octets))]


def at_random(seed: int) -> Cut:
    """A cut at random places, the same for the same seed."""
    random: Final = Random(seed)  # noqa: S311

    def cut(octets: bytes) -> Iterable[bytes]:
        places = sorted(random.randrange(len(octets) + 1) for _ in range(random.randrange(6)))
        return [octets[start:end] for start, end in zip([0, *places], [*places, len(octets)], strict=True)]

    return cut


def play(spec: ProtocolSpec, conversation: Conversation, cut: Cut = whole) -> None:
    """Play the conversation, its input cut into pieces by `cut`. An AssertionError names the step that went wrong."""
    if isinstance(conversation, ServerConversation):
        server = ServerDriver(spec.server(conversation.settings))
        _play_steps(conversation, server, lambda step: _play_server_step(server, step, cut))
    else:
        client = ClientDriver(spec.client(conversation.settings, conversation.login))
        _play_steps(conversation, client, lambda step: _play_client_step(client, step, cut))


def _play_steps(
    conversation: Conversation, driver: ServerDriver | ClientDriver, play_step: Callable[[Turn], None]
) -> None:
    place = "before the first step"
    try:
        for number, step in enumerate(conversation.steps):
            place = f"in step {number}, {shown(step)}"
            play_step(step)
        place = "at the end"
        driver.output.expect_nothing()
        if conversation.steps[-1][0] != "R" and not driver.is_broken_off:
            assert not driver.unread, f"left unread: {shown(bytes(driver.unread))}"
    except AssertionError as error:
        error.add_note(f"conversation {conversation.id!r}, {place}")
        raise


def _play_server_step(driver: ServerDriver, step: Turn, cut: Cut) -> None:
    match step:
        case ("C", bytes() as octets):
            driver.output.expect_nothing()
            for piece in cut(octets):
                driver.feed(piece)
        case ("S", bytes() as octets):
            driver.output.expect_octets(octets)
        case ("D", decision):
            driver.output.expect_nothing()
            driver.decide(decision)
        case _:
            _play_common_step(driver.output, driver.unread, step)


def _play_client_step(driver: ClientDriver, step: Turn, cut: Cut) -> None:
    match step:
        case ("U", bytes() as octets):
            driver.output.expect_nothing()
            for piece in cut(octets):
                driver.feed(piece)
        case ("G", bytes() as octets):
            driver.output.expect_octets(octets)
        case ("T", _):
            driver.output.expect_nothing()
            driver.tls_started()
        case _:
            _play_common_step(driver.output, driver.unread, step)


def _play_common_step(output: Output, unread: bytearray, step: Turn) -> None:
    match step:
        case ("E", event):
            output.expect_event(event)
        case ("R", bytes() as octets):
            assert bytes(unread) == octets, f"expected {shown(octets)} unread, got {shown(bytes(unread))}"
        case _:
            raise ValueError(f"not a step of this role: {step!r}")
