"""Every documented key and every documented shape of a row, in both dialects."""

from __future__ import annotations

import inspect
import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import attrs
import pytest

from bybit_sync import V3, V5, BalanceUpdate, CoinBalance, Dialect, PositionUpdate, Stream
from bybit_sync.model import enums as vocabularies
from bybit_sync.session.dialects import RENAMES
from tests.documented_keys import COIN, DOCUMENTED, EXECUTION, ORDER, POSITION, Key

# Attributes whose names are not their key's: one meaning under two keys, and the list of coins.
OTHERWISE = {
    "tpSlMode": "tpsl_mode",
    "mmrSysUpdateTime": "mmr_sys_updated_time",
    "lastLiquidityInd": "is_maker",
    "coin": "coins",
}


def attribute(cls: type[Any], key: str) -> str:
    """Return the attribute that *key* is to be found under."""
    if key in OTHERWISE and cls is not CoinBalance:
        return OTHERWISE[key]
    return "_".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", key)).lower()


def sent_and_meant(key: Key) -> tuple[Any, Any]:
    """Return a value that the exchange may send under *key*, and what it means."""
    vocabulary = getattr(vocabularies, key.holds, None)
    if vocabulary is not None:
        member = list(vocabulary)[-1]
        return member.value, member
    samples = {
        "number": ("12.3400", Decimal("12.3400")),
        "text": (f"any {key.name}", f"any {key.name}"),
        "int": (2, 2),
        "bool": (True, True),
        "0/1": (1, True),
        "time": ("1672364262474", datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=1_672_364_262_474)),
        "sequence": (140_667_095_077_548, 140_667_095_077_548),
        "fees": ({"USDT": "0.10"}, {"USDT": Decimal("0.10")}),
        "maker": ("AddedLiquidity", True),
    }
    return samples[key.holds]


def is_described(cls: type[Any], name: str) -> bool:
    """Return whether *cls* has the attribute *name*, and tells in its docstring what it is."""
    fields = {field.name for field in attrs.fields(cls)}
    return name in fields and bool(re.search(rf"^ +{name}: .", inspect.getdoc(cls) or "", re.MULTILINE))


def test_documented_key_has_an_attribute() -> None:
    """Whatever Bybit documents is an attribute, named after its key, and described in the class."""
    keys = [(cls, key.name) for cls, table in DOCUMENTED.items() for key in table]
    assert [(cls, name) for cls, name in keys if not is_described(cls, attribute(cls, name))] == []
    assert len(keys) > 150


@pytest.mark.parametrize("cls", DOCUMENTED, ids=lambda cls: cls.__name__)
def test_attribute_is_documented(cls: type[Any]) -> None:
    """No attribute is made up: each is a documented key, or `extra`, or `wire`."""
    names = {attribute(cls, key.name) for key in DOCUMENTED[cls]}
    assert {field.name for field in attrs.fields(cls)} == names | {"extra", "wire"}


def test_renames_are_these() -> None:
    """Three keys are another spelling of an attribute; everything else is named after its key."""
    assert set(RENAMES) == set(OTHERWISE) - {"coin"}


@pytest.mark.parametrize(
    ("dialect", "stream", "table", "sender"),
    [
        (dialect, stream, table, sender)
        for dialect, sender in ((V3, "3"), (V5, "u"), (V5, "c"))
        for stream, table in ((Stream.POSITIONS, POSITION), (Stream.ORDERS, ORDER), (Stream.USER_TRADES, EXECUTION))
    ],
)
def test_row_with_every_key_is_read_completely(dialect: Dialect, stream: Stream, table: tuple[Key, ...], sender: str) -> None:
    """A row with all that a sender documents arrives with every value in its attribute, and nothing left over."""
    keys = [key for key in table if sender in key.senders and key.holds != "taxes"]
    row = {key.name: sent_and_meant(key)[0] for key in keys}
    (update,), faults = dialect.channels(stream, None)[0].decode([row])
    assert faults == ()
    for key in keys:
        assert getattr(update, attribute(type(update), key.name)) == sent_and_meant(key)[1], key.name
    assert update.extra == {}


