"""Delivery on the connection thread, without a hand-over to another one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from bybit_sync.config.arguments import plain_callable, refuse
from bybit_sync.delivery.counts import Counts
from bybit_sync.delivery.user_call import CallOwner, CallReceiver, UserCall
from bybit_sync.model.events import Event, set_index
from bybit_sync.public import name_public
from bybit_sync.threads.waiting import SignalSafeCondition

__all__ = ["Inline", "InlineSink"]


T = TypeVar("T")
E_contra = TypeVar("E_contra", contravariant=True)

# A call that takes longer, in seconds, is warned about, once for a subscription.
SLOW: Final = 0.1


class Inline(Generic[E_contra]):
    """A sink that runs *callback* on the connection thread.

    There is no hand-over between threads: the lowest latency. In return all of its
    client waits for the callback, pings included, and for a moment the other clients of
    the process. A call that takes longer than 0.1 s is warned about when it has
    returned, once for a subscription.

    What the callback raises is isolated as for any callback, and ``on_error`` runs on
    the same thread. It may call what does not wait: `close`, which then does not, and
    ``subscribe_*`` with ``wait=False``. Nothing is buffered, so nothing is dropped:
    *maxsize* and *overflow* of ``subscribe_*`` do not apply.

    Example:
        >>> seen = queue.SimpleQueue()
        >>> orders = client.subscribe_orders(Inline(seen.put))
        >>> order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
        >>> seen.get(timeout=5).data[0].order_status
        OrderStatus('New')

    Raises:
        ConfigurationError: *callback* cannot be called, or is a coroutine or generator
            function.

    """

    def __init__(self, callback: Callable[[E_contra], object]) -> None:
        if callback is None:
            raise refuse("callback", callback, "give something that can be called")
        self._callback: Callable[[E_contra], object] = plain_callable("callback", callback)

    def __repr__(self) -> str:
        return f"Inline({self._callback!r})"


class InlineSink(Generic[T]):
    """A sink whose `put` calls the function of *inline*, with numbered events.

    It is the subscription's callback too. Only the connection thread uses it, unless a
    method says otherwise.
    """

    gaps_may_wait: bool = False
    overflowing: bool = False
    on_drop: Callable[[Event[Any]], None] | None = None
    size: int = 0
    unflushed: int = 0
    is_started: bool = True

    def __init__(self, inline: Inline[Event[T]]) -> None:
        self.counts: Counts = Counts()
        """The counters of what the function was called with; nothing is dropped."""
        self._function = inline._callback  # noqa: SLF001 - it shows users nothing
        self._call: UserCall[T] | None = None
        self._owner: CallOwner | None = None
        self._open = True
        # The thread that runs `put`; None between two of them.
        self._thread: int | None = None
        self._condition = SignalSafeCondition()
        self._has_warned = False

    def start(self, name: str, owner: CallOwner, receiver: CallReceiver, on_lost: object) -> None:  # noqa: ARG002 - as `Callback.start`
        """Call the function for *receiver* of *owner*. No thread is started."""
        self._owner = owner
        self._call = UserCall(self._function, owner, receiver)

    def put(self, event: Event[T]) -> None:
        """Call the function with *event*, if events are accepted."""
        self._hand_over(event, is_last=False)

    def end(self, last: Event[T]) -> bool:
        """Call the function with *last*, and accept nothing more.

        Returns False when it was closed before.
        """
        return self._hand_over(last, is_last=True)

    def _hand_over(self, event: Event[T], *, is_last: bool) -> bool:
        # Set it before checking `_open`; a thread that closes checks it afterwards, so
        # at least one side notices.
        self._thread = threading.get_ident()
        try:
            if accepts := self._open:
                self._open = not is_last
                self._run(event)
                if not self._open:
                    self._finish()
            return accepts
        finally:
            self._thread = None
            if not self._open:
                self._condition.wake()

    def _run(self, event: Event[T]) -> None:
        assert self._call is not None
        counts = self.counts
        set_index(event, counts.delivered + 1)
        counts.delivered += 1
        if event.gap is not None:
            counts.count_gap(event.gap)
        began = time.monotonic()
        self._call.run(event)
        seconds = time.monotonic() - began
        if seconds > SLOW and not self._has_warned:
            self._warn(event, seconds)

    def _finish(self) -> None:
        if self._call is not None:
            self._call.finish()

    def _warn(self, event: Event[T], seconds: float) -> None:
        assert self._owner is not None
        self._has_warned = True
        text = "the inline callback of %s ran for %.1f s, and all of the client waited: be quicker, or do not use Inline"
        self._owner.log.warning(text, event.stream.value, seconds)

    def flush(self) -> bool:
        """Return True: no gap waits."""
        return True

    # --- any thread ---

    @property
    def busy_since(self) -> float | None:
        """Return the monotonic time at which the running call began, or None."""
        return self._call.busy_since if self._call is not None else None

    @property
    def is_current(self) -> bool:
        """Return whether the caller runs in this callback."""
        return self._thread == threading.get_ident()

    @property
    def is_busy(self) -> bool:
        """Return whether a call is running."""
        return self._thread is not None

    @property
    def is_done(self) -> bool:
        """Return whether no call runs, and none will."""
        return self._thread is None and not self._open

    def wait_done(self, deadline: float) -> bool:
        """Wait until no call runs, and none will.

        Return False when *deadline* passes first.
        """
        if not self._condition.wait(lambda: self.is_done, deadline):
            return False
        self._finish()
        return True

    wait_flushed = wait_done

    def stop_accepting(self) -> None:
        """Start no further call. Signal handlers included."""
        self._open = False
        self._condition.wake()

    stop = stop_accepting

    def discard(self) -> int:
        """Start no further call; return 0, because nothing is buffered."""
        self.stop_accepting()
        return 0


name_public(Inline)
