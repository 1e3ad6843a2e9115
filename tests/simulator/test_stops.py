"""Stops, funding and liquidation: what happens to an account, and how each dialect tells it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bybit_sync.simulator import Account, Exchange, Order
from tests.conftest import KEY, SECRET
from tests.simulator.peers import Listener, Peer, topics

D = Decimal


def long(account: Account, qty: str = "0.5", price: str = "20000", **stops: str) -> Order:
    """Hold a long position on BTCUSDT."""
    return account.fill(account.place_order("BTCUSDT", "Buy", qty=qty, price=price, **stops))  # type: ignore[arg-type]


# --- conditional orders ---


def test_a_conditional_order_waits_is_triggered_and_then_fills(v5: Listener, account: Account) -> None:
    """Untriggered, Triggered, New, Filled; both steps of the trigger are told."""
    order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20100", trigger_price="20050", trigger_direction=1)
    account.fill(account.trigger(order))
    rows = [push["data"][0] for push in v5.heard() if push["topic"] == "order"]
    assert [row["orderStatus"] for row in rows] == ["Untriggered", "Triggered", "New", "Filled"]
    assert {(row["stopOrderType"], row["triggerPrice"], row["triggerDirection"], row["triggerBy"]) for row in rows} == {
        ("Stop", "20050", 1, "LastPrice")
    }
    assert {row["closeOnTrigger"] for row in rows} == {False}


def test_a_waiting_order_cannot_be_filled_and_binds_no_margin(account: Account) -> None:
    """It is not in the book yet."""
    order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20100", trigger_price="20050", trigger_direction=1)
    with pytest.raises(ValueError, match="trigger it first"):
        account.fill(order)
    assert account.balance("USDT").order_margin == 0
    account.trigger(order)
    assert account.balance("USDT").order_margin == 1005


def test_a_waiting_order_that_is_cancelled_is_deactivated(v5: Listener, account: Account) -> None:
    """The exchange has another word for it, and nothing is left of it."""
    order = account.place_order("BTCUSDT", "Sell", qty="0.5", trigger_price="19000", trigger_direction=2)
    account.cancel(order)
    row = v5.rows()["order"]
    assert (row["orderStatus"], row["cancelType"], row["leavesQty"]) == ("Deactivated", "CancelByUser", "0")
    with pytest.raises(ValueError, match="it is Deactivated, and waits for no trigger"):
        account.trigger(order)


def test_a_price_that_moves_triggers_what_waited_for_it(account: Account) -> None:
    """From below and from above, and nothing else; the direction follows from where the price was."""
    account.mark("BTCUSDT", "20000")
    rise, fall, high = (
        account.place_order("BTCUSDT", "Buy", qty="0.1", trigger_price=price) for price in ("20100", "19900", "20500")
    )
    assert [order.order_id for order in account.move("BTCUSDT", "20100")] == [rise.order_id]
    assert [order.order_id for order in account.move("BTCUSDT", "19000")] == [fall.order_id]
    assert account.order(high).status == "Untriggered"
    assert account.order(rise).price == D("20301.00")  # a market order's bound, from where it was triggered


def test_what_an_order_waits_for_is_changed(account: Account) -> None:
    """As long as it waits; a position's stops are changed where they belong."""
    account.mark("BTCUSDT", "20000")
    order = account.place_order("BTCUSDT", "Buy", qty="0.1", price="20100", trigger_price="20050")
    assert account.amend(order, trigger_price="20080", qty="0.2").qty == D("0.2")
    assert account.move("BTCUSDT", "20060") == ()
    assert len(account.move("BTCUSDT", "20080")) == 1
    with pytest.raises(ValueError, match="the order is New, and waits for no trigger"):
        account.amend(order, trigger_price="20090")
    long(account, stop_loss="19000")
    with pytest.raises(ValueError, match="change that with set_trading_stop"):
        account.amend(account.orders()[-1], qty="0.3")


def test_a_trigger_without_a_price_to_come_from_has_to_say_its_direction(account: Account) -> None:
    """Before the first price there is no telling whether it rises or falls."""
    with pytest.raises(ValueError, match="say 1"):
        account.place_order("BTCUSDT", "Buy", qty="0.1", trigger_price="20000")


def test_an_order_is_rejected(v5: Listener, account: Account) -> None:
    """After it was taken: final, with the reason, and nothing left."""
    account.reject(account.place_order("BTCUSDT", "Buy", qty="0.1", price="20000", time_in_force="PostOnly"))
    row = v5.rows()["order"]
    assert (row["orderStatus"], row["rejectReason"], row["leavesQty"]) == ("Rejected", "EC_PostOnlyWillTakeLiquidity", "0")


