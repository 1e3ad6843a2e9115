"""A fair lock that no thread can keep for long."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

__all__ = ["FairLock"]

# Longer than nearly every turn, in seconds.
_TURN: Final = 0.01
# The longest wait of a thread, in patiences, however the lock is passed on.
_LONGEST: Final = 100


class _Place:
    """The place of a thread that waits for turn *number*, or for an earlier one."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.turn = 0
        self.lock = threading.Lock()
        self.lock.acquire()


class FairLock:
    """A lock that goes to the thread that has waited longest, for a bounded wait.

    It is best effort: a thread that keeps it loses it, and one whose wait takes too
    long goes on without it. So it must not protect data. It keeps threads from
    contending for the GIL, each of which would wake every few milliseconds to ask for
    it. Measured without it: a burst over 500 clients in one process cost up to a
    hundred times as much as over one.

    A thread loses it after *patience* seconds. That is noticed by a thread that waits,
    after a time that grows with its place in the queue: hundreds that woke to look
    would contend for the GIL too. Measured with a time that does not: a flood over 500
    clients cost four times as much a message as over one, otherwise one and a half
    times.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Forget holder and waiters, which are threads of the parent process."""
        # Protects the fields below. Held for a few steps only, never while waiting.
        self._lock = threading.Lock()
        self._is_taken = False
        self._queue: deque[_Place] = deque()
        # The number of the current turn, or of the last one.
        self._turn = 0

    def acquire(self) -> int:
        """Wait for the lock; return the number of the turn, to call `release` with.

        Returns 0 when the wait took too long. Any thread.
        """
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                self._turn += 1
                return self._turn
            place = _Place(self._turn + 1 + len(self._queue))
            self._queue.append(place)
        return self._wait(place)

    def _wait(self, place: _Place) -> int:
        end = time.monotonic() + _LONGEST * self._patience
        while True:
            # Read without the lock: a stale number only lets the holder keep it longer.
            turn = self._turn
            if place.lock.acquire(timeout=self._patience + max(0, place.number - turn) * _TURN):
                return place.turn
            # The same turn for all that time: its thread does not go on.
            self.release(turn)
            if time.monotonic() >= end and self._give_up(place):
                return 0

    def _give_up(self, place: _Place) -> bool:
        with self._lock:
            try:
                self._queue.remove(place)
            except ValueError:
                return False  # the lock was handed to this thread just now
            return True

    def release(self, turn: int) -> None:
        """Hand the lock to the thread that has waited longest, if *turn* is current.

        Does nothing for a turn that was lost, and for 0.
        """
        with self._lock:
            if turn != self._turn or not self._is_taken:
                return
            if not self._queue:
                self._is_taken = False
                return
            self._turn += 1
            place = self._queue.popleft()
            place.turn = self._turn
            place.lock.release()
