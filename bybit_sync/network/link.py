"""The adapter of websocket-client: it checks the upgrade and parses rare frames.

The only file that imports that library.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from bybit_sync.config.environments import Environment
from bybit_sync.errors import describe
from bybit_sync.network.upgrade import check_answer
from bybit_sync.network.wire import Head, Wire
from bybit_sync.text import printable

try:
    import websocket
    from websocket import ABNF  # another package called websocket has no such name
except Exception as _error:
    # A user's own websocket.py may raise anything on import, and another package has
    # the same name.
    _found = getattr(importlib.util.find_spec("websocket"), "origin", None)
    _what = f"{_found} is imported instead" if _found else "it is not installed"
    raise ImportError(
        f"bybit_sync needs the package websocket-client, and {_what}: rename that file if it is yours, else "
        "pip uninstall websocket; pip install --force-reinstall websocket-client"
    ) from _error

__all__ = ["CLOSE", "CONTINUATION", "PING", "PONG", "TEXT", "Link", "framed"]

CONTINUATION, TEXT, CLOSE, PING, PONG = 0x0, 0x1, 0x8, 0x9, 0xA  # opcodes (RFC 6455, section 5.2)

# websocket-client keeps one cookie jar per process, by host name; no server can set a
# cookie for this name.
_NOWHERE = "ws://bybit-sync.invalid"


class Link:
    """A socket for websocket-client.

    It writes to the wire; its reads return only bytes that have arrived before.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        # Any, because the library's types differ between its minor versions.
        self.client: Any = websocket.WebSocket(skip_utf8_validation=True, fire_cont_frame=True, enable_multithread=False)
        self.head: Head | None = None
        self.failure: BaseException | None = None
        self._ready = b""
        self._at = 0

    def upgrade(self, environment: Environment, path: str) -> None:
        """Open the WebSocket at *path*.

        Raises `ConnectionFailed`, and `HandshakeRejected` for another status than 101.
        """
        self.wire.deadline.phase = "upgrading to a WebSocket"
        try:
            self.client.connect(
                _NOWHERE + path, socket=self, host=environment.authority, suppress_origin=True, redirect_limit=0
            )
        except BaseException as error:  # noqa: BLE001 - malformed answers raise errors of many types inside the library
            why = f"the answer opens no WebSocket: {printable(describe(error))}"
            raise self.failure or self.wire.deadline.failed(why) from None

    def read_frame(self, frame: bytes) -> Any:
        """Parse *frame*, a whole one, with websocket-client.

        Raises the errors of the library.
        """
        self._ready, self._at = frame, 0
        return self.client.recv_frame()

    def recv(self, size: int) -> bytes:
        """Return the next *size* bytes.

        They come first from the answer to the upgrade, then from the frame in
        `read_frame`.
        """
        if self.head is None:
            self._ready = self._answer()
        data = self._ready[self._at : self._at + size]
        self._at += size
        return data

    def send(self, data: bytes) -> int:
        """Write all of *data*."""
        self.failure = self.wire.write(data)
        if self.failure is not None:
            raise self.failure
        return len(data)

    def gettimeout(self) -> None:
        """Return None: no call on this socket waits."""

    def close(self) -> None:
        """Do nothing: the wire is closed by its owner."""

    def _answer(self) -> bytes:
        try:
            self.head = head = self.wire.read_head()
            return check_answer(self.wire, head)
        except BaseException as error:
            self.failure = error
            raise


def framed(opcode: int, payload: str | bytes) -> bytes:
    """Return *payload* as a masked frame.

    `WebSocket.send` is not used: it prints the payload when tracing is enabled.
    """
    frame: bytes = ABNF.create_frame(payload, opcode).format()
    return frame
