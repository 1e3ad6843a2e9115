"""The listening socket, and the threads of its connections."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from bybit_sync.simulator.port import bound, successor
from bybit_sync.simulator.server.connection import Wire
from bybit_sync.simulator.server.tls import TLSSocket

__all__ = ["Listener"]

SEND_TIMEOUT = 10.0
CLOSE_TIMEOUT = 1.0

# websockets would log every login, with its signature.
_silent = logging.getLogger("bybit_sync.simulator.websockets")
_silent.setLevel(logging.CRITICAL + 1)


class Listener:
    """A port that is bound until `close`.

    It accepts connections between `listen` and `fall_silent`.

    *tls* is the server's context, None for no TLS; *admit* may refuse an upgrade with a
    response; *converse* runs on each connection's own thread until the connection ends.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None,
        admit: Callable[[ServerConnection, Request], Response | None],
        converse: Callable[[Wire], None],
    ) -> None:
        self.accepted: int = 0
        self._tls = tls
        self._admit = admit
        self._converse = converse
        self._lock = threading.Lock()
        self._wires: dict[Wire, threading.Thread] = {}
        self._arriving: set[socket.socket] = set()
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._socket = bound(host, port)
        self.host: str
        self.port: int
        self.host, self.port = self._socket.getsockname()[:2]

    def listen(self) -> None:
        """Accept connections; do nothing when it already does."""
        if self._server is not None:
            return
        self._socket.listen(128)
        self._server = serve(
            self._handle,
            sock=self._socket,
            process_request=self._admit,
            create_connection=cast("type[ServerConnection]", self._accept),
            compression=None,
            ping_interval=None,
            close_timeout=CLOSE_TIMEOUT,
            max_size=None,
            logger=_silent,
        )
        self._thread = threading.Thread(target=self._server.serve_forever, name="exchange-listener", daemon=True)
        self._thread.start()

    def fall_silent(self) -> None:
        """Cut every connection and refuse new ones.

        Returns when no connection and no thread is left.
        """
        if self._server is not None:
            heir = successor(self._socket)
            self._end()
            self._socket = heir or bound(self.host, self.port)

    def close(self) -> None:
        """Stop accepting, cut every connection, and release the port."""
        self._end()
        self._socket.close()

    def _end(self) -> None:
        with self._lock:
            server, self._server, wires, arriving = self._server, None, dict(self._wires), list(self._arriving)
        if server is None or self._thread is None:
            return
        for wire in wires:
            wire.cut()
        for sock in arriving:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        # The server would look ten times a second whether their threads have ended.
        for thread in wires.values():
            thread.join()
        server.shutdown()
        self._thread.join()

    def _accept(self, sock: socket.socket, *args: Any, **kwargs: Any) -> Wire:
        """Return the wire of an accepted connection. That connection's thread."""
        sock.settimeout(SEND_TIMEOUT)
        with self._arrival(sock) as number:
            secured = sock if self._tls is None else TLSSocket(sock, self._tls)
        # It has every method of a socket that a connection uses.
        wire = Wire(cast("socket.socket", secured), *args, **kwargs)
        wire.number = number
        with self._lock:
            try:
                self._refuse_when_silent()
            except ConnectionAbortedError:
                # Its reading thread runs already. It would wait for ever when the
                # server only closed the socket: a closed socket is no longer polled.
                wire.close_socket()
                raise
            self._wires = {known: thread for known, thread in self._wires.items() if thread.is_alive()}
            self._wires[wire] = threading.current_thread()
            return wire

    @contextlib.contextmanager
    def _arrival(self, sock: socket.socket) -> Iterator[int]:
        """Count *sock*, and register it so that `fall_silent` cuts it."""
        with self._lock:
            self._refuse_when_silent()
            self.accepted += 1
            self._arriving.add(sock)
            number = self.accepted
        try:
            yield number
        finally:
            with self._lock:
                self._arriving.discard(sock)

    def _refuse_when_silent(self) -> None:
        if self._server is None:
            raise ConnectionAbortedError("accepted while falling silent")

    def _handle(self, wire: ServerConnection) -> None:
        assert isinstance(wire, Wire)
        threading.current_thread().name = f"exchange-connection-{wire.number}"
        self._converse(wire)
