"""Section G: frames."""

from __future__ import annotations

import fcntl
import json
import os
import random
import sys
import termios
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bybit_sync import Backoff, Client, GapReason, ProtocolError, State
from tests.conftest import threads_of
from tests.faults.conftest import Play
from tests.faults.exchange import Talk, confirm, hang_up, log_in, order, say, serve
from tests.faults.pace import patience, traced, until
from tests.faults.rows import COUNT, PLAIN_AND_TLS, row
from tests.faults.scene import Scene
from tests.peers import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame


def payload(data: bytes) -> bytes:
    """Return what the unfragmented frame *data* carries."""
    size = data[1]
    return data[2 if size < 126 else 4 if size == 126 else 10 :]


def was_told(scene: Scene, code: int) -> None:
    """Make sure that the first connection was closed by the client with *code*."""
    scene.exchange.wait_for(scene.exchange.talks[0].ended.is_set)
    assert (CLOSE, code.to_bytes(2, "big")) in scene.exchange.talks[0].controls


# --- what cannot be read ---


@row(91, kills="text that is not UTF-8 is decoded with replacement characters")
@PLAIN_AND_TLS
def test_text_that_is_not_utf8_is_an_outage(play: Play) -> None:
    """Nobody knows what it was, and a peer that sends it is broken: close 1007, gap, and the next connection is sound."""
    scene = play()
    scene.subscribe()
    scene.cause(say, frame(payload(order(scene.exchange.talks[0], "latin")).replace(b"latin", b"\xfc")))
    gap = scene.recovers("not UTF-8", attempts=1).gap
    assert gap is not None
    assert isinstance(gap.error, ProtocolError)
    was_told(scene, 1007)


@row(92, kills="binary messages are ignored")
@PLAIN_AND_TLS
def test_json_in_a_binary_frame_is_read(play: Play) -> None:
    """What matters is what it says."""
    scene = play()
    orders = scene.subscribe()
    scene.cause(say, frame(payload(order(scene.exchange.talks[0], "binary")), BINARY))
    orders.update("binary")
    scene.goes_on()
    scene.logged([])


GARBAGE = {
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\x56",
    "random": random.Random(93).randbytes(200),
    "zeros": bytes(100),
    "one byte": b"\xff",
}


@row(93, kills="a frame that cannot be read is dropped without a gap")
@pytest.mark.parametrize("garbage", GARBAGE)
def test_binary_garbage_is_a_gap_and_no_outage(play: Play, garbage: str) -> None:
    """It could have been an update: an UNDECODABLE gap with the frame, an ERROR, and the connection stays."""
    scene = play()
    orders = scene.subscribe()
    scene.cause(say, frame(GARBAGE[garbage], BINARY))
    event = orders.gap(GapReason.UNDECODABLE)
    assert event.raw == GARBAGE[garbage]
    assert event.gap is not None
    assert event.gap.missed is None
    scene.goes_on()
    assert "cannot be read" in scene.logged(["ERROR"])


@row(98, kills="an empty message is skipped")
@PLAIN_AND_TLS
def test_an_empty_message_is_a_gap_and_no_close(play: Play) -> None:
    """A text of no bytes is a message that cannot be read, not the end of the connection."""
    scene = play()
    orders = scene.subscribe()
    scene.cause(say, frame(b""))
    assert orders.gap(GapReason.UNDECODABLE).raw == b""
    scene.goes_on()
    scene.logged(["ERROR"])


# --- what is too big ---


