"""A lock that is handed on in turn, and that nobody waits for without limit."""

from __future__ import annotations

import threading
import time
from collections import deque

__all__ = ["FairLock"]


class FairLock:
    """Who has it may speak, and hands it to whoever waits longest. Nobody waits for ever, and then speaks all the same.

    It keeps nothing consistent: threads that would only contend for the interpreter, and wake every few milliseconds to ask
    for it, sleep here instead. For one who keeps it they wait *patience* seconds; five times as long while it goes on from one
    to the next.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Let nobody have it, or wait for it: after a fork these were threads of the parent's."""
        # Held for a few steps only.
        self._lock = threading.Lock()
        self._is_taken = False
        self._queue: deque[threading.Lock] = deque()
        self._turns = 0

    def acquire(self) -> bool:
        """Wait for it, and say whether it is ours: then `release` it."""
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return True
            place = threading.Lock()
            place.acquire()
            self._queue.append(place)
        return self._wait(place)

    def _wait(self, place: threading.Lock) -> bool:
        end = time.monotonic() + 5 * self._patience
        while True:
            # Without the lock: an old number costs some patience, and no more.
            turns = self._turns
            if place.acquire(timeout=self._patience):
                return True
            if (turns == self._turns or time.monotonic() >= end) and self._give_up(place):
                return False

    def _give_up(self, place: threading.Lock) -> bool:
        with self._lock:
            try:
                self._queue.remove(place)
            except ValueError:
                return False  # it was handed to us in this moment
            return True

    def release(self) -> None:
        """Let the next one have it."""
        with self._lock:
            self._turns += 1
            if self._queue:
                self._queue.popleft().release()
            else:
                self._is_taken = False
