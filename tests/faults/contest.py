"""Rows of the catalogue that any client of the stream can meet, played for pybit and for this library alike.

``python -m tests.faults.contest CLIENT SCENE`` plays one of them in a process of its own, as a client that is beaten may leave
anything behind, and prints what came of it; `play` does so for a report. A scene hurts the client once, heals, and pushes
further orders: the question is whether they arrive, and whether what is missing before them was told.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import attrs

from bybit_sync import BybitSyncError
from tests.faults.canaries import secrets_in
from tests.faults.contestants import CONTESTANTS, Contestant
from tests.faults.exchange import (
    Act,
    Exchange,
    Message,
    Talk,
    answer,
    close_frame,
    every,
    hang_up,
    listen,
    log_in,
    pushed,
    read_request,
    say,
    serve,
    subscribed,
)
from tests.faults.relay import Relay
from tests.peers import Line, Peer, closed_port, frame

__all__ = ["SCENES", "SURVIVED", "Contest", "Result", "Scene", "play"]

PATIENCE: Final = 15.0
"""Seconds that a client has, once all is well again, until orders arrive."""

SURVIVED: Final = "survived"
LOST: Final = "lost without notice"
ENDED: Final = "ended for good, and said so"
SILENT: Final = "silent"
LEAKED: Final = "gave the login to a stranger"


@attrs.frozen
class Result:
    """What became of a client in a scene."""

    outcome: str
    detail: str
    secrets: list[str]
    """What its log, at every level, tells of the secrets."""


Contest = Mapping[str, Mapping[str, Result]]
"""For each client and scene, what became of it."""


class Harness:
    """An exchange, a network, a client, and what happened on the account."""

    def __init__(self, client: Contestant) -> None:
        self.client = client
        self.happened: list[str] = []
        """Every order of the account since the client was subscribed, in order, told to it or not."""
        self.arrived: list[str] = []
        self.refused: BaseException | None = None
        """What `start` raised."""
        self.strangers: list[str] = []
        """What was sent to somebody who is not the exchange."""
        self.hurt: Callable[[list[str]], object] = lambda names: None
        """What the user's callback does beside taking the orders down."""
        self._stack = ExitStack()
        self._exchange: Exchange | None = None

    def exchange(self, script: Act | None = None, port: int = 0) -> Exchange:
        """Open an exchange, with a network before it. They last as long as the process does."""
        exchange = self.knows(Exchange(script or serve_as_far_away, port=port))
        self._stack.enter_context(exchange)
        self._relay = self._stack.enter_context(Relay(exchange.port))
        return exchange

    def knows(self, exchange: Exchange) -> Exchange:
        """Have orders pushed by *exchange* from now on."""
        self._exchange = exchange
        return exchange

    @property
    def relay(self) -> Relay:
        """The network in between."""
        return self._relay

    def start(self, url: str | None = None, first: str = "first") -> None:
        """Start the client; wait until an order arrives, if it can."""
        try:
            self.client.start(url or f"ws://127.0.0.1:{self._relay.port}", self._take)
        except BybitSyncError as error:
            self.client.notices.append(str(error))
            self.refused = error
        except Exception as error:  # noqa: BLE001 whatever a client raises, it has told its caller
            self.client.notices.append(f"{type(error).__name__}: {error}")
            self.refused = error
        if first:
            self.push_until_it_arrives(first)

    def _take(self, names: list[str]) -> None:
        self.arrived += names
        self.hurt(names)

    # --- what happens on the account ---

    def push(self, name: str, **columns: object) -> None:
        """Let the order *name* happen, and push it if anybody listens."""
        self.happened.append(name)
        self.do(say, order(name, **columns))

    def do(self, act: Act, *arguments: object) -> None:
        """Have the latest connection do *act*, if it is there."""
        talks = self._exchange.talks if self._exchange is not None else []
        if talks and talks[-1].is_open:
            with contextlib.suppress(EOFError):
                talks[-1].do(act, *arguments).result(5)

    def push_until_it_arrives(self, name: str) -> bool:
        """Push further orders until one arrives: whether it does in time. They do not count as having happened."""
        until = time.monotonic() + PATIENCE
        for number in range(1, sys.maxsize):
            if any(arrived.startswith(name) for arrived in self.arrived):
                return True
            if time.monotonic() > until:
                return False
            self.do(say, order(f"{name}-{number}"))
            pause(0.1)
        return False

    # --- what became of it ---

    def outcome(self) -> tuple[str, str]:
        """Check: do orders arrive again, and was told what is missing?"""
        notices, says = self.client.notices, f"it says: {self.client.says()}"
        if not self.push_until_it_arrives("after"):
            return (ENDED, notices[-1]) if notices else (SILENT, says)
        missing = [name for name in self.happened if name not in self.arrived]
        if missing and not notices:
            return LOST, f"{len(missing)} of {len(self.happened)} orders are missing; {says}"
        told = "; ".join(dict.fromkeys(notices)) or "nothing was missing"
        return SURVIVED, told


def confirm_after_a_moment(line: Talk, request: Message) -> None:
    """Confirm a subscription after a tenth of a second: pybit takes down what it has asked for only after asking."""
    pause(0.1)
    subscribed(line, request)


