"""An execution as a subscriber receives it."""

# ruff: noqa: RUF009 - json_field() declares an attribute, as attrs.field() does
from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs

from bybit_sync.model.enums import (
    Category,
    CreateType,
    ExecType,
    FeeType,
    MarketUnit,
    OrderType,
    Side,
    StopOrderType,
    SubFeeType,
)
from bybit_sync.model.record import Record, json_field, lazy_wire, mapping_field
from bybit_sync.public import name_public

__all__ = ["ExtraFee", "UserTradeUpdate"]


@lazy_wire
@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class ExtraFee(Record):
    """A tax on a trade, for accounts of some countries; part of `UserTradeUpdate`.

    Attributes:
        fee_coin: Coin that it is paid in.
        fee_type: Which tax.
        sub_fee_type: Which country's tax.
        fee_rate: Rate; 0.01 is one percent.
        fee: Amount, in `fee_coin`.
        extra: Keys of the row that this class does not know.
        wire: The row as the exchange sent it.
    """

    fee_coin: str | None = json_field("feeCoin")
    fee_type: FeeType | None = json_field("feeType")
    sub_fee_type: SubFeeType | None = json_field("subFeeType")
    fee_rate: Decimal | None = json_field("feeRate")
    fee: Decimal | None = json_field("fee")
    extra: Mapping[str, Any] = mapping_field()
    wire: Mapping[str, Any] = mapping_field()


@lazy_wire
@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class UserTradeUpdate(Record):
    """One execution of an order of yours, or of a position by the exchange.

    Append it, once per `key`.

    Example:
        >>> trades = client.subscribe_user_trades()
        >>> filled = account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
        >>> trade = trades.get(timeout=5).data[0]
        >>> trade.exec_type, trade.exec_qty, trade.exec_value, trade.is_maker
        (ExecType('Trade'), Decimal('0.5'), Decimal('10000'), True)

    Not every execution is a trade: `exec_type` names funding, settlement and the rest.
    Source: https://bybit-exchange.github.io/docs/v5/websocket/private/execution

    Attributes:
        category: The product; V5 only, from the topic where the row has none; None in
            V3.
        symbol: The contract, such as BTCUSDT.
        exec_id: The exchange's name for the execution; a text, whatever it looks like.
        order_id: The order; made up by the exchange for funding.
        order_link_id: Your own name for the order; None without one.
        side: Side of your order.
        order_price: Price of the order; 0 for funding.
        order_qty: Quantity of the order; 0 for funding.
        leaves_qty: Quantity of the order that is still open.
        exec_price: Price.
        exec_qty: Quantity: base coin (linear, spot, option), USD contracts (inverse).
        exec_value: Value: quote coin (linear), base coin (inverse).
        exec_fee: Fee, settle coin; positive is paid, negative received; None for spread
            legs.
        fee_rate: Rate of the fee; 0.01 is one percent.
        fee_currency: Coin of the fee; None when not sent; V5 only.
        extra_fees: Taxes on top, for accounts of some countries; () for others; V5
            only.
        exec_type: Cause of the execution: TRADE, FUNDING, ...
        exec_time: Time of the execution.
        is_maker: Whether your order was the maker (V3: ``lastLiquidityInd``); None for
            funding in V3.
        order_type: MARKET or LIMIT; None for funding.
        stop_order_type: Kind of conditional order; None for a plain one.
        create_type: Creator of the order; V5 futures only.
        closed_size: Part of `exec_qty` that closed a position; None for funding and
            spot.
        exec_pnl: Profit and loss that it realised, settle coin; V5 only.
        block_trade_id: Block trade that it belongs to; None for most.
        mark_price: Mark price at that moment; None for spot.
        trade_iv: Implied volatility of the trade; V5 options only.
        mark_iv: Implied volatility of the mark price; V5 options only.
        index_price: Index price; V5 options only.
        underlying_price: Price of the underlying; V5 options only.
        is_leverage: Whether the order borrows; spot margin; V5 only.
        market_unit: Unit of the order's quantity; spot market orders only; V5 only.
        seq: Cross sequence, the same for all fills of one match; V5 only.
        extra: Keys of the row that this class does not know.
        wire: The row as the exchange sent it.
    """

    category: Category | None = json_field("category")
    symbol: str | None = json_field("symbol")
    exec_id: str = attrs.field(metadata={"key": "execId"})
    order_id: str | None = json_field("orderId")
    order_link_id: str | None = json_field("orderLinkId")
    side: Side | None = json_field("side")
    order_price: Decimal | None = json_field("orderPrice")
    order_qty: Decimal | None = json_field("orderQty")
    leaves_qty: Decimal | None = json_field("leavesQty")
    exec_price: Decimal | None = json_field("execPrice")
    exec_qty: Decimal | None = json_field("execQty")
    exec_value: Decimal | None = json_field("execValue")
    exec_fee: Decimal | None = json_field("execFee")
    fee_rate: Decimal | None = json_field("feeRate")
    fee_currency: str | None = json_field("feeCurrency")
    extra_fees: tuple[ExtraFee, ...] = attrs.field(default=(), metadata={"key": "extraFees", "rows": ExtraFee})
    exec_type: ExecType | None = json_field("execType")
    exec_time: datetime | None = json_field("execTime")
    is_maker: bool | None = json_field("isMaker", "maker")
    order_type: OrderType | None = json_field("orderType")
    stop_order_type: StopOrderType | None = json_field("stopOrderType")
    create_type: CreateType | None = json_field("createType")
    closed_size: Decimal | None = json_field("closedSize")
    exec_pnl: Decimal | None = json_field("execPnl")
    block_trade_id: str | None = json_field("blockTradeId")
    mark_price: Decimal | None = json_field("markPrice")
    trade_iv: Decimal | None = json_field("tradeIv")
    mark_iv: Decimal | None = json_field("markIv")
    index_price: Decimal | None = json_field("indexPrice")
    underlying_price: Decimal | None = json_field("underlyingPrice")
    is_leverage: bool | None = json_field("isLeverage", "0 or 1")
    market_unit: MarketUnit | None = json_field("marketUnit")
    seq: int | None = json_field("seq", "sequence")
    extra: Mapping[str, Any] = mapping_field()
    wire: Mapping[str, Any] = mapping_field()

    @property
    def key(self) -> tuple[Category | None, str]:
        """The permanent key of this execution: category and exec_id.

        The category is None in V3.
        """
        return (self.category, self.exec_id)


name_public(ExtraFee, UserTradeUpdate)
