"""A websocket with non-blocking reads; a waker interrupts its waits."""

from __future__ import annotations

import logging
import math
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

from bybit_sync.clock import Moment
from bybit_sync.config.environments import Environment
from bybit_sync.errors import ConnectionLost, ProtocolError, describe
from bybit_sync.network.dialing import dial
from bybit_sync.network.link import CLOSE, CONTINUATION, PING, PONG, TEXT, Link, framed
from bybit_sync.network.proxy import Proxy
from bybit_sync.network.wire import Deadline, Wire, strip_traceback
from bybit_sync.redaction import get_logger
from bybit_sync.text import printable
from bybit_sync.threads.waker import Interrupt

__all__ = ["Transport", "open_websocket"]

# Limits of one `receive`, so that a flood of frames does not delay the caller's
# deadlines.
_CHUNKS_A_ROUND = 4
_ODD_FRAMES_A_CHUNK = 1_000
_MOST_FRAGMENTS = 65_536

# A frame's first two bytes (RFC 6455, section 5.2).
_SHORTEST_FRAME = 2
_PLAIN_TEXT = 0x81  # FIN and the opcode of text, no other bit
_CONTROL_BIT = 0x08
_MASK_BIT = 0x80
_LONGEST_CONTROL = 125
_SIZE_IN_TWO_BYTES = 126
_HEAD_OF_TWO = 4

_NORMAL, _PROTOCOL, _NOT_UTF8, _TOO_BIG = 1000, 1002, 1007, 1009  # close codes (section 7.4)

_log = get_logger(__name__)


def open_websocket(
    environment: Environment,
    path: str,
    *,
    deadline: float,
    interrupt: Interrupt,
    on_reached: Callable[[], None] = lambda: None,
    proxy: Proxy | None = None,
    ssl_context: ssl.SSLContext | None = None,
    max_message_bytes: int,
    write_seconds: float = 5.0,
    log: logging.Logger | logging.LoggerAdapter[logging.Logger] = _log,
) -> Transport:
    """Return an open websocket to *path* at *environment*.

    It calls `dial`, then does the upgrade, all by *deadline*. A message must be sent
    within *write_seconds*. *interrupt* also interrupts later, while `Transport.send`
    waits; its function must not send.

    Raises the errors of `dial`, and `HandshakeRejected` when the server answers the
    upgrade with another status than 101. The transport belongs to the calling thread.
    """
    wire = dial(
        environment,
        deadline=deadline,
        interrupt=interrupt,
        on_reached=on_reached,
        proxy=proxy,
        ssl_context=ssl_context,
        log=log,
    )
    try:
        link = Link(wire)
        link.upgrade(environment, path)
        return Transport(wire, link, max_message_bytes=max_message_bytes, write_seconds=write_seconds)
    except BaseException:
        wire.release()
        raise


