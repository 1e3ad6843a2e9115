"""The sink of an account view: one stream, applied on the connection thread."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from bybit_sync.account.validity import Validity
from bybit_sync.delivery.buffer import Buffer
from bybit_sync.delivery.counts import Counts
from bybit_sync.delivery.receiver import Receiver
from bybit_sync.model.events import Event, Stream
from bybit_sync.recovery.windows import Windows
from bybit_sync.status import SubscriptionState

__all__ = ["Feed"]


class Feed:
    """Hands each event of *stream* to *apply*, and holds none.

    *on_close* is called when no more events are accepted. *changes* are the events that
    wait for `on_change`, for the feed whose receiver has that callback.
    """

    gaps_may_wait: bool = False
    overflowing: bool = False
    unflushed: int = 0
    on_drop: Callable[[Event[Any]], None] | None = None

    def __init__(
        self,
        stream: Stream,
        apply: Callable[[Feed, Event[Any]], None],
        on_close: Callable[[], None],
        changes: Buffer[Any] | None = None,
    ) -> None:
        self.stream = stream
        self.counts: Counts = Counts()
        """The counters of what was applied; nothing is dropped."""
        self.is_open: bool = True
        """False when no more events are accepted. Set by any thread."""
        self.receiver: Receiver[Any] | None = None
        """The connection thread's end of the subscription, once it is made."""
        self.windows: Windows = Windows()
        """The gaps of the subscription that wait to be read over REST."""
        self.changes = changes
        self._apply = apply
        self._on_close = on_close
        self._closed_at: datetime | None = None

    # --- only the connection thread ---

    def put(self, event: Event[Any]) -> None:
        """Apply *event*."""
        if self.is_open:
            self.counts.delivered += 1
            if event.gap is not None:
                self.counts.count_gap(event.gap)
            self._apply(self, event)

    def end(self, last: Event[Any]) -> bool:
        """Apply *last*, and nothing more; return False when it was closed before."""
        accepts = self.is_open
        self.put(last)
        self.stop_accepting()
        return accepts

    def flush(self) -> bool:
        """Return True: no gap waits."""
        return True

    # --- any thread ---

    @property
    def size(self) -> int:
        """Return how many events wait for `on_change`."""
        return self.changes.size if self.changes is not None else 0

    def wait_flushed(self, deadline: float) -> bool:  # noqa: ARG002
        """Return True at once."""
        return True

    def stop_accepting(self) -> None:
        """Apply nothing more. Signal handlers included."""
        if self.is_open:
            # Before `is_open`, after which `complete_until` returns it.
            self._closed_at = self.receiver.proven_until if self.receiver is not None else None
            self.is_open = False
        self._on_close()

    def discard(self) -> int:
        """Apply nothing more, and drop what waits for `on_change`; return how many."""
        self.stop_accepting()
        return self.changes.discard() if self.changes is not None else 0

    @property
    def is_live(self) -> bool:
        """Return whether the exchange has confirmed the stream on this connection."""
        return self.receiver is not None and self.receiver.state is SubscriptionState.LIVE

    def complete_until(self, validity: Validity) -> datetime | None:
        """Return the exchange's time up to which nothing is missing.

        Returns None before the beginning is known.
        """
        missing_since = validity.complete_until
        if missing_since is not None or not validity.is_listed:
            return missing_since
        if self.receiver is None or not self.is_open:
            return self._closed_at
        return self.receiver.proven_until
