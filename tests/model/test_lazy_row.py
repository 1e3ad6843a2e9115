"""What an update's `wire` is: its row as it came, read again from the frame when somebody looks."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from bybit_sync.decoding.parsing import RawFrame
from bybit_sync.model.balances import BalanceUpdate
from bybit_sync.model.enums import AccountType
from bybit_sync.model.events import Stream
from bybit_sync.session.dialects import V5

COINS = [{"coin": "BTC", "equity": "0.5"}, {"coin": "USDT", "equity": "10"}]
ACCOUNTS = [{"accountType": "UNIFIED", "coin": COINS}, {"accountType": "CONTRACT", "totalEquity": "7", "coin": []}]
BALANCES = V5.channels(Stream.BALANCES, None)[0]
ORDERS = V5.channels(Stream.ORDERS, None)[0]


def received(rows: list[Any]) -> tuple[Any, ...]:
    """Return the updates of a frame with *rows*."""
    frame = json.dumps({"topic": "wallet", "data": rows}).encode()
    return BALANCES.decode(rows, RawFrame(frame))[0]


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
    (update,), _ = BALANCES.decode(ACCOUNTS[:1], frame := RawFrame(json.dumps({"data": ACCOUNTS[:1]}).encode()))
    assert repr(update) == repr(received(ACCOUNTS[:1])[0])
    assert frame._message is None
    assert update.wire["accountType"] == "UNIFIED"
    assert frame._message is not None
    assert update.wire is update.wire


def test_a_row_is_a_dict() -> None:
    """Whatever takes a dict takes it: JSON above all; what is made of it may be changed."""
    (account,) = received(ACCOUNTS[1:])
    assert (len(account.wire), list(account.wire), account.wire.get("nothing")) == (3, [*ACCOUNTS[1]], None)
    assert (account.wire == ACCOUNTS[1], repr(account.wire)) == (True, repr(ACCOUNTS[1]))
    assert json.loads(json.dumps(account.wire)) == json.loads(json.dumps(dict(account.wire))) == ACCOUNTS[1]
    made = (account.wire | {}, account.wire.copy(), copy.copy(account.wire), copy.deepcopy(account.wire))
    assert all(type(one) is dict and one == ACCOUNTS[1] for one in (*made, pickle.loads(pickle.dumps(account.wire))))


MAPPINGS: dict[str, Any] = {
    "wire": lambda: received(ACCOUNTS)[0].wire,
    "wire, read thoroughly": lambda: BALANCES.decode([ACCOUNTS[0], 7])[0][0].wire,
    "wire, made by hand": lambda: BalanceUpdate(account_type=AccountType.UNIFIED, wire={"a": 1}).wire,
    "extra": lambda: received([ACCOUNTS[1] | {"new": 1}])[0].extra,
    "extra, empty": lambda: received(ACCOUNTS[1:])[0].extra,
    "fees": lambda: ORDERS.decode([{"orderId": "1", "cumFeeDetail": {"A": "1"}}])[0][0].cum_fee_detail,
}


@pytest.mark.parametrize("mapping", MAPPINGS.values(), ids=MAPPINGS)
@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.__setitem__("a", 1),
        lambda one: one.__delitem__("a"),
        lambda one: one.__ior__({"a": 1}),
        lambda one: one.update(a=1),
        lambda one: one.setdefault("a", 1),
        lambda one: one.pop("a", None),
        lambda one: one.popitem(),
        lambda one: one.clear(),
    ],
)
def test_a_mapping_is_read_only(mapping: Any, change: Any) -> None:
    """No consumer changes what another will see, in any of a dict's ways."""
    held = mapping()
    before = dict(held)
    with pytest.raises(TypeError, match="read-only"):
        change(held)
    assert (type(held | {}), held) == (dict, before)


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