def test_a_cancel_that_comes_too_late_tells_the_fill_again(v5: Listener, account: Account) -> None:
    """Twice Filled, the second time with who wanted what; nothing else is told, for nothing else changed."""
    order = account.fill(account.place_order("BTCUSDT", "Buy", qty="0.1", price="20000"))
    first = v5.rows()["order"]
    account.cancel_too_late(order)
    (push,) = v5.heard()
    row = push["data"][0]
    assert {key for key in row if row[key] != first[key]} == {"cancelType", "rejectReason"}
    assert (row["orderStatus"], row["rejectReason"]) == ("Filled", "EC_OrigClOrdIDDoesNotExist")
    with pytest.raises(ValueError, match="not too late"):
        account.cancel_too_late(account.place_order("BTCUSDT", "Buy", qty="0.1", price="20000"))


# --- a position's own stops ---


def test_an_order_brings_stops_to_its_position(v5: Listener, account: Account) -> None:
    """It names them; once it fills the position has them, and an order waits for each."""
    order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000", take_profit="21000", stop_loss="19000")
    row = v5.rows()["order"]
    assert (row["takeProfit"], row["stopLoss"], row["tpTriggerBy"], row["tpslMode"]) == ("21000", "19000", "LastPrice", "Full")
    account.fill(order, qty="0.2")
    pushes = v5.heard()
    assert topics(pushes) == ["execution", "order", "order", "order", "position", "wallet"]
    kinds = [(row["stopOrderType"], row["createType"], row["triggerDirection"], row["qty"]) for row in orders(pushes)[1:]]
    assert kinds == [("TakeProfit", "CreateByTakeProfit", 1, "0.2"), ("StopLoss", "CreateByStopLoss", 2, "0.2")]
    assert (pushes[-2]["data"][0]["takeProfit"], pushes[-2]["data"][0]["stopLoss"]) == ("21000", "19000")


def test_stops_follow_the_size_of_their_position(account: Account) -> None:
    """What is added or closed changes what they would close."""
    long(account, stop_loss="19000")
    long(account, "0.3")
    assert [order.qty for order in account.orders()] == [D("0.8")]


def test_a_stop_that_fills_takes_the_other_with_it(v5: Listener, account: Account) -> None:
    """The position is flat, so its take profit is deactivated."""
    long(account, take_profit="21000", stop_loss="19000")
    v5.heard()
    (stop,) = account.move("BTCUSDT", "18990")
    account.fill(stop, price="18985")
    rows = orders(v5.heard())
    told = [(row["stopOrderType"], row["orderStatus"], row["cancelType"]) for row in rows]
    assert told == [
        ("StopLoss", "Triggered", "UNKNOWN"),
        ("StopLoss", "New", "UNKNOWN"),
        ("StopLoss", "Filled", "UNKNOWN"),
        ("TakeProfit", "Deactivated", "CancelByTpSlTsClear"),
    ]
    assert {row["closeOnTrigger"] for row in rows} == {True}
    assert account.position("BTCUSDT").size == 0


def test_the_stops_of_a_short_position_lie_the_other_way_round(account: Account) -> None:
    """It gains when the price falls."""
    account.fill(account.place_order("BTCUSDT", "Sell", qty="0.5", price="20000"))
    profit, loss = account.set_trading_stop("BTCUSDT", take_profit="19000", stop_loss="21000")
    assert (profit.side, profit.trigger_direction, loss.trigger_direction) == ("Buy", 2, 1)
    assert account.move("BTCUSDT", "19500") == ()
    assert [order.stop_type for order in account.move("BTCUSDT", "18999")] == ["TakeProfit"]


def test_stops_are_changed_and_taken_back(account: Account) -> None:
    """A new price changes the order that is there, 0 ends it, and what is not named stays."""
    long(account, take_profit="21000", stop_loss="19000")
    profit, loss = account.orders()
    account.set_trading_stop("BTCUSDT", stop_loss="19500")
    assert (account.order(loss).trigger_price, account.order(profit).trigger_price) == (19500, 21000)
    account.set_trading_stop("BTCUSDT", take_profit=0)
    assert (account.order(profit).status, account.position("BTCUSDT").take_profit) == ("Deactivated", 0)


def test_a_stop_whose_order_is_cancelled_is_no_longer_the_position_s(account: Account) -> None:
    """The position does not say that it has what nothing stands for."""
    long(account, stop_loss="19000")
    account.cancel(account.orders()[0])
    assert account.position("BTCUSDT").stop_loss == 0


