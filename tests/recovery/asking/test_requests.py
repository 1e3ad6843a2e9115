"""The requests of a recovery, counted."""

from __future__ import annotations

from collections import Counter

import pytest

from bybit_sync.model.events import Stream
from bybit_sync.simulator import Account, Exchange
from tests.faults.rows import row
from tests.recovery.asking.conftest import Asker

NOTHING = {
    Stream.USER_TRADES: {"execution/list": 2, "position/list": 3},
    Stream.POSITIONS: {"position/list": 3, "execution/list": 2},
    Stream.ORDERS: {"order/realtime": 9, "order/history": 4, "execution/list": 2},
    Stream.BALANCES: {"account/wallet-balance": 1},
}


@row(165, kills="a category is asked for twice")
@pytest.mark.parametrize("stream", list(Stream))
def test_a_recovery_of_nothing_costs_so_many_requests(asker: Asker, stream: Stream) -> None:
    """For linear and inverse; 26 for all four streams."""
    asker.ask(stream, since=asker.ago(seconds=60))
    assert Counter(asker.asked()) == NOTHING[stream]
    assert sum(count for counts in NOTHING.values() for count in counts.values()) == 26


def test_a_recovery_of_little_costs_little_more(asker: Asker, exchange: Exchange, account: Account) -> None:
    """A listing with rows ends with an empty page: its last cursor is not empty."""
    for symbol, qty in (("BTCUSDT", "0.5"), ("BTCUSD", "10")):
        account.fill(account.place_order(symbol, "Buy", qty=qty, price="20000"))
        account.place_order(symbol, "Buy", qty=qty, price="10000")
    for stream in Stream:
        asker.ask(stream, since=asker.ago(seconds=60))
    assert len(asker.asked()) <= 40


def test_a_snapshot_at_the_start_costs_less(asker: Asker) -> None:
    """Nothing has ended yet, and nothing can lag."""
    for stream in (Stream.POSITIONS, Stream.ORDERS, Stream.BALANCES):
        asker.ask(stream)
    assert Counter(asker.asked()) == {"position/list": 3, "order/realtime": 6, "account/wallet-balance": 1}
