"""The metrics that a client has: what each is called, what it means, where it is read.

Names and units follow the conventions of Prometheus: base units, ``_total`` for what
only grows, a gauge for what does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final

import attrs

from bybit_sync.model.events import Stream
from bybit_sync.status import Health, State, StreamTotals, SubscriptionHealth, SubscriptionState

__all__ = ["METRICS", "Metric", "Sample"]

# The values of the labels besides `client`, and the value; None for unknown.
Sample = tuple[tuple[str, ...], float | None]
Reader = Callable[[Health, datetime], Iterable[Sample]]


@attrs.frozen
class Metric:
    """A metric of a client."""

    name: str
    text: str
    """The meaning, in a sentence."""
    read: Reader
    """Returns the samples in a health, at a time (UTC)."""
    labels: tuple[str, ...] = ()
    """The labels besides `client`."""

    @property
    def is_counter(self) -> bool:
        """Return whether it never decreases while the client lives."""
        return self.name.endswith("_total")


# --- where a value is read ---


def _value(read: Callable[[Health], float | None]) -> Reader:
    return lambda health, _now: [((), read(health))]


def _time(read: Callable[[Health], datetime | None]) -> Reader:
    return _value(lambda health: _timestamp(read(health)))


def _timestamp(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment is not None else None


def _states(health: Health, _now: datetime) -> Iterator[Sample]:
    return (((state.value,), float(health.state is state)) for state in State)


def _total(read: Callable[[StreamTotals], int]) -> Reader:
    return lambda health, _now: [((stream.value,), read(total)) for stream, total in health.totals.items()]


def _gaps(health: Health, _now: datetime) -> Iterator[Sample]:
    for stream, total in health.totals.items():
        yield from (((stream.value, reason.value), number) for reason, number in total.gaps.items())


def _open(health: Health) -> dict[Stream, list[SubscriptionHealth]]:
    """Return the open subscriptions by stream."""
    found: dict[Stream, list[SubscriptionHealth]] = {}
    for subscription in health.subscriptions:
        found.setdefault(subscription.stream, []).append(subscription)
    return found


def _of_open(join: Callable[[Iterable[float]], float], read: Callable[[SubscriptionHealth, datetime], float | None]) -> Reader:
    """Return a function that joins the values of the open subscriptions of a stream."""

    def samples(health: Health, now: datetime) -> Iterator[Sample]:
        for stream, subscriptions in _open(health).items():
            values = [value for one in subscriptions if (value := read(one, now)) is not None]
            yield (stream.value,), join(values) if values else None

    return samples


def _subscriptions(health: Health, _now: datetime) -> Iterator[Sample]:
    for stream, subscriptions in _open(health).items():
        for state in (SubscriptionState.PENDING, SubscriptionState.LIVE, SubscriptionState.STALE):
            yield (stream.value, state.value), sum(one.state is state for one in subscriptions)


def _busy(subscription: SubscriptionHealth, now: datetime) -> float:
    since = subscription.busy_since
    return max(0.0, (now - since).total_seconds()) if since is not None else 0.0


_STREAM: Final = ("stream",)

METRICS: Final = (
    Metric("bybit_sync_state", "1 for the state that the client is in, 0 for the others.", _states, ("state",)),
    Metric("bybit_sync_logins_total", "Logins that the exchange accepted.", _value(lambda h: h.epoch)),
    Metric("bybit_sync_reconnects_total", "Returns to LIVE after an outage.", _value(lambda h: h.reconnects)),
    Metric("bybit_sync_outages_total", "Outages of a client that was LIVE.", _value(lambda h: h.outages)),
    Metric("bybit_sync_downtime_seconds_total", "Time not LIVE, of all outages.", _value(lambda h: h.downtime)),
    Metric(
        "bybit_sync_next_attempt_timestamp_seconds",
        "Time of the next attempt to connect, absent unless the client pauses.",
        _time(lambda h: h.next_attempt_at),
    ),
    Metric(
        "bybit_sync_last_frame_age_seconds",
        "Time since a frame of data was read, absent without a connection.",
        _value(lambda h: h.last_frame_age),
    ),
    Metric("bybit_sync_ping_rtt_seconds", "Time from the last ping to its pong.", _value(lambda h: h.ping_rtt)),
    Metric("bybit_sync_clock_offset_seconds", "The exchange's clock minus ours.", _value(lambda h: h.clock_offset)),
    Metric(
        "bybit_sync_fresh_as_of_timestamp_seconds",
        "Exchange's time up to which all that it sent was read.",
        _time(lambda h: h.fresh_as_of),
    ),
    Metric(
        "bybit_sync_recovery_pending_gaps",
        "Gaps that are being read over REST and are not mended yet.",
        _value(lambda h: len(h.recovery.pending) if h.recovery else None),
    ),
    Metric(
        "bybit_sync_recovery_requests_total",
        "Requests to the REST host.",
        _value(lambda h: h.recovery.requests if h.recovery else None),
    ),
    Metric(
        "bybit_sync_recovery_last_success_timestamp_seconds",
        "Time of the last read over REST that succeeded.",
        _time(lambda h: h.recovery.last_success if h.recovery else None),
    ),
    Metric("bybit_sync_events_total", "Events handed over, gaps included.", _total(lambda t: t.delivered), _STREAM),
    Metric("bybit_sync_dropped_events_total", "Events that found a full queue.", _total(lambda t: t.dropped), _STREAM),
    Metric(
        "bybit_sync_undecodable_rows_total",
        "Rows, and whole frames, that could not be read.",
        _total(lambda t: t.undecodable),
        _STREAM,
    ),
    Metric("bybit_sync_handler_errors_total", "Calls of callbacks that raised.", _total(lambda t: t.handler_errors), _STREAM),
    Metric("bybit_sync_gaps_total", "Gaps handed over: updates may be missing.", _gaps, ("stream", "reason")),
    Metric("bybit_sync_subscriptions", "Open subscriptions.", _subscriptions, ("stream", "state")),
    Metric("bybit_sync_queued_events", "Events that wait for their consumers.", _of_open(sum, lambda s, _: s.queued), _STREAM),
    Metric("bybit_sync_push_age_seconds", "Time since the last push.", _of_open(min, lambda s, _: s.last_push_age), _STREAM),
    Metric(
        "bybit_sync_push_lag_seconds",
        "Time that the last push was under way, by the exchange's clock.",
        _of_open(max, lambda s, _: s.last_push_lag),
        _STREAM,
    ),
    Metric(
        "bybit_sync_callback_busy_seconds",
        "Time that the longest running call of a callback has taken so far, 0 while none runs.",
        _of_open(max, _busy),
        _STREAM,
    ),
)
