"""The HTTP server of the REST host, on the standard library's."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bybit_sync.simulator.port import bound, successor
from bybit_sync.simulator.rest.requests import Reply, RestRequest

__all__ = ["RestServer"]

# Timeout of a request, and of an idle connection, in seconds.
IDLE_TIMEOUT = 60.0
# The seconds until a delayed reply looks again how long it is delayed.
LOOK_AGAIN = 0.02
MOST_BODY = 1 << 20


class RestServer:
    """A port that is bound until `close`.

    It accepts connections between `listen` and `fall_silent`.

    *answer* returns the reply to a request, on the connection's own thread; *tls* is
    the server's context, None for no TLS.
    """

    def __init__(self, host: str, *, tls: ssl.SSLContext | None, answer: Callable[[RestRequest], Reply]) -> None:
        self._answer = answer
        self._tls = tls
        self._lock = threading.RLock()
        self._server: _Server | None = None
        self._address: tuple[str, int] = (host, 0)
        self._holder: socket.socket = bound(*self._address)
        self._address = self._holder.getsockname()[:2]

    @property
    def port(self) -> int:
        """The port number."""
        return self._address[1]

    def listen(self) -> None:
        """Accept connections; do nothing when it already does."""
        with self._lock:
            if self._server is None:
                self._server = _Server(self._holder, self._tls, self._answer)

    def fall_silent(self) -> None:
        """Cut every connection and refuse new ones; return when no thread is left."""
        with self._lock:
            if self._server is not None:
                heir = successor(self._holder)
                self._end()
                self._holder = heir or bound(*self._address)

    def close(self) -> None:
        """Stop accepting, cut every connection, and release the port."""
        with self._lock:
            self._end()
            self._holder.close()

    def _end(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.end()


class _Server(ThreadingHTTPServer):
    """A server from `listen` to the end of its last thread."""

    # `end` joins them after it has shut down their sockets. As daemons they never keep
    # a script alive.
    daemon_threads = True
    request_queue_size = 128
    # The longest that `end` waits where it cannot wake the thread that accepts.
    timeout = 0.05

    def __init__(self, holder: socket.socket, tls: ssl.SSLContext | None, answer: Callable[[RestRequest], Reply]) -> None:
        super().__init__(holder.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = holder
        self.answer = answer
        self.over = threading.Event()
        self._tls = tls
        self._guard = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._thread = threading.Thread(target=self._accept, name="exchange-rest", daemon=True)
        self.server_activate()
        self._thread.start()

    def _accept(self) -> None:
        while not self.over.is_set():
            self.handle_request()

    def end(self) -> None:
        """Stop accepting, cut every connection, and join its thread."""
        self.over.set()
        with contextlib.suppress(OSError):  # on Linux this wakes the thread
            self.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.socket.close()
        with self._guard:
            open_ = dict(self._open)
        for sock in open_:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in open_.values():
            thread.join()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handle a connection on a thread of its own."""
        target = self.process_request_thread
        thread = threading.Thread(target=target, args=(request, client_address), name="exchange-rest-connection", daemon=True)
        with self._guard:
            self._open[request] = thread
        thread.start()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Perform the TLS handshake, if any, and answer until the client leaves."""
        request.settimeout(IDLE_TIMEOUT)
        # A failed handshake or a cut connection needs no answer.
        with contextlib.suppress(OSError):
            if self._tls is None:
                super().finish_request(request, client_address)
                return
            with self._tls.wrap_socket(request.dup(), server_side=True) as secured:
                super().finish_request(secured, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection and remove it."""
        super().shutdown_request(request)
        with self._guard:
            self._open.pop(request, None)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "Simulated"
    sys_version = ""
    # Head and body are two writes: the second would wait 40 ms for the client's
    # delayed acknowledgement of the first.
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        """Answer a GET."""
        self._exchange()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._exchange()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as above
        """Log nothing: a path may name an account."""

    def _exchange(self) -> None:
        reply = self.server.answer(self._request())
        if not self._wait(reply):
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body[: reply.cut_after])
        self.close_connection = self.close_connection or reply.cut_after is not None

    def _wait(self, reply: Reply) -> bool:
        """Wait as long as *reply* is delayed; return False when the server ends."""
        began = time.monotonic()
        while (left := began + reply.delay() - time.monotonic()) > 0.0:
            if self.server.over.wait(min(left, LOOK_AGAIN)):
                return False
        return True

    def _request(self) -> RestRequest:
        path, _, query = self.path.partition("?")
        size = min(int(self.headers.get("Content-Length") or 0), MOST_BODY)
        return RestRequest(
            method=self.command,
            path=path,
            query=query,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(size).decode("utf-8", "replace") if size else "",
        )
