"""The listings that are asked for, as a table: each category, coin and filter; and what only a contrived exchange lists."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from bybit_sync.errors import RestProtocolError
from bybit_sync.model.events import Stream
from bybit_sync.recovery.asking import read
from bybit_sync.recovery.asking.steps import Ask, Reply
from bybit_sync.recovery.asking.times import instant, ms, window
from bybit_sync.recovery.wants import Answered, Known, Want
from bybit_sync.rest.endpoints import EXECUTIONS, ORDER_HISTORY, POSITIONS
from bybit_sync.rest.spellings import decode_rows

NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
SINCE = NOW - timedelta(minutes=10)


def play(
    want: Want, categories: tuple[str, ...] | None, rows: Callable[[Ask], Any] = lambda _ask: ()
) -> tuple[Answered, list[Ask]]:
    """Return the answer to *want*, and what was asked; *rows* returns the updates of a listing."""
    asked: list[Ask] = []
    steps = read(want, categories, NOW)
    reply: Reply | None = None
    try:
        while True:
            step = steps.send(reply)
            assert isinstance(step, Ask)
            asked.append(step)
            listed = rows(step)
            reply = listed if isinstance(listed, Reply) else Reply(rows=tuple(listed), asked_at=NOW, at=NOW)
    except StopIteration as end:
        return end.value, asked


def scopes(asked: list[Ask], endpoint: str) -> list[str]:
    """Return what *endpoint* was asked for, but for times."""
    names = ("category", "settleCoin", "openOnly", "orderFilter", "symbol", "orderId")
    return [
        " ".join(str(ask.parameters[name]) for name in names if name in ask.parameters)
        for ask in asked
        if ask.endpoint.name == endpoint
    ]


def test_options_are_asked_for_by_their_settle_coins() -> None:
    """Without one, only executions of BTC options would come; and the exchange has no stop orders of options."""
    _, asked = play(Want(Stream.USER_TRADES, since=SINCE), ("option",))
    assert scopes(asked, "execution/list") == ["option USDT", "option USDC"]
    assert scopes(asked, "position/list") == ["option"]
    _, asked = play(Want(Stream.ORDERS, since=SINCE), ("option",))
    assert scopes(asked, "order/realtime") == ["option 0", "option 1"]
    assert scopes(asked, "order/history") == ["option"]


def test_all_categories_are_asked_for_without_any() -> None:
    """Spot has no positions."""
    _, asked = play(Want(Stream.USER_TRADES, since=SINCE), None)
    assert scopes(asked, "execution/list") == ["linear", "inverse", "option USDT", "option USDC", "spot"]
    _, asked = play(Want(Stream.POSITIONS), None)
    assert scopes(asked, "position/list") == ["linear USDT", "linear USDC", "inverse", "option"]


def test_open_orders_are_asked_for_with_each_filter() -> None:
    """Open ones before those that ended."""
    _, asked = play(Want(Stream.ORDERS, since=SINCE), ("linear", "inverse", "spot"))
    assert scopes(asked, "order/realtime") == [
        "linear USDT 0",
        "linear USDT 0 StopOrder",
        "linear USDC 0",
        "linear USDC 0 StopOrder",
        "inverse 0",
        "inverse 0 StopOrder",
        "spot 0",
        "spot 0 StopOrder",
        "spot 0 tpslOrder",
        "linear USDT 1",
        "linear USDC 1",
        "inverse 1",
        "spot 1",
    ]
    assert scopes(asked, "order/history")[:4] == ["linear", "linear StopOrder", "inverse", "inverse StopOrder"]


def test_a_spot_symbol_has_no_position_to_look_at() -> None:
    """A known one is not asked for."""
    _, asked = play(Want(Stream.USER_TRADES, since=SINCE, known=(Known("spot", "BTCUSDT"),)), ("spot",))
    assert scopes(asked, "position/list") == []


def test_an_order_by_id_is_asked_for_everywhere() -> None:
    """With its symbol, open and ended, plain and conditional, and where it was created."""
    known = Known("linear", "BTCUSDT", "an id", NOW - timedelta(days=8))
    answer, asked = play(Want(Stream.ORDERS, known=(known,)), ("linear",))
    assert scopes(asked, "order/realtime")[4:] == ["linear BTCUSDT an id", "linear StopOrder BTCUSDT an id"]
    assert scopes(asked, "order/history") == ["linear BTCUSDT an id", "linear StopOrder BTCUSDT an id"] * 2
    start, end = (asked[-1].parameters[name] for name in ("startTime", "endTime"))
    assert int(start) < ms(NOW - timedelta(days=8)) < int(end)
    assert answer.unresolved == (known,)


def test_a_young_order_is_looked_for_without_a_window() -> None:
    """The history reaches back far enough by itself."""
    known = Known("linear", "BTCUSDT", "an id", NOW - timedelta(days=1))
    _, asked = play(Want(Stream.ORDERS, known=(known,)), ("linear",))
    assert all("startTime" not in ask.parameters for ask in asked)


# --- executions with a hole ---


def execution(number: int, leaves: str, **more: Any) -> Any:
    """Return an execution of 1 of an order of 10."""
    row = {
        "symbol": "BTCUSDT",
        "orderId": "an order",
        "execId": f"e{number}",
        "execType": "Trade",
        "execQty": "1",
        "orderQty": "10",
        "leavesQty": leaves,
        "execTime": str(ms(SINCE) + 1000 * number),
        "seq": number,
        **more,
    }
    (update,), faults = decode_rows(EXECUTIONS, [row], "linear")
    assert faults == ()
    return update


def late(*missing: int) -> Callable[[Ask], Any]:
    """Return an exchange that lists executions 1 to 3, *missing* ones by their order only."""
    trades = [execution(number, str(10 - number)) for number in (1, 2, 3)]

    def rows(ask: Ask) -> Any:
        is_by_id = "orderId" in ask.parameters
        listed = [trade for trade in trades if is_by_id or trade.seq not in missing]
        return reversed(listed) if ask.endpoint is EXECUTIONS else ()

    return rows


def test_an_execution_that_is_missing_in_the_middle_is_read_by_its_order() -> None:
    """What the next one leaves tells that it is missing."""
    answer, asked = play(Want(Stream.USER_TRADES, since=SINCE), ("linear",), late(2))
    assert [trade.exec_id for trade in answer.rows] == ["e1", "e2", "e3"]
    assert scopes(asked, "execution/list") == ["linear", "linear an order"]


def test_executions_without_a_hole_cost_nothing_more() -> None:
    """Also when the first of an order was before the window."""
    for missing in ((), (1,)):
        _, asked = play(Want(Stream.USER_TRADES, since=SINCE), ("linear",), late(*missing))
        assert scopes(asked, "execution/list") == ["linear"]


def test_an_amended_order_has_no_hole() -> None:
    """Its quantity changed between two executions."""
    trades = [execution(1, "9"), execution(2, "4", orderQty="6")]
    _, asked = play(Want(Stream.USER_TRADES, since=SINCE), ("linear",), lambda a: trades if a.endpoint is EXECUTIONS else ())
    assert scopes(asked, "execution/list") == ["linear"]


def test_two_categories_may_use_one_id() -> None:
    """Both executions come."""

    def rows(ask: Ask) -> Any:
        same = decode_rows(EXECUTIONS, [dict(execution(1, "9").wire)], ask.category)[0]
        return same if ask.endpoint is EXECUTIONS else ()

    answer, _ = play(Want(Stream.USER_TRADES, since=SINCE), ("linear", "inverse"), rows)
    assert [trade.exec_id for trade in answer.rows] == ["e1", "e1"]


# --- odd answers ---


def test_a_history_that_never_comes_whole_is_an_error() -> None:
    """Its windows are divided down to a millisecond."""

    def rows(ask: Ask) -> Any:
        return Reply(asked_at=NOW, at=NOW, is_complete=ask.endpoint is not ORDER_HISTORY)

    with pytest.raises(RestProtocolError, match="order/history: its pages lead in a circle"):
        play(Want(Stream.ORDERS, since=SINCE), ("linear",), rows)


def test_an_older_row_of_a_symbol_replaces_no_newer_one() -> None:
    """The answers may come from hosts of which one lags."""

    def rows(ask: Ask) -> Any:
        seq = 4 if "symbol" in ask.parameters else 5
        row = {"symbol": "BTCUSDT", "positionIdx": 1, "side": "Buy", "size": "1", "seq": seq}
        return decode_rows(POSITIONS, [row], "linear")[0] if ask.endpoint is POSITIONS else ()

    known = (Known("linear", "BTCUSDT", "2"),)
    answer, _ = play(Want(Stream.POSITIONS, known=known), ("linear",), rows)
    assert [row.seq for row in answer.rows] == [5]
    assert answer.unresolved == known


# --- times ---


@pytest.mark.parametrize("at", [NOW, NOW + timedelta(microseconds=999), NOW + timedelta(milliseconds=1)])
def test_milliseconds_are_rounded_down(at: datetime) -> None:
    """So that a window begins early rather than late."""
    assert timedelta(0) <= at - instant(ms(at)) < timedelta(milliseconds=1)


def test_a_window_ends_a_second_late() -> None:
    """The clocks of the exchange's hosts differ."""
    assert window(SINCE, NOW).end == ms(NOW) + 1000
    assert window(NOW + timedelta(hours=1), NOW).end == ms(NOW + timedelta(hours=1))
