"""What is listed is what the books hold, with REST's omissions and spellings."""

from __future__ import annotations

from typing import Any

import pytest

from bybit_sync.simulator import Account, Exchange
from tests.simulator.rest.asker import Asker

DAY = 86_400.0
LINEAR = {"category": "linear", "settleCoin": "USDT"}


def names(rows: list[Any], key: str = "orderId") -> list[str]:
    """Return the ids of *rows*."""
    return [row[key] for row in rows]


def limit(account: Account, **more: Any) -> Any:
    """Place a limit order."""
    return account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000", **more)


# --- positions ---


def test_a_position_is_spelled_in_rest_s_way(account: Account, asker: Asker) -> None:
    """avgPrice, no category, and "" where nothing is set."""
    account.fill(limit(account))
    (row,) = asker.get("position/list", **LINEAR).rows
    assert (row["avgPrice"], row["size"], row["takeProfit"]) == ("20000", "0.5", "")
    assert "entryPrice" not in row
    assert "category" not in row


def test_a_flat_position_is_listed_by_its_symbol_only(account: Account, asker: Asker) -> None:
    """With its sequence and its last change, so that a close in an outage can be read."""
    account.fill(limit(account))
    account.fill(account.place_order("BTCUSDT", "Sell", qty="0.5", price="20000"))
    assert asker.get("position/list", **LINEAR).rows == []
    (row,) = asker.get("position/list", category="linear", symbol="BTCUSDT").rows
    assert (row["side"], row["size"], row["positionValue"], row["avgPrice"]) == ("", "0", "", "0")
    assert row["seq"] == account.position("BTCUSDT").seq


def test_both_legs_of_hedge_mode_come_by_symbol(exchange: Exchange, account: Account, asker: Asker) -> None:
    """The flat one too, in any order."""
    account.fill(limit(account, position_idx=1))
    assert [row["positionIdx"] for row in asker.get("position/list", category="linear", symbol="BTCUSDT").rows] == [1, 2]
    exchange.rest.reverse("position/list")
    assert [row["positionIdx"] for row in asker.get("position/list", category="linear", symbol="BTCUSDT").rows] == [2, 1]
    assert len(asker.get("position/list", **LINEAR).rows) == 1


def test_only_the_legs_of_the_present_mode_are_listed(account: Account, asker: Asker) -> None:
    """After a switch the old mode's rows are gone."""
    account.cancel(limit(account))
    limit(account, position_idx=1)
    assert [row["positionIdx"] for row in asker.get("position/list", category="linear", symbol="BTCUSDT").rows] == [1, 2]


def test_a_position_that_was_never_traded_says_nothing(asker: Asker) -> None:
    """No times and no sequence."""
    (row,) = asker.get("position/list", category="linear", symbol="ETHUSDT").rows
    assert (row["createdTime"], row["updatedTime"], row["avgPrice"], row["seq"]) == ("", "", "", "-1")


@pytest.mark.parametrize(
    "parameters",
    [
        {"category": "linear"},
        {"category": "spot", "symbol": "BTCUSDT"},
        {"symbol": "BTCUSDT"},
        {"category": "linear", "symbol": "NOTHING"},
        {"category": "linear", "symbol": "BTCUSD"},
        {"category": "linear", "symbol": "BTCUSDT", "limit": "none"},
    ],
)
def test_parameters_that_cannot_work_are_refused(asker: Asker, parameters: dict[str, str]) -> None:
    """10001: our bug, not worth another try."""
    assert asker.get("position/list", **parameters).code == 10001


def test_inverse_needs_no_coin(account: Account, asker: Asker) -> None:
    """Nor a symbol."""
    account.fill(account.place_order("BTCUSD", "Buy", qty="100", price="20000"))
    assert names(asker.get("position/list", category="inverse").rows, "symbol") == ["BTCUSD"]


# --- orders ---


def test_open_orders_are_the_books_newest_first(exchange: Exchange, account: Account, asker: Asker) -> None:
    """Those that wait for a trigger too."""
    first = limit(account)
    exchange.set_clock(1.0)
    second = limit(account, trigger_price="19000", trigger_direction=2)
    exchange.set_clock(0.0)
    assert names(asker.get("order/realtime", **LINEAR).rows) == [second.order_id, first.order_id]


