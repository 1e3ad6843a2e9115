"""Reconnecting for ever costs nothing that is not given back."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from attrs import define, field

from bybit_sync import Backoff, Event, GapReason
from tests.conftest import FAST_ARGUMENTS, KEY, SECRET, FastClient, evolved, open_descriptors
from tests.peers import TEXT, Line, frame

STREAMS = ("orders", "positions", "user_trades", "balances")
WARM = 0.4
"""The share of the cycles after which memory is looked at first: caches are full by then."""

NOT_TOLD = (3600.0,)


class Revolver:
    """An exchange that lets a client in, pushes one order, hangs up, and waits for the next one.

    One thread, and nothing is kept: whatever grows is the client's.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._context = context
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.pushed = 0
        self.topics: list[str] = []
        """What the last connection subscribed to."""
        self.rests: dict[int, threading.Event] = {}
        """The numbers of the pushes after which it hangs up only when told to."""

    @property
    def url(self) -> str:
        """Where to connect to."""
        return f"{'wss' if self._context else 'ws'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Revolver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _run(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError, EOFError):
                sock, _ = self._listener.accept()
                with sock:
                    sock.settimeout(10)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._serve(sock)

    def _serve(self, plain: socket.socket) -> None:
        if self._context is None:
            self._converse(Line(plain, self._over))
            return
        with self._context.wrap_socket(plain, server_side=True) as sock:
            self._converse(Line(sock, self._over))

    def _converse(self, line: Line) -> None:
        line.upgrade()
        self.topics = []
        while len(self.topics) < 7:  # four streams; three of them in two categories
            self._answer(line, *line.read_frame())
        self.pushed += 1
        row = {"category": "linear", "orderId": f"{self.pushed}"}
        line.send(frame(json.dumps({"topic": "order.linear", "id": "i", "creationTime": 1, "data": [row]})))
        if self.pushed in self.rests:
            self.rests[self.pushed].wait()
        # No close(): with something unread that is a reset, which overtakes the push.
        socket.socket.shutdown(line.sock, socket.SHUT_WR)
        line.wait_for_end()

    def _answer(self, line: Line, opcode: int, payload: bytes) -> None:
        if opcode != TEXT:
            return
        request: dict[str, Any] = json.loads(payload)
        if request["op"] == "ping":
            line.send(frame(json.dumps({"op": "pong", "args": [f"{time.time_ns() // 1_000_000}"], "conn_id": "c"})))
            return
        self.topics += request["args"] if request["op"] == "subscribe" else []
        line.send(frame(json.dumps({"success": True, "ret_msg": "", "op": request["op"], "req_id": request["req_id"]})))


HAS_GIL: bool = getattr(sys, "_is_gil_enabled", lambda: True)()


def pieces() -> int:
    """Return how many pieces of memory Python has handed out.

    Before 3.11 only those that the garbage collector looks at: that Python gives each
    function a cache at its 1,024th call, which no cycle keeps. Nor without the GIL: what
    one thread frees of another's counts there until that one asks for more.
    """
    return sys.getallocatedblocks() if sys.version_info >= (3, 11) and HAS_GIL else len(gc.get_objects())


