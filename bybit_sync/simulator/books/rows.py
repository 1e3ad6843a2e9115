"""The rows as the exchange prints them, in three spellings.

A row is made once, as *values* with the keys of a unified account on V5. Tables
translate it into the other two spellings: a classic contract account on V5, and V3.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import attrs

from bybit_sync.simulator.dialects import Dialect, Topic

__all__ = ["SPELLINGS", "Spelling", "dump", "envelope", "print_fast", "print_rows"]


Row = Mapping[str, Any]
_NOTHING: Row = MappingProxyType({})


@attrs.frozen
class Shape:
    """One stream's rows in one spelling.

    *plain* has every key, in order, with the value of an empty row. *names* and
    *values* translate the keys and values; *silent* keys always keep the plain value.
    """

    plain: Row
    names: Mapping[str, str] = _NOTHING
    values: Mapping[str, Mapping[Any, Any]] = _NOTHING
    silent: frozenset[str] = frozenset()


# --- a unified account on V5 ---

_POSITION: Row = {
    "positionIdx": 0,
    "tradeMode": 0,
    "riskId": 1,
    "riskLimitValue": "2000000",
    "symbol": "BTCUSDT",
    "side": "",
    "size": "0",
    "entryPrice": "0",
    "leverage": "10",
    "breakEvenPrice": "",
    "positionValue": "0",
    "positionBalance": "0",
    "markPrice": "0",
    "positionIM": "0",
    "positionIMByMp": "0",
    "positionMM": "0",
    "positionMMByMp": "0",
    "takeProfit": "0",
    "stopLoss": "0",
    "trailingStop": "0",
    "unrealisedPnl": "0",
    "curRealisedPnl": "0",
    "cumRealisedPnl": "0",
    "sessionAvgPrice": "",
    "createdTime": "1700000000000",
    "updatedTime": "1700000000000",
    "openTime": 0,
    "tpslMode": "Full",
    "liqPrice": "",
    "bustPrice": "",
    "category": "linear",
    "positionStatus": "Normal",
    "adlRankIndicator": 0,
    "autoAddMargin": 0,
    "leverageSysUpdatedTime": "",
    "mmrSysUpdatedTime": "",
    "seq": 1,
    "isReduceOnly": False,
}
_ORDER: Row = {
    "category": "linear",
    "symbol": "BTCUSDT",
    "orderId": "00000000-0000-4000-8000-000000000000",
    "orderLinkId": "",
    "parentOrderLinkId": "",
    "blockTradeId": "",
    "side": "Buy",
    "positionIdx": 0,
    "orderStatus": "New",
    "createType": "CreateByUser",
    "cancelType": "UNKNOWN",
    "rejectReason": "EC_NoError",
    "timeInForce": "GTC",
    "isLeverage": "",
    "price": "0",
    "qty": "0",
    "avgPrice": "",
    "leavesQty": "0",
    "leavesValue": "0",
    "cumExecQty": "0",
    "cumExecValue": "0",
    "cumExecFee": "0",
    "cumFeeDetail": {},
    "closedPnl": "0",
    "orderType": "Limit",
    "stopOrderType": "",
    "orderIv": "",
    "marketUnit": "",
    "slippageToleranceType": "UNKNOWN",
    "slippageTolerance": "0",
    "triggerPrice": "",
    "takeProfit": "",
    "stopLoss": "",
    "tpslMode": "UNKNOWN",
    "tpLimitPrice": "0",
    "slLimitPrice": "0",
    "tpTriggerBy": "",
    "slTriggerBy": "",
    "triggerDirection": 0,
    "triggerBy": "",
    "lastPriceOnCreated": "",
    "reduceOnly": False,
    "closeOnTrigger": False,
    "placeType": "",
    "smpType": "None",
    "smpGroup": 0,
    "smpOrderId": "",
    "feeCurrency": "",
    "createdTime": "1700000000000",
    "updatedTime": "1700000000000",
    "rpiTakerAccess": False,
    "rpiMatchedQty": "0",
}
# The fill and its order, as both dialects write them.
_FILL: Row = {
    "execFee": "0",
    "execId": "00000000-0000-4000-8000-000000000001",
    "execPrice": "0",
    "execQty": "0",
    "execType": "Trade",
    "execValue": "0",
    "feeRate": "0",
}
_FILLED: Row = {
    "leavesQty": "0",
    "orderId": "00000000-0000-4000-8000-000000000000",
    "orderLinkId": "",
    "orderPrice": "0",
    "orderQty": "0",
    "orderType": "Limit",
    "stopOrderType": "UNKNOWN",
    "side": "Buy",
    "execTime": "1700000000000",
}
_EXECUTION: Row = {
    "category": "linear",
    "symbol": "BTCUSDT",
    "closedSize": "0",
    **_FILL,
    "tradeIv": "",
    "markIv": "",
    "blockTradeId": "",
    "markPrice": "0",
    "indexPrice": "",
    "underlyingPrice": "",
    **_FILLED,
    "isLeverage": "0",
    "isMaker": False,
    "seq": 1,
    "marketUnit": "",
    "execPnl": "0",
    "createType": "CreateByUser",
    "extraFees": "",
    "feeCurrency": "",
}
_WALLET: Row = {
    "accountIMRate": "0",
    "accountIMRateByMp": "0",
    "accountMMRate": "0",
    "accountMMRateByMp": "0",
    "totalEquity": "0",
    "totalWalletBalance": "0",
    "totalMarginBalance": "0",
    "totalAvailableBalance": "0",
    "totalPerpUPL": "0",
    "totalInitialMargin": "0",
    "totalInitialMarginByMp": "0",
    "totalMaintenanceMargin": "0",
    "totalMaintenanceMarginByMp": "0",
    "coin": (),
    "accountLTV": "0",
    "accountType": "UNIFIED",
}
_COIN: Row = {
    "coin": "USDT",
    "equity": "0",
    "usdValue": "0",
    "walletBalance": "0",
    "availableToWithdraw": "",
    "availableToBorrow": "",
    "borrowAmount": "0",
    "accruedInterest": "0",
    "totalOrderIM": "0",
    "totalPositionIM": "0",
    "totalPositionMM": "0",
    "unrealisedPnl": "0",
    "cumRealisedPnl": "0",
    "bonus": "0",
    "collateralSwitch": True,
    "marginCollateral": True,
    "locked": "0",
    "spotHedgingQty": "0",
    "spotBorrow": "0",
    "colRes": "0",
}
# A filter of the execution stream rather than rows of its own.
_FAST_KEYS = (
    "category",
    "symbol",
    "execId",
    "execPrice",
    "execQty",
    "orderId",
    "isMaker",
    "orderLinkId",
    "side",
    "execTime",
    "seq",
)

# --- a classic contract account on V5 ---


def _changed(plain: Row, *, without: Sequence[str] = (), **changes: Any) -> Row:
    return {key: changes.get(key, value) for key, value in {**plain, **changes}.items() if key not in without}


def _all(keys: Sequence[str], values: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    return dict.fromkeys(keys, values)


_NO_PRICE = {"": "0.00", "0": "0.00"}
_UNKNOWN = {"": "UNKNOWN"}
_STOP_PRICES = ("takeProfit", "stopLoss", "trailingStop")
# Values that a unified account does not print: it has no margin per position and no
# free balance per coin.
_HELD = {"heldMargin": "positionBalance", "bankruptcyPrice": "bustPrice"}
_TRIGGERS = ("stopOrderType", "tpTriggerBy", "slTriggerBy", "triggerBy")

_CONTRACT_POSITION = Shape(
    {
        **_changed(
            _POSITION,
            without=(
                "breakEvenPrice",
                "positionIMByMp",
                "positionMMByMp",
                "curRealisedPnl",
                "sessionAvgPrice",
                "openTime",
                "mmrSysUpdatedTime",
            ),
            side="None",
            takeProfit="0.00",
            stopLoss="0.00",
            trailingStop="0.00",
            bustPrice="0.00",
        ),
        "mmrSysUpdateTime": "",
    },
    names={"mmrSysUpdatedTime": "mmrSysUpdateTime", **_HELD},
    values={"side": {"": "None"}, **_all((*_STOP_PRICES, "bustPrice"), _NO_PRICE)},
)
_CONTRACT_ORDER = Shape(
    _changed(
        _ORDER,
        createType="",
        stopOrderType="UNKNOWN",
        triggerPrice="0.00",
        takeProfit="0.00",
        stopLoss="0.00",
        tpLimitPrice="",
        slLimitPrice="",
        tpTriggerBy="UNKNOWN",
        slTriggerBy="UNKNOWN",
        triggerBy="UNKNOWN",
    ),
    values={
        **_all(("triggerPrice", "takeProfit", "stopLoss"), _NO_PRICE),
        **_all(_TRIGGERS, _UNKNOWN),
        **_all(("tpLimitPrice", "slLimitPrice"), {"0": ""}),
    },
    silent=frozenset({"createType"}),
)
_CONTRACT_EXECUTION = Shape(_changed(_EXECUTION, createType=""), silent=frozenset({"createType"}))
_CONTRACT_WALLET = Shape(
    {
        **dict.fromkeys((key for key in _WALLET if not key.endswith("ByMp")), ""),
        "coin": (),
        "accountType": "CONTRACT",
    },
    silent=frozenset(_WALLET) - {"coin"},
)
_CONTRACT_COIN = Shape(
    _changed(
        _COIN,
        without=("bonus", "collateralSwitch", "marginCollateral", "locked", "spotHedgingQty", "spotBorrow", "colRes"),
        usdValue="",
        borrowAmount="",
        accruedInterest="",
        totalPositionMM="",
        availableToWithdraw="0",
    ),
    names={"freeBalance": "availableToWithdraw"},
    silent=frozenset({"usdValue", "borrowAmount", "accruedInterest", "totalPositionMM"}),
)

# --- V3 ---

_V3_POSITION = Shape(
    {
        "positionIdx": 0,
        "riskId": 1,
        "symbol": "BTCUSDT",
        "side": "None",
        "size": "0",
        "positionValue": "0",
        "entryPrice": "0",
        "tradeMode": 0,
        "autoAddMargin": 0,
        "leverage": "10",
        "positionBalance": "0",
        "liqPrice": "",
        "bustPrice": "0.00",
        "takeProfit": "0.00",
        "stopLoss": "0.00",
        "trailingStop": "0.00",
        "unrealisedPnl": "0",
        "createdTime": "1700000000000",
        "updatedTime": "1700000000000",
        "tpSlMode": "Full",
        "sessionAvgPrice": "0.00",
        "positionStatus": "Normal",
        "occClosingFee": "0",
        "markPrice": "0",
        "cumRealisedPnl": "0",
        "activePrice": "0.00",
        "riskLimitValue": "2000000",
        "positionMM": "0",
        "positionIM": "0",
        "adlRankIndicator": 0,
        "isReduceOnly": False,
        "mmrSysUpdateTime": "",
        "leverageSysUpdatedTime": "",
    },
    names={"tpslMode": "tpSlMode", "mmrSysUpdatedTime": "mmrSysUpdateTime", **_HELD},
    values={"side": {"": "None"}, **_all((*_STOP_PRICES, "bustPrice", "sessionAvgPrice"), _NO_PRICE)},
)
_V3_ORDER = Shape(
    {
        "symbol": "BTCUSDT",
        "orderId": "00000000-0000-4000-8000-000000000000",
        "side": "Buy",
        "orderType": "Limit",
        "stopOrderType": "UNKNOWN",
        "price": "0",
        "qty": "0",
        "timeInForce": "GoodTillCancel",
        "orderStatus": "New",
        "triggerPrice": "0.00",
        "orderLinkId": "",
        "createdTime": "1700000000000",
        "updatedTime": "1700000000000",
        "takeProfit": "0.00",
        "stopLoss": "0.00",
        "tpslMode": "UNKNOWN",
        "tpLimitPrice": "",
        "slLimitPrice": "",
        "tpTriggerBy": "UNKNOWN",
        "slTriggerBy": "UNKNOWN",
        "triggerBy": "UNKNOWN",
        "reduceOnly": False,
        "closeOnTrigger": False,
        "triggerDirection": 0,
        "leavesQty": "0",
        "lastExecQty": "0",
        "lastExecPrice": "0",
        "cumExecQty": "0",
        "cumExecValue": "0",
        "avgPrice": "",
        "blockTradeId": "",
        "cancelType": "UNKNOWN",
        "cumExecFee": "0",
        "leavesValue": "0",
        "positionIdx": 0,
        "rejectReason": "EC_NoError",
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
    },
    values={
        "timeInForce": {"GTC": "GoodTillCancel", "IOC": "ImmediateOrCancel", "FOK": "FillOrKill"},
        **_all(("triggerPrice", "takeProfit", "stopLoss"), _NO_PRICE),
        **_all(_TRIGGERS, _UNKNOWN),
        **_all(("tpLimitPrice", "slLimitPrice"), {"0": ""}),
    },
)
_V3_EXECUTION = Shape(
    {
        "symbol": "BTCUSDT",
        **_FILL,
        "lastLiquidityInd": "RemovedLiquidity",
        **_FILLED,
        "closedSize": "0",
        "blockTradeId": "",
        "markPrice": "0",
    },
    names={"isMaker": "lastLiquidityInd"},
    values={"isMaker": {True: "AddedLiquidity", False: "RemovedLiquidity"}, "stopOrderType": _UNKNOWN},
)
_V3_COIN = Shape(
    {
        "coin": "USDT",
        "equity": "0",
        "walletBalance": "0",
        "positionMargin": "0",
        "availableBalance": "0",
        "orderMargin": "0",
        "unrealisedPnl": "0",
        "cumRealisedPnl": "0",
    },
    names={"totalPositionIM": "positionMargin", "totalOrderIM": "orderMargin", "freeBalance": "availableBalance"},
)

# --- the three, side by side ---

Spelling = Mapping[str, Shape]
UNIFIED: Spelling = {
    "position": Shape(_POSITION),
    "order": Shape(_ORDER),
    "execution": Shape(_EXECUTION),
    "wallet": Shape(_WALLET),
    "coin": Shape(_COIN),
}
CONTRACT: Spelling = {
    "position": _CONTRACT_POSITION,
    "order": _CONTRACT_ORDER,
    "execution": _CONTRACT_EXECUTION,
    "wallet": _CONTRACT_WALLET,
    "coin": _CONTRACT_COIN,
}
V3: Spelling = {
    "position": _V3_POSITION,
    "order": _V3_ORDER,
    "execution": _V3_EXECUTION,
    "coin": _V3_COIN,
}
SPELLINGS: Mapping[tuple[str, str], Spelling] = {
    ("v5", "UNIFIED"): UNIFIED,
    ("v5", "CONTRACT"): CONTRACT,
    # V3 has one kind of account only.
    ("v3", "UNIFIED"): V3,
    ("v3", "CONTRACT"): V3,
}
_KNOWN: Mapping[str, frozenset[str]] = {
    kind: frozenset(
        key
        for spelling in (UNIFIED, CONTRACT, V3)
        if kind in spelling
        for key in (*spelling[kind].plain, *spelling[kind].names)
    )
    for kind in UNIFIED
}


_LATE_TOPIC = ("id", "topic", "creationTime", "data")
_EARLY_TOPIC = ("topic", "id", "creationTime", "data")
_ENVELOPES: Mapping[tuple[str, str], Sequence[str]] = {
    ("v5", "position"): _LATE_TOPIC,
    ("v5", "wallet"): _LATE_TOPIC,
    ("v5", "order"): _EARLY_TOPIC,
    ("v5", "execution"): _EARLY_TOPIC,
    ("v5", "execution.fast"): ("topic", "creationTime", "data"),
    ("v5", "greeks"): _EARLY_TOPIC,
}


def envelope(dialect: Dialect, topic: Topic, rows: Sequence[Row], *, id: str, created_at: int) -> Row:  # noqa: A002 - its own word
    """Return *rows* in the envelope of *topic*, keys in the exchange's order."""
    parts = {"topic": topic.name, "id": id, "creationTime": created_at, "data": list(rows)}
    keys = _ENVELOPES.get((dialect.name, topic.stream), ("topic", "data"))
    return {key: parts[key] for key in keys}