def test_an_order_is_spelled_in_rest_s_way(account: Account, asker: Asker) -> None:
    """What only the stream tells is not there, and history has more than realtime."""
    order = limit(account)
    (row,) = asker.get("order/realtime", **LINEAR).rows
    account.cancel(order)
    (ended,) = asker.get("order/history", category="linear").rows
    assert not {"category", "closedPnl", "feeCurrency"} & (row.keys() | ended.keys())
    assert ended.keys() - row.keys() >= {"extraFees", "slippageTolerance", "rpiMatchedQty"}


def test_a_conditional_order_may_be_missing_unless_it_is_asked_for(exchange: Exchange, account: Account, asker: Asker) -> None:
    """As was seen: orderFilter=StopOrder finds it."""
    stop = limit(account, trigger_price="19000", trigger_direction=2)
    exchange.rest.hide_conditional_orders()
    assert asker.get("order/realtime", **LINEAR).rows == []
    assert names(asker.get("order/realtime", orderFilter="StopOrder", **LINEAR).rows) == [stop.order_id]
    exchange.rest.heal()
    assert names(asker.get("order/realtime", **LINEAR).rows) == [stop.order_id]


def test_the_newest_closed_orders_are_listed_until_the_service_restarts(
    exchange: Exchange, account: Account, asker: Asker
) -> None:
    """openOnly=1, at most 500 of them; by its id a closed order comes too."""
    orders = [account.cancel(limit(account)) for _ in range(502)]
    rows = [row for page in asker.pages("order/realtime", openOnly=1, limit=50, **LINEAR) for row in page.rows]
    assert set(names(rows)) == {order.order_id for order in orders[2:]}
    assert asker.get("order/realtime", category="linear", orderId=orders[-1].order_id).rows
    exchange.rest.forget_closed_orders(exchange.now() + 1)
    assert asker.get("order/realtime", openOnly=1, **LINEAR).rows == []
    assert asker.get("order/realtime", category="linear", orderId=orders[-1].order_id).rows == []


def test_history_keeps_orders_without_fills_for_a_day(exchange: Exchange, account: Account, asker: Asker) -> None:
    """And those with fills for good, in windows of seven days."""
    exchange.set_clock(-2 * DAY)
    account.cancel(limit(account))
    filled = account.fill(limit(account))
    exchange.set_clock(0.0)
    fresh = account.cancel(limit(account))
    assert names(asker.get("order/history", category="linear").rows) == [fresh.order_id, filled.order_id]


def test_history_is_by_the_time_of_creation(exchange: Exchange, account: Account, asker: Asker) -> None:
    """An order that was created before the window and filled in it is not there, by its id neither."""
    exchange.set_clock(-8 * DAY)
    order = limit(account)
    exchange.set_clock(0.0)
    account.fill(order)
    assert asker.get("order/history", category="linear", orderId=order.order_id).rows == []
    started = exchange.now() - int(8.5 * DAY * 1000)
    assert names(asker.get("order/history", category="linear", startTime=started).rows) == [order.order_id]


def test_an_order_is_found_by_its_link_id_and_its_status(account: Account, asker: Asker) -> None:
    """A status that is not final is refused."""
    account.cancel(limit(account, order_link_id="mine"))
    account.fill(limit(account))
    assert names(asker.get("order/history", category="linear", orderLinkId="mine").rows, "orderStatus") == ["Cancelled"]
    assert names(asker.get("order/history", category="linear", orderStatus="Filled").rows, "orderStatus") == ["Filled"]
    assert asker.get("order/history", category="linear", orderStatus="New").code == 181017


# --- executions ---


def test_executions_of_every_kind_are_listed(account: Account, asker: Asker) -> None:
    """Funding too, which is a payment and no fill."""
    account.fill(limit(account))
    account.fund("BTCUSDT", "0.0001")
    rows = asker.get("execution/list", category="linear").rows
    assert {row["execType"] for row in rows} == {"Trade", "Funding"}
    assert {row["execId"] for row in rows} == {execution.exec_id for execution in account.executions()}
    assert not {"execPnl", "isLeverage", "category"} & rows[0].keys()
    assert names(asker.get("execution/list", category="linear", execType="Funding").rows, "execType") == ["Funding"]


