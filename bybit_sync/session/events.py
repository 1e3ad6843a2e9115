"""The events of a session besides those of streams."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from bybit_sync.clock import Moment
from bybit_sync.errors import SubscriptionRejected
from bybit_sync.model.events import Event, Stream

__all__ = ["AllConfirmed", "LoggedIn", "SessionEvent", "StreamConfirmed", "StreamRejected"]


@frozen
class LoggedIn:
    """The exchange accepted the login."""


@frozen
class StreamConfirmed:
    """Every topic of *stream* is subscribed.

    The first request for one of them was sent at *asked*.
    """

    stream: Stream
    asked: Moment


@frozen
class AllConfirmed:
    """Every topic wanted at login is confirmed. Comes once per session."""


@frozen
class StreamRejected:
    """*stream* is finally refused, and no longer wanted."""

    stream: Stream
    error: SubscriptionRejected
    uncovered: Moment | None = None
    """The moment since which pushes may be missing without a gap, or None."""


SessionEvent = LoggedIn | StreamConfirmed | AllConfirmed | StreamRejected | Event[Any]
