"""The model of the live screen: which rows events leave behind, and which of them are stale."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import attrs
import pytest

from bybit_sync import (
    BalanceUpdate,
    CoinBalance,
    Event,
    Gap,
    GapReason,
    OrderUpdate,
    PositionUpdate,
    Source,
    Stream,
    UserTradeUpdate,
)
from bybit_sync.cli.board import TRADES_KEPT, Board
from bybit_sync.cli.columns import COLUMNS, fitting, shares
from bybit_sync.cli.status_line import gap_text, seconds_text
from bybit_sync.model.enums import AccountType, OrderStatus, Side

NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
STREAM_OF = {
    PositionUpdate: Stream.POSITIONS,
    OrderUpdate: Stream.ORDERS,
    UserTradeUpdate: Stream.USER_TRADES,
    BalanceUpdate: Stream.BALANCES,
}


def push(*rows: Any) -> Event[Any]:
    """Return a push of *rows*."""
    return Event(stream=STREAM_OF[type(rows[0])], topic="topic", data=rows, received_at=NOON, received_ns=1)


def read(*rows: Any, **fields: Any) -> Event[Any]:
    """Return what was read of *rows* over REST."""
    return attrs.evolve(push(*rows), source=Source.REST, **fields)


def gap(stream: Stream, reason: GapReason = GapReason.DISCONNECTED) -> Event[Any]:
    """Return a gap of two seconds."""
    error = ConnectionError("gone") if reason is GapReason.ENDED else None
    told = Gap(reason=reason, since=NOON, until=NOON + timedelta(seconds=2), detail="an outage", error=error)
    return Event(stream=stream, topic="", gap=told, received_at=NOON, received_ns=1)


def position(symbol: str = "BTCUSDT", size: str = "1", second: int = 0, **changes: Any) -> PositionUpdate:
    """Return a position, as it was so many seconds after noon."""
    when = NOON + timedelta(seconds=second)
    return PositionUpdate(symbol=symbol, position_idx=0, size=Decimal(size), updated_time=when, **changes)


def order(order_id: str, status: OrderStatus = OrderStatus.NEW, second: int = 0) -> OrderUpdate:
    """Return an order, as it was so many seconds after noon."""
    when = NOON + timedelta(seconds=second)
    return OrderUpdate(order_id=order_id, symbol="BTCUSDT", order_status=status, updated_time=when)


def trade(number: int) -> UserTradeUpdate:
    """Return trade *number*, so many seconds after noon."""
    return UserTradeUpdate(exec_id=f"e{number}", symbol="BTCUSDT", side=Side.BUY, exec_time=NOON + timedelta(seconds=number))


def wallet(**coins: str) -> BalanceUpdate:
    """Return an account with so much of each coin, and a total."""
    held = tuple(CoinBalance(coin=name, wallet_balance=Decimal(number)) for name, number in coins.items())
    return BalanceUpdate(account_type=AccountType.UNIFIED, total_equity=Decimal(100), coins=held)


@pytest.fixture
def board() -> Board:
    """A board of all four streams."""
    return Board(Stream)


def keys(board: Board, stream: Stream, attribute: str) -> list[Any]:
    """Return *attribute* of each row."""
    return [getattr(row.update, attribute, None) for row in board.rows(stream)]


# --- rows ---


def test_there_are_no_rows_before_the_first_update(board: Board) -> None:
    """The exchange sends no snapshot."""
    assert [board.rows(stream) for stream in board.streams] == [[], [], [], []]


def test_a_position_replaces_what_was_known_of_it(board: Board) -> None:
    """By its key, never by one that is older."""
    for update in (position(size="1", second=1), position(size="3", second=2), position(size="2", second=1)):
        board.take(push(update))
    assert keys(board, Stream.POSITIONS, "size") == [3]


def test_positions_that_are_flat_go(board: Board) -> None:
    """The others are sorted by their symbols."""
    board.take(push(position("AAA"), position("ZZZ"), position("BBB")))
    board.take(push(position("AAA", "0")))
    assert keys(board, Stream.POSITIONS, "symbol") == ["BBB", "ZZZ"]


@pytest.mark.parametrize(
    "status",
    ["Filled", "Cancelled", "Rejected", "Deactivated", "PartiallyFilledCanceled"],
)
def test_an_order_that_is_finished_goes(board: Board, status: str) -> None:
    """And does not come back with what is told late or twice."""
    board.take(push(order("a", second=1)))
    board.take(push(order("a", OrderStatus(status), second=2)))
    board.take(push(order("a", second=1), order("a", OrderStatus.PARTIALLY_FILLED, second=2)))
    assert board.rows(Stream.ORDERS) == []


def test_an_order_of_a_word_that_nobody_knows_stays(board: Board) -> None:
    """It may be open."""
    board.take(push(order("a", OrderStatus("Melted"))))
    assert keys(board, Stream.ORDERS, "order_id") == ["a"]


def test_the_order_that_changed_last_stands_first(board: Board) -> None:
    """Whichever was placed first."""
    board.take(push(order("a"), order("b"), order("a", OrderStatus.PARTIALLY_FILLED, second=1)))
    assert keys(board, Stream.ORDERS, "order_id") == ["a", "b"]


def test_the_latest_trade_stands_first_and_once(board: Board) -> None:
    """The oldest go when there are too many."""
    board.take(push(*map(trade, range(TRADES_KEPT + 5)), trade(TRADES_KEPT)))
    shown = keys(board, Stream.USER_TRADES, "exec_id")
    assert (shown[0], shown[-1], len(shown)) == (f"e{TRADES_KEPT + 4}", "e5", TRADES_KEPT)


def test_coins_merge_below_their_account(board: Board) -> None:
    """What was not sent again stays."""
    board.take(push(wallet(USDT="10", BTC="1")))
    board.take(push(wallet(USDT="12")))
    assert keys(board, Stream.BALANCES, "coin") == ["UNIFIED USD", "BTC", "USDT"]
    assert keys(board, Stream.BALANCES, "wallet_balance") == [None, 1, 12]


def test_a_stream_that_is_not_shown_is_not_minded() -> None:
    """Its gap counts for nobody."""
    board = Board([Stream.ORDERS])
    board.take(gap(Stream.POSITIONS))
    board.take(push(position()))
    assert (board.gaps, board.events, board.streams) == (0, 0, (Stream.ORDERS,))


# --- staleness ---


def test_after_a_gap_a_row_is_stale_until_its_next_update(board: Board) -> None:
    """Each row for itself, and only those of the gap's stream."""
    board.take(push(position("A"), position("B")))
    board.take(push(order("a")))
    board.take(gap(Stream.POSITIONS))
    assert board.has_stale
    board.take(push(position("B", second=1)))
    assert [(row.update.symbol, row.stale) for row in board.rows(Stream.POSITIONS)] == [("A", True), ("B", False)]
    assert [row.stale for row in board.rows(Stream.ORDERS)] == [False]


