"""A small story: what an account does in the demo and in the examples."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal

import attrs

from bybit_sync.simulator.books.account import Account
from bybit_sync.simulator.books.orders import OPPOSITE

__all__ = ["story"]

LINEAR, INVERSE = "BTCUSDT", "BTCUSD"
BEAT = 0.3


@attrs.frozen
class _Chapter:
    """One trade: what is bought or sold first, at which price, and by how much the price then moves."""

    side: str
    qty: Decimal
    price: Decimal
    move: Decimal


_CHAPTERS = (
    _Chapter("Buy", Decimal("0.5"), Decimal("64250.0"), Decimal("38.5")),
    _Chapter("Sell", Decimal("0.3"), Decimal("64310.5"), Decimal("-52.0")),
    _Chapter("Buy", Decimal("0.8"), Decimal("64198.0"), Decimal("-21.5")),
    _Chapter("Buy", Decimal("0.4"), Decimal("64175.5"), Decimal("64.0")),
    _Chapter("Sell", Decimal("0.6"), Decimal("64242.0"), Decimal("17.5")),
)


def story(account: Account) -> Iterator[float]:
    """Let *account* trade, for ever; each step yields how many seconds to wait before the next.

    An order is placed, partly filled, filled; the price moves; a reduce-only order closes the position in one match of two
    fills; another order, on the inverse contract, is changed and cancelled. Then the same again, a little different.
    """
    for chapter in itertools.cycle(_CHAPTERS):
        yield from _open(account, chapter)
        yield from _close(account, chapter)
        yield from _change_of_mind(account, chapter)


def _open(account: Account, chapter: _Chapter) -> Iterator[float]:
    order = account.place_order(LINEAR, chapter.side, qty=chapter.qty, price=chapter.price)
    yield BEAT
    account.fill(order, qty=chapter.qty * 2 / 5)
    yield BEAT
    account.fill(order)
    yield 2 * BEAT


def _close(account: Account, chapter: _Chapter) -> Iterator[float]:
    price = chapter.price + chapter.move
    account.mark(LINEAR, price)
    order = account.place_order(LINEAR, OPPOSITE[chapter.side], qty=chapter.qty, price=price, reduce_only=True)
    yield 2 * BEAT
    part = chapter.qty / 4
    account.sweep(order, [(part, price), (chapter.qty - part, price)])
    yield 2 * BEAT


def _change_of_mind(account: Account, chapter: _Chapter) -> Iterator[float]:
    order = account.place_order(INVERSE, chapter.side, qty=1000, price=chapter.price - 300)
    yield BEAT
    account.amend(order, price=chapter.price - 250)
    yield BEAT
    account.cancel(order)
    yield 2 * BEAT
