"""Raise ``ValueError`` for orders and changes that the exchange would refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from bybit_sync.simulator.books.orders import OPPOSITE, ZERO, Order
from bybit_sync.simulator.books.positions import Position

__all__ = ["check_amendment", "check_fill", "check_order"]

# The sides that each leg may hold.
LEGS: Mapping[int, tuple[str, ...]] = {0: ("Buy", "Sell"), 1: ("Buy",), 2: ("Sell",)}


def check_order(side: str, qty: Decimal, order_type: str, price: Decimal | None, position_idx: int) -> None:
    """Raise ``ValueError`` for a new order that is not possible."""
    if side not in OPPOSITE:
        raise ValueError(f"side: {side!r} is neither Buy nor Sell")
    if order_type not in ("Limit", "Market"):
        raise ValueError(f"order_type: {order_type!r} is neither Limit nor Market")
    if position_idx not in LEGS:
        raise ValueError(f"position_idx: {position_idx} is none of 0 (one-way), 1 (hedge mode, Buy), 2 (hedge mode, Sell)")
    if qty <= 0 or (price is not None and price <= 0):
        raise ValueError("qty and price: they have to be more than 0")
    if order_type == "Limit" and price is None:
        raise ValueError("price: a Limit order needs one")


def check_amendment(order: Order, changes: Mapping[str, Decimal]) -> None:
    """Raise ``ValueError`` for *changes* that *order* cannot have."""
    if any(value <= 0 for value in changes.values()):
        raise ValueError(f"{' and '.join(changes)}: they have to be more than 0")
    if changes.get("qty", order.qty) <= order.cum_qty:
        raise ValueError(f"qty: {changes['qty']} is not more than the {order.cum_qty} that were filled")
    if "trigger_price" in changes and not order.is_waiting:
        raise ValueError(f"trigger_price: the order is {order.status}, and waits for no trigger")
    if order.is_position_stop and order.is_waiting:
        raise ValueError("order: it stands for a position's stop; change that with set_trading_stop")


def check_fill(order: Order, position: Position, fills: Sequence[tuple[Decimal, Decimal]]) -> None:
    """Raise ``ValueError`` for *fills* (quantity, price) that *order* cannot have."""
    qty = sum((part for part, _ in fills), ZERO)
    closes = position.closable(order.side, qty)
    if not fills or any(part <= 0 or price <= 0 for part, price in fills):
        raise ValueError("qty and price: they have to be more than 0")
    if qty > order.leaves_qty:
        raise ValueError(f"qty: {qty} of an order that leaves {order.leaves_qty}")
    if order.reduce_only and closes < qty:
        raise ValueError(f"qty: {qty} of a reduce-only order, when the position has {closes} to close")
    if closes < qty and order.side not in LEGS[order.position_idx]:
        raise ValueError(f"qty: {qty} closes more than the {closes} of hedge mode's leg {order.position_idx}")
