"""A network between client and exchange that can be made bad, and good again, while bytes are under way.

One thread moves the bytes of every connection. Each direction is a `Course`, switched at run time for all connections, those
that come included.
"""

from __future__ import annotations

import contextlib
import math
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from types import TracebackType

from tests.faults.pace import patience

__all__ = ["Course", "Relay"]

CHUNK = 65536


class Course:
    """How bytes travel in one direction. Any thread may set anything at any time."""

    def __init__(self) -> None:
        self.held = False
        """Nothing is forwarded; the kernel goes on to acknowledge."""
        self.delay = 0.0
        """How many seconds each byte is under way."""
        self.size = CHUNK
        """At most so many bytes go at once…"""
        self.pause = 0.0
        """…and so many seconds pass before the next."""
        self.reset_after: int | None = None
        """After so many more bytes the connection is reset."""
        self.forwarded = 0
        """Bytes so far."""


class _Flow:
    """One direction of one connection."""

    def __init__(self, course: Course, source: socket.socket, sink: socket.socket) -> None:
        self.course = course
        self.source = source
        self.sink = sink
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.free_at = 0.0
        self.blocked = False
        self.read_all = False
        self.done = False

    @property
    def wants(self) -> bool:
        return not (self.read_all or self.course.held) and sum(len(data) for _, data in self.waiting) < CHUNK

    def read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = self.source.recv(CHUNK)
            self.read_all = not data
            self.waiting.append((time.monotonic(), data))

    @property
    def due(self) -> float:
        """When there is something to forward."""
        if not self.waiting or self.course.held or self.blocked:
            return math.inf
        return max(self.waiting[0][0] + self.course.delay, self.free_at)

    def forward(self) -> None:
        while not self.done and self.due <= time.monotonic():
            came, data = self.waiting.popleft()
            if not data:
                self.done = True
                self.sink.shutdown(socket.SHUT_WR)
                return
            self._send(came, data)

    def _send(self, came: float, data: bytes) -> None:
        course = self.course
        left = course.reset_after
        limit = course.size if left is None else min(course.size, left)
        try:
            sent = self.sink.send(data[:limit]) if limit else 0
        except BlockingIOError:
            sent, self.blocked = 0, True
        if sent < len(data):
            self.waiting.appendleft((came, data[sent:]))
        # From when it was due, not from when this thread came to it: else the rate would be too low.
        self.free_at = max(self.free_at, time.monotonic() - course.pause) + course.pause
        course.forwarded += sent
        if left is not None:
            course.reset_after = left - sent or None
            if left == sent:
                raise ConnectionResetError


class _Connection:
    """A client's socket, the exchange's, and what goes between them."""

    def __init__(self, client: socket.socket, server: socket.socket, up: Course, down: Course) -> None:
        self.sockets = (client, server)
        self.flows = (_Flow(up, client, server), _Flow(down, server, client))
        self.moved_at = time.monotonic()
        self.forgotten = False

    def move(self, readable: set[socket.socket], writable: set[socket.socket]) -> bool:
        """Read and forward; return False when it is over."""
        try:
            for flow in self.flows:
                if flow.source in readable:
                    flow.read()
                    self.moved_at = time.monotonic()
                if flow.sink in writable:
                    flow.blocked = False
                flow.forward()
        except OSError:
            self.reset()
            return False
        if all(flow.done for flow in self.flows):
            self.close()
            return False
        return True

    def reset(self) -> None:
        # The exchange's end is closed: CPython's SSLSocket leaks when it is reset before it was wrapped.
        client, server = self.sockets
        _reset(client)
        server.close()

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


