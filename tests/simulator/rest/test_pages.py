"""Pages: sizes, cursors, and cursors that are odd."""

from __future__ import annotations

from itertools import chain
from typing import Any
from urllib.parse import quote

import pytest

from bybit_sync.simulator import Account, Exchange
from tests.simulator.rest.asker import Asker

LINEAR = {"category": "linear", "settleCoin": "USDT"}


@pytest.fixture
def orders(account: Account) -> list[str]:
    """The ids of five open orders."""
    return [account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000").order_id for _ in range(5)]


def pages(asker: Asker, count: int = 10, size: int = 2) -> list[list[str]]:
    """Return what at most *count* pages list."""
    walk = asker.pages("order/realtime", limit=size, **LINEAR)
    return [[row["orderId"] for row in page.rows] for page, _ in zip(walk, range(count), strict=False)]


def test_every_row_is_on_one_page_and_the_last_cursor_leads_to_an_empty_one(asker: Asker, orders: list[str]) -> None:
    """As was seen: a cursor is not empty while there are rows."""
    walked = pages(asker)
    assert [len(page) for page in walked] == [2, 2, 1, 0]
    assert sorted(chain.from_iterable(walked)) == sorted(orders)


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        ("ends", [2, 2, 1]),
        ("self", [2, 2, 1, 1]),
        ("stuck", [2, 2, 2, 2]),
        ("cycle", [2, 2, 1, 2]),
        ("repeat", [2, 2, 2, 2]),
        ("empty page", [2]),
    ],
)
def test_cursors_may_be_odd(exchange: Exchange, asker: Asker, orders: list[str], kind: str, sizes: list[int]) -> None:
    """Each as it was seen somewhere."""
    exchange.rest.cursors(kind, "order/realtime")
    walked = pages(asker, 4)
    assert [len(page) for page in walked][: len(sizes)] == sizes
    assert kind not in ("ends", "repeat") or set(chain.from_iterable(walked)) == set(orders)


def test_a_cursor_addresses_itself(exchange: Exchange, asker: Asker, orders: list[str]) -> None:
    """For ever the last page."""
    exchange.rest.cursors("self")
    walked = pages(asker, 5)
    assert walked[2] == walked[3] == walked[4]


def test_an_empty_page_is_not_the_end_when_it_has_a_cursor(exchange: Exchange, asker: Asker, orders: list[str]) -> None:
    """Behind its cursor there is more."""
    exchange.rest.cursors("empty page")
    first = asker.get("order/realtime", limit=2, **LINEAR)
    empty = asker.get("order/realtime", f"cursor={first.cursor}", limit=2, **LINEAR)
    third = asker.get("order/realtime", f"cursor={empty.cursor}", limit=2, **LINEAR)
    assert (len(first.rows), len(empty.rows), len(third.rows)) == (2, 0, 2)
    assert first.rows != third.rows


def test_a_cursor_is_taken_raw_and_escaped_once_more(asker: Asker, orders: list[str]) -> None:
    """It comes with percent signs inside, and clients do both."""
    cursor = asker.get("order/realtime", limit=2, **LINEAR).cursor
    assert "%" in cursor
    raw, escaped = (asker.get("order/realtime", f"cursor={text}", limit=2, **LINEAR) for text in (cursor, quote(cursor)))
    assert raw.rows == escaped.rows != []


def test_a_row_that_appears_at_the_head_shifts_no_page(exchange: Exchange, account: Account, asker: Asker, orders: Any) -> None:
    """The cursor says behind which row."""
    exchange.set_clock(1.0)
    cursor = asker.get("order/realtime", limit=2, **LINEAR).cursor
    before = asker.get("order/realtime", f"cursor={cursor}", **LINEAR).rows
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    assert asker.get("order/realtime", f"cursor={cursor}", **LINEAR).rows == before


def test_a_page_has_twenty_rows_by_default_and_a_most(exchange: Exchange, account: Account, asker: Asker) -> None:
    """More is cut down, or refused."""
    for _ in range(60):
        account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    sizes = [len(asker.get("order/realtime", **LINEAR, **more).rows) for more in ({}, {"limit": 50}, {"limit": 200})]
    assert sizes == [20, 50, 50]
    exchange.rest.be_strict("order/realtime")
    assert asker.get("order/realtime", limit=51, **LINEAR).code == 10001