@pytest.mark.parametrize("kind", ["AdlTrade", "Settle", "Delivery", "BlockTrade"])
def test_a_fill_can_be_of_another_kind(account: Account, asker: Asker, kind: str) -> None:
    """As when the exchange closes a position itself."""
    account.fill(limit(account), exec_type=kind)
    (row,) = asker.get("execution/list", category="linear", execType=kind).rows
    assert (row["execType"], row["execQty"]) == (kind, "0.5")
    assert asker.get("execution/list", category="linear", execType="Trade").rows == []


@pytest.mark.parametrize(
    ("window", "found"),
    [
        ({}, ["now"]),
        ({"startTime": -10}, ["old"]),
        ({"endTime": -7}, ["old"]),
        ({"startTime": -1, "endTime": 1}, ["now"]),
        ({"startTime": -10, "endTime": -9.5}, []),
    ],
)
def test_a_window_is_seven_days_unless_both_ends_are_given(
    exchange: Exchange, account: Account, asker: Asker, window: dict[str, float], found: list[str]
) -> None:
    """Only a start: seven days from there, and not until now. Windows are in days from now."""
    exchange.set_clock(-9 * DAY)
    account.fill(limit(account, order_link_id="old"))
    exchange.set_clock(0.0)
    account.fill(limit(account, order_link_id="now"))
    days = {name: int(exchange.now() + day * DAY * 1000) for name, day in window.items()}
    assert names(asker.get("execution/list", category="linear", **days).rows, "orderLinkId") == found


@pytest.mark.parametrize("window", [(-8, 0), (0, -1)])
def test_a_window_that_is_too_long_or_ends_before_it_starts_is_refused(
    exchange: Exchange, asker: Asker, window: tuple[int, int]
) -> None:
    """10001, for history and executions alike."""
    start, end = (int(exchange.now() + day * DAY * 1000) for day in window)
    for name in ("execution/list", "order/history"):
        assert asker.get(name, category="linear", startTime=start, endTime=end).code == 10001


def test_executions_of_an_order_are_listed_whatever_the_window_is(exchange: Exchange, account: Account, asker: Asker) -> None:
    """By its id all else is ignored."""
    exchange.set_clock(-9 * DAY)
    order = account.fill(limit(account))
    exchange.set_clock(0.0)
    assert names(asker.get("execution/list", category="linear", orderId=order.order_id).rows) == [order.order_id]
    assert asker.get("execution/list", category="linear").rows == []


# --- balances and the small ones ---


def test_a_coin_of_which_there_is_nothing_comes_only_when_it_is_asked_for(account: Account, asker: Asker) -> None:
    """That is how a coin that vanished is seen."""
    account.transfer("ETH", -account.balance("ETH").wallet)
    everything, asked = (
        asker.get("account/wallet-balance", accountType="UNIFIED", **more).rows[0]["coin"]
        for more in ({}, {"coin": "ETH,USDT"})
    )
    assert names(everything, "coin") == ["USDT", "BTC"]
    assert {coin["coin"]: coin["walletBalance"] for coin in asked} == {"ETH": "0", "USDT": "10000"}
    assert asker.get("account/wallet-balance", accountType="SPOT").code == 10001


def test_the_small_ones_are_answered(account: Account, asker: Asker) -> None:
    """What the key may do, what is traded, and the coins."""
    account.place_order("DOGEUSDT", "Buy", qty="1", price="1")
    assert asker.get("user/query-api").envelope["result"]["userID"] == int(account.uid)
    traded = asker.get("market/instruments-info", is_signed=False, category="linear").rows
    assert {"BTCUSDT", "DOGEUSDT"} <= set(names(traded, "symbol"))
    assert {coin["coin"] for coin in asker.get("asset/coin/query-info").envelope["result"]["rows"]} >= {"BTC", "USDT"}


def test_options_and_spot_are_empty(asker: Asker) -> None:
    """The account trades neither."""
    for category in ("option", "spot"):
        assert asker.get("execution/list", category=category).rows == []
        assert asker.get("order/realtime", category=category).rows == []