@pytest.mark.parametrize("sender", ["u", "c"])
def test_account_with_every_key_is_read_completely(sender: str) -> None:
    """So does an account with its coins."""
    account = [key for key in DOCUMENTED[BalanceUpdate] if sender in key.senders and key.holds != "coins"]
    coins = [key for key in COIN if sender in key.senders]
    row: dict[str, Any] = {key.name: sent_and_meant(key)[0] for key in account}
    row["coin"] = [{key.name: sent_and_meant(key)[0] for key in coins}]
    ((update,), faults) = V5.channels(Stream.BALANCES, None)[0].decode([row])
    assert faults == ()
    for key in account:
        assert getattr(update, attribute(BalanceUpdate, key.name)) == sent_and_meant(key)[1], key.name
    for key in coins:
        assert getattr(update.coins[0], attribute(CoinBalance, key.name)) == sent_and_meant(key)[1], key.name
    assert update.extra == update.coins[0].extra == {}


# --- shapes ---


def one(dialect: Dialect, stream: Stream, row: dict[str, Any], category: str | None = None) -> Any:
    """Return the update that *row* becomes."""
    channel = dialect.channels(stream, (category,) if category else None)[0]
    (update,), faults = channel.decode([row])
    assert faults == ()
    assert update.extra == {}
    return update


UNIFIED_LINEAR = {
    "positionIdx": 0,
    "tradeMode": 0,
    "riskId": 41,
    "riskLimitValue": "200000",
    "symbol": "SOLUSDT",
    "side": "Sell",
    "size": "3.7",
    "entryPrice": "148.2150",
    "leverage": "8",
    "breakEvenPrice": "148.05196350",
    "positionValue": "548.3955",
    "positionBalance": "0",
    "markPrice": "147.980",
    "positionIM": "68.74131075",
    "positionIMByMp": "68.74131075",
    "positionMM": "3.04413045",
    "positionMMByMp": "3.04413045",
    "takeProfit": "140.00",
    "stopLoss": "0",
    "trailingStop": "0",
    "unrealisedPnl": "0.8695",
    "curRealisedPnl": "-0.30161752",
    "cumRealisedPnl": "12.90040100",
    "sessionAvgPrice": "",
    "createdTime": "1741000000123",
    "updatedTime": "1741003600456",
    "tpslMode": "Full",
    "liqPrice": "201.35",
    "bustPrice": "",
    "category": "linear",
    "positionStatus": "Normal",
    "adlRankIndicator": 2,
    "autoAddMargin": 0,
    "leverageSysUpdatedTime": "",
    "mmrSysUpdatedTime": "1741000000999",
    "seq": 140_700_000_000_001,
    "openTime": 1_741_000_000_123,
    "isReduceOnly": False,
}


def test_position_of_a_unified_account() -> None:
    """An open linear position: digits, times and words as they were sent."""
    position = one(V5, Stream.POSITIONS, UNIFIED_LINEAR)
    assert (position.side, position.size, str(position.entry_price)) == ("Sell", Decimal("3.7"), "148.2150")
    assert (position.session_avg_price, position.bust_price, position.leverage_sys_updated_time) == (None, None, None)
    assert (position.stop_loss, position.auto_add_margin, position.is_reduce_only) == (0, False, False)
    assert position.mmr_sys_updated_time == datetime(2025, 3, 3, 11, 6, 40, 999000, tzinfo=timezone.utc)
    assert position.open_time == datetime(2025, 3, 3, 11, 6, 40, 123000, tzinfo=timezone.utc)
    assert position.seq == 140_700_000_000_001
    assert (position.active_price, position.occ_closing_fee, position.delta) == (None, None, None)


