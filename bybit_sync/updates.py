"""What a subscriber receives: the four update classes, `Event` and `Gap`.

Everything here is frozen and may be shared by threads. A number is a `Decimal` with the exchange's own digits, a time an aware
`datetime` in UTC, a word an open enum out of `bybit_sync.enums`. An attribute is None when the exchange left its key out or
sent ``""`` or null, its ways to say "not set": that is never 0.

Each attribute's metadata names its JSON key, and its kind where the type does not tell how it is written; `bybit_sync.decoding`
reads both.
"""

# ruff: noqa: RUF009 - _key() declares an attribute, as attrs.field() does
from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, TypeAlias, TypeVar

import attrs

from bybit_sync.enums import (
    AccountType,
    CancelType,
    Category,
    ColRes,
    CreateType,
    ExecType,
    FeeType,
    MarketUnit,
    OcoTriggerBy,
    OrderStatus,
    OrderType,
    PlaceType,
    PositionStatus,
    RejectReason,
    Side,
    SlippageToleranceType,
    SmpType,
    StopOrderType,
    SubFeeType,
    TextEnum,
    TimeInForce,
    TpslMode,
    TriggerBy,
)
from bybit_sync.rows import ReadOnly, Row, Wire
from bybit_sync.text import quoted

__all__ = [
    "NOTHING",
    "AnyEvent",
    "BalanceUpdate",
    "CoinBalance",
    "Event",
    "ExtraFee",
    "Gap",
    "GapReason",
    "OrderUpdate",
    "PositionUpdate",
    "Stream",
    "UserTradeUpdate",
    "draft_class",
    "number",
    "pushed",
]

T_co = TypeVar("T_co", covariant=True)
ClassT = TypeVar("ClassT", bound=type[Any])

_LINE = 160  # characters of the first row that an event shows

NOTHING: Mapping[str, Any] = ReadOnly()


class Stream(TextEnum):
    """What can be subscribed to. Each is its text: ``Stream.ORDERS == "orders"``."""

    BALANCES = "balances"
    """`BalanceUpdate`: an account's totals, and its coins."""
    ORDERS = "orders"
    """`OrderUpdate`: every change of an order."""
    POSITIONS = "positions"
    """`PositionUpdate`: every change of a position, and every order action on its symbol."""
    USER_TRADES = "user_trades"
    """`UserTradeUpdate`: every execution, funding and settlement included."""


class GapReason(TextEnum):
    """Why updates may be missing. Each is its text: ``GapReason.ENDED == "ENDED"``."""

    DISCONNECTED = "DISCONNECTED"
    """The connection was lost; told once per outage and subscription, when the stream is confirmed again."""
    OVERFLOW = "OVERFLOW"
    """The consumer was too slow and events were dropped; ``missed`` of them."""
    UNDECODABLE = "UNDECODABLE"
    """Rows, or a whole frame, could not be read; the event's ``raw`` is the frame."""
    ENDED = "ENDED"
    """The subscription ended by itself, with ``error``; nothing follows."""


def draft_class(cls: type[Any]) -> type[Any]:
    """Return a class with the slots of *cls*, not frozen: an instance is filled, then made a *cls* through ``__class__``.

    A frozen class fills a slot in about 60 ns, through ``object.__setattr__``; a draft in 5.
    """
    bases = getattr(cls, "__orig_bases__", cls.__bases__)
    return types.new_class(f"{cls.__name__}Draft", bases, exec_body=lambda body: body.update(__slots__=cls.__slots__))


def _shown(value: object) -> str:
    """Return *value* as a repr shows it: digits and times as they are read, the rest as Python writes it."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return quoted(value)
    return repr(dict(value) if isinstance(value, Mapping) else value)


class _Short:
    """A frozen attrs class whose repr leaves out what says nothing, and whose read-only mappings pickle as dicts."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the class and every attribute that is set, on one line."""
        fields = [field.name for field in attrs.fields(type(self)) if field.repr]  # type: ignore[arg-type]
        told = [(name, getattr(self, name)) for name in fields if getattr(self, name) not in (None, (), NOTHING)]
        return f"{type(self).__name__}({', '.join(f'{name}={_shown(value)}' for name, value in told)})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how `pickle` and `copy` make it anew: from the arguments that are not None."""
        fields = [field.name for field in attrs.fields(type(self))]  # type: ignore[arg-type]
        told = {name: getattr(self, name) for name in fields if getattr(self, name) is not None}
        plain = {name: dict(value) if isinstance(value, Mapping) else value for name, value in told.items()}
        return _made_from, (type(self), plain)


