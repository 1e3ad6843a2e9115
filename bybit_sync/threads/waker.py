"""The bell that wakes a connection thread from its wait on the network."""

from __future__ import annotations

import contextlib
import socket

__all__ = ["Bell"]


class Bell:
    """Something to wait for beside a socket, rung from any thread and from signal handlers."""

    def __init__(self) -> None:
        self._inside, self._outside = socket.socketpair()
        self._inside.setblocking(False)
        self._outside.setblocking(False)

    def ring(self) -> None:
        """Wake the waiting thread. Never blocks, never raises, takes no lock."""
        # A full pipe means that it rings already; a closed one that nobody waits any more.
        with contextlib.suppress(OSError):
            self._outside.send(b"!")

    def silence(self) -> None:
        """Take back every ring so far. Only the waiting thread."""
        with contextlib.suppress(BlockingIOError):
            while self._inside.recv(4096):
                pass

    def wait(self, timeout: float) -> None:
        """Return when it rings, at the latest after *timeout* seconds, and take back every ring."""
        if timeout > 0:
            self._inside.settimeout(timeout)
            with contextlib.suppress(TimeoutError):
                self._inside.recv(4096)
            self._inside.setblocking(False)
        self.silence()

    def fileno(self) -> int:
        """Return the descriptor to wait on: readable while the bell rings."""
        return self._inside.fileno()

    def close(self) -> None:
        """Give both descriptors back."""
        self._inside.close()
        self._outside.close()