def test_a_position_that_is_turned_loses_its_stops(account: Account) -> None:
    """They were for the other side."""
    long(account, stop_loss="19000")
    account.fill(account.place_order("BTCUSDT", "Sell", qty="0.8", price="20000"))
    assert (account.orders(), account.position("BTCUSDT").stop_loss) == ((), 0)


def test_stops_need_a_position(account: Account) -> None:
    """A mistake in a test is told where it is made."""
    with pytest.raises(ValueError, match="no position on BTCUSDT is open"):
        account.set_trading_stop("BTCUSDT", stop_loss="1")


def test_a_reduce_only_order_without_a_position_left_is_cancelled(account: Account) -> None:
    """It could only open one."""
    long(account)
    one, other = (account.place_order("BTCUSDT", "Sell", qty="0.5", price="20100", reduce_only=True) for _ in range(2))
    account.fill(one)
    assert (account.order(other).status, account.order(other).cancel_type) == ("Cancelled", "CancelByReduceOnly")


def test_v3_spells_a_stop_in_its_own_words(v3: Listener, account: Account) -> None:
    """Known keys and placeholders, no create type."""
    long(account, stop_loss="19000")
    row = v3.rows()["user.order.contractAccount"]
    assert (row["stopOrderType"], row["triggerPrice"], row["tpslMode"], row["takeProfit"]) == (
        "StopLoss",
        "19000",
        "Full",
        "0.00",
    )
    assert "createType" not in row


def test_a_classic_account_names_no_create_type(exchange: Exchange) -> None:
    """Whoever made the order."""
    account = exchange.account("CLASSIC", "SECRET", kind="CONTRACT")
    with Peer(exchange) as peer:
        listener = Listener(peer, "CLASSIC", "SECRET")
        long(account, stop_loss="19000")
        pushes = listener.heard()
    assert {row["createType"] for push in pushes if push["topic"] in ("order", "execution") for row in push["data"]} == {""}


# --- funding ---


def test_funding_is_paid_by_who_is_long_and_received_by_who_is_short(account: Account) -> None:
    """The rate times the value at the mark, off the balance and off the position's own count."""
    long(account, price="20000")
    before = account.balance("USDT").wallet, account.position("BTCUSDT").current
    account.mark("BTCUSDT", "21000")
    account.fund("BTCUSDT", "0.0001")
    assert (account.balance("USDT").wallet, account.position("BTCUSDT").current) == tuple(was - D("1.05") for was in before)
    short = account.fill(account.place_order("ETHUSDT", "Sell", qty=1, price="2000"))
    before_short = account.balance("USDT").wallet
    account.fund(short.symbol, "0.0001")
    assert account.balance("USDT").wallet == before_short + D("0.2")


def test_funding_is_told_as_an_execution_that_is_no_trade(v5: Listener, account: Account) -> None:
    """Of an order that nobody placed; no order is told."""
    long(account)
    v5.heard()
    account.fund("BTCUSDT", "-0.0001")
    pushes = v5.heard()
    row = pushes[0]["data"][0]
    assert topics(pushes) == ["execution", "position", "wallet"]
    assert (row["execType"], row["orderType"], row["closedSize"], row["execFee"], row["feeRate"]) == (
        "Funding",
        "UNKNOWN",
        "",
        "-1",
        "-0.0001",
    )
    assert (row["execQty"], row["orderQty"], row["orderPrice"], row["side"], row["createType"]) == ("0.5", "0", "0", "Buy", "")
    assert row["orderId"].endswith(f"-BTCUSDT-{row['seq']}-Buy")


def test_v3_knows_neither_maker_nor_taker_of_funding(v3: Listener, account: Account) -> None:
    """And calls it unknown."""
    long(account)
    account.fund("BTCUSDT", "0.0001")
    assert v3.rows()["user.execution.contractAccount"]["lastLiquidityInd"] == "UNKNOWN"


def test_funding_is_for_both_legs_in_one_message(v5: Listener, account: Account) -> None:
    """What one leg pays the other receives."""
    for side, leg in (("Buy", 1), ("Sell", 2)):
        account.fill(account.place_order("BTCUSDT", side, qty="0.5", price="20000", position_idx=leg))
    before = account.balance("USDT").wallet
    v5.heard()
    account.fund("BTCUSDT", "0.0001")
    assert [row["execFee"] for row in v5.heard()[0]["data"]] == ["1", "-1"]
    assert account.balance("USDT").wallet == before


def test_the_fast_stream_tells_no_funding(exchange: Exchange, account: Account) -> None:
    """It is for trades only."""
    with Peer(exchange) as peer:
        listener = Listener(peer, KEY, SECRET, "execution.fast")
        long(account)
        account.fund("BTCUSDT", "0.0001")
        assert len(listener.heard()) == 1


