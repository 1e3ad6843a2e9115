"""Readers of recovered streams, and what the exchange's own books say: the oracle of these tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from bybit_sync import Event, Source, Subscription
from bybit_sync.simulator import Account

__all__ = ["Reader", "buy", "coins", "fills", "held_orders", "held_positions", "recovered", "told"]

TIMEOUT = 20.0
OPEN = ("New", "PartiallyFilled", "Untriggered")


class Reader:
    """Takes events of *subscription* until one is there that is wanted."""

    def __init__(self, subscription: Subscription[Any]) -> None:
        self.subscription = subscription
        self.events: list[Event[Any]] = []

    def until(self, wanted: Callable[[Event[Any]], object], *, timeout: float = TIMEOUT) -> list[Event[Any]]:
        """Return the events up to the first that is *wanted*, which is the last of them."""
        deadline, taken = time.monotonic() + timeout, list[Event[Any]]()
        while not taken or not wanted(taken[-1]):
            taken.append(self.subscription.get(timeout=max(0.0, deadline - time.monotonic())))
            self.events.append(taken[-1])
        return taken

    def until_fills(self, count: int) -> list[str]:
        """Return the ids of all fills so far, as soon as there are *count* different ones."""
        while len(set(fills(self.events))) < count:
            self.until(lambda event: event.data)
        return fills(self.events)


def recovered(event: Event[Any]) -> bool:
    """Return whether *event* mends a gap."""
    return event.recovered is not None


def told(event: Event[Any]) -> bool:
    """Return whether *event* is a gap."""
    return event.gap is not None


def snapshot(event: Event[Any]) -> bool:
    """Return whether *event* tells all that there is."""
    return event.snapshot


def fills(events: list[Event[Any]]) -> list[str]:
    """Return the ids of the fills in *events*."""
    return [row.exec_id for event in events for row in event.data]


def booked(account: Account) -> list[str]:
    """Return the ids of the account's fills, by the exchange's own books."""
    return [execution.exec_id for execution in account.executions()]


def buy(account: Account, symbol: str = "BTCUSDT", qty: str = "0.1", price: str = "20000") -> None:
    """Buy at once."""
    account.fill(account.place_order(symbol, "Buy", qty=qty, price=price))


def sell(account: Account, symbol: str = "BTCUSDT", qty: str = "0.1", price: str = "20000") -> None:
    """Sell at once."""
    account.fill(account.place_order(symbol, "Sell", qty=qty, price=price))


def held_positions(events: list[Event[Any]]) -> dict[tuple[str, int], Decimal]:
    """Return the open positions that a consumer of *events* knows: a snapshot is all that there is."""
    known: dict[tuple[str, int], Decimal] = {}
    for event in events:
        if event.snapshot:
            known.clear()
        known.update({(row.symbol, row.position_idx): row.size for row in event.data})
    return {key: size for key, size in known.items() if size}


def held_orders(events: list[Event[Any]]) -> dict[str, str]:
    """Return the orders and their states that a consumer of *events* knows; those that have ended stay."""
    known: dict[str, str] = {}
    for event in events:
        if event.snapshot:
            listed = {row.order_id for row in event.data}
            known = {name: status for name, status in known.items() if name in listed or status not in OPEN}
        known.update({row.order_id: str(row.order_status) for row in event.data})
    return known


def coins(events: list[Event[Any]]) -> dict[str, Decimal]:
    """Return the wallet balances that a consumer of *events* knows, without zeros."""
    known: dict[str, Decimal] = {}
    for event in events:
        if event.snapshot:
            known.clear()
        known.update({coin.coin: coin.wallet_balance for row in event.data for coin in row.coins})
    return {name: amount for name, amount in known.items() if amount}


def rest(events: list[Event[Any]]) -> list[Event[Any]]:
    """Return those of *events* that were read over REST."""
    return [event for event in events if event.source == Source.REST and event.gap is None]


def indices(events: list[Event[Any]]) -> bool:
    """Return whether *events* are numbered without holes."""
    return [event.index for event in events] == list(range(1, len(events) + 1))
