"""The state of an account, event by event."""

from __future__ import annotations

import pickle
from decimal import Decimal

import pytest

from bybit_sync.errors import ProtocolError
from bybit_sync.model.enums import Category
from bybit_sync.model.events import GapReason, Stream
from tests.account.events import make, mended, snapshot, window
from tests.recovery.rows import balance, coin, gap, order, position, push, trade

POSITIONS, ORDERS, BALANCES, TRADES = Stream.POSITIONS, Stream.ORDERS, Stream.BALANCES, Stream.USER_TRADES
INVERSE = Category.INVERSE


# --- positions ---


def test_a_position_is_open_until_it_is_flat() -> None:
    """Then it is in none of the mappings."""
    reducer = make(push(position("2", 1)))
    assert reducer.state.position("BTCUSDT").size == 2  # type: ignore[union-attr]
    reducer.take(push(position("0", 2)))
    assert (reducer.state.position("BTCUSDT"), dict(reducer.state.positions)) == (None, {})


def test_the_legs_of_hedge_mode_are_two_positions() -> None:
    """Which the symbol alone does not tell apart: the error names both."""
    state = make(push(position("1", 1, position_idx=1), position("2", 2, position_idx=2))).state
    assert state.position("BTCUSDT", position_idx=2).size == 2  # type: ignore[union-attr]
    with pytest.raises(LookupError, match=r"BTCUSDT has 2 open positions: .*position_idx=1, .*position_idx=2"):
        state.position("BTCUSDT")


def test_with_one_leg_flat_the_symbol_is_enough() -> None:
    """Only open positions are found."""
    state = make(push(position("1", 1, position_idx=1), position("0", 2, position_idx=2))).state
    assert state.position("BTCUSDT").position_idx == 1  # type: ignore[union-attr]
    assert state.position("BTCUSDT", position_idx=2) is None


def test_namesakes_of_two_categories_are_two_positions() -> None:
    """The category, as a text too, tells them apart."""
    state = make(push(position("1", 1)), push(position("7", 2, category=INVERSE))).state
    assert state.position("BTCUSDT", category="inverse").size == 7  # type: ignore[union-attr]
    assert state.position("BTCUSDT", category="option") is None
    with pytest.raises(LookupError, match="'linear'.*'inverse'"):
        state.position("BTCUSDT")


def test_a_position_that_a_snapshot_does_not_list_is_flat() -> None:
    """An older row that comes late does not open it again; a newer one does."""
    reducer = make(push(position("1", 5)), snapshot(POSITIONS, position("3", 1, symbol="ETHUSDT")))
    assert [row.symbol for row in reducer.state.positions.values()] == ["ETHUSDT"]
    reducer.take(push(position("1", 4)))
    assert reducer.state.position("BTCUSDT") is None
    reducer.take(push(position("1", 6)))
    assert reducer.state.position("BTCUSDT") is not None


def test_an_older_row_changes_nothing() -> None:
    """By its sequence; on a tie the later one counts."""
    reducer = make(push(position("2", 5)), push(position("1", 4)))
    assert reducer.state.position("BTCUSDT").size == 2  # type: ignore[union-attr]
    reducer.take(push(position("3", 5)))
    assert reducer.state.position("BTCUSDT").size == 3  # type: ignore[union-attr]


# --- orders ---


def test_an_order_is_open_until_it_ends() -> None:
    """Its last row is kept for a while."""
    reducer = make(push(order("a")), push(order("b", "Untriggered")), push(order("a", "Filled", "1", 1)))
    assert set(reducer.state.orders) == {"b"}
    assert reducer.ended_orders["a"].order_status == "Filled"


def test_an_ended_order_is_not_opened_by_a_late_row() -> None:
    """A final status is the last word."""
    reducer = make(push(order("a", "Cancelled", seconds=1)), push(order("a", "New", seconds=2)))
    assert dict(reducer.state.orders) == {}


def test_a_snapshot_lists_every_open_order() -> None:
    """Also with the rows of those that have ended meanwhile."""
    reducer = make(push(order("a"), order("b"), order("c")), snapshot(ORDERS, order("a", "Filled", "1"), order("d")))
    assert (set(reducer.state.orders), set(reducer.ended_orders)) == ({"d"}, {"a"})


