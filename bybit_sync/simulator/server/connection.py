"""One connection, as the exchange sees it."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from bybit_sync.simulator.books.account import Account
from bybit_sync.simulator.books.rows import dump
from bybit_sync.simulator.dialects import Dialect, Topic
from bybit_sync.simulator.push_faults import PushFaults, PushSender
from bybit_sync.simulator.server.answers import Answers
from bybit_sync.simulator.server.conversation import Conversation, read

__all__ = ["Connection", "Wire"]


class Wire(ServerConnection):
    """The server's end of a WebSocket, which can also fail as networks do.

    *number* counts the listener's connections; *over* is set from the moment that
    either side ended it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.number = 0
        self.over: threading.Event = threading.Event()
        self._resetting = False
        self._held: list[bytes] | None = None
        self._is_lost = False
        self._halve_next = False
        super().__init__(*args, **kwargs)

    def cut(self, *, reset: bool = False) -> None:
        """End the TCP connection without a close frame: with a FIN, or with a RST."""
        self.over.set()
        self._resetting = reset
        with contextlib.suppress(OSError):
            if reset:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # Unlike close(), it wakes a thread that reads or writes.
            self.socket.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
        if reset:
            self.close_socket()

    def hold(self, *, mid_frame: bool = False) -> None:
        """Hold everything that would be written until `let_go`, pongs too.

        With *mid_frame*, half of the next write goes out first.
        """
        with self.protocol_mutex:
            self._held = self._held or []
            self._halve_next = mid_frame

    def let_go(self) -> None:
        """Write everything that was held, and hold no more."""
        with self.protocol_mutex, contextlib.suppress(OSError):
            held, self._held, self._halve_next = self._held or [], None, False
            for data in held:
                self._write(data)

    def lose(self) -> None:
        """Stop reading and writing, while TCP stays up."""
        with self.protocol_mutex:
            self._is_lost = True
            # Received data is discarded: not even a ping or a close frame is answered.
            setattr(self.protocol, "receive_data", _swallow)  # noqa: B010 - an assignment would not type

    # The reading thread calls these two as soon as it is woken. Shutting down would
    # send a FIN, which a reset must not.

    def send_data(self) -> None:
        """Write pending data, unless it is held or the connection is lost."""
        if self._held is None and not (self._resetting or self._is_lost):
            super().send_data()
        else:
            for data in self.protocol.data_to_send():
                self._write(data)

    def close_socket(self) -> None:
        """Close the socket; after a reset without shutting it down."""
        if self._resetting:
            self.socket.close()
        super().close_socket()

    def send_bytes(self, data: bytes) -> None:
        """Write *data* to the TCP connection as it is."""
        with self.protocol_mutex:
            # `_write` takes empty data as the end of writing.
            if data:
                self._write(data)

    def _write(self, data: bytes) -> None:
        """Write *data*, unless it is held or lost; empty data is the end of writing."""
        if self._resetting or self._is_lost:
            return
        if self._held is None:
            self.socket.sendall(data) if data else self.socket.shutdown(socket.SHUT_WR)
            return
        if self._halve_next and len(data) > 1:
            self._halve_next = False
            half = len(data) // 2
            self.socket.sendall(data[:half])
            data = data[half:]
        self._held.append(data)


def _swallow(_data: bytes) -> None:
    """Discard received data."""


