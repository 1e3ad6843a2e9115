"""GETs over HTTPS: the only file that knows urllib3.

urllib3 speaks HTTP; names, proxies, TLS, deadlines and interruptions are those of the
websocket, because `bybit_sync.network.dialing.dial` makes the connections. It follows
no redirect, retries nothing and keeps no cookie.
"""

from __future__ import annotations

import contextlib
import io
import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from bybit_sync._version import __version__
from bybit_sync.config.environments import Environment
from bybit_sync.errors import (
    BybitSyncError,
    ClientClosed,
    ConfigurationError,
    ConnectionFailed,
    RestError,
    RestProtocolError,
    RestRefused,
    RestTLSError,
    RestUnavailable,
    TLSError,
)
from bybit_sync.extras import install
from bybit_sync.network.dialing import dial
from bybit_sync.network.proxy import Proxy
from bybit_sync.network.wire import Wire, strip_traceback
from bybit_sync.redaction import get_logger
from bybit_sync.rest.answers import Response
from bybit_sync.rest.endpoints import Endpoint
from bybit_sync.threads.waker import Interrupt, Waker

try:
    from urllib3.connection import HTTPConnection
except ModuleNotFoundError as _error:
    raise ConfigurationError(f"recover needs the package urllib3: {install('urllib3')}") from _error

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["MOST_BYTES", "ConnectionPool"]

MOST_BYTES: Final = 4 * 1024 * 1024
"""The most bytes of one answer; a page of 200 rows has about 200 kB."""
_CHUNK: Final = 65536
_MOST_IDLE: Final = 4
_AGENT: Final = f"bybit-sync/{__version__}"
_BUSY: Final = "A client asks again after a pause; if it stays so, check the network, the proxy and the URL."
_DISTRUST_SECONDS: Final = 30.0

_log = get_logger(__name__)