def test_ended_orders_are_forgotten_after_thousands() -> None:
    """At least the latest thousand are kept."""
    reducer = make(*(push(order(str(number), "Filled")) for number in range(5_000)))
    assert 1_000 <= len(reducer.ended_orders) < 2_000
    assert "4999" in reducer.ended_orders


# --- balances ---


def test_coins_merge_and_totals_are_replaced() -> None:
    """The balance has every coin that is known."""
    reducer = make(push(balance(coin("USDT", "5"), coin("BTC", "1"), total_equity=Decimal(9))))
    reducer.take(push(balance(coin("USDT", "6"), total_equity=Decimal(10))))
    row = reducer.state.balance
    assert row is not None
    assert (row.total_equity, row.coin("BTC"), reducer.state.coin("USDT")) == (10, coin("BTC", "1"), coin("USDT", "6"))


def test_a_coin_that_is_zero_is_gone() -> None:
    """One of which only a debt is left is not."""
    reducer = make(push(balance(coin("USDT", "5"), coin("BTC", "1"))))
    reducer.take(push(balance(coin("BTC", "0"), coin("USDT", "0", borrow_amount=Decimal(3)))))
    assert [row.coin for row in reducer.state.balance.coins] == ["USDT"]  # type: ignore[union-attr]
    assert reducer.state.coin("BTC") is None


def test_a_coin_that_a_snapshot_does_not_list_is_zero() -> None:
    """It lists all of them."""
    reducer = make(push(balance(coin("BTC", "1"))), snapshot(BALANCES, balance(coin("USDT", "5"))))
    assert reducer.state.coin("BTC") is None


def test_balances_that_could_not_be_read_are_kept() -> None:
    """A snapshot without an account is no account without coins."""
    reducer = make(push(balance(coin("BTC", "1"))), snapshot(BALANCES))
    assert reducer.state.coin("BTC") is not None


# --- trades ---


def test_the_latest_trades_are_kept_each_once() -> None:
    """The newest last."""
    reducer = make(*(push(trade(name, number)) for number, name in enumerate("abbcad")), trades=2)
    assert [row.exec_id for row in reducer.state.trades] == ["a", "d"]


def test_late_trades_take_their_place() -> None:
    """They were read after newer ones had been pushed."""
    reducer = make(push(trade("a", 1)), push(trade("d", 4)))
    reducer.take(mended(TRADES, window(GapReason.DISCONNECTED, 1, 4), trade("b", 2), trade("d", 4)))
    assert [row.exec_id for row in reducer.state.trades] == ["a", "b", "d"]


def test_no_trades_are_kept_when_none_are_wanted() -> None:
    """Nothing is counted as traded either."""
    assert make(push(trade("a")), trades=0).state.trades == ()


# --- bounds ---


@pytest.mark.parametrize("kind", ["orders", "positions", "coins"])
def test_more_than_any_account_has_ends_the_stream(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an error, so that the view is not taken for current; as many as may be are kept."""
    monkeypatch.setattr("bybit_sync.account.reducer._MOST_OPEN", 3)
    rows = {
        "orders": [order(name) for name in "abcd"],
        "positions": [position("1", symbol=name) for name in "abcd"],
        "coins": [balance(coin(name, "1")) for name in "abcd"],
    }[kind]
    reducer = make(*map(push, rows[:3]))
    with pytest.raises(ProtocolError, match="more than 3 open"):
        reducer.take(push(rows[3]))


# --- as a whole ---


def test_a_gap_changes_no_row() -> None:
    """It only says that some may be outdated."""
    reducer = make(push(position("1", 1)))
    before = reducer.state
    reducer.take(gap(GapReason.UNDECODABLE, 0, 1, stream=POSITIONS))
    assert reducer.state is before


def test_a_state_that_was_read_never_changes() -> None:
    """It is replaced as a whole; its mappings refuse changes, and it can be pickled."""
    reducer = make(push(position("1", 1)), push(order("a")))
    before = reducer.state
    reducer.take(push(position("0", 2)))
    reducer.take(push(order("a", "Cancelled")))
    assert (len(before.positions), len(before.orders)) == (1, 1)
    with pytest.raises(TypeError, match="read-only"):
        before.positions.clear()  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(before)) == before
