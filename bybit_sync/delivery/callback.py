"""The thread that runs a user's callback, one event at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from bybit_sync.delivery.buffer import Buffer
from bybit_sync.delivery.user_call import CallOwner, CallReceiver, UserCall
from bybit_sync.model.events import Event
from bybit_sync.threads.waiting import SignalSafeEvent, join, start_thread, wait_for

__all__ = ["Callback", "CallbackThread", "Consumer"]


T = TypeVar("T")


class Consumer(Protocol):
    """A user's callback, as far as the subscription needs it.

    Any thread may use it.
    """

    def start(self, name: str, owner: CallOwner, receiver: CallReceiver, on_lost: Callable[[int], None], /) -> None:
        """Begin to call it for *receiver* of *owner*; a thread is called *name*.

        *on_lost* is called with the number of events that were taken and not delivered.
        Raises the errors of starting a thread, and Ctrl-C.
        """

    @property
    def busy_since(self) -> float | None:
        """Return the monotonic time at which the running call began.

        None between calls.
        """

    @property
    def is_started(self) -> bool:
        """Return whether it was started; False when Ctrl-C came before."""

    @property
    def is_current(self) -> bool:
        """Return whether the caller runs on the thread of its calls, in one of them."""

    @property
    def is_busy(self) -> bool:
        """Return whether an event was taken and the call with it has not returned."""

    @property
    def is_done(self) -> bool:
        """Return whether no event is left for it, judged without waiting."""

    def stop(self) -> None:
        """Start no further call."""

    def wait_done(self, deadline: float) -> bool:
        """Wait until every event was delivered.

        Return False when *deadline* passes first.
        """


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
        self._function = function
        self._events = events
        self._call: UserCall[T] | None = None
        self._thread: CallbackThread | None = None
        self._done = SignalSafeEvent()
        self._stopped = SignalSafeEvent()
        # The number of the last event with which the callback was called and returned.
        self._finished = 0

    # --- any thread ---

    def start(self, name: str, owner: CallOwner, receiver: CallReceiver, on_lost: Callable[[int], None]) -> None:
        """Start the thread, called *name*, for *receiver* of *owner*.

        *on_lost* is called with the number of events that it took and did not deliver.
        Raises the errors of starting a thread, and Ctrl-C.
        """
        call = self._call = UserCall(self._function, owner, receiver)
        self._thread = CallbackThread(owner, name, lambda: self._run(call, on_lost), receiver, self._stopped)
        start_thread(self._thread)

    @property
    def busy_since(self) -> float | None:
        """Return the monotonic time at which the running call began.

        None between calls.
        """
        return self._call.busy_since if self._call is not None else None

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

    def _run(self, call: UserCall[T], on_lost: Callable[[int], None]) -> None:
        while (event := self._events.take()) is not None:
            if self._stopped.is_set():
                on_lost(1)
                break
            call.run(event)
            self._finished = event.index
        call.finish()
        self._finished = self._events.counts.delivered
        self._done.set()
