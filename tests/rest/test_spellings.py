"""A row of REST becomes the update that the stream would have pushed, attribute by attribute."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest

from bybit_sync import Category, OrderUpdate
from bybit_sync.model.events import Stream
from bybit_sync.rest.endpoints import EXECUTIONS, OPEN_ORDERS, ORDER_HISTORY, POSITIONS, WALLET, Endpoint
from bybit_sync.rest.spellings import decode_rows
from bybit_sync.session.dialects import V5

STREAMS = {
    POSITIONS: Stream.POSITIONS,
    OPEN_ORDERS: Stream.ORDERS,
    ORDER_HISTORY: Stream.ORDERS,
    EXECUTIONS: Stream.USER_TRADES,
    WALLET: Stream.BALANCES,
}
# What differs between the two by nature.
ASIDE = {"wire", "extra"}
ONLY_PUSHED = {
    POSITIONS: set(),
    OPEN_ORDERS: {"closed_pnl", "fee_currency", "slippage_tolerance", "rpi_taker_access", "rpi_matched_qty"},
    ORDER_HISTORY: {"closed_pnl", "fee_currency"},
    EXECUTIONS: {"exec_pnl", "is_leverage"},
    WALLET: set(),
}

# The same state, as the stream pushes it and as REST answers it, in the documented keys; values are made up.
POSITION = {
    "positionIdx": 1, "riskId": 41, "riskLimitValue": "200000", "symbol": "XRPUSDT", "side": "Buy", "size": "120",
    "positionValue": "61.5", "tradeMode": 0, "positionStatus": "Normal", "autoAddMargin": 0, "adlRankIndicator": 2,
    "leverage": "10", "breakEvenPrice": "0.5131", "positionBalance": "0", "markPrice": "0.5140", "liqPrice": "",
    "bustPrice": "", "positionMM": "0.62", "positionMMByMp": "0.62", "positionIM": "6.2", "positionIMByMp": "6.2",
    "tpslMode": "Full", "takeProfit": "0.7", "stopLoss": "", "trailingStop": "0", "unrealisedPnl": "0.18",
    "curRealisedPnl": "-0.0338", "cumRealisedPnl": "-3.2", "seq": 21000000123, "isReduceOnly": False,
    "leverageSysUpdatedTime": "", "sessionAvgPrice": "", "createdTime": "1690000000000", "updatedTime": "1731000123456",
    "openTime": 1731000100000,
}  # fmt: skip
ORDER = {
    "symbol": "XRPUSDT", "orderType": "Limit", "orderLinkId": "mine", "slLimitPrice": "0", "orderId": "0a1b", "avgPrice": "0.4",
    "cancelType": "UNKNOWN", "stopOrderType": "", "lastPriceOnCreated": "0.5150", "orderStatus": "PartiallyFilled",
    "createType": "CreateByUser", "takeProfit": "", "cumExecValue": "2", "smpType": "None", "triggerDirection": 0,
    "blockTradeId": "", "isLeverage": "", "rejectReason": "EC_NoError", "price": "0.4", "orderIv": "", "positionIdx": 0,
    "createdTime": "1731000000001", "tpTriggerBy": "", "timeInForce": "GTC", "leavesValue": "2", "slTriggerBy": "",
    "updatedTime": "1731000000003", "side": "Buy", "smpGroup": 0, "triggerPrice": "", "tpLimitPrice": "0", "qty": "10",
    "cumExecFee": "0.0011", "leavesQty": "5", "closeOnTrigger": False, "placeType": "", "cumExecQty": "5", "stopLoss": "",
    "reduceOnly": False, "marketUnit": "", "smpOrderId": "", "triggerBy": "", "cumFeeDetail": {"USDT": "0.0011"},
}  # fmt: skip
EXECUTION = {
    "symbol": "XRPUSDT", "orderType": "Market", "underlyingPrice": "", "orderLinkId": "", "side": "Buy", "indexPrice": "",
    "orderId": "0a1b", "stopOrderType": "UNKNOWN", "leavesQty": "0", "execTime": "1731000123452", "feeCurrency": "",
    "isMaker": False, "execFee": "0.0338", "feeRate": "0.00055", "execId": "5e0f", "tradeIv": "", "blockTradeId": "",
    "markPrice": "0.5126", "execPrice": "0.5125", "markIv": "", "orderQty": "120", "orderPrice": "0.5381",
    "execValue": "61.5", "execType": "Trade", "execQty": "120", "closedSize": "0", "extraFees": "",
    "createType": "CreateByUser", "seq": 21000000123,
}  # fmt: skip
COIN = {
    "availableToBorrow": "", "bonus": "0", "accruedInterest": "0", "availableToWithdraw": "", "totalOrderIM": "0",
    "equity": "310.0", "totalPositionMM": "0.62", "usdValue": "310.1", "unrealisedPnl": "0.18", "collateralSwitch": True,
    "spotHedgingQty": "0", "borrowAmount": "0.000000000000000000", "totalPositionIM": "6.2", "walletBalance": "309.82",
    "cumRealisedPnl": "-12.5", "locked": "0", "marginCollateral": True, "coin": "USDT", "spotBorrow": "0", "colRes": "0",
}  # fmt: skip
ACCOUNT = {
    "totalEquity": "312.1", "accountIMRate": "0.01", "accountIMRateByMp": "0.01", "totalMarginBalance": "310.0",
    "totalInitialMargin": "6.2", "totalInitialMarginByMp": "6.2", "accountType": "UNIFIED", "totalAvailableBalance": "303.8",
    "accountMMRate": "0.002", "accountMMRateByMp": "0.002", "totalPerpUPL": "0.18", "totalWalletBalance": "309.8",
    "accountLTV": "0", "totalMaintenanceMargin": "0.62", "totalMaintenanceMarginByMp": "0.62", "coin": [COIN],
}  # fmt: skip
PUSHED_ONLY = {"category": "linear", "closedPnl": "0", "feeCurrency": "USDT", "rpiMatchedQty": "0", "rpiTakerAccess": False}
HISTORY_TOO = {"slippageToleranceType": "UNKNOWN", "slippageTolerance": "0", "rpiTakerAccess": False, "rpiMatchedQty": "0"}

PAIRS = {
    "position": (
        POSITIONS,
        POSITION | {"category": "linear", "entryPrice": "0.5125", "mmrSysUpdatedTime": ""},
        POSITION | {"avgPrice": "0.5125", "mmrSysUpdateTime": ""},
    ),
    "open order": (OPEN_ORDERS, ORDER | PUSHED_ONLY | HISTORY_TOO | {"tpslMode": "UNKNOWN"}, ORDER | {"tpslMode": ""}),
    "closed order": (
        ORDER_HISTORY,
        ORDER | PUSHED_ONLY | HISTORY_TOO,
        ORDER | HISTORY_TOO | {"stopOrderType": "UNKNOWN", "triggerBy": "UNKNOWN", "extraFees": ""},
    ),
    "execution": (
        EXECUTIONS,
        EXECUTION | {"category": "linear", "isLeverage": "0", "execPnl": "0", "extraFees": []},
        EXECUTION,
    ),
    "wallet": (WALLET, ACCOUNT, ACCOUNT),
}


def pushed(endpoint: Endpoint, row: dict[str, Any]) -> Any:
    """Return the update of a row that was pushed."""
    (channel,) = V5.channels(STREAMS[endpoint], None)
    (update,), faults = channel.decode([row])
    assert faults == ()
    return update


def answered(endpoint: Endpoint, row: Any, category: str | None = "linear") -> Any:
    """Return the update of a row that was answered."""
    (update,), faults = decode_rows(endpoint, [row], None if endpoint is WALLET else category)
    assert faults == ()
    return update


@pytest.mark.parametrize("name", PAIRS)
def test_a_row_says_the_same_attribute_by_attribute(name: str) -> None:
    """What only the stream tells is unset."""
    endpoint, of_stream, of_rest = PAIRS[name]
    ours, theirs = answered(endpoint, of_rest), pushed(endpoint, of_stream)
    assert type(ours) is type(theirs)
    for field in attrs.fields(type(ours)):
        if field.name not in ASIDE | ONLY_PUSHED[endpoint]:
            assert _value(ours, field.name) == _value(theirs, field.name), field.name
    assert {n for n in ONLY_PUSHED[endpoint] if getattr(ours, n) is not None} == set()


def _value(update: Any, name: str) -> Any:
    value = getattr(update, name)
    return [attrs.asdict(coin, filter=lambda f, _: f.name not in ASIDE) for coin in value] if name == "coins" else value


@pytest.mark.parametrize("name", PAIRS)
def test_no_documented_key_is_strange(name: str) -> None:
    """But REST's own taxes on a closed order, which its class does not know."""
    endpoint, _, of_rest = PAIRS[name]
    assert set(answered(endpoint, of_rest).extra) <= {"extraFees"}


