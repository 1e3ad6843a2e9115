"""A Bybit that can lie: one script for each connection, played over a raw socket by a thread of its own.

The upgrade is done; then a script does what it likes with its `Talk`. `serve` answers everything rightly, and while it does, a
test has the same thread do more with `Exchange.do`: one thread per connection, so that nothing is ever sent half.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timezone
from functools import partial
from typing import Any

from tests.faults.pace import patience
from tests.peers import CLOSE, PING, PONG, TEXT, Line, Peer, frame

__all__ = [
    "ACCOUNT",
    "Act",
    "Exchange",
    "Message",
    "Talk",
    "accept",
    "answer",
    "close_frame",
    "confirm",
    "every",
    "hang_up",
    "ignore",
    "listen",
    "log_in",
    "order",
    "pong",
    "push",
    "push_next",
    "push_order",
    "pushed",
    "read_request",
    "reset",
    "say",
    "serve",
    "subscribed",
    "unsubscribed",
]

Message = dict[str, Any]

ACCOUNT = "account-c4n4ry"
"""The account id, with which the `id` of every push begins."""


class Talk(Line):
    """The exchange's end of one connection, from the upgrade on. Belongs to the thread of its script."""

    def __init__(self, line: Line, exchange: Exchange) -> None:
        super().__init__(line.sock, line.over)
        self.exchange = exchange
        self.began = time.monotonic()
        self.head = ""
        """The request to upgrade."""
        self.requests: list[Message] = []
        """Every JSON message of the client."""
        self.controls: list[tuple[int, bytes]] = []
        """Every control frame of the client: opcode and payload."""
        self.topics: list[str] = []
        """What was confirmed and not unsubscribed."""
        self.spoken_at = self.began
        """When the client's latest JSON message came (`time.monotonic`)."""
        self.ended = threading.Event()
        self._jobs: deque[tuple[Callable[[], object], Future[Any]]] = deque()
        self._wake, self._waker = socket.socketpair()
        self._regular: list[tuple[float, Act]] = []
        self._due: list[float] = []

    @property
    def number(self) -> int:
        """Which connection this is, from 1 on."""
        return self.exchange.talks.index(self) + 1

    @property
    def is_open(self) -> bool:
        """Whether the client has a confirmed subscription here."""
        return bool(self.topics) and not self.ended.is_set()

    def do(self, act: Act, *arguments: object) -> Future[Any]:
        """Have the thread that serves do *act*, called with this talk and *arguments*. Any thread."""
        future: Future[Any] = Future()
        self._jobs.append((partial(act, self, *arguments), future))
        with contextlib.suppress(OSError):
            self._waker.send(b"!")
        if self.ended.is_set():
            self._refuse_jobs()
        return future

    def every(self, pause: float, act: Act) -> None:
        """From now on do *act* every *pause* seconds while waiting for the client."""
        self._regular.append((pause, act))
        self._due.append(time.monotonic())

    def wait(self) -> None:
        """Wait until the client says something, and do meanwhile what others ask for."""
        while not (self._ahead or (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending())):
            ready, _, _ = select.select([self.sock, self._wake], [], [], self._do_what_is_due())
            if self._wake in ready:
                self._wake.recv(1)
                self._do_next()
            if self.sock in ready:
                return

    def end(self) -> None:
        """Give everything back; whoever still waits for something is told that it will not be done."""
        self.ended.set()
        self._wake.close()
        self._waker.close()
        self._refuse_jobs()

    def _refuse_jobs(self) -> None:
        while self._jobs:
            self._jobs.popleft()[1].set_exception(EOFError("the connection was over before"))

    def _do_next(self) -> None:
        job, future = self._jobs.popleft()
        try:
            future.set_result(job())
        except (OSError, EOFError):  # the connection is over: what it did has ended it, or the client has left
            future.set_result(None)
            raise
        except BaseException as error:  # noqa: BLE001 it belongs to whoever asked
            future.set_exception(error)

    def _do_what_is_due(self) -> float | None:
        now = time.monotonic()
        for at, (pause, act) in enumerate(self._regular):
            if now >= self._due[at]:
                self._due[at] = now + pause
                act(self)
        return max(0.0, min(self._due) - time.monotonic()) if self._due else None


