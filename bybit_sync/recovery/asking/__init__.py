"""The asking side of recovery: the listings that have what a stream missed.

A read is a generator of steps (`steps`), one module for each stream. Pure: the caller
that runs it sends the requests and waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from bybit_sync.model.events import Stream
from bybit_sync.recovery.asking import balances, orders, positions, trades
from bybit_sync.recovery.asking.scopes import ALL
from bybit_sync.recovery.asking.steps import Asking
from bybit_sync.recovery.wants import Answered, Want

__all__ = ["read"]

_Read = Callable[[Want, Sequence[str], datetime, tuple[float, ...]], Asking[Answered]]
_READS: Final[Mapping[Stream, _Read]] = {
    Stream.USER_TRADES: trades.read,
    Stream.POSITIONS: positions.read,
    Stream.ORDERS: orders.read,
    Stream.BALANCES: balances.read,
}


def read(want: Want, categories: Sequence[str] | None, now: datetime, waits: tuple[float, ...] = ()) -> Asking[Answered]:
    """Return the steps that answer *want*.

    * *categories* are the client's, None for every category of REST;
    * *now* is exchange time;
    * *waits* are the seconds after which it requests rows again that REST may list
      late; afterwards it answers without them.

    Running them raises `RestError`: `RestRefused` when nothing can be read at all.
    """
    return _READS[want.stream](want, ALL if categories is None else categories, now, waits)
