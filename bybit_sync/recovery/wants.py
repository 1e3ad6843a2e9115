"""The reads that recovery asks for, and their answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import frozen

from bybit_sync.errors import RestRefused
from bybit_sync.model.events import Stream

__all__ = ["Answered", "Known", "Unreadable", "Want"]


@frozen
class Known:
    """An object that was open or not zero before: enough to ask for it alone.

    *id* is an order's id, a position's ``positionIdx`` ("" for any) or a coin's name; a
    coin has neither *category* nor *symbol*. *created* is when an order was created,
    None when that is not known.
    """

    category: str
    symbol: str
    id: str = ""
    created: datetime | None = None


@frozen
class Want:
    """One read of one stream.

    *since* is exchange time, inclusive: the start of the executions, or of the ended
    orders (the overlap is already subtracted); None for the open objects of now. The
    answer must account for *known*, listed or not; for trades it names symbols to
    check. *confirms* marks a confirming read, which comes after starts and outages.
    """

    stream: Stream
    since: datetime | None = None
    known: tuple[Known, ...] = ()
    confirms: bool = False


@frozen
class Unreadable:
    """A REST row that could not be decoded: its request's *path*, and the bad text."""

    path: str
    detail: str


@frozen
class Answered:
    """The answer to a `Want`.

    * *rows*: trades by (exec_time, seq, leaves_qty descending, exec_id); orders that
      have ended by their creation, then the open ones; positions that are open, then
      the exchange's own flat rows of known ones; one `BalanceUpdate` with every coin,
      zero rows of known coins included.
    * *asked_at*, *at*: exchange time at which the first request left, and of the last
      answer.
    * *unresolved*: the known objects that no answer contains.
    * *refused*: one error for each category that was refused; the rows of the others
      are here.
    * *unreadable*: the rows that could not be decoded.
    * *until*: for trades, exchange time up to which all were read, when there were too
      many for one answer: the rest is to be asked for from then on. None: up to now.
    * *lags*: the answers contradict each other, so that the exchange has more than it
      lists yet: it is to be asked again.
    """

    rows: tuple[Any, ...]
    asked_at: datetime
    at: datetime
    unresolved: tuple[Known, ...] = ()
    refused: tuple[RestRefused, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    until: datetime | None = None
    lags: bool = False
