"""A position as a subscriber receives it."""

# ruff: noqa: RUF009 - json_field() declares an attribute, as attrs.field() does
from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs

from bybit_sync.model.enums import Category, PositionStatus, Side, TpslMode
from bybit_sync.model.record import Record, json_field, lazy_wire, mapping_field
from bybit_sync.public import name_public

__all__ = ["PositionUpdate"]


@lazy_wire
@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class PositionUpdate(Record):
    """A position as it is now; it replaces the row of the same `key`.

    Example:
        >>> flat = PositionUpdate(symbol="BTCUSDT", position_idx=0, size=Decimal("0.000"))
        >>> flat.side, flat.entry_price, f"{flat.size:f}", flat.key
        (None, None, '0.000', (None, 'BTCUSDT', 0))

    Prices are in the quote currency. "Settle coin" is the quote coin of a linear
    contract and the base coin of an inverse one.
    Source: https://bybit-exchange.github.io/docs/v5/websocket/private/position

    Attributes:
        category: The product; V5 only, from the topic where the row has none; None in
            V3.
        symbol: The contract, such as BTCUSDT.
        side: BUY is long, SELL is short; None when flat, in both dialects.
        size: Size, never negative: base coin (linear), USD contracts (inverse); 0 when
            flat.
        position_idx: 0 in one-way mode, 1 the buy leg and 2 the sell leg in hedge mode.
        position_value: Value at entry, settle coin.
        entry_price: Average entry price; 0 when flat.
        mark_price: Mark price.
        leverage: Leverage; None in portfolio margin.
        trade_mode: 0 cross, 1 isolated; always 0 in a unified account.
        auto_add_margin: Whether margin is added automatically.
        risk_id: Risk tier; 0 in portfolio margin.
        risk_limit_value: Limit of that tier, settle coin; None or 0 in portfolio
            margin.
        position_balance: Margin of the position, settle coin; deprecated in a unified
            account.
        position_im: Initial margin, settle coin; None in portfolio margin and for a
            flat leg in hedge mode.
        position_mm: Maintenance margin, settle coin; None as `position_im`.
        position_im_by_mp: Initial margin by mark price, settle coin; V5 unified
            accounts.
        position_mm_by_mp: Maintenance margin by mark price, settle coin; V5 unified
            accounts.
        liq_price: Liquidation price, an estimate in cross margin; None in portfolio
            margin and where no price would liquidate.
        bust_price: Bankruptcy price; None in a unified account.
        take_profit: Take profit of the whole position; 0 when not set.
        stop_loss: Stop loss of the whole position; 0 when not set.
        trailing_stop: Distance of the trailing stop, in price; 0 when not set.
        active_price: Price that activates the trailing stop; V3 only.
        tpsl_mode: Deprecated by the exchange, which always says FULL.
        unrealised_pnl: Unrealised profit and loss, settle coin.
        cum_realised_pnl: All-time realised profit and loss on this symbol, settle coin.
        cur_realised_pnl: Realised profit and loss of the current position, settle coin;
            V5 only.
        session_avg_price: Average price of the session in USDC contracts; None or 0 in
            others.
        occ_closing_fee: Fee reserved for closing, settle coin; V3 only.
        break_even_price: Price at which closing neither wins nor loses; V5, linear and
            inverse.
        position_status: NORMAL, or being liquidated or deleveraged.
        adl_rank_indicator: Place in the queue for deleveraging, 1 to 5; 0 without a
            position.
        is_reduce_only: Whether the exchange lets this position only shrink.
        mmr_sys_updated_time: When the exchange changed the maintenance margin; None
            when it did not.
        leverage_sys_updated_time: When the exchange changed the leverage; None when it
            did not.
        seq: Cross sequence, to be compared within one symbol; None when never traded,
            and in V3.
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

    category: Category | None = json_field("category")
    symbol: str = attrs.field(metadata={"key": "symbol"})
    side: Side | None = json_field("side")
    size: Decimal | None = json_field("size")
    position_idx: int = attrs.field(metadata={"key": "positionIdx"})
    position_value: Decimal | None = json_field("positionValue")
    entry_price: Decimal | None = json_field("entryPrice")
    mark_price: Decimal | None = json_field("markPrice")
    leverage: Decimal | None = json_field("leverage")
    trade_mode: int | None = json_field("tradeMode")
    auto_add_margin: bool | None = json_field("autoAddMargin", "0 or 1")
    risk_id: int | None = json_field("riskId")
    risk_limit_value: Decimal | None = json_field("riskLimitValue")
    position_balance: Decimal | None = json_field("positionBalance")
    position_im: Decimal | None = json_field("positionIM")
    position_mm: Decimal | None = json_field("positionMM")
    position_im_by_mp: Decimal | None = json_field("positionIMByMp")
    position_mm_by_mp: Decimal | None = json_field("positionMMByMp")
    liq_price: Decimal | None = json_field("liqPrice")
    bust_price: Decimal | None = json_field("bustPrice")
    take_profit: Decimal | None = json_field("takeProfit")
    stop_loss: Decimal | None = json_field("stopLoss")
    trailing_stop: Decimal | None = json_field("trailingStop")
    active_price: Decimal | None = json_field("activePrice")
    tpsl_mode: TpslMode | None = json_field("tpslMode")
    unrealised_pnl: Decimal | None = json_field("unrealisedPnl")
    cum_realised_pnl: Decimal | None = json_field("cumRealisedPnl")
    cur_realised_pnl: Decimal | None = json_field("curRealisedPnl")
    session_avg_price: Decimal | None = json_field("sessionAvgPrice")
    occ_closing_fee: Decimal | None = json_field("occClosingFee")
    break_even_price: Decimal | None = json_field("breakEvenPrice")
    position_status: PositionStatus | None = json_field("positionStatus")
    adl_rank_indicator: int | None = json_field("adlRankIndicator")
    is_reduce_only: bool | None = json_field("isReduceOnly")
    mmr_sys_updated_time: datetime | None = json_field("mmrSysUpdatedTime")
    leverage_sys_updated_time: datetime | None = json_field("leverageSysUpdatedTime")
    seq: int | None = json_field("seq", "sequence")
    open_time: datetime | None = json_field("openTime", "bare time")
    delta: Decimal | None = json_field("delta")
    gamma: Decimal | None = json_field("gamma")
    vega: Decimal | None = json_field("vega")
    theta: Decimal | None = json_field("theta")
    created_time: datetime | None = json_field("createdTime")
    updated_time: datetime | None = json_field("updatedTime")
    extra: Mapping[str, Any] = mapping_field()
    wire: Mapping[str, Any] = mapping_field()

    @property
    def key(self) -> tuple[Category | None, str, int]:
        """The key that this row replaces: category, symbol and position_idx.

        The category is None in V3.
        """
        return self.category, self.symbol, self.position_idx


name_public(PositionUpdate)
