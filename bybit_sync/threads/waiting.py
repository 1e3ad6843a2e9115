"""Waiting with a deadline, so that Ctrl-C is seen, for what other threads and signal handlers bring about."""

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


# How long the main thread waits at a stretch. A signal that arrives as it begins to wait, or at another thread, does not
# wake it (on Windows none does): Ctrl-C is seen in between.
POLL_INTERVAL: Final = 0.2


def wait_slice(deadline: float | None) -> float:
    """Return the seconds until *deadline* on the monotonic clock (None: no end), at most one slice; 0 when it has passed.

    Raises `ConfigurationError` when that clock stands still: the deadline would never pass.
    """
    longest = POLL_INTERVAL if threading.current_thread() is threading.main_thread() else threading.TIMEOUT_MAX
    if deadline is None:
        return longest
    check_clock()
    return max(0.0, min(longest, deadline - time.monotonic()))


def check_clock() -> None:
    """Raise `ConfigurationError` when somebody has replaced the monotonic clock by one that stands still."""
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
    """Where threads wait until something holds; whoever may have made it hold wakes them.

    Unlike a `threading.Condition` it has no lock of its own: a signal handler may wake the code that it interrupts, at any
    place in it.
    """

    def __init__(self) -> None:
        self._waiters: set[threading.Lock] = set()

    def wait(self, wanted: Callable[[], bool], deadline: float | None) -> bool:
        """Wait until *wanted* holds; False when *deadline* passes first."""
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
            # Announced before the last look: either we see what was changed, or who changed it sees us.
            self._waiters.add(place)
            if not wanted():
                place.acquire(timeout=seconds)
        finally:
            self._waiters.discard(place)

    def wake(self) -> None:
        """Have all who wait look again. Any thread, signal handlers included; never blocks."""
        # Adding, discarding and copying a set of locks is one step each, as far as other threads can see.
        for place in self._waiters.copy() if self._waiters else ():
            # Releasing an unlocked lock raises: somebody else woke this one.
            with contextlib.suppress(RuntimeError):
                place.release()
            # Woken once is enough, until it runs there may be a thousand reasons more. Not before: Ctrl-C may come in between.
            self._waiters.discard(place)


class SignalSafeEvent:
    """A `threading.Event` that a signal handler may set while the code that it interrupts waits for it or sets it."""

    def __init__(self) -> None:
        self._is_set = False
        self._condition = SignalSafeCondition()

    def is_set(self) -> bool:
        """Say whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it, and wake all who wait for it."""
        self._is_set = True
        self._condition.wake()

    def clear(self) -> None:
        """Take it back."""
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set; False when *timeout* (in seconds; None: no limit) passes first."""
        return self._condition.wait(self.is_set, None if timeout is None else time.monotonic() + timeout)


class _Waitable(Protocol):
    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool: ...


def wait_for(event: _Waitable, deadline: float | None) -> bool:
    """Wait until *event* is set; False when *deadline* passes first. Takes no lock when there is nothing to wait for."""
    while not event.is_set():
        left = wait_slice(deadline)
        if left <= 0:
            return False
        event.wait(left)
    return True


def join(thread: threading.Thread | None, deadline: float) -> None:
    """Wait until *thread*, which has said its last word, is gone from the list of threads, too."""
    left = deadline - time.monotonic()
    # Ctrl-C may have come before it was started; then there is nothing to wait for.
    if thread is not None and thread is not threading.current_thread() and thread.is_alive() and left > 0:
        thread.join(left)


def take(right: list[None]) -> bool:
    """Take *right*, and say whether it was still there: of several threads one gets it, without a lock."""
    try:
        right.pop()
    except IndexError:
        return False
    return True


def start_thread(thread: threading.Thread) -> None:
    """Start *thread*, and return when it runs. Raises what `threading.Thread.start` raises, and Ctrl-C.

    After Ctrl-C the thread has either been started or never will be; then its `ident` is None.
    """
    if threading.current_thread() is not threading.main_thread():
        thread.start()
        return
    # `Thread.start` enters the thread in a list before the system starts it. Ctrl-C in between would leave it there for
    # ever, as if it were alive. It is raised on the main thread only, so another thread calls `start`.
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
    except BaseException as error:  # noqa: BLE001 - it is raised on the thread that asked
        failed.append(error)
    finally:
        done.set()