def _made_from(cls: type[Any], arguments: dict[str, Any]) -> Any:
    return cls(**arguments)


def _read_only(mapping: Any) -> Any:
    """Return *mapping* so that nobody can change it."""
    return mapping if isinstance(mapping, (ReadOnly, Row)) else ReadOnly(mapping)


def _lazy(cls: ClassT) -> ClassT:
    """Let the `wire` of *cls* be read from its frame when somebody looks at it."""
    setattr(cls, "wire", Wire(vars(cls)["wire"]))  # noqa: B010 - mypy takes it for the attribute of an instance
    return cls


def _key(key: str, kind: str | None = None) -> Any:
    """Declare an attribute that the exchange sends under *key* and may leave out."""
    return attrs.field(default=None, metadata={"key": key, "kind": kind})


def _aside() -> Any:
    """Declare a mapping that is carried along, but says nothing about equality."""
    return attrs.field(default=NOTHING, converter=_read_only, eq=False, repr=False)


@_lazy
@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class PositionUpdate(_Short):
    """A position as it is now; replaces what was known under its `key`.

    Example:
        >>> flat = PositionUpdate(symbol="BTCUSDT", position_idx=0, size=Decimal("0.000"))
        >>> flat.side, flat.entry_price, f"{flat.size:f}", flat.key
        (None, None, '0.000', (None, 'BTCUSDT', 0))

    Prices are in the quote currency. "Settle coin" is the quote coin of a linear contract and the base coin of an inverse one.
    Source: https://bybit-exchange.github.io/docs/v5/websocket/private/position

    Attributes:
        category: The product; V5 only, from the topic where the row does not tell; None in V3.
        symbol: The contract, such as BTCUSDT.
        side: BUY is long, SELL is short; None when flat, in both dialects.
        size: How much is held, never negative: base coin (linear), USD contracts (inverse); 0 when flat.
        position_idx: 0 in one-way mode, 1 the buy leg and 2 the sell leg in hedge mode.
        position_value: Value at entry, settle coin.
        entry_price: Average entry price; 0 when flat.
        mark_price: Mark price.
        leverage: Leverage; None in portfolio margin.
        trade_mode: 0 cross, 1 isolated; always 0 in a unified account.
        auto_add_margin: Whether margin is added automatically.
        risk_id: Risk tier; 0 in portfolio margin.
        risk_limit_value: Limit of that tier, settle coin; None or 0 in portfolio margin.
        position_balance: Margin of the position, settle coin; deprecated in a unified account.
        position_im: Initial margin, settle coin; None in portfolio margin and for a flat leg in hedge mode.
        position_mm: Maintenance margin, settle coin; None as `position_im`.
        position_im_by_mp: Initial margin by mark price, settle coin; V5 unified accounts.
        position_mm_by_mp: Maintenance margin by mark price, settle coin; V5 unified accounts.
        liq_price: Liquidation price, an estimate in cross margin; None in portfolio margin and where no price would liquidate.
        bust_price: Bankruptcy price; None in a unified account.
        take_profit: Take profit of the whole position; 0 when not set.
        stop_loss: Stop loss of the whole position; 0 when not set.
        trailing_stop: Distance of the trailing stop, in price; 0 when not set.
        active_price: Price that activates the trailing stop; V3 only.
        tpsl_mode: Deprecated by the exchange, which always says FULL.
        unrealised_pnl: Unrealised profit and loss, settle coin.
        cum_realised_pnl: Realised profit and loss on this symbol since ever, settle coin.
        cur_realised_pnl: Realised profit and loss of what is held now, settle coin; V5 only.
        session_avg_price: Average price of the session in USDC contracts; None or 0 in others.
        occ_closing_fee: Fee reserved for closing, settle coin; V3 only.
        break_even_price: Price at which closing neither wins nor loses; V5, linear and inverse.
        position_status: NORMAL, or being liquidated or deleveraged.
        adl_rank_indicator: Place in the queue for deleveraging, 1 to 5; 0 without a position.
        is_reduce_only: Whether the exchange lets this position only shrink.
        mmr_sys_updated_time: When the exchange changed the maintenance margin; None when it did not.
        leverage_sys_updated_time: When the exchange changed the leverage; None when it did not.
        seq: Cross sequence, to be compared within one symbol; None when never traded, and in V3.
        open_time: When this position was opened; None when flat; V5 only.
        delta: Delta; V5 options only.
        gamma: Gamma; V5 options only.
        vega: Vega; V5 options only.
        theta: Theta; V5 options only.
        created_time: When the first position on this symbol was opened.
        updated_time: When this row last changed; may be hours before the push.
        extra: Keys of the row that this class does not know.
        wire: The row as the exchange sent it.
    """

    category: Category | None = _key("category")
    symbol: str = attrs.field(metadata={"key": "symbol"})
    side: Side | None = _key("side")
    size: Decimal | None = _key("size")
    position_idx: int = attrs.field(metadata={"key": "positionIdx"})
    position_value: Decimal | None = _key("positionValue")
    entry_price: Decimal | None = _key("entryPrice")
    mark_price: Decimal | None = _key("markPrice")
    leverage: Decimal | None = _key("leverage")
    trade_mode: int | None = _key("tradeMode")
    auto_add_margin: bool | None = _key("autoAddMargin", "0 or 1")
    risk_id: int | None = _key("riskId")
    risk_limit_value: Decimal | None = _key("riskLimitValue")
    position_balance: Decimal | None = _key("positionBalance")
    position_im: Decimal | None = _key("positionIM")
    position_mm: Decimal | None = _key("positionMM")
    position_im_by_mp: Decimal | None = _key("positionIMByMp")
    position_mm_by_mp: Decimal | None = _key("positionMMByMp")
    liq_price: Decimal | None = _key("liqPrice")
    bust_price: Decimal | None = _key("bustPrice")
    take_profit: Decimal | None = _key("takeProfit")
    stop_loss: Decimal | None = _key("stopLoss")
    trailing_stop: Decimal | None = _key("trailingStop")
    active_price: Decimal | None = _key("activePrice")
    tpsl_mode: TpslMode | None = _key("tpslMode")
    unrealised_pnl: Decimal | None = _key("unrealisedPnl")
    cum_realised_pnl: Decimal | None = _key("cumRealisedPnl")
    cur_realised_pnl: Decimal | None = _key("curRealisedPnl")
    session_avg_price: Decimal | None = _key("sessionAvgPrice")
    occ_closing_fee: Decimal | None = _key("occClosingFee")
    break_even_price: Decimal | None = _key("breakEvenPrice")
    position_status: PositionStatus | None = _key("positionStatus")
    adl_rank_indicator: int | None = _key("adlRankIndicator")
    is_reduce_only: bool | None = _key("isReduceOnly")
    mmr_sys_updated_time: datetime | None = _key("mmrSysUpdatedTime")
    leverage_sys_updated_time: datetime | None = _key("leverageSysUpdatedTime")
    seq: int | None = _key("seq", "sequence")
    open_time: datetime | None = _key("openTime", "bare time")
    delta: Decimal | None = _key("delta")
    gamma: Decimal | None = _key("gamma")
    vega: Decimal | None = _key("vega")
    theta: Decimal | None = _key("theta")
    created_time: datetime | None = _key("createdTime")
    updated_time: datetime | None = _key("updatedTime")
    extra: Mapping[str, Any] = _aside()
    wire: Mapping[str, Any] = _aside()

    @property
    def key(self) -> tuple[Category | None, str, int]:
        """What this row replaces: category (None in V3), symbol and position_idx."""
        return self.category, self.symbol, self.position_idx


