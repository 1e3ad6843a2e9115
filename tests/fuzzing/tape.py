"""A wire without a socket: what the peer sends lies there from the start, in pieces, and behind it the end."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import cast

from bybit_sync.network.wire import Deadline, Wire
from bybit_sync.threads.waker import Interrupt, Waker


class Tape(Wire):
    """Reads *pieces* and then the end; keeps what is written."""

    def __init__(self, pieces: Iterable[bytes] = ()) -> None:
        # Nothing here waits, so the waker is never looked at.
        self.deadline = Deadline("ws://peer", at=math.inf, interrupt=Interrupt(cast("Waker", None)))
        self.failure = None
        self.drained = False
        self.pieces = deque(pieces)
        self.written = b""

    def read(self) -> bytes | None:
        """Return the next piece, b"" when there is none."""
        return self.pieces.popleft() if self.pieces else b""

    def write(self, data: bytes) -> BaseException | None:
        """Keep *data*."""
        self.written += data
        return None

    def write_now(self, data: bytes) -> None:
        """Keep *data*."""
        self.written += data


def cut(data: bytes, size: int) -> list[bytes]:
    """Return *data* in pieces of *size* bytes."""
    return [data[at : at + size] for at in range(0, len(data), size)]
