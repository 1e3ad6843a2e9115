"""What an update's `wire` is: its row as it came, read again from the frame when somebody looks."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from bybit_sync.dialects import V5
from bybit_sync.rows import Frame, Row
from bybit_sync.updates import Stream

COINS = [{"coin": "BTC", "equity": "0.5"}, {"coin": "USDT", "equity": "10"}]
ACCOUNTS = [{"accountType": "UNIFIED", "coin": COINS}, {"accountType": "CONTRACT", "totalEquity": "7", "coin": []}]
BALANCES = V5.channels(Stream.BALANCES, None)[0]


def received(rows: list[Any]) -> tuple[Any, ...]:
    """Return the updates of a frame with *rows*."""
    frame = json.dumps({"topic": "wallet", "data": rows}).encode()
    return BALANCES.decode(rows, Frame(frame))[0]


def test_every_row_is_its_own() -> None:
    """The second update shows the second row."""
    first, second = received(ACCOUNTS)
    assert [dict(first.wire), dict(second.wire)] == ACCOUNTS


def test_a_row_inside_a_row_is_its_own() -> None:
    """A coin shows what stood in the account's list."""
    account, _ = received(ACCOUNTS)
    assert [dict(coin.wire) for coin in account.coins] == COINS


def test_a_row_is_read_when_somebody_looks() -> None:
    """An update that nobody asks holds the bytes of its frame, and no texts."""
    frame = Frame(b'{"data": [{"symbol": "BTCUSDT"}]}')
    row = Row(frame, ("data", 0))
    assert frame._message is None
    assert row["symbol"] == "BTCUSDT"
    assert frame._message is not None


def test_a_row_is_a_read_only_mapping() -> None:
    """It has what a mapping has, and cannot be changed."""
    (account,) = received(ACCOUNTS[1:])
    assert (len(account.wire), list(account.wire), account.wire.get("nothing")) == (3, [*ACCOUNTS[1]], None)
    assert (account.wire == ACCOUNTS[1], repr(account.wire)) == (True, repr(ACCOUNTS[1]))
    with pytest.raises(TypeError):
        account.wire["accountType"] = "SPOT"


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda update: pickle.loads(pickle.dumps(update))])
def test_a_copy_has_its_row(duplicate: Any) -> None:
    """Whatever it is carried to."""
    account, _ = received(ACCOUNTS)
    assert dict(duplicate(account).wire) == ACCOUNTS[0]
    assert [dict(coin.wire) for coin in duplicate(account).coins] == COINS


def test_a_row_that_had_to_be_read_thoroughly_has_its_wire_too() -> None:
    """One bad row of the same push costs the others nothing."""
    (update,), faults = BALANCES.decode([ACCOUNTS[0], {"accountType": 7}])
    assert (dict(update.wire), len(faults)) == (ACCOUNTS[0], 1)
    assert [dict(coin.wire) for coin in update.coins] == COINS
