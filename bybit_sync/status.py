"""What a client tells about itself: `State`, `StatusChange`, `Health`."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from attrs import frozen

from bybit_sync.config.arguments import check_ran
from bybit_sync.logs import ClientLog
from bybit_sync.model.enums import TextEnum
from bybit_sync.subscription import Subscription, SubscriptionHealth
from bybit_sync.threads.waiting import Flag, Parking, take

__all__ = ["Health", "Notifier", "Situation", "State", "StatusChange"]


class State(TextEnum):
    """What a client is doing. Each is its text: ``State.LIVE == "LIVE"``."""

    IDLE = "IDLE"
    """Nothing was subscribed yet, or nothing that could be confirmed."""
    CONNECTING = "CONNECTING"
    """Dialling, logging in or subscribing."""
    LIVE = "LIVE"
    """Logged in, and every topic wanted at login is confirmed."""
    BACKING_OFF = "BACKING_OFF"
    """Waiting before the next attempt."""
    FAILED = "FAILED"
    """Ended by an error that trying again cannot mend. Final: make a new client."""
    CLOSED = "CLOSED"
    """Ended by `close`. Final."""


@frozen(kw_only=True)
class StatusChange:
    """One step of a client from *previous* to *state*, *at* our UTC time: what ``on_status`` is called with, on its own thread.

    *error* is the reason, None for a good one. *downtime* is the seconds since the client was last LIVE, only on the return
    to LIVE. *subscription* is the one that ended by itself; the state then stays what it was.

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


@frozen(kw_only=True)
class Health:
    """The state of a client, at the time of asking; immutable.

    *since* is when *state* began and *connected_at* when the present connection was accepted, both our UTC time, None
    without one. *epoch* numbers the logins, *reconnects* counts the returns to LIVE. *last_error* is why the last connection
    or attempt ended, None when none did. *last_frame_age* is the seconds since the last frame of data was read, *ping_rtt* the
    seconds from the last ping to its pong; both None before the first frame or pong of a connection. *clock_offset* is the
    exchange's clock minus ours, in seconds, None before it was measured. *fresh_as_of* is the exchange's time in the last pong:
    all that the gateway wrote to this connection before it has been read; None before the first pong. *subscriptions* tells of
    each that is open.

    Example:
        >>> orders = client.subscribe_orders()
        >>> health = client.health()
        >>> health.state == "LIVE" and health.last_frame_age < 10  # a health check
        True

    """

    state: State
    since: datetime
    connected_at: datetime | None
    epoch: int
    reconnects: int
    last_error: BaseException | None
    last_frame_age: float | None
    ping_rtt: float | None
    clock_offset: float | None
    fresh_as_of: datetime | None
    subscriptions: tuple[SubscriptionHealth, ...]


class Situation:
    """The state of a client, to be read and waited for from any thread."""

    def __init__(self, now: datetime) -> None:
        # Reentrant: `close` in a signal handler may change it while the interrupted call does.
        self._lock = threading.RLock()
        self._parking = Parking()
        self.state: State = State.IDLE
        self.since: datetime = now
        self.error: BaseException | None = None
        """What the client failed with, or its last subscription ended with; None while there is hope."""

    def change(self, state: State, at: datetime) -> State | None:
        """Set *state* and return the one before; None when it is the same, or when that one was final."""
        with self._lock:
            previous = self.state
            if previous in (state, State.CLOSED, State.FAILED):
                return None
            self.state, self.since = state, at
        self._parking.wake()
        return previous

    def hope(self) -> None:
        """Forget why the last subscription ended: there is another one. What a client failed with stays."""
        with self._lock:
            if self.state is not State.FAILED:
                self.error = None

    def tell(self, error: BaseException | None) -> None:
        """Set *error*."""
        self.error = error
        self._parking.wake()

    def wait(self, wanted: Callable[[], bool], deadline: float | None) -> bool:
        """Wait until *wanted*, which looks at this, holds; False when *deadline* passes first."""
        return self._parking.wait(wanted, deadline)


# States in which nothing more is to be expected, unless somebody subscribes again.
RESTING: Final = (State.IDLE, State.FAILED, State.CLOSED)


class Notifier:
    """Calls *on_status* with each change, in order, on a thread that lives until the client rests."""

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
        # Reentrant: `close` in a signal handler may post while the interrupted call does.
        self._lock = threading.RLock()
        self.idle: Flag = Flag()
        """Set while there is no thread."""
        # Whether the last thread could not be started: that is told once.
        self._is_late = False
        self.idle.set()

    def post(self, change: StatusChange) -> None:
        """Have *on_status* called with *change*. Any thread."""
        self._changes.put(change)
        self.catch_up()

    def catch_up(self) -> None:
        """Start a thread if there is something to tell and none that tells it: it could not be started before. Any thread."""
        # Taken by the thread when it begins, or taken back when it could not be started: one of both gets it.
        right: list[None] = []
        try:
            # Under one lock with the thread's end: it never leaves a change behind, nor a second thread with nothing to tell.
            with self._lock:
                if self.idle.is_set() and not self._changes.empty():
                    right.append(None)
                    self.idle.clear()
            if right:
                self._start(lambda: self._run(right), "status")
                self._is_late = False
        except BaseException as error:
            # No thread can be started now, or Ctrl-C came. What there is to tell stays in line until one can be.
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
            except BaseException as error:  # noqa: BLE001 - nothing that it raises ends the thread
                self._log.error("on_status raised", exc_info=error)

    def _ends(self) -> bool:
        with self._lock:
            if self._changes.empty():
                self.idle.set()
            return self.idle.is_set()
