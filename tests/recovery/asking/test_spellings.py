"""What is read is what was pushed, attribute by attribute, however REST spells it."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from bybit_sync import Client, Event, Stream
from bybit_sync.simulator import Account, Exchange
from tests.faults.rows import row
from tests.recovery.asking.conftest import Asker

# The text of a row as it came, its unknown keys, and what only the stream tells.
ONLY_PUSHED = {
    Stream.POSITIONS: {"wire", "extra"},
    Stream.ORDERS: {
        "wire", "extra", "closed_pnl", "fee_currency", "slippage_tolerance", "rpi_taker_access", "rpi_matched_qty",
    },
    Stream.USER_TRADES: {"wire", "extra", "exec_pnl", "is_leverage"},
}  # fmt: skip


def pushed(client: Client, exchange: Exchange, account: Account) -> dict[Stream, dict[Any, Any]]:
    """Return the last row of each key that was pushed while *account* traded."""
    events: queue.Queue[Event[Any]] = queue.Queue()
    for subscribe in (
        client.subscribe_positions,
        client.subscribe_orders,
        client.subscribe_user_trades,
        client.subscribe_balances,
    ):
        subscribe(events)
    account.place_order("BTCUSDT", "Buy", qty="0.3", price="19000", order_link_id="mine", take_profit="30000")
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"), qty="0.2")
    account.fill(account.place_order("BTCUSD", "Sell", qty="10", price="20000"))
    account.place_order("ETHUSDT", "Buy", qty="1", price="1000", order_link_id="last")
    rows: dict[Stream, dict[Any, Any]] = {stream: {} for stream in Stream}
    # One queue keeps the order of the frames.
    while all(row.order_link_id != "last" for row in rows[Stream.ORDERS].values()):
        event = events.get(timeout=20)
        rows[event.stream].update((row.key, row) for row in event.data)
    return rows


@row(183, kills="what REST names or spells otherwise is left as it came")
@pytest.mark.parametrize("way", [None, "documented", "whole times", "fees as text", "null"])
def test_a_row_that_is_read_is_the_one_that_was_pushed(
    asker: Asker, exchange: Exchange, account: Account, make_client: Callable[..., Client], way: str | None
) -> None:
    """Where nothing is set, "", "0.00" and null mean the same."""
    known = pushed(make_client(), exchange, account)
    exchange.rest.spell(way)
    for stream in set(Stream) - {Stream.BALANCES}:
        rows = {row.key: row for row in asker.ask(stream, since=asker.ago(seconds=60)).rows}
        assert {row.symbol for row in rows.values()} >= {"BTCUSDT", "BTCUSD"}
        for key, read in rows.items():
            assert different(read, known[stream][key]) <= ONLY_PUSHED[stream]
    (account_row,), (last,) = asker.ask(Stream.BALANCES).rows, known[Stream.BALANCES].values()
    # The totals have moved since; so have the coins that were not in the last push.
    for coin in last.coins:
        assert different(account_row.coin(coin.coin), coin) <= {"wire", "extra"}


def different(ours: Any, theirs: Any) -> set[str]:
    """Return the attributes that differ, but for two spellings of nothing."""
    pairs = {field.name: (getattr(ours, field.name), getattr(theirs, field.name)) for field in attrs.fields(type(ours))}
    return {name for name, (mine, other) in pairs.items() if mine != other and (mine or other)}