def test_flat_leg_of_a_hedged_pair() -> None:
    """A leg that holds nothing has no side and no margin, and says so with None, not 0."""
    flat = {"side": "", "size": "0", "positionIM": "", "positionMM": "", "liqPrice": "0", "positionIdx": 2, "seq": "-1"}
    position = one(V5, Stream.POSITIONS, UNIFIED_LINEAR | flat)
    assert (position.side, position.size, position.position_idx, position.seq) == (None, 0, 2, None)
    assert (position.position_im, position.position_mm, position.liq_price) == (None, None, 0)


def test_position_in_portfolio_margin() -> None:
    """Portfolio margin has neither leverage nor margin nor liquidation price of one position."""
    blank = dict.fromkeys(("leverage", "riskLimitValue", "positionIM", "positionMM", "positionIMByMp", "liqPrice"), "")
    position = one(V5, Stream.POSITIONS, UNIFIED_LINEAR | blank | {"riskId": 0})
    assert [getattr(position, attribute(PositionUpdate, key)) for key in blank] == [None] * len(blank)
    assert position.risk_id == 0


def test_inverse_position_of_a_classic_account() -> None:
    """Sizes are USD contracts, a flat side is the text None, and a key is spelled without its d."""
    row = {
        key: value for key, value in UNIFIED_LINEAR.items() if key not in ("mmrSysUpdatedTime", "openTime", "curRealisedPnl")
    }
    row |= {"category": "inverse", "symbol": "BTCUSD", "size": "0", "side": "None", "mmrSysUpdateTime": "1741000000999"}
    position = one(V5, Stream.POSITIONS, row)
    assert (position.category, position.side, position.size) == ("inverse", None, 0)
    assert position.mmr_sys_updated_time == datetime(2025, 3, 3, 11, 6, 40, 999000, tzinfo=timezone.utc)


def test_position_of_an_option() -> None:
    """Options bring their greeks."""
    greeks = {
        "category": "option",
        "symbol": "BTC-27MAR26-100000-C",
        "delta": "0.3210",
        "gamma": "-0.0001",
        "vega": "",
        "theta": "-9",
    }
    position = one(V5, Stream.POSITIONS, UNIFIED_LINEAR | greeks)
    assert (position.delta, position.gamma, position.vega, position.theta) == (
        Decimal("0.3210"),
        Decimal("-0.0001"),
        None,
        Decimal(-9),
    )


def test_position_without_category_takes_it_from_the_topic() -> None:
    """Rows of early 2023 do not name their product; a categorised topic does."""
    row = {key: value for key, value in UNIFIED_LINEAR.items() if key != "category"}
    assert one(V5, Stream.POSITIONS, row, "linear").key == ("linear", "SOLUSDT", 0)
    assert one(V5, Stream.POSITIONS, row).category is None
    assert one(V5, Stream.POSITIONS, row, "linear").wire == row


def test_row_that_names_its_category_keeps_it() -> None:
    """What the row says counts, also for a product that nobody knows yet, and beside a row that says nothing."""
    rows = [UNIFIED_LINEAR | {"category": "lunar"}, UNIFIED_LINEAR | {"category": ""}]
    updates, _ = V5.channels(Stream.POSITIONS, ("linear",))[0].decode(rows)
    assert [update.category for update in updates] == ["lunar", "linear"]


CONTRACT_POSITION = {
    "positionIdx": 0,
    "riskId": 1,
    "symbol": "XRPUSDT",
    "side": "None",
    "size": "0",
    "positionValue": "0",
    "entryPrice": "0",
    "tradeMode": 1,
    "autoAddMargin": 1,
    "leverage": "10",
    "positionBalance": "0",
    "liqPrice": "0.0000",
    "bustPrice": "0.0000",
    "takeProfit": "0.0000",
    "stopLoss": "0.0000",
    "trailingStop": "0.0000",
    "unrealisedPnl": "0",
    "createdTime": "1690000000001",
    "updatedTime": "1690000099999",
    "tpSlMode": "Full",
    "riskLimitValue": "150000",
    "sessionAvgPrice": "0.0000",
    "positionStatus": "Normal",
    "occClosingFee": "0",
    "markPrice": "0.5021",
    "cumRealisedPnl": "-3.10000000",
    "activePrice": "0.0000",
    "positionMM": "0",
    "positionIM": "0",
    "adlRankIndicator": 0,
    "isReduceOnly": False,
    "mmrSysUpdateTime": "",
    "leverageSysUpdatedTime": "",
}


