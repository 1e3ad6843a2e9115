"""What an account's actions push: the exchange's order, keys and spellings, in each dialect."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bybit_sync.simulator import Account, Exchange
from bybit_sync.simulator.books.rows import SPELLINGS
from tests.conftest import KEY, SECRET
from tests.documented_keys import ACCOUNT, COIN, EXECUTION, ORDER, POSITION
from tests.simulator.peers import Listener, Peer, topics


def test_a_fill_is_told_in_the_exchange_s_order(v5: Listener, account: Account) -> None:
    """Execution, order, position, wallet; the order shares the id of its execution."""
    order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    placed = v5.heard()
    account.fill(order, qty="0.2", price="19999.5")
    filled = v5.heard()
    assert topics(placed) == ["order", "position", "wallet"]
    assert topics(filled) == ["execution", "order", "position", "wallet"]
    assert filled[0]["id"] == filled[1]["id"] == f"{account.uid}_BTCUSDT_{filled[0]['data'][0]['seq']}"
    assert filled[2]["data"][0]["seq"] == filled[0]["data"][0]["seq"]


def test_the_keys_of_envelopes_come_in_the_exchange_s_order(v5: Listener, v3: Listener, account: Account) -> None:
    """Order and execution begin with the topic, position and wallet with the id; V3 has neither id nor time."""
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
    for push in v5.heard():
        early = ["topic", "id", "creationTime", "data"]
        late = ["id", "topic", "creationTime", "data"]
        assert list(push) == (early if push["topic"] in ("order", "execution") else late)
        assert isinstance(push["creationTime"], int)
    assert {tuple(push) for push in v3.heard()} == {("topic", "data")}


def test_an_account_s_numbers_add_up_across_streams(v5: Listener, account: Account) -> None:
    """The execution's fee is what the order, the position and the wallet say that it cost."""
    order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    account.fill(order, qty="0.2", price="19999.5")
    rows = v5.rows()
    fee = Decimal(rows["execution"]["execFee"])
    assert fee == Decimal("0.79998")
    assert rows["order"]["cumFeeDetail"] == {"USDT": "0.79998"}
    assert Decimal(rows["position"]["curRealisedPnl"]) == -fee
    assert Decimal(rows["wallet"]["coin"][0]["walletBalance"]) == 10000 - fee
    assert (rows["order"]["orderStatus"], rows["order"]["leavesQty"]) == ("PartiallyFilled", "0.3")
    assert (rows["position"]["size"], rows["position"]["entryPrice"]) == ("0.2", "19999.5")


def test_a_cancel_tells_the_position_without_a_change(v5: Listener, account: Account) -> None:
    """Every order action pushes the position; its own time stands still."""
    order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    first = v5.rows()["position"]
    cancelled = account.cancel(order)
    rows = v5.rows()
    assert rows["position"] == first
    assert (rows["order"]["orderStatus"], rows["order"]["cancelType"]) == ("Cancelled", "CancelByUser")
    assert (cancelled.status, cancelled.is_open) == ("Cancelled", False)


def test_an_amend_is_told(v5: Listener, account: Account) -> None:
    """The order's row has the new price and quantity."""
    order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    account.amend(order, qty="0.6", price="20001")
    row = v5.rows()["order"]
    assert (row["qty"], row["price"], row["orderStatus"]) == ("0.6", "20001", "New")


def test_several_fills_of_one_match_come_in_one_message(v5: Listener, account: Account) -> None:
    """They share the sequence number, and the order is told once."""
    order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    v5.heard()
    account.sweep(order, [("0.2", "19999"), ("0.3", "20000")])
    pushes = v5.heard()
    assert topics(pushes) == ["execution", "order", "position", "wallet"]
    rows = pushes[0]["data"]
    assert [(row["execQty"], row["leavesQty"]) for row in rows] == [("0.2", "0.3"), ("0.3", "0")]
    assert rows[0]["seq"] == rows[1]["seq"]
    assert rows[0]["execId"] != rows[1]["execId"]