class ConnectionPool:
    """Kept connections to one *host*. Any thread; each serves one request at a time.

    *proxy*, *ssl_context* and *log* are those of `dial`.
    """

    def __init__(
        self,
        host: Environment,
        *,
        proxy: Proxy | None = None,
        ssl_context: ssl.SSLContext | None = None,
        log: logging.Logger | logging.LoggerAdapter[logging.Logger] = _log,
    ) -> None:
        self._host = host
        self._dial: dict[str, Any] = {"proxy": proxy, "ssl_context": ssl_context, "log": log}
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._closed = False

    def get(
        self, endpoint: Endpoint, query: str, headers: Callable[[], Mapping[str, str]], *, deadline: float
    ) -> Response | BybitSyncError:
        """Return the response to a GET of *endpoint*, or the error, by *deadline*.

        *query* is sent unchanged; *deadline* is monotonic. *headers* is called just
        before the request is sent: once, and again when a kept connection had ended. An
        error is returned without frames, because those of urllib3 hold the headers.
        """
        target = f"{endpoint.path}?{query}" if query else endpoint.path
        while True:
            connection = self._take(deadline)
            if connection is None:
                return _closed()
            try:
                outcome = connection.ask(target, headers)
            finally:
                self._give_back(connection)
            if isinstance(outcome, Response) or not connection.had_ended:
                return outcome if isinstance(outcome, Response) else _translated(endpoint, self._host, outcome)

    def close(self) -> None:
        """Close every connection; threads that wait for an answer return at once."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            # Wake under the lock: a connection that is given back closes its waker, and
            # its descriptor may be reused.
            for connection in self._busy:
                connection.waker.wake()
        for connection in idle:
            connection.end()

    # --- connections ---

    def _take(self, deadline: float) -> _Connection | None:
        """Return a connection for this thread alone; None after `close`."""
        with self._lock:
            if self._closed:
                return None
            connection = self._idle.pop() if self._idle else _Connection(self._host, self._dial, self._check_open)
            connection.deadline = deadline
            self._busy.add(connection)
        return connection

    def _give_back(self, connection: _Connection) -> None:
        with self._lock:
            self._busy.discard(connection)
            is_kept = connection.is_reusable and not self._closed and len(self._idle) < _MOST_IDLE
            if is_kept:
                self._idle.append(connection)
        if not is_kept:
            connection.end()

    def _check_open(self) -> None:
        if self._closed:
            raise _closed()


class _Connection(HTTPConnection):
    """A urllib3 connection on a `Wire`. It belongs to one thread at a time."""

    def __init__(self, host: Environment, options: Mapping[str, Any], check_open: Callable[[], None]) -> None:
        super().__init__(host.host, host.port)
        self.waker = Waker()
        self.deadline = 0.0
        self.is_reusable = False
        """True when the last answer was read to its end and the peer keeps the
        connection open.
        """
        self.had_ended = False
        """True when the peer closed a kept connection before it got this request."""
        self._environment = host
        self._options = options
        self._check_open = check_open
        self._wire: _WireSocket | None = None

    def ask(self, target: str, headers: Callable[[], Mapping[str, str]]) -> Response | Exception:
        """Return the response to a GET of *target*, or the error without traceback."""
        is_kept = self._revive()
        try:
            return self._exchange(target, headers)
        except Exception as error:  # noqa: BLE001 - urllib3 raises many types; their tracebacks hold the headers
            failure = self._wire.failure if self._wire is not None else None
            self.had_ended = is_kept and self._wire is not None and self._wire.had_ended
            return strip_traceback(failure if isinstance(failure, Exception) else error)

    def connect(self) -> None:
        """Connect with `dial`, as the websocket does; http.client calls it."""
        interrupt = Interrupt(self.waker, self._check_open)
        wire = dial(self._environment, deadline=self.deadline, interrupt=interrupt, **self._options)
        self._wire = self.sock = _WireSocket(wire)

    def end(self) -> None:
        """Close the connection and its socket."""
        self.close()
        self.waker.close()

    def _revive(self) -> bool:
        """Return whether a kept connection is open; close it if the peer ended it."""
        self.is_reusable = self.had_ended = False
        if self._wire is not None and not self._wire.is_quiet():
            self.close()
            self._wire = None
        if self._wire is not None:
            self._wire.begin(self.deadline)
        return self._wire is not None

    def _exchange(self, target: str, headers: Callable[[], Mapping[str, str]]) -> Response:
        if self.sock is None:
            self.connect()
        # Sign after connecting, which may take longer than a signature is valid.
        more = {"Host": self._environment.authority, "User-Agent": _AGENT, "Accept": "application/json"}
        sent = time.monotonic()
        self.request("GET", target, headers={**more, **headers()}, preload_content=False, decode_content=False)
        response = self.getresponse()
        body = bytearray()
        while chunk := response.read(_CHUNK):
            body += chunk
            if len(body) > MOST_BYTES:
                raise _TooLongError
        # http.client drops its socket when the peer will close the connection.
        self.is_reusable = self.sock is not None
        names = {name.lower(): value for name, value in response.headers.items()}
        return Response(response.status, names, bytes(body), time.monotonic() - sent)


class _TooLongError(Exception):
    """The error for an answer that is longer than `MOST_BYTES`."""


class _WireSocket:
    """A socket for http.client.

    It closes the wire once it and its file are closed, as sockets do.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._users = 1
        self.failure: BaseException | None = None
        """The error of reading or writing; urllib3 replaces it with its own."""
        self._has_sent = False
        self._is_silent = True
        self._is_spoiled = False

    def begin(self, deadline: float) -> None:
        """Begin another request, which must end by *deadline* (monotonic)."""
        self._wire.deadline.at = deadline
        self.failure, self._has_sent, self._is_silent = None, False, True

    @property
    def had_ended(self) -> bool:
        """True when the connection ended before the deadline without any answer."""
        return self._has_sent and self._is_silent and time.monotonic() < self._wire.deadline.at

    def is_quiet(self) -> bool:
        """Return whether nothing arrived since the last answer: no end, no data."""
        with contextlib.suppress(ConnectionFailed):
            return not self._is_spoiled and self._wire.read() is None
        return False

    def read_some(self) -> bytes:
        """Wait for data and return it; b"" at the end."""
        deadline = self._wire.deadline
        deadline.phase = "waiting for an answer"
        try:
            while (data := self._wire.read()) is None:
                self._wire.wait(max(0.0, deadline.at - time.monotonic()))
                deadline.wait({}, until=0.0)
        except BaseException as error:
            self.failure = error
            raise
        self._is_silent = self._is_silent and not data
        return data

    # --- as http.client uses a socket ---

    def sendall(self, data: bytes) -> None:
        """Write all of *data*, or raise."""
        self._wire.deadline.phase, self._has_sent = "sending a request", True
        try:
            self._wire.sendall(data)
        except BaseException as error:
            self.failure = error
            raise

    def makefile(self, _mode: str, *_args: object) -> io.BufferedReader:
        """Return a file that reads the answer."""
        self._users += 1
        return _AnswerFile(_WireFile(self.read_some), self._let_go)

    def settimeout(self, _seconds: object) -> None:
        """Do nothing: the wire has a deadline."""

    def close(self) -> None:
        """Close the wire now, or with the file.

        Called once: http.client drops a socket that it has closed.
        """
        self._let_go(b"")

    def _let_go(self, left: bytes) -> None:
        """Remove one user of the wire; *left* are the bytes after its answer."""
        self._is_spoiled = self._is_spoiled or bool(left)
        self._users -= 1
        if self._users == 0:
            self._wire.close()


