"""Whatever arrives, what follows is documented: seeded mutations under the WebSocket, the upgrade, JSON and the rows.

By default 500 inputs for each, with ``pytest -m soak`` 200,000. A seed that fails is in the failure's text: replay it with
``REPLAY=seed``. The same over whole clients is row 100 of the faults.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import resource
import socket
import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from bybit_sync.config.environments import Environment
from bybit_sync.errors import BybitSyncError, ConnectionFailed, ConnectionLost, HandshakeRejected, ProtocolError
from bybit_sync.model.events import Stream
from bybit_sync.network.link import Link
from bybit_sync.network.websocket import Transport
from bybit_sync.session.dialects import V3, V5, Dialect
from tests.faults.rows import COUNT
from tests.fuzzing.inputs import OTHERS, ROW, TOKENS, TOPICS, pushed
from tests.fuzzing.oracles import check_news
from tests.peers import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame, line, switching
from tests.talking import Talk

COUNTS = [500, pytest.param(200_000, marks=[pytest.mark.soak, pytest.mark.timeout(7200)])]
SLOW = 2.0
"""Seconds of the processor that no input may take; the average is a thousandth."""
BOUND = 32 * 1024
"""Kilobytes by which the process may grow at its largest."""
LARGEST = 1 << 16
"""`max_message_bytes` under the WebSocket."""

Rand = random.Random


# --- inputs ---


def mutated(rand: Rand, data: bytes) -> bytes:
    """Return *data* with a few changes of the kinds that break parsers."""
    piece = bytearray(data)
    for _ in range(rand.choice([0, 1, 1, 1, 2, 3, 8])):
        at, end = rand.randrange(len(piece) + 1), rand.randrange(len(piece) + 1)
        at, end = min(at, end), min(max(at, end), min(at, end) + 40)
        change = rand.randrange(6)
        if change == 0:
            piece[at:end] = b""
        elif change == 1:
            piece[at:at] = piece[at:end]
        elif change == 2:
            piece[at:at] = rand.randbytes(rand.randrange(1, 9))
        elif change == 3 and piece:
            piece[at % len(piece)] ^= 1 << rand.randrange(8)
        elif change == 4:
            piece[at:end] = rand.choice(TOKENS)
        else:
            del piece[rand.randrange(len(piece) + 1) :]
    return bytes(piece)


def sound(rand: Rand, dialect: Dialect) -> bytes:
    """Return a frame as the exchange sends them."""
    rows = [dict(rand.sample(ROW, rand.randrange(len(ROW) + 1))) for _ in range(rand.randrange(4))]
    push = pushed(rand.choice(TOPICS[dialect.name]), rows)
    message = rand.choice([push, push, push, rand.choice(OTHERS)])
    return json.dumps(message).encode()


# --- checking ---


def seeds(count: int, request: pytest.FixtureRequest) -> Iterator[int]:
    """Go over the seeds of this run: *count* of them, or the one that is to be replayed."""
    replayed = os.environ.get("REPLAY")
    return iter([int(replayed)] if replayed else range(count))


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """Give the logger its level back."""
    logger = logging.getLogger("bybit_sync")
    before = logger.level
    yield
    logger.setLevel(before)


def try_all(count: int, request: pytest.FixtureRequest, trial: Callable[[Rand], object]) -> None:
    """Do *trial* with every seed: none may take long, all may not hold much, and what one raises is told with its seed."""
    if count > 10_000:  # pytest would keep every record of so many
        logging.getLogger("bybit_sync").setLevel(logging.CRITICAL)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tried = 0
    for seed in seeds(count, request):
        began = time.process_time()
        try:
            trial(Rand(seed))
        except BaseException as error:
            raise AssertionError(f"REPLAY={seed}: {type(error).__name__}: {error}") from error
        assert time.process_time() - began < SLOW, f"REPLAY={seed} took long"
        tried += 1
    request.node.user_properties.append((COUNT + "fuzz inputs", tried))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < BOUND


# --- JSON and rows, through a session ---


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("dialect", [V5, V3], ids=["v5", "v3"])
def test_a_session_takes_every_frame(count: int, dialect: Dialect, request: pytest.FixtureRequest) -> None:
    """It delivers well-formed events, tells a gap, or ends with `ProtocolError` or `ConnectionLost`; nothing else."""

    def trial(rand: Rand) -> None:
        talk = Talk(*Stream, dialect=dialect, categories=("linear", "inverse"))
        talk.go_live()
        with contextlib.suppress(ProtocolError, ConnectionLost):
            for _ in range(4):
                for news in talk.hear_frame(mutated(rand, sound(rand, dialect))):
                    check_news(news)
                talk.wait(0.1)

    try_all(count // 4, request, trial)


@pytest.mark.parametrize("count", COUNTS)
def test_a_login_takes_every_answer(count: int, request: pytest.FixtureRequest) -> None:
    """Before the login is answered, too: it is accepted by a yes, or the session ends with an error of ours."""

    def trial(rand: Rand) -> None:
        talk = Talk(Stream.ORDERS)
        [login] = talk.asked("auth")
        answer = {"op": "auth", "success": rand.random() < 0.5, "ret_msg": "no", "req_id": login.req_id, "conn_id": "c"}
        with contextlib.suppress(BybitSyncError):
            for _ in range(3):
                talk.hear_frame(mutated(rand, json.dumps(answer).encode()))
                talk.wait(1)

    try_all(count, request, trial)


# --- under the WebSocket ---


def frames(rand: Rand) -> bytes:
    """Return some frames, right ones most of them."""
    kinds = [TEXT, TEXT, TEXT, BINARY, PING, PONG, CONT, CLOSE]
    made = []
    for _ in range(rand.randrange(1, 6)):
        size = rand.choice([0, 1, 20, 125, 126, 300])
        payload = rand.choice([b"x" * size, rand.randbytes(size), b"\x03\xe8bye"])
        wrong = (
            {"fin": False} if rand.random() < 0.2 else {"size": rand.choice([1, 2**16, 2**62])} if rand.random() < 0.1 else {}
        )
        made.append(frame(payload, rand.choice(kinds), **wrong))
    return b"".join(made)


@pytest.mark.parametrize("count", COUNTS)
def test_a_websocket_takes_every_byte(count: int, request: pytest.FixtureRequest) -> None:
    """It yields bytes and ends with `ConnectionLost` or `ProtocolError`, once the peer has sent all and closed."""

    def trial(rand: Rand) -> None:
        data = rand.randbytes(rand.randrange(200)) if rand.random() < 0.2 else mutated(rand, frames(rand))
        with line() as (wire, theirs):
            transport = Transport(wire, Link(wire), max_message_bytes=LARGEST, write_seconds=5)
            theirs.sendall(data[: rand.randrange(len(data) + 1)] if rand.random() < 0.1 else data)
            theirs.shutdown(socket.SHUT_WR)
            with pytest.raises((ConnectionLost, ProtocolError)):
                read_on(transport)
            transport.close()

    try_all(count, request, trial)


def read_on(transport: Transport) -> None:
    """Read until the end, which is an error."""
    for _ in range(100):
        transport.wait(1)
        for message in transport.receive():
            assert isinstance(message, bytes)
            assert len(message) <= LARGEST
    raise AssertionError("it does not end")


# --- answers to the upgrade ---

REQUEST: Final = "GET / HTTP/1.1\r\nSec-WebSocket-Key: {}"


def answers(rand: Rand, request: str) -> bytes:
    """Return an answer to *request*: the right one, mutated, or another."""
    right = switching(request)
    status = rand.choice([101, 200, 301, 302, 400, 401, 403, 404, 429, 451, 500, 503, 599])
    after = rand.choice(["", "Retry-After: 7\r\n", "Retry-After: Wed, 21 Oct 2099 07:28:00 GMT\r\n", "Retry-After: \u0663\r\n"])
    other = f"HTTP/1.1 {status} Odd\r\n{after}Location: ws://elsewhere/\r\n\r\n{{}}".encode()
    return mutated(rand, rand.choice([right, right, right + frame("{}"), other]))


@pytest.mark.parametrize("count", COUNTS)
def test_an_upgrade_takes_every_answer(count: int, request: pytest.FixtureRequest) -> None:
    """It opens, or it fails with `ConnectionFailed` or `HandshakeRejected`, whose `retry_after` is a number or None."""
    place = Environment.find("ws://127.0.0.1:1")

    def trial(rand: Rand) -> None:
        with line() as (wire, theirs):
            link = Link(wire)
            real, asked = wire.write, []

            # The answer depends on the request; it lies ready before it is waited for.
            def write(data: bytes) -> BaseException | None:
                asked.append(data)
                failure = real(data)
                theirs.sendall(answers(rand, data.decode().partition("\r\n\r\n")[0]))
                theirs.shutdown(socket.SHUT_WR)
                return failure

            wire.write = write  # type: ignore[method-assign]
            outcome = raised_by(lambda: link.upgrade(place, "/v5/private"))
            assert len(asked) == 1
            if isinstance(outcome, HandshakeRejected):
                assert outcome.status != 101
                assert outcome.retry_after is None or outcome.retry_after >= 0

    try_all(count, request, trial)


def raised_by(call: Callable[[], object]) -> ConnectionFailed | None:
    """Return what *call* fails with, None when it does not; anything else is raised."""
    try:
        call()
    except ConnectionFailed as error:
        return error
    return None
