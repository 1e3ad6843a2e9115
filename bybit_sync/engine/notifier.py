"""The calls of ``on_status``: each change of state, in order, on a separate thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from attrs import frozen

from bybit_sync.config.arguments import check_ran
from bybit_sync.logs import ClientLog
from bybit_sync.public import name_public
from bybit_sync.status import State
from bybit_sync.subscription import Subscription
from bybit_sync.threads.waiting import SignalSafeEvent, take

__all__ = ["Notifier", "StatusChange"]


@frozen(kw_only=True)
class StatusChange:
    """One step of a client from *previous* to *state*, *at* our UTC time.

    ``on_status`` is called with it, on a separate thread.

    *error* is the reason, None for a good one. *downtime* is the seconds since the
    client was last LIVE, only on the return to LIVE. *subscription* is the one that
    ended by itself; the state then stays what it was.

    Example:
        >>> changes = queue.Queue()
        >>> with Client("KEY", "SECRET", environment=exchange.url, on_status=changes.put) as client:
        ...     orders = client.subscribe_orders()
        >>> [changes.get(timeout=5).state for _ in range(3)]
        [State('CONNECTING'), State('LIVE'), State('CLOSED')]

    """

    previous: State
    state: State
    at: datetime
    error: BaseException | None = None
    downtime: float | None = None
    subscription: Subscription[Any] | None = None


# Only a new subscription can change these states.
RESTING: Final = (State.IDLE, State.FAILED, State.CLOSED)


class Notifier:
    """A thread that calls *on_status* with each change, in order.

    It ends when the client is IDLE, FAILED or CLOSED, and starts again with the next
    change.
    """

    def __init__(
        self,
        on_status: Callable[[StatusChange], object],
        start: Callable[[Callable[[], None], str], None],
        log: ClientLog,
    ) -> None:
        self._on_status = on_status
        self._start = start
        self._log = log
        self._changes: queue.SimpleQueue[StatusChange] = queue.SimpleQueue()
        # Reentrant: `close` in a signal handler may interrupt `catch_up` and call it.
        self._lock = threading.RLock()
        self.idle: SignalSafeEvent = SignalSafeEvent()
        """Set while there is no thread."""
        # True when the last thread could not be started, which is logged once.
        self._is_late = False
        self.idle.set()

    def add(self, change: StatusChange) -> None:
        """Add *change*, with which *on_status* is called after the next `catch_up`.

        Any thread; takes no lock.
        """
        self._changes.put(change)

    def catch_up(self) -> None:
        """Start a thread if changes wait and no thread runs. Any thread."""
        # The new thread takes this token when it begins; this method takes it when the
        # start failed. Only one of them gets it.
        right: list[None] = []
        try:
            # Check under the lock that the thread takes to end: no change stays behind,
            # and no second thread starts without a change.
            with self._lock:
                if self.idle.is_set() and not self._changes.empty():
                    right.append(None)
                    self.idle.clear()
            if right:
                self._start(lambda: self._run(right), "status")
                self._is_late = False
        except BaseException as error:
            # No thread can be started now, or Ctrl-C came. The changes stay queued
            # until one can be started.
            if take(right):
                self.idle.set()
            if not isinstance(error, RuntimeError):
                raise
            self._say_late(error)

    def _say_late(self, error: RuntimeError) -> None:
        if not self._is_late:
            self._log.error("on_status cannot be called for now: %s", error)
        self._is_late = True

    def _run(self, right: list[None]) -> None:
        if not take(right):
            return
        resting = False
        while not (resting and self._ends()):
            change = self._changes.get()
            resting = change.state in RESTING
            try:
                check_ran(self._on_status(change))
            except BaseException as error:  # noqa: BLE001 - an error of the user's function must not end the thread
                self._log.error("on_status raised", exc_info=error)

    def _ends(self) -> bool:
        with self._lock:
            if self._changes.empty():
                self.idle.set()
            return self.idle.is_set()


name_public(StatusChange)
