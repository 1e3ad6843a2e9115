"""Instants of the exchange for REST: whole milliseconds."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Final

from bybit_sync.rest.windows import Window

__all__ = ["instant", "ms", "window"]

_EPOCH: Final = datetime.fromtimestamp(0, timezone.utc)
_MILLISECOND: Final = timedelta(milliseconds=1)
# The clocks of two hosts of the exchange, and our estimate, differ: a window ends later
# than now.
_MARGIN_MS: Final = 1_000


def ms(at: datetime) -> int:
    """Return *at* in ms, rounded down."""
    return (at - _EPOCH) // _MILLISECOND


def instant(at: int) -> datetime:
    """Return the instant *at*, in ms."""
    return _EPOCH + at * _MILLISECOND


def window(since: datetime, now: datetime) -> Window:
    """Return the window from *since* to a second after *now*, or its start alone."""
    return Window(ms(since), max(ms(since), ms(now) + _MARGIN_MS))