def resident_bytes() -> int:
    """Return how much memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def pours(size: int, line: Talk) -> None:
    """Announce a frame of *size* bytes, and send its bytes as long as somebody takes them, 100 MB at most."""
    line.send(frame(b"", TEXT, size=size))
    for _ in range(min(size, 100_000_000) // 65536):
        line.send(b" " * 65536)


@row(94, kills="a frame's size is looked at when all of it is there")
@PLAIN_AND_TLS
@pytest.mark.parametrize("size", [100_000_000, 2**62, 2**64 - 1])
def test_a_frame_that_is_too_big_is_refused_by_its_header(play: Play, size: int) -> None:
    """Its header is enough: close 1009, nothing is kept of what follows, and the client comes back."""
    scene = play()
    scene.subscribe()
    before = resident_bytes()
    scene.mark()
    scene.exchange.talks[0].do(partial(pours, size))
    scene.recovers("max_message_bytes", attempts=1)
    assert resident_bytes() - before < 8 * 2**20


@row(94, kills="a refused frame is not answered with its close code")
def test_a_frame_that_is_too_big_is_answered_with_1009(play: Play) -> None:
    """The peer is told why; one byte less would have been taken."""
    scene = play(max_message_bytes=10_000)
    orders = scene.subscribe()
    least = len(payload(order(scene.exchange.talks[0], "limit", orderLinkId="")))
    scene.exchange.sent.clear()  # that one was only measured
    scene.cause(say, order(scene.exchange.talks[0], "limit", orderLinkId="x" * (10_000 - least)))
    orders.update("limit")
    scene.cause(say, frame(b" " * 10_001))
    scene.recovers("a message of 10001 bytes")
    was_told(scene, 1009)


def fragments(data: bytes, *, size: int, empty: int = 0) -> bytes:
    """Return *data* as a message in fragments of *size* bytes, with *empty* ones of no bytes before the last."""
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    middle = b"".join(frame(part, CONT, fin=False) for part in parts[1:-1]) + frame(b"", CONT, fin=False) * empty
    return frame(parts[0], TEXT, fin=False) + middle + frame(parts[-1], CONT)


# The catalogue's second of CPU, in seconds: a core that runs other programs, too, does less in each.
CPU_LIMIT = 3


def cpu_seconds(client: Client) -> float:
    """Return the CPU time that the connection thread of *client* has used."""
    ident = next(t.ident for t in threading.enumerate() if t.name == f"{client.name}-connection")
    assert ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(ident))


@row(95, kills="fragments are joined one after the other, each time all over")
@PLAIN_AND_TLS
def test_many_small_fragments_cost_linear_time(play: Play) -> None:
    """A message in 50,000 fragments is read in the time that it takes to look at each once."""
    # The exchange answers no ping while it sends.
    scene = play(ping_interval=60.0, timings={"frame": 60.0, "no_pong": 60.0})
    orders = scene.subscribe()
    message = payload(order(scene.exchange.talks[0], "long", orderLinkId="x" * 3_000_000))
    data = fragments(message, size=60)
    before = cpu_seconds(scene.client)
    scene.cause(say, data)
    orders.update("long")
    scene.measure("CPU of 50,000 fragments", spent := cpu_seconds(scene.client) - before)
    assert spent < CPU_LIMIT * traced()
    scene.goes_on()


@row(95, kills="max_message_bytes holds for a frame, not for the sum of its fragments")
def test_fragments_are_limited_by_their_sum(play: Play) -> None:
    """What is refused in one frame is refused in many, before the last of them has come."""
    scene = play(max_message_bytes=10_000)
    scene.subscribe()
    scene.cause(say, frame(b"x" * 100, TEXT, fin=False) + frame(b"x" * 100, CONT, fin=False) * 100)
    scene.recovers("max_message_bytes")
    was_told(scene, 1009)


@row(95, kills="fragments without bytes are not counted")
def test_a_million_fragments_are_refused_in_time(play: Play) -> None:
    """A message without end, in fragments of nothing, ends the connection in less than a second of CPU."""
    # The exchange answers no ping while it sends.
    scene = play(ping_interval=60.0, timings={"frame": 60.0, "no_pong": 60.0})
    scene.subscribe()
    before = cpu_seconds(scene.client)
    scene.mark()
    scene.exchange.talks[0].do(say, frame(b"{", TEXT, fin=False) + frame(b"", CONT, fin=False) * 1_000_000)
    scene.recovers("fragments")
    scene.measure("CPU of 1,000,000 fragments", spent := cpu_seconds(scene.client) - before)
    assert spent < CPU_LIMIT * traced()


# --- what is rare, and right ---


@row(96, kills="a control frame between fragments ends or spoils the message")
@PLAIN_AND_TLS
def test_a_ping_between_fragments_is_answered(play: Play) -> None:
    """Fragments, empty ones too, are one message; the ping between them gets its pong."""
    # No ping of ours but that of the login: its answer would stand between the fragments. And nobody misses it.
    scene = play(ping_interval=60.0, timings={"no_pong": 60.0})
    orders = scene.subscribe()
    until(lambda: scene.client.health().ping_rtt is not None)
    message = payload(order(scene.exchange.talks[0], "whole"))
    scene.cause(say, frame(b"", fin=False), frame(message[:9], CONT, fin=False), frame("there?", PING))
    scene.exchange.wait_for(lambda: (PONG, b"there?") in scene.exchange.talks[0].controls)
    scene.exchange.do(say, frame(b"", CONT, fin=False), frame(message[9:], CONT))
    orders.update("whole")
    scene.goes_on()
    scene.logged([])


# --- what must not be ---

BREACHES: dict[str, bytes] = {
    "continuation of nothing": frame("x", CONT),
    "text inside a fragment": frame("{", fin=False) + frame("{}"),
    "binary inside a fragment": frame("{", fin=False) + frame("{}", BINARY),
    "RSV1": frame("{}", rsv=4),
    "RSV2": frame("{}", rsv=2),
    "RSV3": frame("{}", rsv=1),
    "reserved data opcode": frame("{}", 0x3),
    "reserved control opcode": frame("", 0xB),
    "masked": frame("{}", mask=b"abcd"),
    "masked and long": frame("{}" * 200, mask=b"abcd"),
    "ping of 126 bytes": frame(b"x" * 126, PING),
    "fragmented ping": frame("", PING, fin=False),
    "close of 126 bytes": frame(b"\x03\xe8" + b"x" * 124, CLOSE),
}


@row(97, kills="what RFC 6455 forbids is skipped: for each of these, one check less")
@PLAIN_AND_TLS
@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_of_the_protocol_is_an_outage(play: Play, breach: str) -> None:
    """After a frame that must not be, nothing that follows can be trusted: close 1002, a new connection, a gap."""
    scene = play()
    scene.subscribe()
    scene.cause(say, BREACHES[breach], order(scene.exchange.talks[0], "not to be trusted"))
    gap = scene.recovers("", attempts=1).gap
    assert gap is not None
    assert isinstance(gap.error, ProtocolError)
    was_told(scene, 1002)


# --- where the network cuts ---


@row(99, kills="the rest of a frame is taken for the beginning of the next")
@PLAIN_AND_TLS
def test_it_makes_no_difference_where_the_network_cuts(play: Play) -> None:
    """Each byte on its own, both ways: the same updates, the same login, the same pongs."""
    scene = play()
    scene.relay.slice(1)
    orders = scene.subscribe()
    scene.cause(say, *[order(scene.exchange.talks[0], f"{n}-ü", orderLinkId="x" * n * 30) for n in range(6)])
    for n in range(6):
        orders.update(f"{n}-ü")
    scene.goes_on()
    scene.logged([])


@row(99, kills="a header of which only the first byte is there is read as if it were whole")
@PLAIN_AND_TLS
@pytest.mark.parametrize("size", [0, 200, 70_000])
def test_a_frame_may_be_cut_at_each_point_of_its_header(play: Play, size: int) -> None:
    """Whether its length has one, three or nine bytes: the first part is read before the second is sent."""
    # No ping but that of the login: its answer would stand in the middle of a frame. And nobody misses it.
    scene = play(ping_interval=60.0, timings={"frame": 60.0, "no_pong": 60.0})
    orders = scene.subscribe()
    until(lambda: scene.client.health().ping_rtt is not None)
    talk = scene.exchange.talks[0]
    for cut in range(1, 16):
        data = order(talk, f"cut at {cut}", orderLinkId="x" * size)
        scene.exchange.do(say, data[:cut])
        wait_until_read(scene.client)
        scene.exchange.do(say, data[cut:])
        orders.update(f"cut at {cut}")
    scene.logged([])


def wait_until_read(client: Client) -> None:
    """Wait until *client* has taken all that lies in the kernel for it."""
    transport, until = client._engine._supervisor.conversation.transport, time.monotonic() + patience()
    assert transport is not None
    while int.from_bytes(fcntl.ioctl(transport._wire._sock, termios.FIONREAD, bytes(4)), sys.byteorder):
        assert time.monotonic() < until
        os.sched_yield()


# --- anything ---


def random_bytes(seed: int) -> bytes:
    """Return what nobody would send: random bytes, or frames with random headers, or a right frame with some bytes changed."""
    chance = random.Random(seed)
    kind = seed % 3
    if kind == 0:
        return chance.randbytes(chance.randrange(1, 400))
    if kind == 1:
        return b"".join(
            frame(
                chance.randbytes(chance.randrange(130)),
                chance.randrange(16),
                fin=chance.random() < 0.7,
                rsv=chance.random() < 0.1,
            )
            for _ in range(chance.randrange(1, 9))
        )
    data = bytearray(frame(json.dumps({"topic": "order.linear", "data": [{"orderId": "x", "category": "linear"}]})) * 3)
    for _ in range(chance.randrange(1, 6)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


class Fuzzer:
    """A script: random bytes on *count* connections, every second time only after the login; then it serves."""

    def __init__(self, count: int, first_seed: int = 0) -> None:
        self.count = count
        self.done = threading.Event()
        self._seeds = iter(range(first_seed, first_seed + count))

    def __call__(self, line: Talk) -> None:
        """Play it."""
        seed = next(self._seeds, None)
        if seed is None:
            self.done.set()
            serve(line)
            return
        if seed % 2:
            log_in(line)
            confirm(line)
        line.send(random_bytes(seed))
        hang_up(line)
        line.wait_for_end()


@row(100, kills="whatever websocket-client raises on a strange frame is let through")
@pytest.mark.parametrize("count", [150, pytest.param(200_000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
def test_random_bytes_have_documented_outcomes_only(
    play: Play, count: int, record_property: Callable[[str, object], None]
) -> None:
    """Gaps, outages, and at the end a connection that works: never a bug told, a dead thread, or a hang."""
    fuzzer = Fuzzer(count)
    scene = play(
        serve,
        fuzzer,
        backoff=Backoff(initial=0.0001, factor=1, maximum=0.0001),
        on_status=None,
        timings={"outage_reminders": (3600.0,)},
    )
    orders = scene.subscribe()
    orders.counted = False
    scene.client.reconnect()
    assert fuzzer.done.wait(patience() + count / 10 * traced())
    record_property(COUNT + "fuzz inputs", count)
    scene.exchange.wait_for(lambda: scene.exchange.talks[-1].is_open)
    scene.exchange.push_order("sound")
    while "sound" not in [getattr(row, "order_id", None) for row in orders.next()]:
        pass
    assert scene.client.state is State.LIVE
    assert "CRITICAL" not in {level for level, _ in scene.log.messages}
    assert len(threads_of(scene.client)) <= 3
