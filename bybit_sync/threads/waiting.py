"""Waits with a deadline for threads and signal handlers; Ctrl-C interrupts them."""

from __future__ import annotations

import _thread
import contextlib
import threading
import time
from collections.abc import Callable
from types import BuiltinFunctionType
from typing import Final, Protocol

from bybit_sync.errors import ConfigurationError

__all__ = ["SignalSafeCondition", "SignalSafeEvent", "check_clock", "join", "start_thread", "take", "wait_for", "wait_slice"]


# The longest single wait of the main thread, in seconds. A signal that arrives as the
# wait begins, or on another thread, does not end it (on Windows no signal does), so
# that Ctrl-C is raised between two waits.
POLL_INTERVAL: Final = 0.2


def wait_slice(deadline: float | None) -> float:
    """Return the seconds until *deadline*, at most one interval; 0 when it has passed.

    *deadline* is a time of the monotonic clock, None for no limit. On the main thread
    an interval is `POLL_INTERVAL`, elsewhere as long as a lock can wait. Raises
    `ConfigurationError` when that clock stands still: the deadline would never pass.
    """
    longest = POLL_INTERVAL if threading.current_thread() is threading.main_thread() else threading.TIMEOUT_MAX
    if deadline is None:
        return longest
    check_clock()
    return max(0.0, min(longest, deadline - time.monotonic()))


def check_clock() -> None:
    """Raise `ConfigurationError` when the monotonic clock stands still.

    A test library may have replaced it.
    """
    if isinstance(time.monotonic, BuiltinFunctionType):
        return
    before = time.monotonic()
    time.sleep(0.001)
    if time.monotonic() <= before:
        raise ConfigurationError(
            "time.monotonic stands still, so that no timeout would ever pass. If freezegun stopped it, call "
            'freezegun.configure(extend_ignore_list=["bybit_sync"]) first, or freeze with tick=True'
        )


class SignalSafeCondition:
    """A condition that threads wait for, without the lock of a `threading.Condition`.

    So a signal handler may call `wake` wherever it interrupts code that waits or wakes.
    """

    def __init__(self) -> None:
        self._waiters: set[threading.Lock] = set()

    def wait(self, wanted: Callable[[], bool], deadline: float | None) -> bool:
        """Wait until *wanted* returns True; return False when *deadline* passes first.

        *deadline* is a time of the monotonic clock in seconds, None for no limit.
        """
        while not wanted():
            left = wait_slice(deadline)
            if left <= 0:
                return False
            self._wait_once(wanted, left)
        return True

    def _wait_once(self, wanted: Callable[[], bool], seconds: float) -> None:
        place = threading.Lock()
        place.acquire()
        try:
            # Register before the last check: either this thread sees the change, or the
            # thread that made it sees this one and wakes it.
            self._waiters.add(place)
            if not wanted():
                place.acquire(timeout=seconds)
        finally:
            self._waiters.discard(place)

    def wake(self) -> None:
        """Make every waiting thread check again.

        Any thread, signal handlers included; never blocks.
        """
        # Adding to, discarding from and copying a set of locks are atomic, also without
        # the GIL: each holds the set's own lock. So of a waiter that registers and a
        # copy made here, the later one sees what the other thread did before. A look at
        # the set without copying it would not do.
        for place in self._waiters.copy():
            # Releasing an unlocked lock raises: another thread woke this waiter.
            with contextlib.suppress(RuntimeError):
                place.release()
            # Waking a thread once is enough. Discard only afterwards: Ctrl-C may come
            # in between.
            self._waiters.discard(place)


class SignalSafeEvent:
    """A `threading.Event` that signal handlers may set.

    The handler may interrupt code that waits for it or sets it.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._condition = SignalSafeCondition()

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it, and wake every thread that waits for it."""
        self._is_set = True
        self._condition.wake()

    def clear(self) -> None:
        """Make it unset again."""
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set.

        Return False when *timeout* (in seconds; None: no limit) passes first.
        """
        return self._condition.wait(self.is_set, None if timeout is None else time.monotonic() + timeout)


class _Waitable(Protocol):
    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool: ...


def wait_for(event: _Waitable, deadline: float | None) -> bool:
    """Wait until *event* is set; return False when *deadline* passes first.

    Takes no lock if it is set.
    """
    while not event.is_set():
        left = wait_slice(deadline)
        if left <= 0:
            return False
        event.wait(left)
    return True


def join(thread: threading.Thread | None, deadline: float) -> None:
    """Wait until *thread*, which has done its work, has ended, or *deadline* passes."""
    left = deadline - time.monotonic()
    # A thread that Ctrl-C kept from starting cannot be joined.
    if thread is not None and thread is not threading.current_thread() and thread.is_alive() and left > 0:
        thread.join(left)


def take(right: list[None]) -> bool:
    """Take the one element of *right*; return True in the one thread that got it.

    Takes no lock.
    """
    try:
        right.pop()
    except IndexError:
        return False
    return True


def start_thread(thread: threading.Thread) -> None:
    """Start *thread*, and return when it runs.

    Raises the errors of `threading.Thread.start`, and Ctrl-C.

    After Ctrl-C the thread has either been started or never will be; then its `ident`
    is None.
    """
    if threading.current_thread() is not threading.main_thread():
        thread.start()
        return
    # `Thread.start` enters the thread in a list before the system starts it. Ctrl-C in
    # between would leave it there for ever, as if it were alive. Ctrl-C is raised on
    # the main thread only, so another thread calls `start`.
    right: list[None] = [None]
    failed: list[BaseException] = []
    done = SignalSafeEvent()
    try:
        _thread.start_new_thread(_start, (thread, right, failed, done))
        wait_for(done, None)
    except BaseException:
        if not take(right):
            wait_for(done, None)
        raise
    if failed:
        raise failed[0]


def _start(thread: threading.Thread, right: list[None], failed: list[BaseException], done: SignalSafeEvent) -> None:
    try:
        if take(right):
            thread.start()
    except BaseException as error:  # noqa: BLE001 - it is raised on the calling thread
        failed.append(error)
    finally:
        done.set()
