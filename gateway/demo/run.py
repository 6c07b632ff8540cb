"""The demo from start to end: set the stage, wait for news, act on them.

Errors: none; what goes wrong is said, and the exit code is 1. Limits: READY_S from the start to event=ready.
"""

import queue
import threading
from typing import Final

from gateway.demo.instructions import show_instructions
from gateway.demo.news import GatewayEnded
from gateway.demo.news import GatewayReady
from gateway.demo.news import Interrupted
from gateway.demo.news import News
from gateway.demo.news import NewsQueue
from gateway.demo.news import SessionsDone
from gateway.demo.news import signals_as
from gateway.demo.once import drive_sessions
from gateway.demo.ports import PortTaken
from gateway.demo.ports import choose_ports
from gateway.demo.stage import Stage
from gateway.demo.stage import set_up
from gateway.demo.terminal import complain
from gateway.demo.terminal import say

READY_S: Final = 30.0


def run_demo(*, once: bool, port_offset: int) -> int:
    """The exit code. once: drive the sessions and end; else go on until a signal."""
    news: NewsQueue = queue.SimpleQueue()
    try:
        ports = choose_ports(port_offset, or_any=once)
        with signals_as(news), set_up(ports, news) as stage:
            code = _see_through(stage, news, once=once)
    except (PortTaken, OSError) as fault:  # OSError: no room for files, no process, nobody reads what it says
        complain(str(fault))
        return 1
    if not once:
        say(f"Ended; {stage.directory} is removed.")
    return code


def _see_through(stage: Stage, news: NewsQueue, *, once: bool) -> int:
    item = _next(news, READY_S)
    if isinstance(item, GatewayReady):
        if once:
            threading.Thread(target=_drive, args=[stage, news], daemon=True).start()
        else:
            show_instructions(stage)
        item = _next(news, None)
    match item:
        case SessionsDone(as_expected):
            return 0 if as_expected and not stage.gateway.logged_error else 1
        case Interrupted():
            return 1 if once else 0
        case GatewayEnded():
            complain(f"the gateway ended by itself, with exit code {stage.gateway.wait_for_exit()}; see its log above")
        case None | GatewayReady():
            complain(f"the gateway did not get ready within {READY_S:.0f} s")
    return 1


def _next(news: NewsQueue, patience_s: float | None) -> News | None:
    """None: there was none in time."""
    try:
        return news.get(timeout=patience_s)
    except queue.Empty:
        return None


def _drive(stage: Stage, news: NewsQueue) -> None:
    as_expected = False
    try:
        as_expected = drive_sessions(stage)
    finally:  # whatever happened: somebody waits for it
        news.put(SessionsDone(as_expected))
