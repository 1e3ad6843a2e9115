"""A socket, plain or TLS; every wait has a deadline, and a waker interrupts it."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import TypeVar

import attrs

from bybit_sync.errors import ConnectionFailed
from bybit_sync.network.other_protocols import not_http
from bybit_sync.text import printable
from bybit_sync.threads.waker import Interrupt

__all__ = ["Deadline", "Head", "Wire", "lack_of_descriptors", "reason_of", "strip_traceback"]


_T = TypeVar("_T")
_E = TypeVar("_E", bound=BaseException)

_CHUNK = 65536
_RECORD = 16384  # the most bytes of one TLS record
_HEAD_LIMIT = 65536
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: ([^\r\n]*))?")
# A header's value continues in the next line if that starts with a blank (RFC 9112,
# section 5.2).
_FOLD = re.compile(rb"[ \t]*\r\n[ \t]+")
_TLS_RECORD_TYPES = frozenset(b"\x14\x15\x16\x17")

# poll and select need no descriptor of their own, so waiting works when the process has
# none left.
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)


def strip_traceback(error: _E) -> _E:
    """Return *error* without traceback and context; their locals may hold a login."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error


def reason_of(error: OSError) -> str:
    """Return the system's text and name of *error*."""
    if isinstance(error, ssl.SSLError):
        return error.reason or str(error)
    text, name = error.strerror or str(error), errno.errorcode.get(error.errno or 0)
    return f"{text} ({name})" if name else text