def test_an_update_that_is_older_refreshes_nothing(board: Board) -> None:
    """What is known may still be wrong."""
    board.take(push(position(second=5)))
    board.take(gap(Stream.POSITIONS))
    board.take(push(position(second=4)))
    assert [row.stale for row in board.rows(Stream.POSITIONS)] == [True]


def test_coins_are_stale_one_by_one(board: Board) -> None:
    """A wallet's push may name only those that changed."""
    board.take(push(wallet(USDT="10", BTC="1")))
    board.take(gap(Stream.BALANCES))
    board.take(push(wallet(BTC="2")))
    assert [(row.update.coin, row.stale) for row in board.rows(Stream.BALANCES)][1:] == [("BTC", False), ("USDT", True)]


def test_a_gap_stands_among_the_trades(board: Board) -> None:
    """Trades are never stale; but some may be missing right there."""
    board.take(push(trade(1)))
    board.take(gap(Stream.USER_TRADES))
    board.take(push(trade(3)))
    assert [type(row.update).__name__ for row in board.rows(Stream.USER_TRADES)] == [
        "UserTradeUpdate",
        "Gap",
        "UserTradeUpdate",
    ]
    assert not board.has_stale


# --- recovery ---


def test_a_snapshot_is_all_there_is(board: Board) -> None:
    """What is not in it is gone: a position is flat, a coin is zero, an order is not open."""
    board.take(push(position("BTCUSDT"), position("ETHUSDT")))
    board.take(push(order("o1"), order("o2")))
    board.take(push(wallet(BTC="1", USDT="5")))
    for row in (position("ETHUSDT"), order("o2"), wallet(USDT="6")):
        board.take(read(row, snapshot=True))
    assert keys(board, Stream.POSITIONS, "symbol") == ["ETHUSDT"]
    assert keys(board, Stream.ORDERS, "order_id") == ["o2"]
    assert keys(board, Stream.BALANCES, "coin") == ["UNIFIED USD", "USDT"]
    assert board.listed == {Stream.POSITIONS, Stream.ORDERS, Stream.BALANCES}