class Connection:
    """One connection, as the exchange sees it.

    * *gateway*: the dialect whose rules apply (``gateway.name`` is "v5" or "v3");
    * *account*: the account that logged in, None before;
    * *epoch*: the number of this login of the account: 1, 2, …; 0 before;
    * *received*: every handled request, oldest first, as parsed JSON
      (or as text, when it is not JSON).
    """

    def __init__(
        self,
        wire: Wire,
        conversation: Conversation,
        answers: Answers,
        push_faults: PushFaults,
        *,
        idle_limit: float,
        login_limit: float,
    ) -> None:
        self.gateway: Dialect = conversation.gateway
        self.account: Account | None = None
        self.epoch: int = 0
        self.received: list[Any] = []
        self._wire = wire
        self._conversation = conversation
        self._answers = answers
        self._idle_limit = idle_limit
        self._active_at = time.monotonic()
        self._login_until = self._active_at + login_limit
        self._pushes = PushSender(push_faults, self.send_raw)
        # The lock covers the topics and the sending: no push is sent between a change
        # of topics and its answer.
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        """Return the dialect, the state and the topics; never the key."""
        state = "open" if self.is_open else "closed"
        return f"<Connection {self.gateway.name}, {state}, login {self.epoch}, topics {list(self.topics)}>"

    @property
    def is_open(self) -> bool:
        """False from the moment that either side ended it."""
        return not self._wire.over.is_set()

    @property
    def topics(self) -> tuple[str, ...]:
        """The names of the subscribed topics, oldest first."""
        return tuple(topic.name for topic in self._conversation.topics)

    def has(self, topic: str) -> bool:
        """Return whether *topic*, or one that carries it, is subscribed.

        ``order.linear`` carries ``order``.
        """
        return any(topic in (known.name, known.stream) for known in self._conversation.topics)

    def send_raw(self, message: str | bytes) -> None:
        """Send *message*: a text as a text message, bytes as a binary one."""
        with self._lock, contextlib.suppress(ConnectionClosed):
            self._wire.send(message)

    def send_bytes(self, data: bytes) -> None:
        """Write *data* into the TCP connection without framing it.

        It may be half a frame, or a frame with a wrong length.
        """
        with self._lock, contextlib.suppress(OSError):
            self._wire.send_bytes(data)

    def freeze(self, *, mid_frame: bool = False) -> None:
        """Hold everything that would be sent, pongs too, until `thaw`.

        TCP stays up.

        With *mid_frame*, half of the next write is sent before the silence.
        """
        with self._lock:
            self._wire.hold(mid_frame=mid_frame)

    def thaw(self) -> None:
        """Send everything that was held, in order."""
        with self._lock:
            self._wire.let_go()

    def half_open(self) -> None:
        """Stop reading and writing, while TCP stays up; this cannot be undone."""
        with self._lock:
            self._wire.lose()

    def flush(self) -> None:
        """Send the push that `Exchange.reorder_pushes` holds, if any."""
        with self._lock:
            self._pushes.flush()

    def drop(self, *, code: int | None = None, reason: str = "", reset: bool = False) -> None:
        """End this connection: with a FIN or, with *reset*, a RST.

        With *code*, a close frame with *reason* is sent first, and the client's is
        awaited for up to a second.
        """
        self._wire.over.set()
        if code is not None:
            self._wire.close(code, reason)
        else:
            self._wire.cut(reset=reset)

    def converse(self, account_of: Callable[[str], Account], now: Callable[[], int], changed: Callable[[], None]) -> None:
        """Answer requests until the connection ends. The connection's own thread."""
        for frame in self._frames():
            request = read(frame)
            if self._wire.over.wait(self._answers.delay_of(_kind(request))):
                break
            self._answer(request, account_of, now())
            changed()

    def push(self, message_for: Callable[[Topic], str | None]) -> None:
        """Send what *message_for* returns for each subscribed topic, if not None."""
        with self._lock:
            for message in map(message_for, self._conversation.topics):
                if message is not None:
                    self._active_at = time.monotonic()
                    self._pushes.send(message)

    def _frames(self) -> Iterator[str | bytes]:
        """Yield the client's frames until the connection ends.

        It also ends when it is idle for too long, and without a login in time.
        """
        with contextlib.suppress(ConnectionClosed):
            while (left := self._ends_at() - time.monotonic()) > 0:
                with contextlib.suppress(TimeoutError):
                    frame = self._wire.recv(left)
                    self._active_at = time.monotonic()
                    yield frame
            self._wire.cut()
        self._wire.over.set()

    def _ends_at(self) -> float:
        idle_until = self._active_at + self._idle_limit
        return idle_until if self.account else min(idle_until, self._login_until)

    def _answer(self, request: object, account_of: Callable[[str], Account], now: int) -> None:
        with self._lock:
            answer = dump(self._conversation.answer(request, now))
            if self.account is None and self._conversation.key is not None:
                self.account = account_of(self._conversation.key)
                self.epoch = self.account.count_login()
            is_kept = self._answers.keep(_kind(request), lambda: self.send_raw(answer))
            # Append after the answer is held, before it is sent: a test that sees the
            # request can release the answer.
            self.received.append(request)
            if not is_kept:
                self.send_raw(answer)


def _kind(request: object) -> str:
    return str(request.get("op", "")) if isinstance(request, dict) else ""