def test_both_legs_of_hedge_mode_come_in_one_message(v5: Listener, account: Account) -> None:
    """Even when one of them did not change."""
    order = account.place_order("BTCUSDT", "Sell", qty="0.5", price="20000", position_idx=2)
    account.fill(order)
    legs = [push for push in v5.heard() if push["topic"] == "position"][-1]["data"]
    assert [(leg["positionIdx"], leg["side"], leg["size"], leg["seq"]) for leg in legs] == [
        (1, "", "0", "-1"),
        (2, "Sell", "0.5", legs[1]["seq"]),
    ]


def test_an_inverse_contract_settles_in_its_coin(v5: Listener, account: Account) -> None:
    """The wallet lists that coin alone, under the totals of the whole account."""
    account.fill(account.place_order("BTCUSD", "Sell", qty="1000", price="20000"))
    rows = v5.rows()
    assert rows["execution"]["execValue"] == "0.05"
    assert [coin["coin"] for coin in rows["wallet"]["coin"]] == ["BTC"]
    assert Decimal(rows["wallet"]["totalWalletBalance"]) > 10000


def test_categorised_topics_get_their_own_contracts(exchange: Exchange, account: Account) -> None:
    """A linear order does not reach the inverse topics."""
    with Peer(exchange) as peer:
        listener = Listener(peer, KEY, SECRET, "order.inverse", "position.linear")
        account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
        account.place_order("BTCUSD", "Buy", qty="100", price="20000")
        assert topics(listener.heard()) == ["position.linear", "order.inverse"]


def test_the_fast_stream_tells_the_fill_in_few_keys(exchange: Exchange, account: Account) -> None:
    """No id in the envelope, and no link id for a maker."""
    with Peer(exchange) as peer:
        listener = Listener(peer, KEY, SECRET, "execution.fast")
        account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000", order_link_id="mine"))
        (push,) = listener.heard()
        assert list(push) == ["topic", "creationTime", "data"]
        assert (push["data"][0]["orderLinkId"], len(push["data"][0])) == ("", 11)


# --- spellings ---


def test_a_unified_account_says_nothing_is_there_in_its_own_way(v5: Listener, account: Account) -> None:
    """Empty texts where V3 has words and zeros."""
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    rows = v5.rows()
    order, position = rows["order"], rows["position"]
    assert (order["timeInForce"], order["triggerPrice"], order["stopOrderType"], order["avgPrice"]) == ("GTC", "", "", "")
    assert (position["side"], position["takeProfit"], position["bustPrice"], position["tpslMode"]) == ("", "0", "", "Full")
    assert "lastExecQty" not in order
    assert rows["wallet"]["coin"][0]["availableToWithdraw"] == ""


def test_v3_says_nothing_is_there_in_its_own_way(v3: Listener, account: Account) -> None:
    """Long names, UNKNOWN and 0.00, and a side that is None."""
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    rows = v3.rows()
    order, position = rows["user.order.contractAccount"], rows["user.position.contractAccount"]
    assert (order["timeInForce"], order["triggerPrice"], order["stopOrderType"]) == ("GoodTillCancel", "0.00", "UNKNOWN")
    assert (position["side"], position["takeProfit"], position["tpSlMode"]) == ("None", "0.00", "Full")
    assert not {"category", "createType", "cumFeeDetail", "seq"} & (order.keys() | position.keys())


def test_v3_tells_the_last_fill_in_the_order(v3: Listener, account: Account) -> None:
    """Maker and taker are words there; a cancel tells what stayed unfilled."""
    order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    account.fill(order, qty="0.2", price="19999", is_maker=False)
    rows = v3.rows()
    assert rows["user.execution.contractAccount"]["lastLiquidityInd"] == "RemovedLiquidity"
    row = rows["user.order.contractAccount"]
    assert (row["lastExecQty"], row["lastExecPrice"]) == ("0.2", "19999")
    account.cancel(order)
    assert v3.rows()["user.order.contractAccount"]["lastExecQty"] == "0.3"