def lack_of_descriptors() -> OSError | None:
    """Return the system's error if this process can open no more files, else None."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error if error.errno in (errno.EMFILE, errno.ENFILE) else None
    return None


class Deadline:
    """A deadline for waits on a peer, and the interrupt that may end them earlier.

    *peer* and `phase` appear in errors. *at* is a moment of `time.monotonic`. Failures
    are raised as *error*.
    """

    def __init__(
        self,
        peer: str,
        *,
        at: float,
        interrupt: Interrupt,
        error: type[ConnectionFailed] = ConnectionFailed,
    ) -> None:
        self.peer = peer
        self.phase = "connecting"
        self.at = at
        self.interrupt = interrupt
        self._error = error

    def wait(self, wanted: Mapping[socket.socket, int], until: float | None = None) -> set[socket.socket]:
        """Wait until one of *wanted* is ready, and return those that are.

        *wanted* maps sockets to selector events. Returns early, with none, when the
        waker was woken, the interrupt is due or *until* came. Raises the error of
        `failed` at the deadline, and the errors of the interrupt.
        """
        due, waker = self.interrupt.due(), self.interrupt.waker
        moment = min(self.at, due) if until is None else min(self.at, due, until)
        with _Selector() as selector:
            selector.register(waker, selectors.EVENT_READ)
            for sock, events in wanted.items():
                selector.register(sock, events)
            ready = {key.fileobj for key, _ in selector.select(max(0.0, moment - time.monotonic()))}
        if waker in ready:
            waker.drain()
        if waker in ready or time.monotonic() >= due:
            self.interrupt.on_wake()
        # Check this even when a socket is ready: neither a peer that sends slowly nor a
        # waker that is always woken may extend the deadline.
        if time.monotonic() >= self.at:
            raise self.failed("timed out")
        return {sock for sock in wanted if sock in ready}

    def failed(self, why: str) -> ConnectionFailed:
        """Return an error with *why*, the peer and the phase in its text."""
        return self._error(f"{self.peer}: {why} (while {self.phase})")


@attrs.frozen
class Head:
    """The status line and headers of an HTTP answer, and the bytes after them."""

    status: int
    phrase: str
    headers: Mapping[str, str]
    rest: bytes

    @property
    def is_interim(self) -> bool:
        """True for 1xx except 101, which is final here (RFC 9110, section 15.2)."""
        return self.status < HTTPStatus.OK and self.status != HTTPStatus.SWITCHING_PROTOCOLS


class Wire:
    """A connected socket, plain or TLS, that belongs to one thread.

    `read` never waits; all other methods wait until `deadline` at most. `failure` is
    the error that `recv` or `sendall` raised last, because a library in between may
    replace it with its own.
    """

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self.deadline = deadline
        self.failure: BaseException | None = None
        self.drained: bool = False
        """True when the last `read` emptied the buffer; do not read again at once."""
        self._sock = sock
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._end: bytes | str | None = None  # set when TLS has no more data: b"", or the text of an error
        self._first_byte = b""
        self._selector = _Selector()
        self._selector.register(sock, selectors.EVENT_READ)
        self._selector.register(deadline.interrupt.waker, selectors.EVENT_READ)

    # -- reading

    def wait(self, timeout: float | None) -> bool:
        """Wait for bytes, for the waker, or for *timeout* seconds.

        Returns True when the waker was woken; it is not drained.
        """
        # The selector does not see the data that TLS holds in memory: records that a
        # write had to read, and the end after the last data.
        if self._incoming.pending or self._end is not None:
            return False
        waker = self.deadline.interrupt.waker
        return any(key.fileobj is waker for key, _ in self._selector.select(timeout))

    def read(self) -> bytes | None:
        """Return the arrived bytes, at most 64 KiB; b"" at the end, None for none."""
        if self._tls is None:
            return self._take()
        while (data := self._decrypted(self._tls)) is None and self._feed():
            pass
        return data

    def _decrypted(self, tls: ssl.SSLObject) -> bytes | None:
        """Return the data of the TLS records in memory; b"" at the end, else None."""
        pieces: list[bytes] = []
        try:
            while self._end is None and (self._incoming.pending or self._incoming.eof or tls.pending()):
                if piece := tls.read(_RECORD):
                    pieces.append(piece)
                else:
                    self._end = b""
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self._end = b""
        except ssl.SSLError as error:
            self._end = f"the TLS stream broke: {reason_of(error)}"
        if pieces:
            return b"".join(pieces)
        if isinstance(self._end, str):
            raise self.deadline.failed(self._end)
        return self._end

    def read_head(self) -> Head:
        """Return the HTTP head of the peer's answer, and the bytes after it.

        Interim answers (1xx) are skipped. Raises the error of `Deadline.failed` when
        the answer is not HTTP, is too long with all interim answers, or does not come.
        """
        data, room = bytearray(), _HEAD_LIMIT
        while True:
            end = self._read_to_empty_line(data, room)
            head = _parse_head(bytes(data[:end]), bytes(data[end + 4 :]))
            if isinstance(head, str):
                raise self.deadline.failed(head)
            if not head.is_interim:
                return head
            room -= end + 4
            del data[: end + 4]

    def _read_to_empty_line(self, data: bytearray, room: int) -> int:
        """Read on into *data*, at most *room* bytes; return where its empty line is."""
        while (end := data.find(b"\r\n\r\n")) < 0 and len(data) <= room:
            if not data.startswith(b"HTTP/"[: len(data)]):
                raise self.deadline.failed(not_http(bytes(data)))
            data += self._next_bytes()
        if end < 0 or end > room:
            raise self.deadline.failed(f"the answer's headers are longer than {_HEAD_LIMIT} bytes")
        return end

    def _next_bytes(self) -> bytes:
        while (data := self.read()) is None:
            self.deadline.wait({self._sock: selectors.EVENT_READ})
        if not data:
            raise self.deadline.failed("the peer closed the connection")
        return data

    def _take(self, size: int = _CHUNK) -> bytes | None:
        try:
            data = self._sock.recv(size)
        except BlockingIOError:
            return None
        except OSError as error:
            raise self.deadline.failed(reason_of(error)) from None
        self.drained = len(data) < size
        return data

    # -- writing

    def write(self, data: bytes) -> BaseException | None:
        """Write all of *data*; return None, or the error.

        The error is returned, not raised: the traceback of a raised one would hold
        *data* in its frames.
        """
        try:
            if self._tls is None:
                self._push(data)
            else:
                self._encrypt(self._tls, data)
        except BaseException as error:  # noqa: BLE001 - the caller raises it, from a frame without data
            return strip_traceback(error)
        return None

    def write_now(self, data: bytes) -> None:
        """Write *data* if the system takes it at once, else drop it."""
        with contextlib.suppress(OSError):
            if self._tls is not None:
                self._tls.write(data)
                data = self._outgoing.read()
            self._sock.send(data)

    def _flush_now(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.send(self._outgoing.read())

    def _encrypt(self, tls: ssl.SSLObject, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._converse(partial(tls.write, view)) :]

    def _push(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._sock.send(view) :]
            except BlockingIOError:
                self.deadline.wait({self._sock: selectors.EVENT_WRITE})
            except OSError as error:
                raise self.deadline.failed(reason_of(error)) from None

    # -- TLS

    def start_tls(self, context: ssl.SSLContext, host: str) -> str | None:
        """Start TLS with *host* and return its version. Raises the errors of `ssl`."""
        # OpenSSL works on memory buffers: this class reads the socket itself, in large
        # pieces, and no call of OpenSSL waits.
        tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._tls = tls
        try:
            self._converse(tls.do_handshake)
        except ssl.SSLError:
            self._flush_now()  # OpenSSL has buffered an alert with the reason for the peer
            raise
        return tls.version()

    def peer_names(self) -> list[str]:
        """Return the names in the peer's certificate, also of a refused one, or []."""
        # The public get_unverified_chain() exists since Python 3.13 and returns bytes
        # that nothing here can parse.
        with contextlib.suppress(AttributeError, IndexError, KeyError, TypeError):
            leaf = self._tls._sslobj.get_unverified_chain()[0]  # type: ignore[union-attr]  # noqa: SLF001
            return [name for _, name in leaf.get_info()["subjectAltName"]]
        return []

    @property
    def speaks_tls(self) -> bool:
        """True when the peer has sent a TLS record, or nothing yet."""
        return not self._first_byte or self._first_byte[0] in _TLS_RECORD_TYPES

    def _converse(self, step: Callable[[], _T]) -> _T:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._push(self._outgoing.read())
                while not self._feed():
                    self.deadline.wait({self._sock: selectors.EVENT_READ})
            else:
                self._push(self._outgoing.read())
                return result

    def _feed(self) -> bool:
        data = self._take()
        if data is None:
            return False
        if data:
            self._first_byte = self._first_byte or data[:1]
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return True

    # -- as a socket, for a library that expects one

    def recv(self, size: int) -> bytes:
        """Wait for data and return at most *size* bytes; b"" when the peer has closed.

        Not for use inside TLS.
        """
        try:
            while (data := self._take(size)) is None:
                self.deadline.wait({self._sock: selectors.EVENT_READ})
        except BaseException as error:
            self.failure = error
            raise
        return data

    def sendall(self, data: bytes) -> None:
        """Write all of *data*, or raise."""
        self.failure = self.write(data)
        del data
        if self.failure is not None:
            raise self.failure

    # -- the end

    def close(self) -> None:
        """Send TLS's close alert if that needs no wait, and close the socket.

        Idempotent.
        """
        if self._sock.fileno() >= 0 and self._tls is not None:
            with contextlib.suppress(OSError, ValueError):
                self._tls.unwrap()
            self._flush_now()
        self.release()

    def release(self) -> None:
        """Close the descriptor only: in a fork the connection is the parent's."""
        self._selector.close()
        self._sock.close()


def _parse_head(head: bytes, rest: bytes) -> Head | str:
    """Return the parsed *head*, or a text that describes the mistake.

    Values are decoded as Latin-1, in which every byte is a character, so that an unused
    header cannot fail the parse.
    """
    line, _, fields = head.partition(b"\r\n")
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        return not_http(line)
    headers: dict[str, str] = {}
    for line in _FOLD.sub(b" ", fields).split(b"\r\n") if fields else ():
        name, colon, value = line.partition(b":")
        if not colon or not name.strip() or not name.isascii():
            return f"the answer has a header that is none: {printable(line, 80)!r}"
        key = name.decode("ascii").strip().lower()
        text = value.decode("latin-1").strip()
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return Head(int(match[1]), printable(match[2] or b"", 80), headers, rest)
