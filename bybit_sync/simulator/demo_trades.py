"""The trades of the account in the demo and in the examples."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal

import attrs

from bybit_sync.simulator.books.account import Account
from bybit_sync.simulator.books.orders import OPPOSITE

__all__ = ["demo_trades"]

LINEAR, INVERSE = "BTCUSDT", "BTCUSD"
PAUSE = 0.3


@attrs.frozen
class _Trade:
    """One trade: its side, quantity and price, and how far the price then moves."""

    side: str
    qty: Decimal
    price: Decimal
    move: Decimal


_TRADES = (
    _Trade("Buy", Decimal("0.5"), Decimal("64250.0"), Decimal("38.5")),
    _Trade("Sell", Decimal("0.3"), Decimal("64310.5"), Decimal("-52.0")),
    _Trade("Buy", Decimal("0.8"), Decimal("64198.0"), Decimal("-21.5")),
    _Trade("Buy", Decimal("0.4"), Decimal("64175.5"), Decimal("64.0")),
    _Trade("Sell", Decimal("0.6"), Decimal("64242.0"), Decimal("17.5")),
)


def demo_trades(account: Account) -> Iterator[float]:
    """Trade on *account* without an end; yield the seconds until the next step.

    An order is placed, partly filled, filled; the price moves; a reduce-only order
    closes the position in one match of two fills; another order, on the inverse
    contract, is changed and cancelled. Then the same follows with other numbers.
    """
    for trade in itertools.cycle(_TRADES):
        yield from _open(account, trade)
        yield from _close(account, trade)
        yield from _amend_and_cancel(account, trade)


def _open(account: Account, trade: _Trade) -> Iterator[float]:
    order = account.place_order(LINEAR, trade.side, qty=trade.qty, price=trade.price)
    yield PAUSE
    account.fill(order, qty=trade.qty * 2 / 5)
    yield PAUSE
    account.fill(order)
    yield 2 * PAUSE


def _close(account: Account, trade: _Trade) -> Iterator[float]:
    price = trade.price + trade.move
    account.mark(LINEAR, price)
    order = account.place_order(LINEAR, OPPOSITE[trade.side], qty=trade.qty, price=price, reduce_only=True)
    yield 2 * PAUSE
    part = trade.qty / 4
    account.sweep(order, [(part, price), (trade.qty - part, price)])
    yield 2 * PAUSE


def _amend_and_cancel(account: Account, trade: _Trade) -> Iterator[float]:
    order = account.place_order(INVERSE, trade.side, qty=1000, price=trade.price - 300)
    yield PAUSE
    account.amend(order, price=trade.price - 250)
    yield PAUSE
    account.cancel(order)
    yield 2 * PAUSE
