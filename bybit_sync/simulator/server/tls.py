"""TLS of the server: a throw-away authority, and a thread-safe socket."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterable
from typing import Any

from bybit_sync.extras import absent

__all__ = ["Authority", "TLSSocket"]

_RECORD_HEADER = 5
# More than the largest record.
_RECORD_SIZE = 1 << 16


class Authority:
    """A certificate authority for tests, with a new key each time.

    The server's certificate is for *names* (host names and addresses), ``localhost``
    and the loopback addresses. Needs the package trustme.
    """

    def __init__(self, names: Iterable[str]) -> None:
        trustme = _trustme()
        authority = trustme.CA()
        self.pem: bytes = authority.cert_pem.bytes()
        self.server_context: ssl.SSLContext = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*dict.fromkeys((*names, "localhost", "127.0.0.1", "::1"))).configure_cert(self.server_context)

    def client_context(self) -> ssl.SSLContext:
        """Return the context of a client that trusts this authority only."""
        return ssl.create_default_context(cadata=self.pem.decode())


def _trustme() -> Any:
    try:
        import trustme  # noqa: PLC0415 - comes with an extra, and takes a while
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"tls: {absent('trustme')}", name=error.name) from None
    return trustme


class TLSSocket:
    """The server's end of TLS on *sock*.

    The constructor returns after the handshake.

    One thread may read while others write, which Python's own TLS sockets do not
    promise. It reads one whole TLS record at a time: no decrypted data is left when the
    socket below is empty, so ``select`` on that socket is reliable.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._arrived, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._arrived, self._leaving, server_side=True)
        # Guards *_tls* and the sending of its records, which must keep their order.
        self._lock = threading.Lock()
        self._shake_hands()

    def __getattr__(self, name: str) -> Any:
        """Return the underlying socket's attribute *name*."""
        return getattr(self._sock, name)

    def recv(self, _size: int) -> bytes:
        """Return the content of the next record; b"" at the end."""
        while self._read_record():
            with self._lock, contextlib.suppress(ssl.SSLWantReadError):
                try:
                    return self._tls.read(_RECORD_SIZE)
                finally:
                    self._send_leaving()
        return b""

    def sendall(self, data: bytes) -> None:
        """Write all of *data*."""
        with self._lock:
            self._tls.write(data)
            self._send_leaving()

    def shutdown(self, how: int) -> None:
        """End the connection: with a TLS alert for SHUT_WR, else at once."""
        if how == socket.SHUT_WR:
            with self._lock, contextlib.suppress(ssl.SSLError, OSError):
                with contextlib.suppress(ssl.SSLWantReadError):
                    self._tls.unwrap()
                self._send_leaving()
        self._sock.shutdown(how)

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._send_leaving()
                if not self._read_record():
                    raise ConnectionAbortedError("the client left in the middle of the TLS handshake") from None
            else:
                return self._send_leaving()

    def _read_record(self) -> bool:
        """Read the next record from the socket; return False at the end."""
        header = self._read_exactly(_RECORD_HEADER)
        record = header + self._read_exactly(int.from_bytes(header[3:], "big"))
        with self._lock:
            self._arrived.write(record)
        return bool(header)

    def _read_exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (part := self._sock.recv(size - len(data))):
            data += part
        return data

    def _send_leaving(self) -> None:
        if data := self._leaving.read():
            self._sock.sendall(data)