@define
class Footprint:
    """What the process holds."""

    descriptors: int = field(factory=open_descriptors)
    threads: int = field(factory=threading.active_count)
    pieces: int = 0
    """Pieces of memory that Python has handed out."""
    kilobytes: int = 0
    """What of the process lies in memory."""

    @classmethod
    def taken(cls) -> Footprint:
        """Look now, garbage aside."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return cls(pieces=pieces(), kilobytes=pages * resource.getpagesize() // 1024)

    @classmethod
    def at_rest(cls) -> Footprint:
        """Look ten times, and return the least: what a thread holds only for a moment does not count."""
        footprint = cls.taken()
        for _ in range(10):
            threading.Event().wait(0.005)
            footprint.pieces = min(footprint.pieces, pieces())
        return footprint


class Cycles:
    """Has a client reconnect *count* times, and takes down what came and what it cost."""

    def __init__(self, count: int, context: ssl.SSLContext | None = None, trusted: ssl.SSLContext | None = None) -> None:
        self.count = count
        self.looks: list[Footprint] = []
        """When it was warm, and at the end, with the client still there."""
        self.got = 0
        """How many pushes came."""
        self.is_in_order = True
        """Whether each was the one after the last; they are counted, not kept."""
        self.gaps = 0
        self.seconds = 0.0
        self._warm = max(1, int(count * WARM))
        self._reached = {self._warm: threading.Event(), count + 1: threading.Event()}
        self._play(Revolver(context), trusted)

    def _play(self, revolver: Revolver, trusted: ssl.SSLContext | None) -> None:
        class Client(FastClient):
            _timings = evolved(FastClient._timings, outage_reminders=NOT_TOLD)

        revolver.rests = {number: threading.Event() for number in self._reached}
        backoff = Backoff(initial=0.0001, factor=1, maximum=0.0001)
        # Where the exchange rests, the client is to rest, too.
        arguments = {**FAST_ARGUMENTS, "backoff": backoff, "ping_interval": 60.0, "ssl_context": trusted}
        began = time.monotonic()
        with revolver, Client(KEY, SECRET, environment=revolver.url, **arguments) as client:
            client.subscribe_orders(self._take, wait=False)
            for stream in STREAMS[1:]:
                getattr(client, f"subscribe_{stream}")(lambda event: None, wait=False)
            for number, reached in self._reached.items():
                assert reached.wait(60 + self.count / 20), f"{self.got} of {self.count} cycles"
                self.looks.append(Footprint.at_rest())
                revolver.rests[number].set()
            self.seconds = time.monotonic() - began

    def _take(self, event: Event[Any]) -> None:
        self.gaps += event.gap is not None and event.gap.reason is GapReason.DISCONNECTED
        for row in event:
            self.got += 1
            self.is_in_order &= row.order_id == f"{self.got}"
            if self.got in self._reached:
                self._reached[self.got].set()

    def per_cycle(self, what: str) -> float:
        """Return how much of *what* a cycle cost for good."""
        warm, end = self.looks
        return (getattr(end, what) - getattr(warm, what)) / (self.count - self._warm)

    def __str__(self) -> str:
        return (
            f"{self.count} reconnects in {self.seconds:.1f} s: {self.gaps} gaps, {self.per_cycle('pieces'):+.2f} pieces "
            f"and {self.per_cycle('kilobytes'):+.3f} KB of memory a cycle"
        )


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return server, client


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[[object], None]:
    """Print past pytest's capture: figures are there to be read."""

    def say(what: object) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{what}{os.linesep}")

    return say


@pytest.mark.usefixtures("quiet")
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    ("count", "net"),
    [(250, "plain"), pytest.param(10_000, "TLS", marks=[pytest.mark.soak, pytest.mark.timeout(3600)])],
)
def test_reconnecting_leaves_nothing_behind(
    count: int,
    net: str,
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
    told: Callable[[object], None],
    record_property: Callable[[str, object], None],
) -> None:
    """Threads and descriptors are exactly back, memory is flat, and of every connection came what it sent."""
    before = Footprint.taken()
    cycles = Cycles(count, *(contexts if net == "TLS" else ()))
    after = Footprint.taken()
    told(cycles)
    left = f"{after.threads - before.threads:+d} threads, {after.descriptors - before.descriptors:+d} descriptors"
    record_property("leaks", f"{cycles}; afterwards {left}")
    assert cycles.is_in_order
    assert cycles.gaps == count
    # Anything kept of each cycle would be at least one piece.
    assert cycles.per_cycle("pieces") < 0.5
    # Python takes memory from the system by the quarter of a megabyte, and by more without the GIL.
    taken = 256 if HAS_GIL else 1024
    assert cycles.per_cycle("kilobytes") < 1 + taken / (count - count * WARM)
    assert (after.threads, after.descriptors) == (before.threads, before.descriptors)