def test_position_of_v3() -> None:
    """V3 has no category, its own spellings, and keys that V5 dropped."""
    position = one(V3, Stream.POSITIONS, CONTRACT_POSITION)
    assert position.key == (None, "XRPUSDT", 0)
    assert (position.side, position.tpsl_mode, position.mmr_sys_updated_time) == (None, "Full", None)
    assert (format(position.active_price, "f"), position.occ_closing_fee, position.auto_add_margin) == ("0.0000", 0, True)


def test_dialects_agree_on_what_they_share() -> None:
    """One update class for both: what both send under the same key is in the same attribute."""
    v3 = one(V3, Stream.POSITIONS, CONTRACT_POSITION)
    v5 = one(
        V5, Stream.POSITIONS, {("tpslMode" if key == "tpSlMode" else key): value for key, value in CONTRACT_POSITION.items()}
    )
    assert v3 == v5


UNIFIED_ORDER = {
    "category": "linear",
    "symbol": "ETHUSDT",
    "orderId": "0c1d4f2e-1111-4222-8333-944445555666",
    "orderLinkId": "",
    "blockTradeId": "",
    "side": "Buy",
    "positionIdx": 0,
    "orderStatus": "New",
    "cancelType": "UNKNOWN",
    "rejectReason": "EC_NoError",
    "timeInForce": "GTC",
    "orderType": "Limit",
    "stopOrderType": "",
    "price": "2450.10",
    "qty": "0.50",
    "avgPrice": "",
    "leavesQty": "0.50",
    "leavesValue": "1225.05",
    "cumExecQty": "0.00",
    "cumExecValue": "0",
    "cumExecFee": "0",
    "closedPnl": "0",
    "cumFeeDetail": {},
    "feeCurrency": "",
    "isLeverage": "",
    "marketUnit": "",
    "orderIv": "",
    "placeType": "",
    "createType": "CreateByUser",
    "triggerPrice": "",
    "triggerDirection": 0,
    "triggerBy": "",
    "tpTriggerBy": "",
    "slTriggerBy": "",
    "takeProfit": "",
    "stopLoss": "",
    "tpLimitPrice": "0",
    "slLimitPrice": "0",
    "tpslMode": "UNKNOWN",
    "lastPriceOnCreated": "2451.33",
    "slippageToleranceType": "UNKNOWN",
    "slippageTolerance": "0",
    "reduceOnly": False,
    "closeOnTrigger": False,
    "smpType": "None",
    "smpGroup": 0,
    "smpOrderId": "",
    "createdTime": "1741000000100",
    "updatedTime": "1741000000105",
}


def test_order_of_a_unified_account() -> None:
    """An order that was just placed: what is not set is None, what is zero is 0."""
    order = one(V5, Stream.ORDERS, UNIFIED_ORDER)
    assert (order.key, order.order_link_id) == (("0c1d4f2e-1111-4222-8333-944445555666",), None)
    assert (order.order_status, order.time_in_force, order.create_type) == ("New", "GTC", "CreateByUser")
    assert (order.cancel_type, order.stop_order_type, order.tpsl_mode, order.trigger_by) == (None, None, None, None)
    assert (order.reject_reason, order.smp_type) == ("EC_NoError", "None")
    assert (order.avg_price, order.trigger_price, order.take_profit) == (None, None, None)
    assert (order.tp_limit_price, format(order.cum_exec_qty, "f"), order.cum_fee_detail) == (0, "0.00", {})
    assert (order.is_leverage, order.slippage_tolerance_type, order.slippage_tolerance) == (None, None, 0)


