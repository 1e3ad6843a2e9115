"""The public state and health of a client and of its subscriptions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from attrs import frozen

from bybit_sync.model.enums import TextEnum
from bybit_sync.model.events import Gap, GapReason, Stream
from bybit_sync.public import moved, name_public

__all__ = ["Health", "RecoveryHealth", "State", "StreamTotals", "SubscriptionHealth", "SubscriptionState"]


class State(TextEnum):
    """The state of a client. Each member equals its text: ``State.LIVE == "LIVE"``."""

    IDLE = "IDLE"
    """Nothing is subscribed: not yet, or the subscriptions could not be confirmed."""
    CONNECTING = "CONNECTING"
    """Dialling, logging in or subscribing."""
    LIVE = "LIVE"
    """Logged in, and every topic that was wanted at login is confirmed."""
    BACKING_OFF = "BACKING_OFF"
    """Waiting before the next attempt."""
    FAILED = "FAILED"
    """Ended by an error that a retry cannot fix. Final: make a new client."""
    CLOSED = "CLOSED"
    """Ended by `close`. Final."""


NEXT_STATES: Final[Mapping[State, Mapping[State, str]]] = {
    State.IDLE: {
        State.CONNECTING: "a stream is subscribed",
        State.FAILED: "a bug",
        State.CLOSED: "close()",
    },
    State.CONNECTING: {
        State.LIVE: "every stream is confirmed",
        State.BACKING_OFF: "a failure",
        State.IDLE: "subscribe_* raises",
        State.FAILED: "refused for good",
        State.CLOSED: "close()",
    },
    State.LIVE: {
        State.BACKING_OFF: "the connection is lost",
        State.CONNECTING: "cancelled, called again",
        State.IDLE: "subscribe_* cancelled",
        State.FAILED: "a bug",
        State.CLOSED: "close()",
    },
    State.BACKING_OFF: {
        State.CONNECTING: "the pause is over",
        State.IDLE: "subscribe_* raises",
        State.FAILED: "a bug",
        State.CLOSED: "close()",
    },
    State.FAILED: {},
    State.CLOSED: {},
}
"""The states that can follow each state of a client, and when each does."""


@frozen(kw_only=True)
class Health:
    """The state of a client at the moment of the call; immutable.

    *name* is that of the client. *since* is when *state* began and *connected_at* when
    the present connection was accepted, both in UTC by our clock; None without a
    connection. *next_attempt_at* is when a client that pauses connects again, UTC by
    our clock; None unless it pauses. *epoch* numbers the logins, *reconnects* counts
    the returns to LIVE. *outages* counts the times that a LIVE client lost its
    connection, *downtime* is the seconds that it was not LIVE in them, in all; the
    outage that lasts is in both. *last_error* is why the last connection or attempt
    ended, None when none did. *last_frame_age* is the seconds
    since the last frame of data was read, *ping_rtt* the seconds from the last ping to
    its pong; both None before the first frame or pong of a connection. *clock_offset*
    is the exchange's clock minus ours, in seconds, None before it was measured.
    *fresh_as_of* is the exchange's time in the last pong: all that the gateway wrote to
    this connection before it has been read; None before the first pong. *subscriptions*
    has an entry for each that is open. *totals* has for each stream the sums over all
    its subscriptions, closed ones included: they never decrease. *recovery* is the
    state of recovery; None without ``recover``.

    Example:
        >>> orders = client.subscribe_orders()
        >>> health = client.health()
        >>> health.state == "LIVE" and health.last_frame_age < 10  # a health check
        True

    """

    name: str
    state: State
    since: datetime
    connected_at: datetime | None
    next_attempt_at: datetime | None
    epoch: int
    reconnects: int
    outages: int
    downtime: float
    last_error: BaseException | None
    last_frame_age: float | None
    ping_rtt: float | None
    clock_offset: float | None
    fresh_as_of: datetime | None
    subscriptions: tuple[SubscriptionHealth, ...]
    totals: Mapping[Stream, StreamTotals]
    recovery: RecoveryHealth | None = None


@frozen(kw_only=True)
class StreamTotals:
    """The counters of a stream, summed over all subscriptions that a client has had.

    Part of `Health`, with the closed ones. *delivered*, *dropped*, *undecodable*,
    *handler_errors* and *gaps* are as in `SubscriptionHealth`.
    """

    delivered: int
    dropped: int
    undecodable: int
    handler_errors: int
    gaps: Mapping[GapReason, int]


@frozen(kw_only=True)
class RecoveryHealth:
    """The state of recovery at the moment of the call; immutable.

    Part of `Health`, None there without ``recover``.

    *pending* are the gaps that are being mended, *requests* counts the requests to the
    REST host. *last_error* is the error of the last read that failed, *last_success*
    the time of the last read that succeeded (UTC, our clock); None when there was none.
    """

    pending: tuple[Gap, ...]
    requests: int
    last_error: BaseException | None
    last_success: datetime | None


class SubscriptionState(TextEnum):
    """The state of a subscription.

    Each member equals its text: ``SubscriptionState.LIVE == "LIVE"``.
    """

    PENDING = "PENDING"
    """Asked for, and not confirmed yet."""
    LIVE = "LIVE"
    """Confirmed by the exchange: it receives updates."""
    STALE = "STALE"
    """Was LIVE, and is not confirmed again yet: updates may be missing, and a gap will
    report it.
    """
    CLOSED = "CLOSED"
    """Ended, by `close` or by its `error`."""


NEXT_SUBSCRIPTION_STATES: Final[Mapping[SubscriptionState, Mapping[SubscriptionState, str]]] = {
    SubscriptionState.PENDING: {
        SubscriptionState.LIVE: "confirmed",
        SubscriptionState.CLOSED: "close(), refused",
    },
    SubscriptionState.LIVE: {
        SubscriptionState.STALE: "the connection is lost",
        SubscriptionState.CLOSED: "close(), refused",
    },
    SubscriptionState.STALE: {
        SubscriptionState.LIVE: "confirmed again",
        SubscriptionState.CLOSED: "close(), refused",
    },
    SubscriptionState.CLOSED: {},
}
"""The states that can follow each state of a subscription, and when each does."""


@frozen(kw_only=True)
class SubscriptionHealth:
    """The state of one subscription at the moment of the call; immutable.

    Part of `Health`.

    *id* is its number among those of the client: 1, 2, … *stream* is the subscribed
    stream, and *state* the state of the subscription.

    *delivered* counts the events handed over (gaps included), *queued* those that wait,
    *dropped* those that found the buffer full, *undecodable* the rows (and whole
    frames) that could not be read, *handler_errors* the exceptions of the callback.
    *gaps* counts the gaps among *delivered*, for every reason. *busy_since* is when the
    running call of the callback began (UTC, our clock); None when none runs.
    *last_push_age* is the seconds since the last push was read, *last_push_lag* the
    seconds it was under way by the exchange's clock; both None before the first one
    (and the lag when the push carried no time).
    """

    id: int
    stream: Stream
    state: SubscriptionState
    delivered: int
    queued: int
    dropped: int
    undecodable: int
    handler_errors: int
    gaps: Mapping[GapReason, int]
    busy_since: datetime | None
    last_push_age: float | None
    last_push_lag: float | None


name_public(State, Health, RecoveryHealth, StreamTotals, SubscriptionState, SubscriptionHealth)

if not TYPE_CHECKING:
    __getattr__ = moved("StatusChange")
