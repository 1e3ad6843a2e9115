"""The thread that runs a user's callback, one event at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from bybit_sync.config.arguments import check_ran
from bybit_sync.delivery.buffer import Buffer
from bybit_sync.delivery.counts import Counts
from bybit_sync.logs import ClientLog
from bybit_sync.model.events import Event
from bybit_sync.threads.waiting import SignalSafeEvent, join, start_thread, wait_for

__all__ = ["Callback", "CallbackThread"]


T = TypeVar("T")


class _Owner(Protocol):
    """The client, as far as the thread of a callback needs it."""

    log: ClientLog

    def report_error(self, error: BaseException, event: Event[Any], receiver: Any) -> None:
        """Pass an exception of the callback of *receiver* to the user."""


class _Receiver(Protocol):
    """The receiver of the events, as far as the thread of a callback needs it."""

    @property
    def counts(self) -> Counts:
        """Return the counters of the subscription."""


class CallbackThread(threading.Thread):
    """A thread that runs a user's code for *owner*.

    Closing on this thread does not wait.
    """

    def __init__(
        self,
        owner: object,
        name: str,
        target: Callable[[], None],
        receiver: Any = None,
        stopped: SignalSafeEvent | None = None,
    ) -> None:
        super().__init__(name=name, target=target, daemon=True)
        self.owner = owner
        self.receiver = receiver
        self.stopped: SignalSafeEvent = stopped or SignalSafeEvent()
        """Set when no further call is to begin; a call that waits should return."""


class Callback(Generic[T]):
    """A user's callback and the thread that calls it with each event of a buffer."""

    def __init__(self, function: Callable[[Event[T]], object], events: Buffer[T]) -> None:
        self.busy_since: float | None = None
        """The monotonic time at which the running call began; None between calls."""
        self._function = function
        self._events = events
        self._thread: CallbackThread | None = None
        self._done = SignalSafeEvent()
        self._stopped = SignalSafeEvent()
        # The number of the last event with which the callback was called and returned.
        self._finished = 0

    # --- any thread ---

    def start(self, name: str, owner: _Owner, receiver: _Receiver, on_lost: Callable[[int], None]) -> None:
        """Start the thread, called *name*, for *receiver* of *owner*.

        *on_lost* is called with the number of events that it took and did not deliver.
        Raises the errors of starting a thread, and Ctrl-C.
        """
        self._thread = CallbackThread(owner, name, lambda: self._run(owner, receiver, on_lost), receiver, self._stopped)
        start_thread(self._thread)

    @property
    def is_started(self) -> bool:
        """Return whether the thread was started; False when Ctrl-C came before."""
        # A thread has an `ident` from its start on, also after its end.
        return self._thread is not None and self._thread.ident is not None

    @property
    def is_current(self) -> bool:
        """Return whether the caller runs on this callback's thread."""
        return threading.current_thread() is self._thread

    @property
    def is_busy(self) -> bool:
        """Return whether an event was taken and the call with it has not returned."""
        return self._thread is not None and self._events.counts.delivered != self._finished

    @property
    def is_done(self) -> bool:
        """Return whether no event is left for it, judged without waiting."""
        return self._done.is_set() or (self._events.size == 0 and not self.is_busy)

    def stop(self) -> None:
        """Start no further call, and let one that waits know."""
        self._stopped.set()

    def wait_done(self, deadline: float) -> bool:
        """Wait until every event was delivered.

        Return False when *deadline* passes first.
        """
        done = wait_for(self._done, deadline)
        if done:
            join(self._thread, deadline)
        return done

    # --- only its own thread ---

    def _run(self, owner: _Owner, receiver: _Receiver, on_lost: Callable[[int], None]) -> None:
        while (event := self._events.take()) is not None:
            if self._stopped.is_set():
                on_lost(1)
                break
            self._call(event, owner, receiver)
            self._finished = event.index
        self._finished = self._events.counts.delivered
        self._done.set()

    def _call(self, event: Event[T], owner: _Owner, receiver: _Receiver) -> None:
        self.busy_since = time.monotonic()
        try:
            check_ran(self._function(event))
        except BaseException as error:  # noqa: BLE001 - an error of a callback must not end its stream
            self._report(error, event, owner, receiver)
        self.busy_since = None

    def _report(self, error: BaseException, event: Event[T], owner: _Owner, receiver: _Receiver) -> None:
        receiver.counts.handler_errors += 1
        level = owner.log.error if isinstance(error, Exception) else owner.log.critical
        level("the callback of %s raised; the next event is delivered all the same", event.stream.value, exc_info=error)
        owner.report_error(error, event, receiver)