def test_rows_of_a_snapshot_are_fresh(board: Board) -> None:
    """Also after a gap that was told because it took long."""
    board.take(push(position()))
    board.take(gap(Stream.POSITIONS))
    board.take(read(position(), snapshot=True, recovered=gap(Stream.POSITIONS).gap))
    assert not board.has_stale
    assert (board.gaps, board.recovered) == (1, 1)


def test_an_order_that_is_nowhere_is_stale(board: Board) -> None:
    """It stays, until the exchange knows what became of it."""
    board.take(read(order("o1"), order("o2"), snapshot=True, unresolved=("o1", "unknown")))
    assert [(row.update.order_id, row.stale) for row in board.rows(Stream.ORDERS)] == [("o2", False), ("o1", True)]


def test_a_gap_among_the_trades_goes_when_it_is_mended(board: Board) -> None:
    """With the trades that it hid; one that lies elsewhere, or was dropped, stays."""
    dropped, lost = gap(Stream.USER_TRADES, GapReason.OVERFLOW), gap(Stream.USER_TRADES)
    assert lost.gap is not None
    later = attrs.evolve(lost, gap=attrs.evolve(lost.gap, until=NOON + timedelta(hours=1)))
    for event in (push(trade(1)), dropped, lost, later, read(trade(3), recovered=lost.gap)):
        board.take(event)
    assert [getattr(row.update, "reason", "trade") for row in board.rows(Stream.USER_TRADES)] == [
        "DISCONNECTED",
        "trade",
        "OVERFLOW",
        "trade",
    ]


def test_a_gap_that_is_being_mended_says_so() -> None:
    """The updates are missing only for now."""
    told = attrs.evolve(gap(Stream.ORDERS).gap, recovering=True)  # type: ignore[misc]
    assert gap_text(told).startswith("missing updates are being read (DISCONNECTED")


def test_an_end_is_remembered(board: Board) -> None:
    """With why, and it is a gap too."""
    board.take(gap(Stream.ORDERS, GapReason.ENDED))
    assert (board.gaps, list(board.ended)) == (1, [Stream.ORDERS])
    assert gap_text(board.ended[Stream.ORDERS], Stream.ORDERS).startswith("orders: ended (ENDED")


# --- what fits ---


def test_tables_share_the_lines_of_a_screen() -> None:
    """None goes short while another has more than it."""
    assert shares([1, 30, 30, 2], 13) == [1, 5, 5, 2]
    assert shares([1, 1, 1, 1], 100) == [1, 1, 1, 1]
    assert shares([5, 5], 0) == [0, 0]


@pytest.mark.parametrize("stream", list(Stream))
def test_columns_fit_from_the_most_important_on(stream: Stream) -> None:
    """At least one, and never wider than what there is."""
    for width in (1, 40, 80, 200):
        columns = fitting(COLUMNS[stream], width)
        assert list(columns) == list(COLUMNS[stream][: len(columns)])
        assert len(columns) == 1 or sum(column.width + 1 for column in columns) <= width + 1


def test_nothing_that_a_terminal_obeys_gets_into_a_cell() -> None:
    """A symbol could be anything."""
    evil = position("\x1b[2J\rBTC")
    assert all(column.cell(evil).isprintable() for column in COLUMNS[Stream.POSITIONS])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0.0234, "23 ms"), (-0.0001, "0 ms"), (-0.5, "-500 ms"), (9.96, "10.0 s"), (1234.0, "1234 s")],
)
def test_times_are_told_in_about_three_digits(seconds: float | None, text: str) -> None:
    """With the unit that suits."""
    assert seconds_text(seconds) == text
