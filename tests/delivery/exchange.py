"""An exchange on loopback that does nothing by itself: the test's thread turns its handle, step by step.

So whatever interleaving the adversary wants, it gets: a login without an answer, a push between a subscribe and its answer,
a cut between two answers. It numbers its pushes, topic by topic, and writes down all that it does.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from tests import peers
from tests.delivery.record import (
    Asked,
    Confirmed,
    Cut,
    Disturbed,
    Frame,
    Gone,
    Left,
    Log,
    LoggedIn,
    Ponged,
    Synced,
    Upgraded,
    Wrote,
)

PATIENCE = 30.0
"""How long the client may take for anything, in seconds; all that it has to do takes a few milliseconds."""


class StuckError(AssertionError):
    """The client did not do what it has to."""


class Connection:
    """The exchange's end of one connection."""

    def __init__(self, number: int, sock: socket.socket, log: Log, *, numbered: bool, pongs: bool) -> None:
        self.number = number
        self.sock = sock
        self.pending: deque[dict[str, Any]] = deque()
        """Requests without an answer."""
        self.topics: set[str] = set()
        """What is pushed: subscribed to and not left again, answered or not."""
        self.confirmed: set[str] = set()
        self.logged_in = False
        self.over = False
        """Whether the exchange has ended it."""
        self.gone = False
        """Whether the client has."""
        self.ponged = 0
        self.garbage = 0
        """Messages so far that were no JSON."""
        self._log = log
        self._numbered = numbered
        self._pongs = pongs
        self._line = peers.Line(sock, threading.Event())
        self._upgraded = False
        self._inbox = bytearray()
        self._pings = 0

    # --- the client's words ---

    def upgrade(self) -> None:
        """Answer the upgrade with yes."""
        with contextlib.suppress(OSError, EOFError):
            request = self._line.read_head()
            self._log.add(Upgraded(self.number))
            self._upgraded = True
            self._line.send(peers.switching(request))
            self.sock.setblocking(False)
            return
        self.leave()

    def take_in(self) -> None:
        """Read what lies ready."""
        try:
            while data := self.sock.recv(65536):
                self._inbox += data
                while (message := self._next_frame()) is not None:
                    self._hear(*message)
        except BlockingIOError:
            return
        except OSError:
            pass
        self.leave()

    def _next_frame(self) -> tuple[int, bytes] | None:
        inbox = self._inbox
        size = inbox[1] & 0x7F if len(inbox) > 1 else 0
        start = 8 if size == 126 else 6
        if len(inbox) < start:
            return None
        size = int.from_bytes(inbox[2:4], "big") if start == 8 else size
        if len(inbox) < start + size:
            return None
        opcode, payload = inbox[0] & 0x0F, peers.masked(bytes(inbox[start : start + size]), bytes(inbox[start - 4 : start]))
        del inbox[: start + size]
        return opcode, payload

    def _hear(self, opcode: int, payload: bytes) -> None:
        if opcode == peers.PONG:
            self.ponged = int(payload)
        elif opcode == peers.TEXT:
            self._hear_request(json.loads(payload))

    def _hear_request(self, request: dict[str, Any]) -> None:
        if request["op"] == "ping" and not self._pongs:
            return
        self.pending.append(request)
        if request["op"] == "subscribe":
            (topic,) = request["args"]
            self._log.add(Asked(self.number, topic))
            self.topics.add(topic)
        elif request["op"] == "unsubscribe":
            self._part(*request["args"])

    def _part(self, topic: str) -> None:
        self._log.add(Left(self.number, topic))
        self.topics.discard(topic)
        self.confirmed.discard(topic)

    @property
    def leaving(self) -> set[str]:
        """The topics whose unsubscribe has no answer yet: the client does not ask for them before it has one."""
        return {request["args"][0] for request in self.pending if request["op"] == "unsubscribe"}

    def leave(self) -> None:
        """Close this end, the client having closed its own."""
        if not self.gone:
            self.gone = True
            self.sock.close()
            if self._upgraded:
                self._log.add(Gone(self.number))

    # --- the exchange's words ---

    def answer(self, *, yes: bool = True) -> None:
        """Answer the oldest request."""
        request = self.pending.popleft()
        if request["op"] == "ping":
            self._log.add(Ponged(self.number))
            self.write(peers.frame(json.dumps({"op": "pong", "args": [str(time.time_ns() // 1_000_000)], "conn_id": "c"})))
            return
        reply = {"success": yes, "ret_msg": "" if yes else "API key is invalid.", "op": request["op"], "conn_id": "c"}
        if self._numbered and "req_id" in request:
            reply["req_id"] = request["req_id"]
        if request["op"] == "auth" and yes:
            self.logged_in = True
            self._log.add(LoggedIn(self.number))
        elif request["op"] == "subscribe":
            self._answer_subscribe(request["args"][0], reply, yes=yes)
        self.write(peers.frame(json.dumps(reply)))

    def _answer_subscribe(self, topic: str, reply: dict[str, Any], *, yes: bool) -> None:
        if not yes:
            reply["ret_msg"] = f"error:handler not found,topic:{topic}"
            self._part(topic)
        elif topic in self.topics:
            self.confirmed.add(topic)
            self._log.add(Confirmed(self.number, topic))

    def note(self, frame: Frame) -> None:
        """Write down that *frame* goes out with the next `write`."""
        self._log.add(Wrote(self.number, frame))

    def ping(self) -> int:
        """Send a ping of the protocol, which the client answers when it has dealt with all before it; return its number."""
        self._pings += 1
        self.write(peers.frame(str(self._pings), peers.PING))
        return self._pings

    def write(self, data: bytes) -> None:
        """Write *data* in one piece, unless the client is gone."""
        if not (self.gone or self.over):
            with contextlib.suppress(OSError):
                self.sock.sendall(data)

    # --- the end ---

    def cut(self, how: str, before: bytes = b"") -> None:
        """End the connection, with *before* in the same segment: "fin", "rst", "close", "half-fin", "half-rst"."""
        self._log.add(Cut(self.number, lossless="rst" not in how))
        half = peers.frame('{"topic": "order"}')[:9] if "half" in how else b""
        goodbye = peers.frame((1001).to_bytes(2, "big") + b"bye", peers.CLOSE) if how == "close" else b""
        self.write(before + half + goodbye)
        self.over = True
        with contextlib.suppress(OSError):
            if "rst" in how:
                self._line.reset()
                self.leave()
            elif "fin" in how:
                self.sock.shutdown(socket.SHUT_WR)

    def disturb(self) -> None:
        """Write down that from here on the client may leave by itself."""
        self._log.add(Disturbed(self.number))


class Exchange:
    """A listener, its connections, and the log of all of them. Only the test's thread, but for `ring`."""

    def __init__(self, *, numbered: bool, pongs: bool) -> None:
        self.log = Log()
        self.lines: list[Connection] = []
        self._manners = {"numbered": numbered, "pongs": pongs}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self._callers: deque[socket.socket] = deque()
        self._waker, self._rope = socket.socketpair()
        self._waker.setblocking(False)
        self._rope.setblocking(False)
        self._ids = itertools.count(1)

    @property
    def url(self) -> str:
        """The base URL that leads here."""
        return f"ws://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def line(self) -> Connection | None:
        """The connection that is open; None while there is none."""
        line = self.lines[-1] if self.lines else None
        return None if line is None or line.over or line.gone else line

    def ring(self) -> None:
        """Have `until` look again. Any thread."""
        with contextlib.suppress(OSError):
            self._rope.send(b"!")

    # --- waiting ---

    def until(self, wanted: Callable[[], bool], what: str) -> None:
        """Take in what the client says until *wanted* holds; raises `StuckError` when that takes too long."""
        deadline = time.monotonic() + PATIENCE
        while not wanted():
            left = deadline - time.monotonic()
            if left <= 0:
                raise StuckError(f"waited {PATIENCE:g} s in vain for this: {what}")
            self.turn(left)

    def turn(self, seconds: float) -> None:
        """Take in what comes first, at most *seconds* from now."""
        alive = {line.sock: line for line in self.lines if not line.gone}
        ready, _, _ = select.select([self._listener, self._waker, *alive], [], [], seconds)
        for sock in ready:
            if sock is self._waker:
                with contextlib.suppress(BlockingIOError):
                    self._waker.recv(4096)
            elif sock is not self._listener:
                alive[sock].take_in()
        # Last: a client that dials has closed what it had before, and that is to be seen first.
        if self._listener in ready:
            self._callers.append(self._listener.accept()[0])
            # Or the second of two small writes waits for the first one to be acknowledged.
            self._callers[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def look_around(self) -> None:
        """Take in what lies ready."""
        self.turn(0)

    @property
    def is_dialled(self) -> bool:
        """Whether a client waits for its upgrade."""
        return bool(self._callers)

    def accept(self) -> Connection:
        """Open the connection of the client that waits, when it has left the one before."""
        sock = self._callers.popleft()
        sock.settimeout(PATIENCE)
        self.until(lambda: all(line.gone for line in self.lines), "the client closes its old connection before it dials anew")
        line = Connection(len(self.lines) + 1, sock, self.log, **self._manners)
        self.lines.append(line)
        line.upgrade()
        return line

    def turn_away(self) -> None:
        """Answer the client that waits with 503."""
        with self._callers.popleft() as sock, contextlib.suppress(OSError, EOFError):
            sock.settimeout(PATIENCE)
            peers.Line(sock, threading.Event()).read_head()
            sock.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")

    def sync(self) -> bool:
        """Wait until the client has dealt with all that was written; False when it left instead."""
        line = self.line
        if line is None:
            return False
        upto, number = self.log.now, line.ping()
        self.until(lambda: line.ponged >= number or line.gone, "the client reads on")
        if line.ponged >= number:
            self.log.add(Synced(line.number, upto))
        return line.ponged >= number

    def next_id(self) -> str:
        """Return the id of the next frame."""
        return f"f{next(self._ids)}"

    def close(self) -> None:
        """Give every descriptor back."""
        for sock in (self._listener, self._waker, self._rope, *self._callers, *(line.sock for line in self.lines)):
            sock.close()