class _WireFile(io.RawIOBase):
    """The bytes of a wire as a file, until `is_over`."""

    def __init__(self, read_some: Callable[[], bytes]) -> None:
        super().__init__()
        self.is_over = False
        self._read_some = read_some
        self._rest = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read into *buffer*, and return the number of bytes; 0 at the end."""
        view = memoryview(buffer)
        data = self._rest if self._rest or self.is_over else self._read_some()
        size = min(len(view), len(data))
        view[:size] = data[:size]
        self._rest = data[size:]
        return size


class _AnswerFile(io.BufferedReader):
    """A file with one answer for http.client; *on_close* gets the bytes beyond it."""

    def __init__(self, raw: _WireFile, on_close: Callable[[bytes], None]) -> None:
        super().__init__(raw, _CHUNK)
        self._file = raw
        self._on_close = on_close

    def close(self) -> None:
        """Give the wire back. Idempotent."""
        if not self.closed:
            self._file.is_over = True
            left = self.peek(1)
            super().close()
            self._on_close(left)


# --- errors ---


def _closed() -> ClientClosed:
    return ClientClosed("the client was closed while the REST host was asked")


def _translated(endpoint: Endpoint, host: Environment, error: Exception) -> BybitSyncError:
    """Return the `BybitSyncError` for *error* of urllib3 or of a layer below it."""
    name = endpoint.name
    if isinstance(error, ClientClosed):
        return error
    if isinstance(error, _TooLongError):
        return _odd(name, f"the answer is longer than {MOST_BYTES // 1024 // 1024} MiB")
    if isinstance(error, ConfigurationError):
        return RestRefused(f"{name}: {error}", endpoint=name, remedy=str(error), is_general=True)
    if isinstance(error, TLSError):
        remedy = "Something else may answer at this address: check base_url, proxy and DNS."
        return RestTLSError(f"{name}: {error}", endpoint=name, remedy=remedy, retry_after=_DISTRUST_SECONDS)
    what = str(error) if isinstance(error, ConnectionFailed) else f"{host.authority}: {_broken(error)}"
    return RestUnavailable(f"{name}: {what}. {_BUSY}", endpoint=name, remedy=_BUSY)


def _broken(error: Exception) -> str:
    # Without its text, which a peer may control.
    return f"the HTTP answer is broken ({type(error).__name__})"


def _odd(endpoint: str, what: str) -> RestError:
    return RestProtocolError(f"{endpoint}: {what}. {_BUSY}", endpoint=endpoint, remedy=_BUSY)
