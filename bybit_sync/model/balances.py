"""An account and its coins as a subscriber receives them."""

# ruff: noqa: RUF009 - json_field() declares an attribute, as attrs.field() does
from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs

from bybit_sync.model.enums import AccountType, ColRes
from bybit_sync.model.record import Record, json_field, lazy_wire, mapping_field
from bybit_sync.public import name_public

__all__ = ["BalanceUpdate", "CoinBalance"]


@lazy_wire
@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class CoinBalance(Record):
    """One coin of an account.

    Amounts are in that coin. Merge it by `coin`: coins that did not change may not be
    sent.

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
        available_to_withdraw: Free balance of a classic account; None in a unified one;
            V5 only.
        available_to_borrow: Deprecated by the exchange, which sends nothing; V5 only.
        total_order_im: Initial margin of orders; None in portfolio margin and for coins
            of spot only; V5 only.
        total_position_im: Initial margin of positions; None as the former; V5 only.
        total_position_mm: Maintenance margin of positions; None in portfolio margin; V5
            unified accounts.
        unrealised_pnl: Unrealised profit and loss.
        cum_realised_pnl: All-time realised profit and loss.
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
    equity: Decimal | None = json_field("equity")
    usd_value: Decimal | None = json_field("usdValue")
    wallet_balance: Decimal | None = json_field("walletBalance")
    locked: Decimal | None = json_field("locked")
    spot_hedging_qty: Decimal | None = json_field("spotHedgingQty")
    spot_borrow: Decimal | None = json_field("spotBorrow")
    borrow_amount: Decimal | None = json_field("borrowAmount")
    accrued_interest: Decimal | None = json_field("accruedInterest")
    available_to_withdraw: Decimal | None = json_field("availableToWithdraw")
    available_to_borrow: Decimal | None = json_field("availableToBorrow")
    total_order_im: Decimal | None = json_field("totalOrderIM")
    total_position_im: Decimal | None = json_field("totalPositionIM")
    total_position_mm: Decimal | None = json_field("totalPositionMM")
    unrealised_pnl: Decimal | None = json_field("unrealisedPnl")
    cum_realised_pnl: Decimal | None = json_field("cumRealisedPnl")
    bonus: Decimal | None = json_field("bonus")
    collateral_switch: bool | None = json_field("collateralSwitch")
    margin_collateral: bool | None = json_field("marginCollateral")
    col_res: ColRes | None = json_field("colRes")
    free: Decimal | None = json_field("free")
    position_margin: Decimal | None = json_field("positionMargin")
    available_balance: Decimal | None = json_field("availableBalance")
    order_margin: Decimal | None = json_field("orderMargin")
    extra: Mapping[str, Any] = mapping_field()
    wire: Mapping[str, Any] = mapping_field()


@lazy_wire
@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class BalanceUpdate(Record):
    """One account: its totals and its coins.

    The totals replace those of the same `key`, the coins merge.

    Example:
        >>> balances = client.subscribe_balances()
        >>> account.transfer("ETH", 5)
        >>> row = balances.get(timeout=5).data[0]
        >>> row.account_type, row.coin("ETH").wallet_balance, row.coin("DOGE")
        (AccountType('UNIFIED'), Decimal('15'), None)

    Totals are in USD and of the whole account, whichever coins are listed; None in
    classic accounts, and in V3, whose wallet has none. In isolated margin mode they do
    not apply. A change of unrealised profit and loss alone is not pushed.
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
    account_im_rate: Decimal | None = json_field("accountIMRate")
    account_mm_rate: Decimal | None = json_field("accountMMRate")
    account_im_rate_by_mp: Decimal | None = json_field("accountIMRateByMp")
    account_mm_rate_by_mp: Decimal | None = json_field("accountMMRateByMp")
    total_equity: Decimal | None = json_field("totalEquity")
    total_wallet_balance: Decimal | None = json_field("totalWalletBalance")
    total_margin_balance: Decimal | None = json_field("totalMarginBalance")
    total_available_balance: Decimal | None = json_field("totalAvailableBalance")
    total_perp_upl: Decimal | None = json_field("totalPerpUPL")
    total_initial_margin: Decimal | None = json_field("totalInitialMargin")
    total_maintenance_margin: Decimal | None = json_field("totalMaintenanceMargin")
    total_initial_margin_by_mp: Decimal | None = json_field("totalInitialMarginByMp")
    total_maintenance_margin_by_mp: Decimal | None = json_field("totalMaintenanceMarginByMp")
    account_ltv: Decimal | None = json_field("accountLTV")
    coins: tuple[CoinBalance, ...] = attrs.field(default=(), metadata={"key": "coin", "rows": CoinBalance})
    extra: Mapping[str, Any] = mapping_field()
    wire: Mapping[str, Any] = mapping_field()

    @property
    def key(self) -> tuple[AccountType]:
        """The key that this row replaces: account_type."""
        return (self.account_type,)

    def coin(self, name: str) -> CoinBalance | None:
        """Return the balance of the coin *name*, such as "USDT".

        None when it was not sent with this update.
        """
        return next((coin for coin in self.coins if coin.coin == name), None)


name_public(CoinBalance, BalanceUpdate)