def test_order_that_a_cancel_raced() -> None:
    """A second Filled message may say why the cancel came too late."""
    late = {"orderStatus": "Filled", "cancelType": "CancelByUser", "rejectReason": "EC_OrigClOrdIDDoesNotExist"}
    order = one(V5, Stream.ORDERS, UNIFIED_ORDER | late)
    assert (order.order_status, order.cancel_type, order.reject_reason) == tuple(late.values())


def test_order_of_spot() -> None:
    """Spot rows lack what only futures have, and have what only spot has."""
    gone = ("createType", "tpslMode", "positionIdx", "smpGroup")
    row = {key: value for key, value in UNIFIED_ORDER.items() if key not in gone}
    spot = {"category": "spot", "isLeverage": "1", "marketUnit": "quoteCoin", "ocoTriggerBy": "OcoTriggerByTp", "price": "0"}
    order = one(V5, Stream.ORDERS, row | spot)
    assert (order.is_leverage, order.market_unit, order.oco_trigger_by) == (True, "quoteCoin", "OcoTriggerByTp")
    assert (order.create_type, order.tpsl_mode, order.position_idx, order.smp_group) == (None, None, None, None)


def test_order_of_v3() -> None:
    """V3's long words and zeros for "not set"; last fills, which V5 does not tell."""
    row = {
        key: value
        for key, value in UNIFIED_ORDER.items()
        if key not in ("category", "createType", "cumFeeDetail", "isLeverage")
    }
    row |= {"timeInForce": "GoodTillCancel", "lastExecQty": "0.25", "lastExecPrice": "2450.05", "stopOrderType": "UNKNOWN"}
    row |= {"triggerPrice": "0.00", "triggerBy": "UNKNOWN", "orderStatus": "PendingCancel", "rejectReason": "EC_NoError"}
    order = one(V3, Stream.ORDERS, row)
    assert (order.category, order.time_in_force, order.order_status) == (None, "GTC", "PendingCancel")
    assert (order.last_exec_qty, order.last_exec_price) == (Decimal("0.25"), Decimal("2450.05"))
    assert (order.trigger_by, format(order.trigger_price, "f")) == (None, "0.00")


UNIFIED_TRADE = {
    "category": "linear",
    "symbol": "ETHUSDT",
    "closedSize": "0",
    "execFee": "-0.061250",
    "execId": "9d4cb6f0-aaaa-4bbb-8ccc-1ddddeeee000",
    "execPrice": "2450.00",
    "execQty": "0.25",
    "execType": "Trade",
    "execValue": "612.50",
    "feeRate": "-0.0001",
    "tradeIv": "",
    "markIv": "",
    "blockTradeId": "",
    "markPrice": "2450.31",
    "indexPrice": "",
    "underlyingPrice": "",
    "leavesQty": "0.25",
    "orderId": "0c1d4f2e-1111-4222-8333-944445555666",
    "orderLinkId": "mine-1",
    "orderPrice": "2450.10",
    "orderQty": "0.50",
    "orderType": "Limit",
    "stopOrderType": "UNKNOWN",
    "side": "Buy",
    "execTime": "1741000007001",
    "isLeverage": "0",
    "isMaker": True,
    "seq": 140_700_000_000_007,
    "marketUnit": "",
    "execPnl": "0",
    "createType": "CreateByUser",
    "extraFees": "",
    "feeCurrency": "USDT",
}


def test_trade_of_a_unified_account() -> None:
    """A maker's fill: the fee is negative where it was received."""
    trade = one(V5, Stream.USER_TRADES, UNIFIED_TRADE)
    assert (trade.exec_type, trade.is_maker, str(trade.exec_fee)) == ("Trade", True, "-0.061250")
    assert (trade.stop_order_type, trade.extra_fees, trade.is_leverage, trade.index_price) == (None, (), False, None)
    assert trade.exec_time == datetime(2025, 3, 3, 11, 6, 47, 1000, tzinfo=timezone.utc)