def print_rows(spelling: Spelling, stream: str, values: Sequence[Row]) -> list[Row]:
    """Return *values* in *spelling*.

    Missing keys get the plain row's value; unknown keys are passed on.
    """
    if stream != "wallet":
        return [_print(spelling, stream, row) for row in values]
    coins = [[_print(spelling, "coin", coin) for coin in row.get("coin", ())] for row in values]
    if "wallet" not in spelling:
        return [coin for account in coins for coin in account]
    return [_print(spelling, "wallet", {**row, "coin": held}) for row, held in zip(values, coins, strict=True)]


def print_fast(execution: Row) -> Row:
    """Return the ``execution.fast`` row of an *execution* row.

    It has few keys, and no link id for a maker.
    """
    row = {key: execution[key] for key in _FAST_KEYS}
    return {**row, "orderLinkId": ""} if row["isMaker"] else row


def _print(spelling: Spelling, kind: str, values: Row) -> Row:
    shape = spelling[kind]
    row = dict(shape.plain)
    for key, value in values.items():
        name = shape.names.get(key, key)
        if name not in shape.silent and (name in row or key not in _KNOWN[kind]):
            row[name] = _translated(shape, key, value)
    return row


def _translated(shape: Shape, key: str, value: Any) -> Any:
    table = shape.values.get(key)
    return table.get(value, value) if table else value


def dump(message: object) -> str:
    """Return *message* as the exchange writes JSON: without a space."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)