def test_the_category_is_that_of_the_answer() -> None:
    """A row's own counts, if it has one."""
    assert answered(OPEN_ORDERS, ORDER, "inverse").category is Category.INVERSE
    assert answered(OPEN_ORDERS, ORDER | {"category": "option"}, "inverse").category is Category.OPTION
    assert answered(OPEN_ORDERS, ORDER, None).category is None


def test_taxes_may_be_a_text() -> None:
    """The text of a list; one that is no JSON costs the row, which is told."""
    text = '[{"feeCoin":"USDT","feeType":"TAX","feeRate":"0.01","fee":"0.1"}]'
    (fee,) = answered(EXECUTIONS, EXECUTION | {"extraFees": text}).extra_fees
    assert (fee.fee_coin, fee.fee) == ("USDT", Decimal("0.1"))
    assert answered(EXECUTIONS, EXECUTION | {"extraFees": "[]"}).extra_fees == ()
    _, (fault,) = decode_rows(EXECUTIONS, [EXECUTION | {"extraFees": "none"}], "linear")
    assert fault.startswith("data[0].extraFees")


@pytest.mark.parametrize("row", [7, None, [], "row", {}])
def test_a_row_that_is_none_costs_itself(row: Any) -> None:
    """And is told by its path."""
    updates, faults = decode_rows(OPEN_ORDERS, [ORDER, row, ORDER], "linear")
    assert [type(update) for update in updates] == [OrderUpdate] * 2
    assert len(faults) == 1
    assert faults[0].startswith("data[1]")


def test_times_may_be_whole_numbers_and_nothing_may_be_null() -> None:
    """As some gateways answer."""
    usual = answered(POSITIONS, POSITION | {"avgPrice": "0.5125"})
    other = answered(
        POSITIONS, POSITION | {"avgPrice": "0.5125", "updatedTime": 1731000123456, "stopLoss": None, "liqPrice": None}
    )
    assert attrs.evolve(other, wire=usual.wire) == usual


def test_wire_is_the_row_and_unknown_keys_are_kept() -> None:
    """In the stream's spelling."""
    update = answered(POSITIONS, POSITION | {"avgPrice": "0.5125", "mood": "good"})
    assert update.wire["entryPrice"] == "0.5125"
    assert dict(update.extra) == {"mood": "good"}