@_lazy
@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class OrderUpdate(_Short):
    """An order as it is now; replaces what was known under its `key`, unless that has a later `updated_time`.

    Example:
        >>> orders = client.subscribe_orders()
        >>> placed = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000", order_link_id="mine-1")
        >>> order = orders.get(timeout=5).data[0]
        >>> order.order_link_id, order.order_status, order.leaves_qty, order.wire["leavesQty"]
        ('mine-1', OrderStatus('New'), Decimal('0.5'), '0.5')

    Prices are in the quote currency, quantities in the base coin (linear, spot, option) or in USD contracts (inverse).
    Source: https://bybit-exchange.github.io/docs/v5/websocket/private/order

    Attributes:
        category: The product; V5 only, from the topic where the row does not tell; None in V3.
        symbol: The contract, such as BTCUSDT.
        order_id: The exchange's name for the order; a text, whatever it looks like.
        order_link_id: Your own name for it; None without one.
        parent_order_link_id: Your name for the order that this take profit or stop loss hangs on; V5 only.
        block_trade_id: Block trade that it belongs to; None for most.
        side: BUY or SELL.
        position_idx: 0 in one-way mode, 1 the buy leg and 2 the sell leg in hedge mode.
        order_status: Where the order stands.
        create_type: What created it; V5 futures only.
        cancel_type: Who or what cancelled it; None when nobody did.
        reject_reason: Why it was refused or ended; EC_NO_ERROR when nothing was wrong.
        time_in_force: How long it stands; V3's long words are folded into V5's short ones.
        order_type: MARKET or LIMIT; for a conditional order, after it is triggered.
        stop_order_type: Kind of conditional order; None for a plain one.
        price: Limit price; for a market order the worst price allowed, not the price of a fill.
        broker_order_price: Price of the broker, EU liquidity providers only; V5 only.
        qty: Quantity ordered.
        avg_price: Average price of its fills; None without fills, and in classic accounts for a part-filled order cancelled.
        leaves_qty: Quantity still open; 0 after a cancel.
        leaves_value: Value still open.
        last_exec_qty: Quantity of the last fill, of a cancelled order what was not filled; V3 only.
        last_exec_price: Price of the last fill; V3 only.
        cum_exec_qty: Quantity filled.
        cum_exec_value: Value filled, settle coin.
        cum_exec_fee: Fees paid, settle coin; deprecated for linear and spot.
        cum_fee_detail: Fees paid, by coin; empty when not told; V5 only.
        closed_pnl: Profit and loss that it closed, settle coin; V5 only.
        fee_currency: Coin of the fees; spot only, deprecated; V5 only.
        is_leverage: Whether it borrows; spot margin only; V5 only.
        market_unit: Unit of `qty`; spot market orders only; V5 only.
        slippage_tolerance: How far the price may slip, in the unit of the next attribute; V5 only.
        slippage_tolerance_type: Unit of the former; None when not set; V5 only.
        order_iv: Implied volatility of the order; V5 options only.
        place_type: Whether it was placed by volatility or by price; V5 options only.
        oco_trigger_by: Which leg was triggered; V5 spot only.
        trigger_price: Price that triggers it, for a trailing stop the one that activates it; None or 0 when not conditional.
        trigger_direction: 1 when a rise triggers it, 2 when a fall does, 0 neither.
        trigger_by: Kind of price that triggers it; None when not conditional.
        tp_trigger_by: Kind of price that triggers the take profit; None without one.
        sl_trigger_by: Kind of price that triggers the stop loss; None without one.
        take_profit: Take profit; None or 0 without one.
        stop_loss: Stop loss; None or 0 without one.
        tp_limit_price: Limit price of the order that the take profit places; None or 0 without one.
        sl_limit_price: Limit price of the order that the stop loss places; None or 0 without one.
        tpsl_mode: Whether those close the whole position; None for plain orders, spot and options.
        last_price_on_created: Last price when the order was placed; V5 only.
        reduce_only: Whether it may only shrink a position.
        close_on_trigger: Whether it closes the position when triggered.
        smp_type: What self-match prevention cancels; NONE is a word of the exchange: nothing.
        smp_group: Group of self-match prevention; 0 without one.
        smp_order_id: The order that it would have matched; None without one.
        rpi_taker_access: Whether it may take retail price improvement; V5 only.
        rpi_matched_qty: Quantity matched with it; V5 only.
        created_time: When the order was made.
        updated_time: When this row last changed.
        extra: Keys of the row that this class does not know.
        wire: The row as the exchange sent it.
    """

    category: Category | None = _key("category")
    symbol: str | None = _key("symbol")
    order_id: str = attrs.field(metadata={"key": "orderId"})
    order_link_id: str | None = _key("orderLinkId")
    parent_order_link_id: str | None = _key("parentOrderLinkId")
    block_trade_id: str | None = _key("blockTradeId")
    side: Side | None = _key("side")
    position_idx: int | None = _key("positionIdx")
    order_status: OrderStatus | None = _key("orderStatus")
    create_type: CreateType | None = _key("createType")
    cancel_type: CancelType | None = _key("cancelType")
    reject_reason: RejectReason | None = _key("rejectReason")
    time_in_force: TimeInForce | None = _key("timeInForce")
    order_type: OrderType | None = _key("orderType")
    stop_order_type: StopOrderType | None = _key("stopOrderType")
    price: Decimal | None = _key("price")
    broker_order_price: Decimal | None = _key("brokerOrderPrice")
    qty: Decimal | None = _key("qty")
    avg_price: Decimal | None = _key("avgPrice")
    leaves_qty: Decimal | None = _key("leavesQty")
    leaves_value: Decimal | None = _key("leavesValue")
    last_exec_qty: Decimal | None = _key("lastExecQty")
    last_exec_price: Decimal | None = _key("lastExecPrice")
    cum_exec_qty: Decimal | None = _key("cumExecQty")
    cum_exec_value: Decimal | None = _key("cumExecValue")
    cum_exec_fee: Decimal | None = _key("cumExecFee")
    cum_fee_detail: Mapping[str, Decimal] = attrs.field(
        default=NOTHING,
        converter=_read_only,
        hash=False,  # a mapping cannot be hashed
        metadata={"key": "cumFeeDetail", "kind": "numbers by name"},
    )
    closed_pnl: Decimal | None = _key("closedPnl")
    fee_currency: str | None = _key("feeCurrency")
    is_leverage: bool | None = _key("isLeverage", "0 or 1")
    market_unit: MarketUnit | None = _key("marketUnit")
    slippage_tolerance: Decimal | None = _key("slippageTolerance")
    slippage_tolerance_type: SlippageToleranceType | None = _key("slippageToleranceType")
    order_iv: Decimal | None = _key("orderIv")
    place_type: PlaceType | None = _key("placeType")
    oco_trigger_by: OcoTriggerBy | None = _key("ocoTriggerBy")
    trigger_price: Decimal | None = _key("triggerPrice")
    trigger_direction: int | None = _key("triggerDirection")
    trigger_by: TriggerBy | None = _key("triggerBy")
    tp_trigger_by: TriggerBy | None = _key("tpTriggerBy")
    sl_trigger_by: TriggerBy | None = _key("slTriggerBy")
    take_profit: Decimal | None = _key("takeProfit")
    stop_loss: Decimal | None = _key("stopLoss")
    tp_limit_price: Decimal | None = _key("tpLimitPrice")
    sl_limit_price: Decimal | None = _key("slLimitPrice")
    tpsl_mode: TpslMode | None = _key("tpslMode")
    last_price_on_created: Decimal | None = _key("lastPriceOnCreated")
    reduce_only: bool | None = _key("reduceOnly")
    close_on_trigger: bool | None = _key("closeOnTrigger")
    smp_type: SmpType | None = _key("smpType")
    smp_group: int | None = _key("smpGroup")
    smp_order_id: str | None = _key("smpOrderId")
    rpi_taker_access: bool | None = _key("rpiTakerAccess")
    rpi_matched_qty: Decimal | None = _key("rpiMatchedQty")
    created_time: datetime | None = _key("createdTime")
    updated_time: datetime | None = _key("updatedTime")
    extra: Mapping[str, Any] = _aside()
    wire: Mapping[str, Any] = _aside()

    @property
    def key(self) -> tuple[str]:
        """What this row replaces: order_id."""
        return (self.order_id,)


