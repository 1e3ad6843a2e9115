"""Books can be read as they were a moment ago."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bybit_sync.simulator.books.history import History, Table
from bybit_sync.simulator.books.ledger import Ledger


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return what it was set to."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that is set by hand."""
    return Clock()


def test_every_way_to_change_a_table_is_taken_back(clock: Clock) -> None:
    """In the reverse order."""
    history = History(clock)
    table = Table(history, {"a": 1, "b": 2, "c": 3})
    clock.now += 1
    table["a"] = 10
    table["a"] = 11
    del table["b"]
    assert (table.pop("c"), table.pop("nothing"), table.setdefault("d", 4), table.setdefault("a", 5)) == (3, None, 4, 11)
    assert history.as_of(0.0, [table]) == [{"a": 11, "d": 4}]
    assert history.as_of(1.0, [table]) == [{"a": 1, "b": 2, "c": 3}]


def test_a_change_is_seen_from_its_instant_on(clock: Clock) -> None:
    """And not before."""
    history = History(clock)
    table = Table(history, {})
    for number in range(3):
        table["x"] = number
        clock.now += 1
    assert [history.as_of(lag, [table])[0].get("x") for lag in (0.5, 1.0, 1.5, 2.5, 3.5)] == [2, 2, 1, 0, None]


def test_what_is_older_than_a_minute_is_forgotten(clock: Clock) -> None:
    """So that a busy account costs no more."""
    history = History(clock)
    table = Table(history, {})
    table["x"] = 1
    clock.now += 61
    table["x"] = 2
    assert len(history._changes) == 1
    assert history.as_of(62.0, [table]) == [{"x": 1}]


def place(ledger: Ledger, **more: Any) -> str:
    """Place an order, and return its id."""
    order: dict[str, Any] = {"qty": Decimal(1), "price": Decimal(100), "order_type": "Limit", "time_in_force": "GTC"}
    order |= {"reduce_only": False, "position_idx": 0, "order_link_id": "", "now": 1}
    return ledger.place("BTCUSDT", "Buy", **order | more).order_id


def test_a_ledger_is_read_as_it_was(clock: Clock) -> None:
    """Orders, executions, positions and balances of one instant."""
    names = iter("abcdef")
    ledger = Ledger({"USDT": Decimal(1000)}, names.__next__, clock)
    name = place(ledger)
    clock.now += 1
    ledger.fill(name, [(Decimal(1), Decimal(100))], is_maker=True, now=2)
    then = ledger.as_of(1.0)
    assert (then.order(name).status, then.executions, then.positions["BTCUSDT", 0].size) == ("New", (), 0)
    assert then.coin("USDT").wallet == 1000
    assert ledger.order(name).status == "Filled"
    assert len(ledger.executions) == 1