def _reset(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Relay:
    """Carries connections to *port* of this machine from its own `port`."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.up = Course()
        """From the client to the exchange."""
        self.down = Course()
        """From the exchange to the client."""
        self.accepted = 0
        self.is_cut = False
        self.forgets_after = math.inf
        """A connection that carried nothing for so many seconds carries nothing any more, and nobody is told."""
        self._connections: list[_Connection] = []
        self._jobs: deque[tuple[Callable[[], object], Future[object]]] = deque()
        self._schedule: list[tuple[float, Callable[[], object]]] = []
        self._wake, self._waker = socket.socketpair()
        self._over = False
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"relay-{self.port}")

    # --- any thread ---

    def stall(self, *courses: Course) -> None:
        """Forward nothing in *courses*, by default both; what arrives meanwhile is kept for later."""
        for course in courses or (self.up, self.down):
            course.held = True
        self._settle()

    def heal(self) -> None:
        """Forward everything at once again, what was kept first."""
        self._do(self._smooth)

    def slice(self, size: int, *, pause: float = 0.0) -> None:
        """Forward at most *size* bytes at once in both directions, *pause* seconds apart."""
        for course in (self.up, self.down):
            course.size, course.pause = size, pause
        self._settle()

    def throttle(self, rate: float, *courses: Course) -> None:
        """Forward *rate* bytes a second in *courses*, by default from the exchange to the client."""
        pause = 0.005
        for course in courses or (self.down,):
            course.size, course.pause = max(1, round(rate * pause)), pause

    def delay(self, seconds: float, *courses: Course) -> None:
        """Let each byte be *seconds* under way in *courses*, by default both."""
        for course in courses or (self.up, self.down):
            course.delay = seconds

    def leads_to(self, port: int) -> None:
        """Carry the connections that come from now on to *port* instead."""
        self._do(lambda: setattr(self, "_target", port))

    def freeze(self) -> None:
        """Carry nothing any more of the connections that there are now; the kernel goes on to acknowledge."""
        for connection in tuple(self._connections):
            connection.forgotten = True
        self._settle()

    def flap(self, up: float, down: float, times: int) -> threading.Event:
        """Be up and cut for so many seconds each, so many *times*; return what is set when it is up for good."""
        now = time.monotonic()
        for number in range(times):
            began = now + number * (up + down)
            self._schedule += [(began + up, self._cut), (began + up + down, self._smooth)]
        self._schedule.append((now + times * (up + down), (steady := threading.Event()).set))
        self._settle()
        return steady

    def reset(self) -> None:
        """Reset every connection at the client's end; close the exchange's."""
        self._do(self._reset_all)

    def reset_in_frame(self, after: int) -> None:
        """Reset every connection when *after* more bytes have come down to the client."""
        self._do(partial(setattr, self.down, "reset_after", after))

    def cut(self) -> None:
        """Reset every connection, and all that come, until `heal`."""
        self._do(self._cut)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._over = True
        self._waker.send(b"!")
        self._thread.join(patience())
        for connection in self._connections:
            connection.close()
        for sock in (self._listener, self._wake, self._waker):
            sock.close()

    def _settle(self) -> None:
        """Wait until what was set holds: nothing is being forwarded that should not be."""
        self._do(lambda: None)

    def _do(self, job: Callable[[], object]) -> None:
        future: Future[object] = Future()
        self._jobs.append((job, future))
        self._waker.send(b"!")
        future.result(patience())

    # --- the thread ---

    def _run(self) -> None:
        while not self._over:
            readable, writable = self._wait()
            if self._wake in readable:
                self._wake.recv(4096)
            while self._jobs:
                job, future = self._jobs.popleft()
                future.set_result(job())
            while self._schedule and self._schedule[0][0] <= time.monotonic():
                self._schedule.pop(0)[1]()
            if self._listener in readable:
                self._accept()
            self._forget_idle()
            self._connections = [c for c in self._connections if c.forgotten or c.move(readable, writable)]

    def _wait(self) -> tuple[set[socket.socket], set[socket.socket]]:
        now = time.monotonic()
        flows = [flow for c in self._connections if not c.forgotten for flow in c.flows if not flow.done]
        reading = [self._wake, self._listener, *(flow.source for flow in flows if flow.wants)]
        writing = [flow.sink for flow in flows if flow.blocked]
        timeout = max(0.0, min([0.5, *(flow.due - now for flow in flows), *(at - now for at, _ in self._schedule)]))
        readable, writable, _ = select.select(reading, writing, [], timeout)
        return set(readable), set(writable)

    def _forget_idle(self) -> None:
        now = time.monotonic()
        for connection in self._connections:
            connection.forgotten |= now - connection.moved_at > self.forgets_after

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        self.accepted += 1
        if self.is_cut:
            _reset(client)
            return
        server = socket.create_connection(("127.0.0.1", self._target))
        for sock in (client, server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.append(_Connection(client, server, self.up, self.down))

    def _smooth(self) -> None:
        for course in (self.up, self.down):
            course.held, course.delay, course.size, course.pause = False, 0.0, CHUNK, 0.0
        self.is_cut = False

    def _cut(self) -> None:
        self.is_cut = True
        self._reset_all()

    def _reset_all(self) -> None:
        for connection in self._connections:
            connection.reset()
        self._connections.clear()