@_lazy
@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class ExtraFee(_Short):
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

    fee_coin: str | None = _key("feeCoin")
    fee_type: FeeType | None = _key("feeType")
    sub_fee_type: SubFeeType | None = _key("subFeeType")
    fee_rate: Decimal | None = _key("feeRate")
    fee: Decimal | None = _key("fee")
    extra: Mapping[str, Any] = _aside()
    wire: Mapping[str, Any] = _aside()


@_lazy
@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class UserTradeUpdate(_Short):
    """One execution of an order of yours, or of a position by the exchange; append it, once per `key`.

    Example:
        >>> trades = client.subscribe_user_trades()
        >>> filled = account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
        >>> trade = trades.get(timeout=5).data[0]
        >>> trade.exec_type, trade.exec_qty, trade.exec_value, trade.is_maker
        (ExecType('Trade'), Decimal('0.5'), Decimal('10000'), True)

    Not every execution is a trade: `exec_type` tells funding, settlement and the rest.
    Source: https://bybit-exchange.github.io/docs/v5/websocket/private/execution

    Attributes:
        category: The product; V5 only, from the topic where the row does not tell; None in V3.
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
        exec_fee: Fee, settle coin; positive is paid, negative received; None for spread legs.
        fee_rate: Rate of the fee; 0.01 is one percent.
        fee_currency: Coin of the fee; None when not told; V5 only.
        extra_fees: Taxes on top, for accounts of some countries; () for others; V5 only.
        exec_type: What made it: TRADE, FUNDING, ...
        exec_time: When it happened.
        is_maker: Whether your order was the maker (V3: ``lastLiquidityInd``); None for funding in V3.
        order_type: MARKET or LIMIT; None for funding.
        stop_order_type: Kind of conditional order; None for a plain one.
        create_type: What created the order; V5 futures only.
        closed_size: Part of `exec_qty` that closed a position; None for funding and spot.
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

    category: Category | None = _key("category")
    symbol: str | None = _key("symbol")
    exec_id: str = attrs.field(metadata={"key": "execId"})
    order_id: str | None = _key("orderId")
    order_link_id: str | None = _key("orderLinkId")
    side: Side | None = _key("side")
    order_price: Decimal | None = _key("orderPrice")
    order_qty: Decimal | None = _key("orderQty")
    leaves_qty: Decimal | None = _key("leavesQty")
    exec_price: Decimal | None = _key("execPrice")
    exec_qty: Decimal | None = _key("execQty")
    exec_value: Decimal | None = _key("execValue")
    exec_fee: Decimal | None = _key("execFee")
    fee_rate: Decimal | None = _key("feeRate")
    fee_currency: str | None = _key("feeCurrency")
    extra_fees: tuple[ExtraFee, ...] = attrs.field(default=(), metadata={"key": "extraFees", "rows": ExtraFee})
    exec_type: ExecType | None = _key("execType")
    exec_time: datetime | None = _key("execTime")
    is_maker: bool | None = _key("isMaker", "maker")
    order_type: OrderType | None = _key("orderType")
    stop_order_type: StopOrderType | None = _key("stopOrderType")
    create_type: CreateType | None = _key("createType")
    closed_size: Decimal | None = _key("closedSize")
    exec_pnl: Decimal | None = _key("execPnl")
    block_trade_id: str | None = _key("blockTradeId")
    mark_price: Decimal | None = _key("markPrice")
    trade_iv: Decimal | None = _key("tradeIv")
    mark_iv: Decimal | None = _key("markIv")
    index_price: Decimal | None = _key("indexPrice")
    underlying_price: Decimal | None = _key("underlyingPrice")
    is_leverage: bool | None = _key("isLeverage", "0 or 1")
    market_unit: MarketUnit | None = _key("marketUnit")
    seq: int | None = _key("seq", "sequence")
    extra: Mapping[str, Any] = _aside()
    wire: Mapping[str, Any] = _aside()

    @property
    def key(self) -> tuple[str]:
        """What names this execution for ever: exec_id."""
        return (self.exec_id,)


@_lazy
@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class CoinBalance(_Short):
    """One coin of an account; amounts are in that coin. Merge it by `coin`: coins that did not change may not be sent.

    Attributes:
        coin: The coin, such as USDT.
        equity: Wallet balance and unrealised profit and loss; may be negative.
        usd_value: Value in USD, 0 where it is no collateral; V5 unified accounts.
        wallet_balance: Wallet balance; may be negative.
        locked: Locked by open spot orders; V5 only.
        spot_hedging_qty: Spot that hedges derivatives, in portfolio margin; V5 only.
        spot_borrow: Borrowed for spot; V5 only.
        borrow_amount: Borrowed in all; V5 unified accounts.
        accrued_interest: Interest that has accrued; V5 unified accounts.
        available_to_withdraw: Free balance of a classic account; None in a unified one; V5 only.
        available_to_borrow: Deprecated by the exchange, which sends nothing; V5 only.
        total_order_im: Initial margin of orders; None in portfolio margin and for coins of spot only; V5 only.
        total_position_im: Initial margin of positions; None as the former; V5 only.
        total_position_mm: Maintenance margin of positions; None in portfolio margin; V5 unified accounts.
        unrealised_pnl: Unrealised profit and loss.
        cum_realised_pnl: Realised profit and loss since ever.
        bonus: Bonus; V5 only.
        collateral_switch: Whether you let the coin be collateral; V5 unified accounts.
        margin_collateral: Whether the exchange lets it be; V5 unified accounts.
        col_res: Whether the exchange restricts it as collateral; V5 unified accounts.
        free: Free balance of a classic spot account; removed by the exchange; V5 only.
        position_margin: Margin of positions; V3 only.
        available_balance: Free for new orders; V3 only.
        order_margin: Margin of open orders; V3 only.
        extra: Keys of the row that this class does not know.
        wire: The row as the exchange sent it.
    """

    coin: str = attrs.field(metadata={"key": "coin"})
    equity: Decimal | None = _key("equity")
    usd_value: Decimal | None = _key("usdValue")
    wallet_balance: Decimal | None = _key("walletBalance")
    locked: Decimal | None = _key("locked")
    spot_hedging_qty: Decimal | None = _key("spotHedgingQty")
    spot_borrow: Decimal | None = _key("spotBorrow")
    borrow_amount: Decimal | None = _key("borrowAmount")
    accrued_interest: Decimal | None = _key("accruedInterest")
    available_to_withdraw: Decimal | None = _key("availableToWithdraw")
    available_to_borrow: Decimal | None = _key("availableToBorrow")
    total_order_im: Decimal | None = _key("totalOrderIM")
    total_position_im: Decimal | None = _key("totalPositionIM")
    total_position_mm: Decimal | None = _key("totalPositionMM")
    unrealised_pnl: Decimal | None = _key("unrealisedPnl")
    cum_realised_pnl: Decimal | None = _key("cumRealisedPnl")
    bonus: Decimal | None = _key("bonus")
    collateral_switch: bool | None = _key("collateralSwitch")
    margin_collateral: bool | None = _key("marginCollateral")
    col_res: ColRes | None = _key("colRes")
    free: Decimal | None = _key("free")
    position_margin: Decimal | None = _key("positionMargin")
    available_balance: Decimal | None = _key("availableBalance")
    order_margin: Decimal | None = _key("orderMargin")
    extra: Mapping[str, Any] = _aside()
    wire: Mapping[str, Any] = _aside()


@_lazy
@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class BalanceUpdate(_Short):
    """One account: its totals, which replace what was known under its `key`, and its coins, which merge.

    Example:
        >>> balances = client.subscribe_balances()
        >>> account.transfer("ETH", 5)
        >>> row = balances.get(timeout=5).data[0]
        >>> row.account_type, row.coin("ETH").wallet_balance, row.coin("DOGE")
        (AccountType('UNIFIED'), Decimal('15'), None)

    Totals are in USD and of the whole account, whichever coins are listed; None in classic accounts, and in V3, whose wallet
    has none. In isolated margin mode they do not apply. A change of unrealised profit and loss alone is not pushed.
    Source: https://bybit-exchange.github.io/docs/v5/websocket/private/wallet

    Attributes:
        account_type: UNIFIED or CONTRACT; V3's wallet is CONTRACT.
        account_im_rate: Initial margin rate; 0.01 is one percent.
        account_mm_rate: Maintenance margin rate; 0.01 is one percent.
        account_im_rate_by_mp: Initial margin rate by mark price.
        account_mm_rate_by_mp: Maintenance margin rate by mark price.
        total_equity: Equity.
        total_wallet_balance: Wallet balance.
        total_margin_balance: Margin balance.
        total_available_balance: Available balance.
        total_perp_upl: Unrealised profit and loss of perpetuals and futures.
        total_initial_margin: Initial margin.
        total_maintenance_margin: Maintenance margin.
        total_initial_margin_by_mp: Initial margin by mark price.
        total_maintenance_margin_by_mp: Maintenance margin by mark price.
        account_ltv: Deprecated by the exchange.
        coins: The coins that were sent, maybe only those that changed.
        extra: Keys of the row that this class does not know.
        wire: The row as the exchange sent it; empty in V3, where each coin has its own.
    """

    account_type: AccountType = attrs.field(metadata={"key": "accountType"})
    account_im_rate: Decimal | None = _key("accountIMRate")
    account_mm_rate: Decimal | None = _key("accountMMRate")
    account_im_rate_by_mp: Decimal | None = _key("accountIMRateByMp")
    account_mm_rate_by_mp: Decimal | None = _key("accountMMRateByMp")
    total_equity: Decimal | None = _key("totalEquity")
    total_wallet_balance: Decimal | None = _key("totalWalletBalance")
    total_margin_balance: Decimal | None = _key("totalMarginBalance")
    total_available_balance: Decimal | None = _key("totalAvailableBalance")
    total_perp_upl: Decimal | None = _key("totalPerpUPL")
    total_initial_margin: Decimal | None = _key("totalInitialMargin")
    total_maintenance_margin: Decimal | None = _key("totalMaintenanceMargin")
    total_initial_margin_by_mp: Decimal | None = _key("totalInitialMarginByMp")
    total_maintenance_margin_by_mp: Decimal | None = _key("totalMaintenanceMarginByMp")
    account_ltv: Decimal | None = _key("accountLTV")
    coins: tuple[CoinBalance, ...] = attrs.field(default=(), metadata={"key": "coin", "rows": CoinBalance})
    extra: Mapping[str, Any] = _aside()
    wire: Mapping[str, Any] = _aside()

    @property
    def key(self) -> tuple[AccountType]:
        """What this row replaces: account_type."""
        return (self.account_type,)

    def coin(self, name: str) -> CoinBalance | None:
        """Return the balance of the coin *name*, such as "USDT"; None when it was not sent with this update."""
        return next((coin for coin in self.coins if coin.coin == name), None)


@attrs.frozen(kw_only=True, repr=False)
class Gap(_Short):
    """Updates may be missing here: read the state anew. Always true.

    Example:
        >>> trades = client.subscribe_user_trades()
        >>> exchange.drop()
        >>> gap = trades.get(timeout=5).gap
        >>> gap.reason, gap.missed, gap.since < gap.until
        (GapReason('DISCONNECTED'), None, True)

    *since* and *until* are a window to ask REST for, with a margin of your own: the exchange's clocks differ by some
    milliseconds.

    Attributes:
        reason: Why.
        since: Exchange time (UTC) up to which the stream is known to be complete.
        until: Exchange time (UTC) from which it is complete again.
        missed: How many events (OVERFLOW) or rows (UNDECODABLE) are missing; None when nobody knows.
        detail: What happened, in words.
        error: What ended the subscription (ENDED) or the connection (DISCONNECTED); None otherwise.
    """

    reason: GapReason
    since: datetime
    until: datetime
    missed: int | None = None
    detail: str = ""
    error: BaseException | None = None


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class Event(_Short, Generic[T_co]):
    """One push of the exchange, or a gap; always true, and iterable over its rows.

    Example:
        >>> orders = client.subscribe_orders()
        >>> order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
        >>> event = orders.get(timeout=5)
        >>> event.stream, event.topic, event.index, event.gap, len(event.data)
        (Stream('orders'), 'order.linear', 1, None, 1)
        >>> [order.order_status for order in event]
        [OrderStatus('New')]

    Attributes:
        stream: Which stream.
        topic: The exchange's name of it; "" for a gap that is not one topic's.
        data: The rows; () for a gap.
        gap: What may be missing; None for a push.
        id: The exchange's name of the push, not unique; holds the account id; None where it sent none, and for a gap.
        created_at: When the exchange made it, by its clock; None where it did not tell, and for a gap.
        received_at: When it was read, by this machine's clock (UTC).
        received_ns: The same moment by `time.monotonic_ns`.
        raw: The frame, byte for byte; b"" for gaps other than UNDECODABLE.
        client: Name of the client that received it.
        epoch: Number of the login that it came with: 1, 2, ...
        index: Number within the subscription: 1, 2, 3, ... without holes, gaps included.
    """

    stream: Stream
    topic: str
    data: tuple[T_co, ...] = ()
    gap: Gap | None = None
    id: str | None = None
    created_at: datetime | None = None
    received_at: datetime
    received_ns: int
    raw: bytes = b""
    client: str = ""
    epoch: int = 0
    index: int = 0

    def __iter__(self) -> Iterator[T_co]:
        """Go over the rows; over nothing for a gap."""
        return iter(self.data)

    def __repr__(self) -> str:
        """Return stream, count and the beginning of the first row, or the gap: one short line, without the account id."""
        if self.gap is not None:
            return f"Event({self.stream}, {self.gap!r})"
        count = "1 row" if len(self.data) == 1 else f"{len(self.data)} rows"
        first = repr(self.data[0]) if self.data else "none"
        return f"Event({self.stream}, {count}: {first if len(first) <= _LINE else first[:_LINE] + '...'})"

    def numbered(self, index: int) -> Event[T_co]:
        """Return this event as number *index* of a subscription; the library itself does it."""
        copy: Event[T_co] = pushed(
            self.stream,
            self.topic,
            self.data,
            self.id,
            self.created_at,
            self.received_at,
            self.received_ns,
            self.raw,
            self.client,
            self.epoch,
            self.gap,
        )
        number(copy, index)
        return copy


_EventDraft = draft_class(Event)


def pushed(
    stream: Stream,
    topic: str,
    data: tuple[Any, ...],
    id: str | None,  # noqa: A002 - the exchange's name for it
    created_at: datetime | None,
    received_at: datetime,
    received_ns: int,
    raw: bytes,
    client: str,
    epoch: int,
    gap: Gap | None = None,
) -> Event[Any]:
    """Return an event that has no number yet; a draft first, since one is made for every push."""
    event = _EventDraft()
    event.stream = stream
    event.topic = topic
    event.data = data
    event.gap = gap
    event.id = id
    event.created_at = created_at
    event.received_at = received_at
    event.received_ns = received_ns
    event.raw = raw
    event.client = client
    event.epoch = epoch
    event.index = 0
    event.__class__ = Event
    return event  # type: ignore[no-any-return]


number: Callable[[Event[Any], int], None] = vars(Event)["index"].__set__
"""Gives an event its number, past what freezes it: while nobody has it but the one subscription that hands it over."""

AnyEvent: TypeAlias = Event[BalanceUpdate] | Event[OrderUpdate] | Event[PositionUpdate] | Event[UserTradeUpdate]
"""An event of any of the four streams: one ``queue.Queue[AnyEvent]`` can serve them all."""