# --- liquidation ---


@pytest.mark.parametrize(("symbol", "side"), [("BTCUSDT", "Buy"), ("BTCUSDT", "Sell"), ("BTCUSD", "Buy"), ("BTCUSD", "Sell")])
def test_at_the_liquidation_price_only_the_maintenance_margin_is_left(exchange: Exchange, symbol: str, side: str) -> None:
    """Long and short, linear and inverse, also when other positions in the coin gain and bind."""
    account = exchange.account("SMALL", "S", balances={"USDT": "2000", "BTC": "0.1"})
    account.fill(account.place_order("ETHUSDT", "Sell", qty="0.1", price="2000"))
    account.mark("ETHUSDT", "1900")
    qty = "0.5" if symbol == "BTCUSDT" else "10000"
    account.fill(account.place_order(symbol, side, qty=qty, price="20000"))
    price = account.liquidation_price(symbol)
    assert (price < 20000) == (side == "Buy")
    account.mark(symbol, price)
    coin = account.balance("USDT" if symbol == "BTCUSDT" else "BTC")
    assert abs(coin.equity - coin.maintenance_margin) < D("0.00001")


def test_a_liquidation_is_told_step_by_step(v5: Listener, account: Account) -> None:
    """Orders are cancelled, the position is taken over, and an order of the exchange's own closes it."""
    long(account, "5", "20000", stop_loss="19999")
    account.place_order("BTCUSDT", "Buy", qty="1", price="18000")
    v5.heard()
    account.liquidate("BTCUSDT")
    pushes = v5.heard()
    rows = orders(pushes)
    assert [(row["orderStatus"], row["cancelType"]) for row in rows] == [
        ("Deactivated", "CancelAllBeforeLiq"),
        ("Cancelled", "CancelAllBeforeLiq"),
        ("Filled", "UNKNOWN"),
    ]
    assert (rows[-1]["createType"], rows[-1]["reduceOnly"]) == ("CreateByLiq", True)
    (bust,) = [push["data"][0] for push in pushes if push["topic"] == "execution"]
    assert (bust["execType"], bust["execQty"], bust["closedSize"], bust["createType"]) == ("BustTrade", "5", "5", "CreateByLiq")
    positions = [push["data"][0] for push in pushes if push["topic"] == "position"]
    assert [row["positionStatus"] for row in positions] == ["Normal", "Normal", "Liq", "Normal"]
    assert (positions[-1]["size"], positions[-1]["side"]) == ("0", "")
    assert 0 < account.balance("USDT").wallet < 1000


def test_a_position_says_where_it_would_be_liquidated(v5: Listener, v3: Listener, account: Account) -> None:
    """Nowhere when the account can afford every price; the price of bankruptcy only where it is told."""
    long(account, "0.1")
    assert v5.rows()["position"]["liqPrice"] == ""
    long(account, "4.9")
    liq, row = v5.rows()["position"]["liqPrice"], v3.rows()["user.position.contractAccount"]
    assert D(liq) == account.liquidation_price("BTCUSDT") > D(row["bustPrice"]) > 0
    assert row["liqPrice"] == liq


def test_an_account_that_can_afford_every_price_has_to_be_told_one(account: Account) -> None:
    """There is none to take."""
    long(account, "0.1")
    with pytest.raises(ValueError, match="can afford every price"):
        account.liquidate("BTCUSDT")
    assert account.liquidate("BTCUSDT", price="100").average_price == 100


def test_what_cannot_be_liquidated_changes_nothing(account: Account) -> None:
    """Neither a position that is not open, nor a price that is none; orders stay."""
    order = account.place_order("BTCUSDT", "Buy", qty="0.1", price="20000")
    with pytest.raises(ValueError, match="no position on BTCUSDT is open"):
        account.liquidate("BTCUSDT", price="100")
    account.fill(order, qty="0.05")
    with pytest.raises(ValueError, match="price"):
        account.liquidate("BTCUSDT", price="-1")
    assert account.order(order).is_open


def test_money_is_brought_and_taken(v5: Listener, account: Account) -> None:
    """Only the wallet says so, and it is no gain."""
    account.transfer("USDT", "-100.5")
    (push,) = v5.heard()
    coin = push["data"][0]["coin"][0]
    assert (push["topic"], coin["walletBalance"], coin["cumRealisedPnl"]) == ("wallet", "9899.5", "0")


def orders(pushes: list[dict[str, object]]) -> list[dict[str, object]]:
    """Return the rows of the order stream."""
    return [push["data"][0] for push in pushes if push["topic"] == "order"]  # type: ignore[index]