def test_the_v3_wallet_is_one_flat_row_per_coin(v3: Listener, account: Account) -> None:
    """With margins under their old names, and what is free."""
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
    row = v3.rows()["user.wallet.contractAccount"]
    assert row == {
        "coin": "USDT",
        "equity": "9998",
        "walletBalance": "9998",
        "positionMargin": "1000",
        "availableBalance": "8998",
        "orderMargin": "0",
        "unrealisedPnl": "0",
        "cumRealisedPnl": "-2",
    }


def test_a_classic_account_has_no_totals(exchange: Exchange) -> None:
    """On V5 it says per coin what is free, and of the whole account nothing."""
    account = exchange.account("CLASSIC", "SECRET", kind="CONTRACT", balances={"USDT": "500"})
    with Peer(exchange) as peer:
        listener = Listener(peer, "CLASSIC", "SECRET")
        account.place_order("BTCUSDT", "Buy", qty="0.1", price="20000")
        rows = listener.rows()
    assert (rows["wallet"]["accountType"], rows["wallet"]["totalEquity"]) == ("CONTRACT", "")
    assert rows["wallet"]["coin"][0]["availableToWithdraw"] == "300"
    assert (rows["position"]["side"], rows["order"]["triggerPrice"], rows["order"]["createType"]) == ("None", "0.00", "")
    assert "mmrSysUpdateTime" in rows["position"]


# --- the rest of an account ---


def test_an_account_can_be_looked_into(account: Account) -> None:
    """Position and balance, exactly, without any client."""
    account.fill(account.place_order("BTCUSDT", "Sell", qty=1, price=Decimal(20000)))
    account.mark("BTCUSDT", "19900")
    assert (account.position("BTCUSDT").side, account.position("BTCUSDT").size) == ("Sell", 1)
    assert (account.balance("USDT").wallet, account.balance("USDT").unrealised) == (9996, 100)


def test_a_float_is_refused(account: Account) -> None:
    """It is not the number that it looks like."""
    with pytest.raises(TypeError, match="write it as text"):
        account.place_order("BTCUSDT", "Buy", qty=0.1, price="20000")  # type: ignore[arg-type]


# Documented, but not for what this exchange trades, or in one of two spellings of which it uses the other.
UNSAID = {
    "delta",
    "gamma",
    "vega",
    "theta",
    "brokerOrderPrice",
    "ocoTriggerBy",
    "sessionAvgPrice",
    "free",
    "mmrSysUpdatedTime",
}


@pytest.mark.parametrize(
    ("dialect", "kind", "sender"), [("v5", "UNIFIED", "u"), ("v5", "CONTRACT", "c"), ("v3", "UNIFIED", "3")]
)
def test_rows_have_the_documented_keys(dialect: str, kind: str, sender: str) -> None:
    """All of them, and no other, in each of the three spellings."""
    documented = {"position": POSITION, "order": ORDER, "execution": EXECUTION, "wallet": ACCOUNT, "coin": COIN}
    for stream, shape in SPELLINGS[dialect, kind].items():
        keys = {key.name for key in documented[stream] if sender in key.senders}
        assert set(shape.plain) | (UNSAID & keys) == keys, stream


def test_a_row_is_filled_in_by_what_is_plain(v5: Listener, v3: Listener, account: Account) -> None:
    """A test names what it is about; the rest is there, translated, and a key of one dialect stays out of the other."""
    account.push("positions", [{"symbol": "ETHUSDT", "tpslMode": "Partial", "curRealisedPnl": "1", "brandNew": "x"}])
    row, old = v5.rows()["position"], v3.rows()["user.position.contractAccount"]
    assert (row["symbol"], row["tpslMode"], row["side"], row["brandNew"]) == ("ETHUSDT", "Partial", "", "x")
    assert (old["symbol"], old["tpSlMode"], old["side"], old["brandNew"]) == ("ETHUSDT", "Partial", "None", "x")
    assert "curRealisedPnl" not in old
