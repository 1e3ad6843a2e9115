"""The open subscriptions of a client, and their events, confirmations and ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import frozen

from bybit_sync.clock import Coverage, ExchangeClock, Moment
from bybit_sync.delivery.counts import Totals
from bybit_sync.delivery.receiver import Receiver
from bybit_sync.model.events import Event, Stream, with_index
from bybit_sync.status import SubscriptionState
from bybit_sync.threads.wake_round import WakeRound

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
        self.wake_round: WakeRound = WakeRound()
        """Gathers the wake-ups of consumers while the connection thread reads."""
        self.totals: Totals = Totals()
        """The sums over its subscriptions, closed ones included."""
        # Each tuple is replaced as a whole: another thread never reads half a change.
        self._streams: dict[Stream, Receivers] = dict.fromkeys(Stream, ())
        # Open receivers with a user's queue. The library's buffer has room for every
        # gap, and needs no retry.
        self._with_queue: Receivers = ()
        # Closed and ended receivers whose full queue lacks their last gap.
        self._unflushed: list[Receiver[Any]] = []

    def __iter__(self) -> Iterator[Receiver[Any]]:
        return (receiver for stream in Stream for receiver in self._streams[stream])

    def __bool__(self) -> bool:
        return any(self._streams.values())

    def open(self) -> list[Receiver[Any]]:
        """Return the receivers that are not closed.

        A closed one is still here until the connection thread removes it. Any thread.
        """
        return [receiver for receiver in self if not receiver.is_closed]

    def wanted(self) -> dict[Stream, bool]:
        """Return the subscribed streams, each with whether it was confirmed before."""
        return {
            stream: any(receiver.state is not SubscriptionState.PENDING for receiver in receivers)
            for stream, receivers in self._streams.items()
            if receivers
        }

    def fast(self) -> set[Stream]:
        """Return the streams of which the topics of lower latency are subscribed."""
        return {receiver.stream for receiver in self if receiver.fast}

    def of_other_kind(self, receiver: Receiver[Any]) -> list[Receiver[Any]]:
        """Return the receivers of the same stream that have its other topics."""
        return [other for other in self._streams[receiver.stream] if other.fast is not receiver.fast]

    def is_established(self) -> bool:
        """Return whether a subscription exists that no `subscribe_*` call waits for."""
        return any(not r.confirm_awaited or r.state is not SubscriptionState.PENDING for r in self)

    def is_given(self, stream: Stream) -> bool:
        """Return whether the user holds a subscription to *stream*.

        The user does not yet hold one whose `subscribe_*` waits for the confirmation.
        """
        return any(not receiver.confirm_awaited for receiver in self._streams[stream])

    def has(self, stream: Stream) -> bool:
        """Return whether *stream* has a subscription."""
        return bool(self._streams[stream])

    def add(self, receiver: Receiver[Any]) -> None:
        """Add *receiver*, and number it."""
        receiver.id = self.totals.add(receiver)
        self._streams[receiver.stream] += (receiver,)
        if receiver.sink.gaps_may_wait:
            self._with_queue += (receiver,)

    def remove(self, receiver: Receiver[Any]) -> None:
        """Remove *receiver*, if it is there."""
        self._streams[receiver.stream] = tuple(r for r in self._streams[receiver.stream] if r is not receiver)
        self._with_queue = tuple(r for r in self._with_queue if r is not receiver)

    def release(self, receiver: Receiver[Any]) -> None:
        """Remove *receiver*, and retry the gap that its full queue lacks.

        The retries end when the gap fits or is discarded.
        """
        self.remove(receiver)
        self._flush_later(receiver)

    def _flush_later(self, receiver: Receiver[Any]) -> None:
        if not receiver.flush() and receiver not in self._unflushed:
            self._unflushed.append(receiver)

    def deliver(self, event: Event[Any], now: Moment) -> list[Ended]:
        """Deliver *event* to its stream; return the receivers that it ended.

        A receiver ends when its sink raises.
        """
        receivers, ended = self._streams[event.stream], []
        for receiver in receivers:
            # Each receiver numbers its own copy. The last one gets the event itself, as
            # no further copy is made from it.
            own = event if receiver is receivers[-1] else with_index(event, 0)
            try:
                receiver.deliver(own)
            except BaseException as error:  # noqa: BLE001 - an error of a sink ends its own subscription only
                ended.append(self.end(receiver, error, now, event.epoch))
        return ended

    def confirm(self, stream: Stream, coverage: Coverage, asked: Moment, now: Moment, epoch: int) -> list[Ended]:
        """Confirm every receiver of *stream*; return the receivers that it ended.

        A receiver ends when its sink raises.
        """
        return [
            ended for receiver in self._streams[stream] for ended in self.confirm_one(receiver, coverage, asked, now, epoch)
        ]

    def confirm_one(self, receiver: Receiver[Any], coverage: Coverage, asked: Moment, now: Moment, epoch: int) -> list[Ended]:
        """Confirm *receiver*; return its end if its sink raised."""
        try:
            receiver.confirm(coverage, asked, now, epoch)
        except BaseException as error:  # noqa: BLE001 - as in `deliver`
            return [self.end(receiver, error, now, epoch)]
        return []

    def unflushed(self) -> tuple[Receiver[Any], ...]:
        """Return the closed and ended receivers with a full queue that lacks a gap."""
        # A discarded gap stays in the list until the connection thread flushes again.
        return tuple(receiver for receiver in self._unflushed if receiver.sink.unflushed)

    def uncover(self, stream: Stream, asked: Moment | None) -> None:
        """Start the next gap of *stream* at *asked*, the moment of the subscribe.

        Does nothing when *asked* is None.
        """
        if asked is not None:
            for receiver in self._streams[stream]:
                receiver.uncover(asked, self.clock)

    def mark_stale(self, error: BaseException) -> None:
        """Mark every subscription STALE: the connection was lost with *error*."""
        for receiver in self:
            receiver.mark_stale(error)

    def end(self, receiver: Receiver[Any], error: BaseException, now: Moment, epoch: int) -> Ended:
        """End *receiver* with *error*; return its end."""
        # Removed afterwards: closing the client waits for those that are registered,
        # and an inline callback is called here.
        in_band = receiver.end(error, self.clock, now, epoch)
        self.remove(receiver)
        if in_band:
            self._flush_later(receiver)
        return Ended(receiver, error, in_band)

    def end_stream(self, stream: Stream, error: BaseException, now: Moment, epoch: int) -> list[Ended]:
        """End every receiver of *stream* with *error*; return their ends."""
        return [self.end(receiver, error, now, epoch) for receiver in self._streams[stream]]

    def flush(self) -> bool:
        """Retry pending gaps of full queues; return True when none are left."""
        self._unflushed = [receiver for receiver in self._unflushed if not receiver.flush()]
        pending = [receiver for receiver in self._with_queue if not receiver.flush()]
        return not self._unflushed and not pending