def test_funding() -> None:
    """Funding is an execution without order: what makes no sense for it is None."""
    funding = {
        "execType": "Funding",
        "orderType": "UNKNOWN",
        "closedSize": "",
        "orderPrice": "0",
        "orderId": "1741000000-ETHUSDT-1-Buy",
    }
    trade = one(V5, Stream.USER_TRADES, UNIFIED_TRADE | funding)
    assert (trade.exec_type, trade.order_type, trade.closed_size, trade.order_price) == ("Funding", None, None, 0)
    assert trade.order_id == "1741000000-ETHUSDT-1-Buy"


def test_trade_with_taxes() -> None:
    """Taxes of some countries are a tuple of their own."""
    fee = {"feeCoin": "USDT", "feeType": "GST", "subFeeType": "IND_GST", "feeRate": "0.0000675", "fee": "0.04134375"}
    (tax,) = one(V5, Stream.USER_TRADES, UNIFIED_TRADE | {"extraFees": [fee]}).extra_fees
    assert (tax.fee_coin, tax.fee_type, tax.sub_fee_type) == ("USDT", "GST", "IND_GST")
    assert (str(tax.fee_rate), str(tax.fee)) == ("0.0000675", "0.04134375")


@pytest.mark.parametrize(
    ("word", "maker"),
    [
        *(("AddedLiquidity", True), ("AddLiquidity", True), ("MAKER", True)),
        *(("RemovedLiquidity", False), ("RemoveLiquidity", False), ("TAKER", False)),
        *(("UNKNOWN", None), ("", None), ("SomethingNew", None)),
    ],
)
def test_trade_of_v3(word: str, maker: bool | None) -> None:  # noqa: FBT001 - the value under test
    """V3 says maker or taker in words; one that nobody knows costs no trade."""
    gone = ("category", "isMaker", "seq", "execPnl", "createType", "extraFees", "feeCurrency")
    row = {key: value for key, value in UNIFIED_TRADE.items() if key not in gone}
    trade = one(V3, Stream.USER_TRADES, row | {"lastLiquidityInd": word})
    assert (trade.category, trade.is_maker, trade.seq, trade.extra_fees) == (None, maker, None, ())


UNIFIED_COIN = {
    "coin": "USDT",
    "equity": "1003.50120000",
    "usdValue": "1003.20015000",
    "walletBalance": "1002.63170000",
    "availableToWithdraw": "",
    "availableToBorrow": "",
    "borrowAmount": "0",
    "accruedInterest": "0.000000000000000000",
    "totalOrderIM": "153.13125",
    "totalPositionIM": "68.74131075",
    "totalPositionMM": "3.04413045",
    "unrealisedPnl": "0.8695",
    "cumRealisedPnl": "12.900401",
    "bonus": "0",
    "collateralSwitch": True,
    "marginCollateral": True,
    "locked": "0",
    "spotHedgingQty": "0",
    "spotBorrow": "0",
    "colRes": "0",
}
TOTALS = (
    *("accountIMRate", "accountMMRate", "totalEquity", "totalWalletBalance", "totalMarginBalance", "totalAvailableBalance"),
    *("totalPerpUPL", "totalInitialMargin", "totalMaintenanceMargin", "accountLTV"),
)


def test_wallet_of_a_unified_account() -> None:
    """One account with its totals in USD and its coins."""
    row = {"accountType": "UNIFIED", "coin": [UNIFIED_COIN, UNIFIED_COIN | {"coin": "BTC", "equity": "-0.00000001"}]}
    account = one(V5, Stream.BALANCES, row | dict.fromkeys(TOTALS, "0.1500"))
    assert (account.key, str(account.total_perp_upl), str(account.account_ltv)) == (("UNIFIED",), "0.1500", "0.1500")
    assert [coin.coin for coin in account.coins] == ["USDT", "BTC"]
    usdt, btc = account.coin("USDT"), account.coin("BTC")
    assert (usdt.available_to_withdraw, format(usdt.accrued_interest, "f")) == (None, "0.000000000000000000")
    assert (usdt.collateral_switch, usdt.col_res, usdt.col_res.name) == (True, "0", "OFF")
    assert (btc.equity, btc.extra, btc.wire["coin"]) == (Decimal("-1E-8"), {}, "BTC")