def serve_as_far_away(line: Talk, **instead: Act) -> None:
    """Answer everything rightly, as fast as over the internet."""
    serve(line, **{"subscribe": confirm_after_a_moment, **instead})


def order(name: str, **columns: object) -> bytes:
    """Return the frame of an update of the order *name*."""
    return pushed("order", [{"category": "linear", "orderId": name, **columns}], creationTime=time.time_ns() // 1_000_000)


def pause(seconds: float) -> None:
    """Let so many seconds go by."""
    threading.Event().wait(seconds)


# --- the scenes ---


@attrs.frozen
class Scene:
    """One row of the catalogue; *play* hurts the client, and may check by itself."""

    name: str
    row: int
    told: str
    """What happens, for people."""
    play: Callable[[Harness], tuple[str, str] | None]


SCENES: Final[dict[str, Scene]] = {}

Played = Callable[[Harness], "tuple[str, str] | None"]


def scene(row: int) -> Callable[[Played], Played]:
    """Say that the function plays *row*; its name is the scene's, and its docstring what happens."""

    def note(play: Played) -> Played:
        name = play.__name__
        SCENES[name] = Scene(name, row, (play.__doc__ or "").strip(), play)
        return play

    return note


def must_be_told(harness: Harness) -> tuple[str, str]:
    """Check a client that cannot go on: has it told its caller?"""
    until = time.monotonic() + PATIENCE
    while not harness.client.notices and time.monotonic() < until:
        pause(0.1)
    notices = harness.client.notices
    return (SURVIVED, notices[-1]) if notices else (SILENT, f"it says: {harness.client.says()}")


@scene(1)
def nobody_listens_at_the_start(harness: Harness) -> tuple[str, str]:
    """Nobody listens there: the caller must be told."""
    harness.start(f"ws://127.0.0.1:{closed_port()}", first="")
    return must_be_told(harness)


@scene(2)
def refused_for_five_seconds(harness: Harness) -> None:
    """The exchange is away for five seconds, and an order happens meanwhile."""
    first = harness.knows(Exchange(serve_as_far_away))
    with first:
        harness.start(first.url)
    harness.happened.append("meanwhile")
    pause(5)
    harness.exchange(port=first.port)


@scene(30)
def turned_away_once(harness: Harness) -> None:
    """The first attempt to come back is answered with 503, as behind a balancer that restarts."""
    exchange = harness.exchange()
    harness.start()
    real, left = exchange._scripts, [b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"]

    def at_the_door(line: Line) -> None:
        if left:
            line.read_head()
            line.send(left.pop())
        else:
            real[-1](line)

    exchange._scripts = (at_the_door,)
    harness.relay.reset()
    harness.happened.append("meanwhile")


@scene(31)
def redirected_to_a_stranger(harness: Harness) -> tuple[str, str]:
    """The upgrade is answered with a redirect: the login must not go where that leads."""

    def strange(line: Talk) -> None:
        request = log_in(line)
        harness.strangers.append(json.dumps(request))
        serve_as_far_away(line)

    with Exchange(strange) as stranger:
        found = f"HTTP/1.1 302 Found\r\nLocation: {stranger.url}/v5/private\r\nContent-Length: 0\r\n\r\n".encode()

        def redirect(line: Line) -> None:
            line.read_head()
            line.send(found)

        with Peer(redirect) as exchange:
            harness.start(exchange.url, first="")
            pause(2)
            return (LEAKED, "it followed a 302") if harness.strangers else must_be_told(harness)


@scene(39)
def closed_as_going_away(harness: Harness) -> None:
    """The exchange closes with 1001, and an order happens while the client is away."""
    harness.exchange()
    harness.start()
    harness.do(say, close_frame(1001))
    harness.happened.append("meanwhile")


@scene(41)
def hung_up_on(harness: Harness) -> None:
    """The connection ends with FIN and no close frame, and an order happens while the client is away."""
    harness.exchange()
    harness.start()
    harness.do(hang_up)
    harness.happened.append("meanwhile")


@scene(42)
def reset_between_frames(harness: Harness) -> None:
    """The connection is reset, and an order happens while the client is away."""
    harness.exchange()
    harness.start()
    harness.relay.reset()
    harness.happened.append("meanwhile")


@scene(44)
def the_last_words_count(harness: Harness) -> None:
    """An order and the close frame come in one segment."""
    harness.exchange()
    harness.start()
    harness.happened.append("last words")
    harness.do(say, order("last words"), close_frame(1000))


@scene(45)
def half_open(harness: Harness) -> None:
    """Nothing comes any more, and the network goes on to acknowledge."""
    harness.exchange()
    harness.start()
    harness.relay.freeze()
    harness.happened.append("meanwhile")


@scene(53)
def data_but_never_a_pong(harness: Harness) -> None:
    """No ping is answered, while orders come five times a second."""

    def push_steadily(line: Talk) -> None:
        harness.happened.append(name := f"steady-{len(harness.happened)}")
        say(line, order(name))

    def mute(line: Talk) -> None:
        log_in(line)
        confirm_after_a_moment(line, read_request(line, "subscribe"))
        every(line, 0.2, push_steadily)
        listen(line)

    harness.exchange(mute)
    harness.start(first="steady")
    pause(8)
    harness.happened = harness.happened[:-10]


@scene(61)
def a_wrong_key(harness: Harness) -> tuple[str, str]:
    """The login is refused: the caller must be told."""
    harness.exchange(lambda line: serve_as_far_away(line, auth=refuse))
    harness.start(first="")
    return must_be_told(harness)


def refuse(line: Talk, request: Message) -> None:
    """Refuse *request*."""
    answer(line, request, success=False, text="API key is invalid.")


@scene(75)
def one_topic_refused(harness: Harness) -> tuple[str, str]:
    """The second of two topics is refused: the caller must be told, and the first one goes on."""

    def picky(line: Talk, request: Message) -> None:
        (refuse if request["args"] == ["wallet"] else confirm_after_a_moment)(line, request)

    harness.exchange(lambda line: serve_as_far_away(line, subscribe=picky))
    harness.start()
    harness.client.subscribe_balances(lambda names: None)
    told = must_be_told(harness)
    return told if told[0] != SURVIVED else harness.outcome()


def garbage(*frames: bytes) -> Played:
    """Return a scene in which *frames* come between an order and the next."""

    def play(harness: Harness) -> None:
        harness.exchange()
        harness.start()
        harness.do(say, *frames, order("right behind"))
        harness.happened.append("right behind")

    return play


def _garbage(name: str, row: int, what: str, *frames: bytes) -> None:
    play = garbage(*frames)
    play.__name__, play.__doc__ = name, what
    scene(row)(play)


_garbage("a_push_nobody_asked_for", 82, "A push comes for a topic that was never subscribed.", pushed("greeks", [{"a": "1"}]))
_garbage("text_that_is_no_utf8", 91, "A text frame is not UTF-8.", frame(b"\xff\xfe\xfa"))
_garbage("json_that_is_cut_off", 101, "A frame holds half a JSON document.", frame(b'{"topic": "order", "da'))
_garbage("a_message_of_no_known_shape", 102, "A message has no topic, and an op nobody knows.", frame(b'{"op": "hello"}'))
_garbage("a_list", 102, "A message is not an object.", frame(b"[1, 2]"))
_garbage("a_word_nobody_knew", 106, "A row has a status that is new.", order("new", orderStatus="Levitating"))


@scene(116)
def the_callback_raises(harness: Harness) -> None:
    """The user's callback raises once."""
    harness.exchange()
    harness.start()
    harness.hurt = once(ZeroDivisionError("a bug in the bot"))
    harness.push("the one that hurts")


@scene(117)
def the_callback_exits(harness: Harness) -> None:
    """The user's callback calls `sys.exit` once."""
    harness.exchange()
    harness.start()
    harness.hurt = once(SystemExit(1))
    harness.push("the one that hurts")


def once(error: BaseException) -> Callable[[list[str]], None]:
    """Return what raises *error* when it is called for the first time."""
    errors = [error]

    def hurt(names: list[str]) -> None:
        if errors:
            raise errors.pop()

    return hurt


@scene(119)
def the_callback_blocks(harness: Harness) -> None:
    """The user's callback takes ten seconds for one order, while others come."""
    exchange = harness.exchange()
    harness.start()
    slow = [10.0]
    harness.hurt = lambda names: pause(slow.pop()) if slow else None
    for number in range(100):
        harness.push(f"busy-{number}")
        pause(0.1)
    if len(exchange.talks) > 1:
        harness.client.says()


# --- playing ---


def keep_what_is_logged() -> list[str]:
    """Return what is logged from now on, at every level, by whomever: the list grows."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    logging.getLogger().addHandler(Keep())
    logging.getLogger().setLevel(logging.NOTSET)
    return lines


def perform(client: str, name: str) -> Result:
    """Play the scene *name* in this process."""
    logged = keep_what_is_logged()
    # Nothing is closed in order: a client that hangs must not keep the process, which ends without looking back.
    harness = Harness(CONTESTANTS[client]())
    outcome, detail = SCENES[name].play(harness) or harness.outcome()
    return Result(outcome, detail, secrets_in("\n".join(logged)))


def play(client: str, name: str, patience: float = 90.0) -> Result:
    """Play the scene *name* in a process of its own; a client that hangs in a call of its caller is silent."""
    command = [sys.executable, "-m", "tests.faults.contest", client, name]
    root = Path(__file__).resolve().parents[2]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=patience, check=False)
    except subprocess.TimeoutExpired:
        return Result(SILENT, f"the call did not return for {patience:g} s", [])
    if done.returncode != 0:
        return Result(f"not played: {done.stderr.strip().splitlines()[-1:]}", "", [])
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return attrs.evolve(Result(**result), secrets=sorted({*result["secrets"], *secrets_in(done.stderr)}))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(attrs.asdict(perform(*sys.argv[1:]))) + "\n")
    sys.stdout.flush()
    # A client that was beaten may have left threads that nobody could join.
    os._exit(0)
