"""The open subscriptions of a client, and their events, confirmations and ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import frozen

from bybit_sync.clock import Coverage, ExchangeClock, Moment
from bybit_sync.delivery.receiver import Receiver
from bybit_sync.model.events import Event, Stream, with_index
from bybit_sync.status import SubscriptionState

__all__ = ["Ended", "SubscriptionRegistry"]

Receivers = tuple[Receiver[Any], ...]


@frozen
class Ended:
    """The end of a subscription by an error."""

    receiver: Receiver[Any]
    error: BaseException
    in_band: bool
    """True when its consumer gets an event; otherwise the waiting `subscribe_*` raises,
    or the subscription was closed before."""


class SubscriptionRegistry:
    """The open subscriptions of a client by stream.

    Only the connection thread changes it; any thread may read it.
    """

    def __init__(self, clock: ExchangeClock) -> None:
        self.clock = clock
        """The clock of the exchange."""
        # Each tuple is replaced as a whole: another thread never reads half a change.
        self._streams: dict[Stream, Receivers] = dict.fromkeys(Stream, ())
        # Closed and ended receivers with a full queue, which still lacks their last gap.
        self._unflushed: list[Receiver[Any]] = []

    def __iter__(self) -> Iterator[Receiver[Any]]:
        return (subscription for stream in Stream for subscription in self._streams[stream])

    def __bool__(self) -> bool:
        return any(self._streams.values())

    def wanted(self) -> dict[Stream, bool]:
        """Return the subscribed streams, each with whether it was confirmed before."""
        return {
            stream: any(s.state is not SubscriptionState.PENDING for s in subscriptions)
            for stream, subscriptions in self._streams.items()
            if subscriptions
        }

    def is_established(self) -> bool:
        """Return whether there is a subscription that no `subscribe_*` call waits for."""
        return any(not s.confirm_awaited or s.state is not SubscriptionState.PENDING for s in self)

    def is_given(self, stream: Stream) -> bool:
        """Return whether *stream* has a subscription that no `subscribe_*` call waits for."""
        return any(not s.confirm_awaited for s in self._streams[stream])

    def has(self, stream: Stream) -> bool:
        """Return whether *stream* has a subscription."""
        return bool(self._streams[stream])

    def add(self, subscription: Receiver[Any]) -> None:
        """Add *subscription*."""
        self._replace(subscription.stream, (*self._streams[subscription.stream], subscription))

    def remove(self, subscription: Receiver[Any]) -> None:
        """Remove *subscription*, if it is there."""
        self._replace(subscription.stream, tuple(s for s in self._streams[subscription.stream] if s is not subscription))

    def release(self, subscription: Receiver[Any]) -> None:
        """Remove *subscription*, and retry the gap that its full queue lacks.

        The retries end when the gap fits or is discarded.
        """
        self.remove(subscription)
        self._flush_later(subscription)

    def _flush_later(self, subscription: Receiver[Any]) -> None:
        if not subscription.flush() and subscription not in self._unflushed:
            self._unflushed.append(subscription)

    def _replace(self, stream: Stream, subscriptions: Receivers) -> None:
        self._streams[stream] = subscriptions

    def deliver(self, event: Event[Any], now: Moment) -> list[Ended]:
        """Deliver *event* to its stream; return the ends of receivers whose sink raised."""
        subscriptions, ended = self._streams[event.stream], []
        for subscription in subscriptions:
            # Each receiver numbers its own copy. The last one gets the event itself, as no
            # further copy is made from it.
            own = event if subscription is subscriptions[-1] else with_index(event, 0)
            try:
                subscription.deliver(own)
            except BaseException as error:  # noqa: BLE001 - a sink that raises ends its own subscription only
                ended.append(self.end(subscription, error, now, event.epoch))
        return ended

    def confirm(self, stream: Stream, coverage: Coverage, asked: Moment, now: Moment, epoch: int) -> list[Ended]:
        """Confirm every receiver of *stream*; return the ends of those whose sink raised."""
        return [
            ended
            for subscription in self._streams[stream]
            for ended in self.confirm_one(subscription, coverage, asked, now, epoch)
        ]

    def confirm_one(
        self, subscription: Receiver[Any], coverage: Coverage, asked: Moment, now: Moment, epoch: int
    ) -> list[Ended]:
        """Confirm *subscription*; return its end if its sink raised."""
        try:
            subscription.confirm(coverage, asked, now, epoch)
        except BaseException as error:  # noqa: BLE001 - as in `deliver`
            return [self.end(subscription, error, now, epoch)]
        return []

    def unflushed(self) -> tuple[Receiver[Any], ...]:
        """Return the closed and ended receivers with a full queue that lacks a gap."""
        # A discarded gap stays in the list until the connection thread flushes again.
        return tuple(subscription for subscription in self._unflushed if subscription.sink.unflushed)

    def uncover(self, stream: Stream, asked: Moment | None) -> None:
        """Have the next gap of *stream* begin at *asked*, when the stream was asked for.

        Does nothing when *asked* is None.
        """
        if asked is not None:
            for subscription in self._streams[stream]:
                subscription.uncover(asked, self.clock)

    def mark_stale(self, error: BaseException) -> None:
        """Mark every subscription STALE: the connection was lost with *error*."""
        for subscription in self:
            subscription.mark_stale(error)

    def end(self, subscription: Receiver[Any], error: BaseException, now: Moment, epoch: int) -> Ended:
        """End *subscription* with *error*; return its end."""
        self.remove(subscription)
        in_band = subscription.end(error, self.clock, now, epoch)
        if in_band:
            self._flush_later(subscription)
        return Ended(subscription, error, in_band)

    def end_stream(self, stream: Stream, error: BaseException, now: Moment, epoch: int) -> list[Ended]:
        """End every receiver of *stream* with *error*; return their ends."""
        return [self.end(subscription, error, now, epoch) for subscription in self._streams[stream]]

    def flush(self) -> bool:
        """Retry pending gaps of full queues; return True when none are left."""
        self._unflushed = [s for s in self._unflushed if not s.flush()]
        pending = [s for s in self if not s.flush()]
        return not self._unflushed and not pending