class Transport:
    """An open websocket that belongs to one thread."""

    def __init__(self, wire: Wire, link: Link, *, max_message_bytes: int, write_seconds: float) -> None:
        self.last_data_ns: int = time.monotonic_ns()
        """The `time.monotonic_ns` of the last byte of a data frame, or of the opening
        before the first one; control frames do not count.
        """
        self.read_at: Moment = Moment.now()
        """The moment when the yielded message was read from the socket, however long
        the consumer takes.
        """
        self.frame_since: float | None = None
        """The `time.monotonic` of the first byte of an incomplete message; None between
        messages.
        """
        self._wire = wire
        self._link = link
        self._max = max_message_bytes
        self._takes_size_of_two = max_message_bytes >= 1 << 16
        self._write_seconds = write_seconds
        self._on_wake = wire.deadline.interrupt.on_wake
        self._woken = False
        interrupt = Interrupt(wire.deadline.interrupt.waker, self._check_waker)
        wire.deadline = Deadline(wire.deadline.peer, at=math.inf, interrupt=interrupt, error=ConnectionLost)
        wire.deadline.phase = "connected"
        self._ahead = link.head.rest if link.head else b""  # bytes read and not parsed yet
        self._held = bytearray()  # the incomplete frame at the end of the data
        self._needed = 0  # the number of its bytes that are needed before it is parsed again
        self._opcode = 0
        self._fragments: list[bytes] = []
        self._fragment_bytes = 0
        self._broken: BaseException | None = None  # the error of every later write; None while writing works
        self._over: Exception | None = None  # the error of every later read; None while reading works
        self._sent_close = False

    def __repr__(self) -> str:
        return f"<Transport {self._wire.deadline.peer}{' over' if self._over or self._broken or self._sent_close else ''}>"

    # -- reading

    def wait(self, timeout: float | None) -> bool:
        """Wait for bytes, for the waker, or for *timeout* seconds (None: no limit).

        Returns True when the waker was woken; it is not drained.
        """
        return not (self._ahead or self._broken or self._over) and self._wire.wait(timeout)

    def receive(self) -> Iterator[bytes]:
        """Yield every complete message, text or binary, in order; never wait.

        It answers protocol pings itself. When the connection has ended, the messages
        before the end are yielded first. Then it raises `ConnectionLost`, or
        `ProtocolError` for data that the WebSocket protocol forbids; the connection
        cannot be used afterwards.
        """
        for _ in range(_CHUNKS_A_ROUND):
            if self._over is not None:
                raise self._over
            chunk, self._ahead = self._ahead or self._read(), b""
            if chunk is None:
                break
            if not chunk:
                raise self._broken or self._wire.deadline.failed("the peer closed the connection without a close frame")
            yield from self._messages(chunk)
            if self._wire.drained and not self._ahead:
                break
        else:
            return
        # Raised last: messages that the peer sent before the failed write are delivered
        # first.
        if self._broken is not None:
            raise self._broken

    def _read(self) -> bytes | None:
        chunk = self._wire.read()
        self.read_at = Moment.now()
        return chunk

    def _messages(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the messages that are complete with *chunk*."""
        data = self._gathered(chunk)
        if data is None:
            return
        now, at, end, odd = self.read_at.ns, 0, len(data), 0
        try:
            while end - at >= _SHORTEST_FRAME and odd < _ODD_FRAMES_A_CHUNK:
                # Nearly every push has its length in two bytes. `_span` handles and
                # checks all other lengths.
                if data[at + 1] == _SIZE_IN_TWO_BYTES and end - at >= _HEAD_OF_TWO and self._takes_size_of_two:
                    start = at + _HEAD_OF_TWO
                    stop = start + (data[at + 2] << 8 | data[at + 3])
                else:
                    start, stop = self._span(data, at)
                if stop > end:
                    break
                first, at = at, stop
                if data[first] == _PLAIN_TEXT and not self._fragments:
                    self.last_data_ns = now
                    text = data[start:stop]
                    message: bytes | None = text if text.isascii() else self._utf8(text)
                else:
                    odd += 1
                    message = self._read_odd(data[first:stop])
                if message is not None:
                    self.frame_since = None
                    yield message
            if odd < _ODD_FRAMES_A_CHUNK:
                self._hold(data[at:])
                at = end
        finally:
            self._ahead = data[at:]

    def _gathered(self, chunk: bytes) -> bytes | None:
        """Return the held bytes and *chunk*; None while they are less than a frame."""
        if not self._held:
            return chunk
        self._held += chunk
        if len(self._held) < self._needed:
            self._note_progress()
            return None
        data = bytes(self._held)
        self._held.clear()
        return data

    def _hold(self, rest: bytes) -> None:
        """Keep *rest*, the start of a frame, until the frame is complete.

        Bytes that arrive one by one are not copied each time.
        """
        self._held += rest
        self._needed = self._span(rest, 0)[1] if len(rest) >= _SHORTEST_FRAME else _SHORTEST_FRAME
        self._note_progress()

    def _note_progress(self) -> None:
        inside_data = bool(self._held) and self._held[0] & _CONTROL_BIT == 0
        if inside_data:
            self.last_data_ns = self.read_at.ns
        if (inside_data or self._fragments) and self.frame_since is None:
            self.frame_since = self.read_at.seconds

    def _span(self, data: bytes, at: int) -> tuple[int, int]:
        """Return where the payload of the frame at *at* starts and stops.

        The stop of an incomplete frame is beyond the end of *data*.
        """
        size = data[at + 1]
        start = at + 2
        if size > _LONGEST_CONTROL:
            if size & _MASK_BIT:
                raise self._refusal(_PROTOCOL, "the server masked a frame, as only a client may")
            start += 2 if size == _SIZE_IN_TWO_BYTES else 8
            if start > len(data):
                return start, start
            size = int.from_bytes(data[at + 2 : start], "big")
            if size > self._max - self._fragment_bytes:
                raise self._refusal(
                    _TOO_BIG, f"a message of {size + self._fragment_bytes} bytes; max_message_bytes is {self._max}"
                )
        return start, start + size

    def _utf8(self, message: bytes) -> bytes:
        """Return *message* if it is UTF-8, else raise.

        The check of websocket-client takes a thousand times as long.
        """
        try:
            message.decode()
        except UnicodeDecodeError as error:
            raise self._refusal(_NOT_UTF8, f"a text is not UTF-8 (byte {error.start})") from None
        return message

    # -- reading rare frames: control frames, binary messages, fragments, errors

    def _read_odd(self, frame: bytes) -> bytes | None:
        """Return the message that *frame*, a complete one, ends, or None."""
        try:
            parsed = self._link.read_frame(frame)
        except Exception as error:  # noqa: BLE001 - websocket-client raises many types for a frame that is not allowed
            why = printable(describe(strip_traceback(error)))
            raise self._refusal(_PROTOCOL, f"a frame breaks the WebSocket protocol: {why}") from None
        if not parsed.opcode & _CONTROL_BIT:
            return self._assemble(parsed)
        self._control(parsed)
        return None

    def _control(self, frame: Any) -> None:
        if not frame.fin or len(frame.data) > _LONGEST_CONTROL:
            raise self._refusal(_PROTOCOL, "a control frame was fragmented or too long")
        if frame.opcode == PING:
            self._write(framed(PONG, frame.data))
        elif frame.opcode == CLOSE:
            raise self._closed_by(frame.data)

    def _closed_by(self, data: bytes) -> ConnectionLost:
        code = int.from_bytes(data[:2], "big") if data else None
        reason = printable(self._utf8(data[2:]))
        self._send_close(code or _NORMAL)
        said = f"{code} {reason}".strip() if code else "no code"
        self._over = ConnectionLost(
            f"{self._wire.deadline.peer}: the server closed the connection ({said})", code=code, reason=reason
        )
        return self._over

    def _assemble(self, frame: Any) -> bytes | None:
        if (frame.opcode == CONTINUATION) != bool(self._fragments):
            raise self._refusal(_PROTOCOL, "a fragment is out of order")
        self.last_data_ns = self.read_at.ns
        self._opcode = frame.opcode or self._opcode
        self._fragments.append(frame.data)
        self._fragment_bytes += len(frame.data)
        if self._fragment_bytes > self._max or len(self._fragments) > _MOST_FRAGMENTS:
            raise self._refusal(_TOO_BIG, f"a message in {len(self._fragments)} fragments; max_message_bytes is {self._max}")
        return self._joined() if frame.fin else None

    def _joined(self) -> bytes:
        message = b"".join(self._fragments)
        self._fragments, self._fragment_bytes = [], 0
        return self._utf8(message) if self._opcode == TEXT else message

    def _refusal(self, code: int, why: str) -> ProtocolError:
        self._send_close(code)
        self._over = ProtocolError(f"{self._wire.deadline.peer}: {why}. The connection was closed with code {code}")
        return self._over

    # -- writing

    def send(self, text: str) -> None:
        """Send *text* as one message.

        Raises `ConnectionLost` when the peer does not take it in time or the connection
        is gone, and the errors of the interrupt. Nothing can be sent afterwards,
        because half a frame may be sent; `receive` still returns what the peer sent
        before.
        """
        # The text may be a login. Drop it, so that a traceback's locals show only the
        # masked frame.
        frame = framed(TEXT, text)
        del text
        failure = self._write(frame)
        if failure is not None:
            raise failure

    def _write(self, frame: bytes) -> BaseException | None:
        if self._broken is not None:
            return self._broken
        deadline = self._wire.deadline
        deadline.at, deadline.phase = time.monotonic() + self._write_seconds, "sending"
        self._broken = self._wire.write(frame)
        deadline.at, deadline.phase = math.inf, "connected"
        if self._woken:
            self._woken = False
            deadline.interrupt.waker.wake()
        return self._broken

    def _check_waker(self) -> None:
        # The wake-up was for the caller's own wait; repeat it when the write is done.
        self._woken = True
        self._on_wake()

    # -- the end

    def close(self, code: int = _NORMAL) -> None:
        """Send a close frame with *code* if that needs no wait, and close the socket.

        Idempotent.
        """
        self._send_close(code)
        self._wire.close()

    def release(self) -> None:
        """Close the descriptor without a close frame.

        In a forked child the connection is still the parent's.
        """
        self._sent_close = True
        self._wire.release()

    def _send_close(self, code: int) -> None:
        if not self._sent_close and self._broken is None:
            self._wire.write_now(framed(CLOSE, code.to_bytes(2, "big")))
        self._sent_close = True