Act = Callable[..., object]
"""Something to do with a `Talk`, its first argument. A script is one."""


class Exchange(Peer):
    """An exchange that plays one of *scripts* for each connection; the last one, or `serve`, for all further ones."""

    def __init__(self, *scripts: Act, context: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(
            *[partial(self._play, script) for script in scripts or (serve,)], context=context, host=host, port=port
        )
        self.talks: list[Talk] = []
        """Every connection that was upgraded, in order."""
        self.sent: list[str] = []
        """The orders that were pushed, in order over all connections: what histories are checked against."""
        self.sent_at: dict[str, datetime] = {}
        """When each of them was pushed, by the exchange's clock."""
        self.signatures: list[str] = []
        """Every signature that was received."""
        self.clock_offset = 0.0
        """The exchange's clock minus this machine's, in seconds."""
        self.headers: tuple[str, ...] = ()
        """Further headers of the answer to the upgrade…"""
        self.announcement: bytes = b""
        """…what is sent before it…"""
        self.greeting = b""
        """…and what is sent in the same segment with it."""
        self._changed = threading.Condition()

    def do(self, act: Act, *arguments: object) -> Any:
        """Have the latest connection do *act*, and return its result. Its script must be in `serve`."""
        return self.talks[-1].do(act, *arguments).result(patience())

    def push_order(self, name: str) -> None:
        """Push an update of the order *name* over the latest connection."""
        self.do(push_order, name)

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until *condition* holds; it is looked at when a connection began or ended or said something."""
        with self._changed:
            assert self._changed.wait_for(condition, patience()), "the client did not do it"

    def changed(self) -> None:
        """Have conditions looked at."""
        with self._changed:
            self._changed.notify_all()

    def now(self) -> datetime:
        """Return what the exchange's clock shows."""
        return datetime.fromtimestamp(time.time() + self.clock_offset, timezone.utc)

    def milliseconds(self) -> int:
        """Return what the exchange's clock shows."""
        return int((time.time() + self.clock_offset) * 1000)

    def _play(self, script: Act, line: Line) -> None:
        line.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.sock.settimeout(patience())
        talk = Talk(line, self)
        try:
            talk.send(self.announcement)
            talk.head = talk.upgrade(self.greeting, *self.headers)
            self.talks.append(talk)
            self.changed()
            script(talk)
        finally:
            talk.end()
            self.changed()


# --- what scripts are made of ---


def read_request(line: Talk, op: str | None = None) -> Message:
    """Return the next JSON message; with *op* the next such, what comes before being ignored, except pings."""
    while True:
        line.wait()
        opcode, payload = line.read_frame()
        if opcode == TEXT:
            request: Message = json.loads(payload)
            _take_request(line, request)
            if op is None or request["op"] == op:
                return request
            if request["op"] == "ping":
                pong(line, request)
        else:
            _take_control(line, opcode, payload)


def _take_request(line: Talk, request: Message) -> None:
    line.spoken_at = time.monotonic()
    line.requests.append(request)
    line.exchange.changed()


def _take_control(line: Talk, opcode: int, payload: bytes) -> None:
    line.controls.append((opcode, payload))
    line.exchange.changed()
    if opcode == PING:
        line.send(frame(payload, PONG))
    elif opcode == CLOSE:
        with contextlib.suppress(OSError):
            line.send(frame(payload, CLOSE))
        raise EOFError


def answer(line: Talk, request: Message, *, success: bool = True, text: str = "", **fields: object) -> None:
    """Answer *request* as Bybit's private socket does; *fields* come on top, and None takes one away."""
    message = {"success": success, "ret_msg": text, "op": request["op"], "conn_id": "conn-1", "req_id": request.get("req_id")}
    message.update(fields)
    line.send(frame(json.dumps({key: value for key, value in message.items() if value is not None})))


def log_in(line: Talk, **fields: Any) -> Message:
    """Wait for the login and accept it; *fields* as for `answer`. Returns the request."""
    request = read_request(line, "auth")
    accept(line, request, **fields)
    return request


def accept(line: Talk, request: Message, **fields: Any) -> None:
    """Accept the login *request*."""
    line.exchange.signatures.append(request["args"][2])
    answer(line, request, **fields)


def confirm(line: Talk, *topics: str) -> None:
    """Wait for the subscriptions to *topics*, by default those to orders, and confirm each."""
    for _ in topics or ("order.linear", "order.inverse"):
        subscribed(line, read_request(line, "subscribe"))


def subscribed(line: Talk, request: Message) -> None:
    """Confirm the subscription *request*."""
    line.topics += request["args"]
    answer(line, request)


def unsubscribed(line: Talk, request: Message) -> None:
    """Confirm the end of a subscription."""
    line.topics = [topic for topic in line.topics if topic not in request["args"]]
    answer(line, request)


def pong(line: Talk, request: Message) -> None:
    """Answer a ping with the exchange's time."""
    message = {**request, "op": "pong", "args": [str(line.exchange.milliseconds())], "conn_id": "conn-1"}
    line.send(frame(json.dumps(message)))


def ignore(line: Talk, request: Message) -> None:
    """Do not answer."""


RIGHTLY: dict[str, Act] = {"auth": accept, "subscribe": subscribed, "unsubscribe": unsubscribed, "ping": pong}


def serve(line: Talk, **instead: Act) -> None:
    """Answer everything rightly until the client leaves, except what *instead* names: ``serve(line, ping=ignore)``."""
    answers = {**RIGHTLY, **instead}
    while True:
        request = read_request(line)
        answers[request["op"]](line, request)


def listen(line: Talk) -> None:
    """Read everything until the client leaves, and say nothing, not even goodbye."""
    while True:
        line.wait()
        opcode, payload = line.read_frame()
        if opcode == TEXT:
            _take_request(line, json.loads(payload))
        else:
            line.controls.append((opcode, payload))


# --- what is said unasked ---


def say(line: Talk, *data: bytes) -> None:
    """Send *data*, in one segment."""
    line.send(b"".join(data))


def pushed(topic: str, rows: object, **envelope: object) -> bytes:
    """Return the frame of a push of *rows*; *envelope* replaces or adds keys."""
    message = {"id": f"{ACCOUNT}-{topic}", "topic": topic, "creationTime": 1_700_000_000_000, "data": rows, **envelope}
    return frame(json.dumps(message))


def push(line: Talk, topic: str, rows: object, **envelope: object) -> None:
    """Push *rows* for *topic*."""
    line.send(pushed(topic, rows, **envelope))


def order(line: Talk, name: str, **columns: object) -> bytes:
    """Return the frame of an update of the order *name*, in the client's dialect; it counts as sent."""
    line.exchange.sent.append(name)
    line.exchange.sent_at[name] = line.exchange.now()
    topic = "user.order.contractAccount" if "/v3" in line.head.split("\r\n")[0] else "order.linear"
    return pushed(topic, [{"category": "linear", "orderId": name, **columns}], creationTime=line.exchange.milliseconds())


def push_order(line: Talk, name: str, **columns: object) -> None:
    """Push an update of the order *name*."""
    line.send(order(line, name, **columns))


def push_next(line: Talk) -> None:
    """Push an update of an order whose name is its number among all that were sent."""
    push_order(line, f"order-{len(line.exchange.sent) + 1}")


def every(line: Talk, pause: float, act: Act) -> None:
    """Do *act* every *pause* seconds from now on, as long as the script waits for the client."""
    line.every(pause, act)


def close_frame(code: int | None = None, reason: bytes = b"") -> bytes:
    """Return a close frame, whether there may be such a one or not."""
    return frame((b"" if code is None else code.to_bytes(2, "big")) + reason, CLOSE)


def hang_up(line: Talk) -> None:
    """Close without a word, neither of WebSocket nor of TLS."""
    # Not the SSLSocket's own shutdown(), which forgets TLS; and no close(), which resets when something lies unread.
    socket.socket.shutdown(line.sock, socket.SHUT_WR)


def reset(line: Talk) -> None:
    """Close with RST."""
    line.reset()
    raise EOFError