def test_wallet_of_a_classic_account() -> None:
    """A classic account has no totals, and that is None for each of them, not 0."""
    row = {"accountType": "CONTRACT", "coin": [{"coin": "USDT", "equity": "5", "availableToWithdraw": "4.50", "usdValue": ""}]}
    account = one(V5, Stream.BALANCES, row | dict.fromkeys(TOTALS, ""))
    assert [getattr(account, attribute(BalanceUpdate, key)) for key in TOTALS] == [None] * len(TOTALS)
    assert (str(account.coins[0].available_to_withdraw), account.coins[0].usd_value) == ("4.50", None)


def test_wallet_of_two_accounts() -> None:
    """A push may hold more than one account, and an account no coin."""
    channel = V5.channels(Stream.BALANCES, ("linear",))[0]
    updates, faults = channel.decode([{"accountType": "UNIFIED", "coin": []}, {"accountType": "CONTRACT"}])
    assert ([update.key for update in updates], [update.coins for update in updates]) == (
        [("UNIFIED",), ("CONTRACT",)],
        [(), ()],
    )
    assert faults == ()


CONTRACT_COIN = {
    "coin": "USDT",
    "equity": "850.10",
    "walletBalance": "849.00",
    "positionMargin": "58.93",
    "availableBalance": "780.07",
    "orderMargin": "10.00",
    "unrealisedPnl": "1.10",
    "cumRealisedPnl": "-195.05",
}


def test_wallet_of_v3_is_one_account() -> None:
    """V3's flat rows, one a coin, are one account without totals."""
    channel = V3.channels(Stream.BALANCES, None)[0]
    (account,), faults = channel.decode([CONTRACT_COIN, CONTRACT_COIN | {"coin": "BTC"}])
    assert (account.key, [coin.coin for coin in account.coins], faults) == (("CONTRACT",), ["USDT", "BTC"], ())
    assert {getattr(account, field.name) for field in attrs.fields(BalanceUpdate) if field.name.startswith("total")} == {None}
    usdt = account.coin("USDT")
    assert (usdt.position_margin, usdt.order_margin, usdt.available_balance) == (Decimal("58.93"), 10, Decimal("780.07"))
    assert (usdt.total_position_im, usdt.available_to_withdraw, usdt.wire) == (None, None, CONTRACT_COIN)


def test_bad_coin_of_v3_costs_only_itself() -> None:
    """The other coins of the push are delivered; without any there is no account."""
    channel = V3.channels(Stream.BALANCES, None)[0]
    (account,), faults = channel.decode([CONTRACT_COIN | {"equity": "?"}, CONTRACT_COIN])
    assert (len(account.coins), faults) == (1, ("data[0].equity: '?' is not a number",))
    assert channel.decode([{"coin": ""}])[0] == ()
    assert channel.decode([]) == ((), ())


@pytest.mark.parametrize(
    ("stream", "row"),
    [
        (Stream.POSITIONS, {"symbol": "X", "positionIdx": 0}),
        (Stream.ORDERS, {"orderId": "1"}),
        (Stream.USER_TRADES, {"execId": "1"}),
        (Stream.BALANCES, {"accountType": "UNIFIED"}),
    ],
)
def test_missing_keys_are_none(stream: Stream, row: dict[str, Any]) -> None:
    """In the shortest row there can be, every attribute that was not sent is None, and what is a collection is empty."""
    update = one(V5, stream, row)
    assert update == type(update)(**{attribute(type(update), key): value for key, value in row.items()})
    rest = {field.name for field in attrs.fields(type(update))} - {attribute(type(update), key) for key in row} - {"wire"}
    assert all(getattr(update, name) in (None, (), {}) for name in rest)
