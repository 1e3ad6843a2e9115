"""A way to wake a thread from its wait on the network."""

from __future__ import annotations

import contextlib
import math
import socket
import time
from collections.abc import Callable

from attrs import frozen

__all__ = ["Interrupt", "Waker"]


class Waker:
    """A descriptor to wait for beside a socket.

    Any thread and any signal handler may wake it.
    """

    def __init__(self) -> None:
        self._inside, self._outside = socket.socketpair()
        self._inside.setblocking(False)
        self._outside.setblocking(False)

    def wake(self) -> None:
        """Wake the waiting thread. Never blocks, never raises, takes no lock."""
        # EAGAIN: already signalled. Closed: no waiter left.
        with contextlib.suppress(OSError):
            self._outside.send(b"!")

    def drain(self) -> None:
        """Remove every wake-up so far. Only the waiting thread."""
        with contextlib.suppress(BlockingIOError):
            while self._inside.recv(4096):
                pass

    def wait(self, timeout: float) -> None:
        """Wait until it is woken, at most *timeout* seconds, and drain it.

        Only the waiting thread.
        """
        if timeout > 0:
            self._inside.settimeout(timeout)
            with contextlib.suppress(TimeoutError):
                self._inside.recv(4096)
            self._inside.setblocking(False)
        self.drain()

    def fileno(self) -> int:
        """Return the descriptor, which is readable from a wake-up until `drain`."""
        return self._inside.fileno()

    def close(self) -> None:
        """Close both descriptors."""
        self._inside.close()
        self._outside.close()


@frozen
class Interrupt:
    """A waker that interrupts a wait, and the function to call each time it does."""

    waker: Waker
    on_wake: Callable[[], None] = lambda: None
    """Called on the waiting thread; an error that it raises ends the wait."""
    due: Callable[[], float] = lambda: math.inf
    """Returns when *on_wake* has to be called unwoken, in monotonic seconds."""

    def wait(self, timeout: float) -> None:
        """Wait until the waker is woken, at most *timeout* seconds.

        Then call *on_wake*.
        """
        self.waker.wait(min(timeout, self.due() - time.monotonic()))
        self.on_wake()
