"""Who receives which stream, and what each of them is told."""

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
    """Whether its consumer is told by an event; otherwise the `subscribe_*` that waits for it raises, or it was closed."""


class SubscriptionRegistry:
    """The open subscriptions of a client by stream. Changed by the connection thread only; may be read from any."""

    def __init__(self, clock: ExchangeClock) -> None:
        self.clock = clock
        """The exchange's."""
        # Tuples, replaced as a whole: another thread that reads one never sees half a change.
        self._streams: dict[Stream, Receivers] = dict.fromkeys(Stream, ())
        # Closed and ended ones whose queue had no room for their last gap.
        self._unflushed: list[Receiver[Any]] = []

    def __iter__(self) -> Iterator[Receiver[Any]]:
        return (subscription for stream in Stream for subscription in self._streams[stream])

    def __bool__(self) -> bool:
        return any(self._streams.values())

    def wanted(self) -> dict[Stream, bool]:
        """Return the streams that are subscribed to, and of each whether somebody received it before."""
        return {
            stream: any(s.state is not SubscriptionState.PENDING for s in subscriptions)
            for stream, subscriptions in self._streams.items()
            if subscriptions
        }

    def is_established(self) -> bool:
        """Say whether there is any whose failure nobody waits to be told."""
        return any(not s.confirm_awaited or s.state is not SubscriptionState.PENDING for s in self)

    def is_given(self, stream: Stream) -> bool:
        """Say whether somebody holds a subscription to *stream* without waiting for its confirmation."""
        return any(not s.confirm_awaited for s in self._streams[stream])

    def has(self, stream: Stream) -> bool:
        """Say whether anybody subscribes to *stream*."""
        return bool(self._streams[stream])

    def add(self, subscription: Receiver[Any]) -> None:
        """Enter *subscription*."""
        self._replace(subscription.stream, (*self._streams[subscription.stream], subscription))

    def remove(self, subscription: Receiver[Any]) -> None:
        """Strike *subscription* off, if it is there."""
        self._replace(subscription.stream, tuple(s for s in self._streams[subscription.stream] if s is not subscription))

    def release(self, subscription: Receiver[Any]) -> None:
        """Strike *subscription* off; a gap that its queue had no room for is offered until it fits or is discarded."""
        self.remove(subscription)
        self._flush_later(subscription)

    def _flush_later(self, subscription: Receiver[Any]) -> None:
        if not subscription.flush() and subscription not in self._unflushed:
            self._unflushed.append(subscription)

    def _replace(self, stream: Stream, subscriptions: Receivers) -> None:
        self._streams[stream] = subscriptions

    def deliver(self, event: Event[Any], now: Moment) -> list[Ended]:
        """Pass *event* to all that receive its stream, and return those that ended because their sink raised."""
        subscriptions, ended = self._streams[event.stream], []
        for subscription in subscriptions:
            # Each is to number one of its own; the last one gets the event itself, when nobody copies from it any more.
            own = event if subscription is subscriptions[-1] else with_index(event, 0)
            try:
                subscription.deliver(own)
            except BaseException as error:  # noqa: BLE001 - a queue may raise anything, and costs itself only
                ended.append(self.end(subscription, error, now, event.epoch))
        return ended

    def confirm(self, stream: Stream, coverage: Coverage, asked: Moment, now: Moment, epoch: int) -> list[Ended]:
        """Tell all that receive *stream* that it is subscribed, and return those that ended because their sink raised."""
        return [
            ended
            for subscription in self._streams[stream]
            for ended in self.confirm_one(subscription, coverage, asked, now, epoch)
        ]

    def confirm_one(
        self, subscription: Receiver[Any], coverage: Coverage, asked: Moment, now: Moment, epoch: int
    ) -> list[Ended]:
        """Tell *subscription* that its stream is subscribed, and return its end if its sink raised."""
        try:
            subscription.confirm(coverage, asked, now, epoch)
        except BaseException as error:  # noqa: BLE001 - as in `deliver`
            return [self.end(subscription, error, now, epoch)]
        return []

    def unflushed(self) -> tuple[Receiver[Any], ...]:
        """Return those that are closed or have ended, and whose queue had no room for their last gap."""
        # One that was given up stays in the list until the connection thread looks again.
        return tuple(subscription for subscription in self._unflushed if subscription.has_unflushed)

    def uncover(self, stream: Stream, asked: Moment | None) -> None:
        """Have the next gap of all that receive *stream* begin when it was asked for, at *asked*, unless that is None."""
        if asked is not None:
            for subscription in self._streams[stream]:
                subscription.uncover(asked, self.clock)

    def mark_stale(self, error: BaseException) -> None:
        """Tell all that the connection is gone."""
        for subscription in self:
            subscription.mark_stale(error)

    def end(self, subscription: Receiver[Any], error: BaseException, now: Moment, epoch: int) -> Ended:
        """End *subscription* with *error*, and return its end."""
        self.remove(subscription)
        in_band = subscription.end(error, self.clock, now, epoch)
        if in_band:
            self._flush_later(subscription)
        return Ended(subscription, error, in_band)

    def end_stream(self, stream: Stream, error: BaseException, now: Moment, epoch: int) -> list[Ended]:
        """End all that receive *stream* with *error*, and return their ends."""
        return [self.end(subscription, error, now, epoch) for subscription in self._streams[stream]]

    def flush(self) -> bool:
        """Offer full queues what they are owed; say whether nothing is owed any more."""
        self._unflushed = [s for s in self._unflushed if not s.flush()]
        owing = [s for s in self if not s.flush()]
        return not self._unflushed and not owing
