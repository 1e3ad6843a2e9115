"""Rows and events, by hand, for the rules of recovery."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from bybit_sync.model.balances import BalanceUpdate, CoinBalance
from bybit_sync.model.enums import AccountType, Category, OrderStatus
from bybit_sync.model.events import Event, Gap, GapReason, Stream, new_event
from bybit_sync.model.orders import OrderUpdate
from bybit_sync.model.positions import PositionUpdate
from bybit_sync.model.trades import UserTradeUpdate
from bybit_sync.recovery.wants import Answered

NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
LINEAR = Category.LINEAR


def at(seconds: float) -> datetime:
    """Return the exchange's time *seconds* after noon."""
    return NOON + timedelta(seconds=seconds)


def ns(seconds: float) -> int:
    """Return the monotonic time *seconds* after noon; noon is at 1,000 s."""
    return round((1_000 + seconds) * 1e9)


def trade(name: str, seconds: float = 0.0, **fields: Any) -> UserTradeUpdate:
    """Return a fill."""
    return UserTradeUpdate(exec_id=name, **{"category": LINEAR, "symbol": "BTCUSDT", "exec_time": at(seconds), **fields})


def position(
    size: str, seq: int | None = None, seconds: float | None = None, symbol: str = "BTCUSDT", **fields: Any
) -> PositionUpdate:
    """Return a position."""
    known = {"category": LINEAR, "position_idx": 0, "updated_time": None if seconds is None else at(seconds), **fields}
    return PositionUpdate(symbol=symbol, size=Decimal(size), seq=seq, **known)


def order(name: str, status: str = "New", filled: str = "0", seconds: float = 0.0, **fields: Any) -> OrderUpdate:
    """Return an order."""
    known = {"category": LINEAR, "symbol": "BTCUSDT", "updated_time": at(seconds), **fields}
    return OrderUpdate(order_id=name, order_status=OrderStatus(status), cum_exec_qty=Decimal(filled), **known)


def balance(*coins: CoinBalance, **fields: Any) -> BalanceUpdate:
    """Return a balance of *coins*."""
    return BalanceUpdate(account_type=AccountType.UNIFIED, coins=coins, **fields)


def coin(name: str, amount: str, **fields: Any) -> CoinBalance:
    """Return a coin."""
    return CoinBalance(coin=name, **{"wallet_balance": Decimal(amount), "equity": Decimal(amount), **fields})


_STREAMS = {
    UserTradeUpdate: Stream.USER_TRADES,
    PositionUpdate: Stream.POSITIONS,
    OrderUpdate: Stream.ORDERS,
    BalanceUpdate: Stream.BALANCES,
}


def push(*rows: Any, seconds: float = 0.0, **fields: Any) -> Event[Any]:
    """Return the push of *rows*, made and received at *seconds*."""
    stream = _STREAMS[type(rows[0])]
    return new_event(stream, "topic", at(seconds), ns(seconds), rows, created_at=at(seconds), raw=b"{}", epoch=1, **fields)


def gap(reason: GapReason, since: float, until: float, *, stream: Stream = Stream.USER_TRADES, **fields: Any) -> Event[Any]:
    """Return the event of a gap, received when it ended."""
    told = Gap(reason=reason, since=at(since), until=at(until), detail="lost", **fields)
    return new_event(stream, "topic", at(until), ns(until), gap=told, epoch=2)


def answer(*rows: Any, asked: float = 0.0, **fields: Any) -> Answered:
    """Return the answer of REST to what was asked at *asked*."""
    return Answered(rows, asked_at=at(asked), at=at(asked + 0.1), **fields)
