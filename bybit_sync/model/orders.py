"""An order as a subscriber receives it."""

# ruff: noqa: RUF009 - json_field() declares an attribute, as attrs.field() does
from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs

from bybit_sync.model.enums import (
    CancelType,
    Category,
    CreateType,
    MarketUnit,
    OcoTriggerBy,
    OrderStatus,
    OrderType,
    PlaceType,
    RejectReason,
    Side,
    SlippageToleranceType,
    SmpType,
    StopOrderType,
    TimeInForce,
    TpslMode,
    TriggerBy,
)
from bybit_sync.model.record import EMPTY, Record, json_field, lazy_wire, mapping_field, read_only
from bybit_sync.public import name_public

__all__ = ["OrderUpdate"]


@lazy_wire
@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class OrderUpdate(Record):
    """An order as it is now.

    It replaces the row of the same `key`, unless that has a later `updated_time`.

    Example:
        >>> orders = client.subscribe_orders()
        >>> placed = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000", order_link_id="mine-1")
        >>> order = orders.get(timeout=5).data[0]
        >>> order.order_link_id, order.order_status, order.leaves_qty, order.wire["leavesQty"]
        ('mine-1', OrderStatus('New'), Decimal('0.5'), '0.5')

    Prices are in the quote currency, quantities in the base coin (linear, spot, option)
    or in USD contracts (inverse).
    Source: https://bybit-exchange.github.io/docs/v5/websocket/private/order

    Attributes:
        category: The product; V5 only, from the topic where the row has none; None in
            V3.
        symbol: The contract, such as BTCUSDT.
        order_id: The exchange's name for the order; a text, whatever it looks like.
        order_link_id: Your own name for it; None without one.
        parent_order_link_id: Your name for the order that this take profit or stop loss
            belongs to; V5 only.
        block_trade_id: Block trade that it belongs to; None for most.
        side: BUY or SELL.
        position_idx: 0 in one-way mode, 1 the buy leg and 2 the sell leg in hedge mode.
        order_status: Status of the order.
        create_type: Creator of the order; V5 futures only.
        cancel_type: The cause of its cancellation; None when it is not cancelled.
        reject_reason: The reason why it was refused or ended; EC_NO_ERROR when nothing
            was wrong.
        time_in_force: Time that it stays open; V3's long words are folded into V5's
            short ones.
        order_type: MARKET or LIMIT; for a conditional order, after it is triggered.
        stop_order_type: Kind of conditional order; None for a plain one.
        price: Limit price; for a market order the worst price allowed, not the price of
            a fill.
        broker_order_price: Price of the broker, EU liquidity providers only; V5 only.
        qty: Quantity ordered.
        avg_price: Average price of its fills; None without fills, and in classic
            accounts for a part-filled order cancelled.
        leaves_qty: Quantity still open; 0 after a cancel.
        leaves_value: Value still open.
        last_exec_qty: Quantity of the last fill, of a cancelled order the unfilled
            rest; V3 only.
        last_exec_price: Price of the last fill; V3 only.
        cum_exec_qty: Quantity filled.
        cum_exec_value: Value filled, settle coin.
        cum_exec_fee: Fees paid, settle coin; deprecated for linear and spot.
        cum_fee_detail: Fees paid, by coin; empty when not sent; V5 only.
        closed_pnl: Profit and loss that it closed, settle coin; V5 only.
        fee_currency: Coin of the fees; spot only, deprecated; V5 only.
        is_leverage: Whether it borrows; spot margin only; V5 only.
        market_unit: Unit of `qty`; spot market orders only; V5 only.
        slippage_tolerance: Largest slippage of the price, in the unit of the next
            attribute; V5 only.
        slippage_tolerance_type: Unit of the former; None when not set; V5 only.
        order_iv: Implied volatility of the order; V5 options only.
        place_type: Whether it was placed by volatility or by price; V5 options only.
        oco_trigger_by: Which leg was triggered; V5 spot only.
        trigger_price: Price that triggers it, for a trailing stop the one that
            activates it; None or 0 when not conditional.
        trigger_direction: 1 when a rise triggers it, 2 when a fall does, 0 neither.
        trigger_by: Kind of price that triggers it; None when not conditional.
        tp_trigger_by: Kind of price that triggers the take profit; None without one.
        sl_trigger_by: Kind of price that triggers the stop loss; None without one.
        take_profit: Take profit; None or 0 without one.
        stop_loss: Stop loss; None or 0 without one.
        tp_limit_price: Limit price of the order that the take profit places; None or 0
            without one.
        sl_limit_price: Limit price of the order that the stop loss places; None or 0
            without one.
        tpsl_mode: Whether those close the whole position; None for plain orders, spot
            and options.
        last_price_on_created: Last price when the order was placed; V5 only.
        reduce_only: Whether it may only shrink a position.
        close_on_trigger: Whether it closes the position when triggered.
        smp_type: The orders that self-match prevention cancels; NONE, a word of the
            exchange, is none.
        smp_group: Group of self-match prevention; 0 without one.
        smp_order_id: The order that it would have matched; None without one.
        rpi_taker_access: Whether it may take retail price improvement; V5 only.
        rpi_matched_qty: Quantity matched with it; V5 only.
        created_time: When the order was made.
        updated_time: When this row last changed.
        extra: Keys of the row that this class does not know.
        wire: The row as the exchange sent it.
    """

    category: Category | None = json_field("category")
    symbol: str | None = json_field("symbol")
    order_id: str = attrs.field(metadata={"key": "orderId"})
    order_link_id: str | None = json_field("orderLinkId")
    parent_order_link_id: str | None = json_field("parentOrderLinkId")
    block_trade_id: str | None = json_field("blockTradeId")
    side: Side | None = json_field("side")
    position_idx: int | None = json_field("positionIdx")
    order_status: OrderStatus | None = json_field("orderStatus")
    create_type: CreateType | None = json_field("createType")
    cancel_type: CancelType | None = json_field("cancelType")
    reject_reason: RejectReason | None = json_field("rejectReason")
    time_in_force: TimeInForce | None = json_field("timeInForce")
    order_type: OrderType | None = json_field("orderType")
    stop_order_type: StopOrderType | None = json_field("stopOrderType")
    price: Decimal | None = json_field("price")
    broker_order_price: Decimal | None = json_field("brokerOrderPrice")
    qty: Decimal | None = json_field("qty")
    avg_price: Decimal | None = json_field("avgPrice")
    leaves_qty: Decimal | None = json_field("leavesQty")
    leaves_value: Decimal | None = json_field("leavesValue")
    last_exec_qty: Decimal | None = json_field("lastExecQty")
    last_exec_price: Decimal | None = json_field("lastExecPrice")
    cum_exec_qty: Decimal | None = json_field("cumExecQty")
    cum_exec_value: Decimal | None = json_field("cumExecValue")
    cum_exec_fee: Decimal | None = json_field("cumExecFee")
    cum_fee_detail: Mapping[str, Decimal] = attrs.field(
        default=EMPTY,
        converter=read_only,
        hash=False,  # a mapping cannot be hashed
        metadata={"key": "cumFeeDetail", "kind": "numbers by name"},
    )
    closed_pnl: Decimal | None = json_field("closedPnl")
    fee_currency: str | None = json_field("feeCurrency")
    is_leverage: bool | None = json_field("isLeverage", "0 or 1")
    market_unit: MarketUnit | None = json_field("marketUnit")
    slippage_tolerance: Decimal | None = json_field("slippageTolerance")
    slippage_tolerance_type: SlippageToleranceType | None = json_field("slippageToleranceType")
    order_iv: Decimal | None = json_field("orderIv")
    place_type: PlaceType | None = json_field("placeType")
    oco_trigger_by: OcoTriggerBy | None = json_field("ocoTriggerBy")
    trigger_price: Decimal | None = json_field("triggerPrice")
    trigger_direction: int | None = json_field("triggerDirection")
    trigger_by: TriggerBy | None = json_field("triggerBy")
    tp_trigger_by: TriggerBy | None = json_field("tpTriggerBy")
    sl_trigger_by: TriggerBy | None = json_field("slTriggerBy")
    take_profit: Decimal | None = json_field("takeProfit")
    stop_loss: Decimal | None = json_field("stopLoss")
    tp_limit_price: Decimal | None = json_field("tpLimitPrice")
    sl_limit_price: Decimal | None = json_field("slLimitPrice")
    tpsl_mode: TpslMode | None = json_field("tpslMode")
    last_price_on_created: Decimal | None = json_field("lastPriceOnCreated")
    reduce_only: bool | None = json_field("reduceOnly")
    close_on_trigger: bool | None = json_field("closeOnTrigger")
    smp_type: SmpType | None = json_field("smpType")
    smp_group: int | None = json_field("smpGroup")
    smp_order_id: str | None = json_field("smpOrderId")
    rpi_taker_access: bool | None = json_field("rpiTakerAccess")
    rpi_matched_qty: Decimal | None = json_field("rpiMatchedQty")
    created_time: datetime | None = json_field("createdTime")
    updated_time: datetime | None = json_field("updatedTime")
    extra: Mapping[str, Any] = mapping_field()
    wire: Mapping[str, Any] = mapping_field()

    @property
    def key(self) -> tuple[str]:
        """The key that this row replaces: order_id."""
        return (self.order_id,)


name_public(OrderUpdate)
