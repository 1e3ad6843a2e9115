"""The values of order, execution, position and wallet rows, for `rows` to print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from bybit_sync.simulator.books.instruments import rounded
from bybit_sync.simulator.books.ledger import TAKER_FEE
from bybit_sync.simulator.books.orders import ZERO, Execution, Order
from bybit_sync.simulator.books.positions import Position
from bybit_sync.simulator.books.tables import Books, Coin

__all__ = ["execution_values", "order_values", "position_values", "text", "wallet_values"]

Row = Mapping[str, Any]
_DOLLARS = ("USDT", "USDC")
# USD prices of coins until the mark price of a contract is set. They do not follow
# trades: the totals of an account should change by its gains and payments only.
_USUAL_PRICES: Mapping[str, Decimal] = {"BTC": Decimal(60_000), "ETH": Decimal(3_000)}
_RATE_STEP = Decimal("0.0001")


def text(number: Decimal) -> str:
    """Return *number* as the exchange prints it, without trailing zeros."""
    if not number:
        return "0"  # not -0E-8, as Decimal prints it
    plain = format(number, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def order_values(order: Order) -> Row:
    """Return the values of a row of the order stream."""
    coin = order.instrument.settle_coin
    return {
        "category": order.instrument.category,
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderLinkId": order.order_link_id,
        "side": order.side,
        "positionIdx": order.position_idx,
        "orderStatus": order.status,
        "createType": order.create_type,
        "cancelType": order.cancel_type,
        "rejectReason": order.reject_reason,
        "timeInForce": order.time_in_force,
        "price": text(order.price),
        "qty": text(order.qty),
        "avgPrice": text(order.average_price) if order.cum_qty else "",
        "leavesQty": text(order.leaves_qty),
        "leavesValue": text(order.leaves_value),
        "cumExecQty": text(order.cum_qty),
        "cumExecValue": text(order.cum_value),
        "cumExecFee": text(order.cum_fee),
        "cumFeeDetail": {coin: text(order.cum_fee)} if order.cum_qty else {},
        "closedPnl": text(order.closed_pnl),
        "orderType": order.order_type,
        "lastPriceOnCreated": text(order.mark_on_created) if order.mark_on_created else "",
        "reduceOnly": order.reduce_only,
        **_stop_values(order),
        "createdTime": str(order.created),
        "updatedTime": str(order.updated),
        # V3 only.
        "lastExecQty": text(order.last_qty),
        "lastExecPrice": text(order.last_price),
    }


def _stop_values(order: Order) -> Row:
    """Return the values of an order row about triggers and attached stops."""
    attached = {"takeProfit": order.take_profit, "stopLoss": order.stop_loss}
    values: dict[str, Any] = {key: text(price) if price else "" for key, price in attached.items()}
    values |= {f"{key}TriggerBy": "LastPrice" for key, price in (("tp", order.take_profit), ("sl", order.stop_loss)) if price}
    if any(attached.values()) or order.is_position_stop:
        values["tpslMode"] = "Full"
    if order.stop_type:
        values |= {"stopOrderType": order.stop_type, "triggerPrice": text(order.trigger_price), "triggerBy": "LastPrice"}
        values |= {"triggerDirection": order.trigger_direction, "closeOnTrigger": order.is_position_stop}
    return values


def execution_values(execution: Execution) -> Row:
    """Return the values of a row of the execution stream."""
    order = execution.order
    return {
        "category": order.instrument.category,
        "symbol": order.symbol,
        "closedSize": "" if execution.closed_size is None else text(execution.closed_size),
        "execFee": text(execution.fee),
        "execId": execution.exec_id,
        "execPrice": text(execution.price),
        "execQty": text(execution.qty),
        "execType": execution.kind,
        "execValue": text(execution.value),
        "feeRate": text(execution.fee_rate),
        "markPrice": text(execution.mark_price),
        "leavesQty": text(order.leaves_qty),
        "orderId": order.order_id,
        "orderLinkId": order.order_link_id,
        "orderPrice": text(order.price),
        "orderQty": text(order.qty),
        "orderType": order.order_type,
        "stopOrderType": order.stop_type or "UNKNOWN",
        "createType": order.create_type,
        "side": order.side,
        "execTime": str(execution.time),
        "isMaker": execution.is_maker,
        # V3's word for it; of a funding payment it is unknown.
        **({"lastLiquidityInd": "UNKNOWN"} if execution.kind == "Funding" else {}),
        "seq": execution.seq,
        "execPnl": text(execution.gain),
        "feeCurrency": order.instrument.settle_coin,
    }


def position_values(books: Books, position: Position) -> Row:
    """Return the values of a row of the position stream."""
    mark = books.mark(position.symbol)
    margin, maintenance = text(books.margin(position)), text(books.maintenance(position))
    return {
        "positionIdx": position.position_idx,
        "symbol": position.symbol,
        "category": position.instrument.category,
        "side": position.side,
        "size": text(position.size),
        "entryPrice": text(position.entry_price),
        "leverage": text(position.leverage),
        "breakEvenPrice": text(_break_even(position)) if position.size else "",
        "positionValue": text(position.value),
        "markPrice": text(mark),
        "positionIM": margin,
        "positionIMByMp": margin,
        "positionMM": maintenance,
        "positionMMByMp": maintenance,
        "liqPrice": _price_or_nothing(books.liquidation_price(position)),
        "takeProfit": text(position.take_profit),
        "stopLoss": text(position.stop_loss),
        "positionStatus": position.status,
        "unrealisedPnl": text(position.unrealised(mark)),
        "curRealisedPnl": text(position.current),
        "cumRealisedPnl": text(position.realised),
        "createdTime": str(position.created),
        "updatedTime": str(position.updated),
        "openTime": position.open_since if position.size else 0,
        "adlRankIndicator": 2 if position.size else 0,
        "seq": "-1" if position.seq is None else position.seq,
        # A classic account and V3 only.
        "heldMargin": margin,
        "bankruptcyPrice": _price_or_nothing(books.liquidation_price(position, ZERO)),
        "occClosingFee": text(_closing_fee(position)),
    }


def wallet_values(books: Books, coins: Sequence[str], kind: str) -> Row:
    """Return the values of a row of the wallet stream.

    They are the totals of the account, and *coins* only.
    """
    every = [books.coin(name) for name in {**books.balances, **dict.fromkeys(coins)}]
    worth = {coin.name: _usd_price(books, coin.name) for coin in every}

    def total(amount: str) -> Decimal:
        return rounded(sum((getattr(coin, amount) * worth[coin.name] for coin in every), ZERO))

    equity, margin, maintenance = total("equity"), total("position_margin") + total("order_margin"), total("maintenance_margin")
    return {
        "accountType": kind,
        "accountIMRate": _rate(margin, equity),
        "accountIMRateByMp": _rate(margin, equity),
        "accountMMRate": _rate(maintenance, equity),
        "accountMMRateByMp": _rate(maintenance, equity),
        "totalEquity": text(equity),
        "totalWalletBalance": text(total("wallet")),
        "totalMarginBalance": text(equity),
        "totalAvailableBalance": text(max(ZERO, equity - margin)),
        "totalPerpUPL": text(total("unrealised")),
        "totalInitialMargin": text(margin),
        "totalInitialMarginByMp": text(margin),
        "totalMaintenanceMargin": text(maintenance),
        "totalMaintenanceMarginByMp": text(maintenance),
        "coin": [_coin_values(coin, worth[coin.name]) for coin in every if coin.name in coins],
    }


def _coin_values(coin: Coin, usd_price: Decimal) -> Row:
    return {
        "coin": coin.name,
        "equity": text(coin.equity),
        "usdValue": text(rounded(coin.equity * usd_price)),
        "walletBalance": text(coin.wallet),
        "totalOrderIM": text(coin.order_margin),
        "totalPositionIM": text(coin.position_margin),
        "totalPositionMM": text(coin.maintenance_margin),
        "unrealisedPnl": text(coin.unrealised),
        "cumRealisedPnl": text(coin.realised),
        # A classic account and V3 only.
        "freeBalance": text(coin.free),
    }


def _usd_price(books: Books, coin: str) -> Decimal:
    if coin in _DOLLARS:
        return Decimal(1)
    symbols = [f"{coin}{quote}" for quote in ("USDT", "USD", "PERP")]
    set_marks = [books.marks[symbol] for symbol in symbols if symbol in books.marks]
    return (set_marks or [_USUAL_PRICES.get(coin, books.mark(symbols[1]))])[0]


def _rate(part: Decimal, whole: Decimal) -> str:
    return text((part / whole).quantize(_RATE_STEP)) if whole > 0 else "0"


def _closing_fee(position: Position) -> Decimal:
    return rounded(position.value * TAKER_FEE)


def _price_or_nothing(price: Decimal) -> str:
    return text(price) if price else ""


def _break_even(position: Position) -> Decimal:
    """Return the price at which closing gains as much as was lost so far."""
    return position.price_where(position.current, rate=TAKER_FEE)
