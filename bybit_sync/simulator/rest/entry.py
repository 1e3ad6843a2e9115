"""Order entry over REST: create, amend and cancel.

Orders go through the same books as those of the account's own methods.

https://bybit-exchange.github.io/docs/v5/order/create-order
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from bybit_sync.simulator.books.account import Account
from bybit_sync.simulator.books.instruments import Instrument
from bybit_sync.simulator.books.orders import Order
from bybit_sync.simulator.rest.refusals import RestRefusal

__all__ = ["amend", "cancel", "cancel_all", "create"]

Parameters = Mapping[str, Any]


def create(account: Account, parameters: Parameters) -> Mapping[str, Any]:
    """Place an order; it fills when the account's `fill` is called."""
    _check_contract(parameters)
    link_id = str(parameters.get("orderLinkId") or "")
    if link_id and any(order.order_link_id == link_id for order in account.orders()):
        raise RestRefusal(110072)
    order_type = str(parameters.get("orderType", ""))
    direction = parameters.get("triggerDirection")
    try:
        order = account.place_order(
            parameters["symbol"],
            str(parameters.get("side", "")),
            qty=_needed(parameters, "qty"),
            price=_number(parameters, "price") if order_type == "Limit" else None,
            order_type=order_type,
            time_in_force=parameters.get("timeInForce") or None,
            reduce_only=parameters.get("reduceOnly") in (True, "true"),
            position_idx=int(parameters.get("positionIdx") or 0),
            order_link_id=link_id,
            trigger_price=_number(parameters, "triggerPrice"),
            trigger_direction=int(direction) if direction else None,
            take_profit=_number(parameters, "takeProfit"),
            stop_loss=_number(parameters, "stopLoss"),
        )
    except ValueError as error:
        raise RestRefusal(10001, f"params error: {error}") from None
    return _named(order)


def amend(account: Account, parameters: Parameters) -> Mapping[str, Any]:
    """Change quantity, price or trigger price of an unfinished order."""
    order = _wanted(account, parameters)
    changes = {"qty": "qty", "price": "price", "trigger_price": "triggerPrice"}
    try:
        amended = account.amend(order, **{name: _number(parameters, key) for name, key in changes.items()})
    except ValueError as error:
        raise RestRefusal(10001, f"params error: {error}") from None
    return _named(amended)


def cancel(account: Account, parameters: Parameters) -> Mapping[str, Any]:
    """Cancel an unfinished order."""
    order = _wanted(account, parameters)
    try:
        return _named(account.cancel(order))
    except ValueError:
        # The order was filled after it was found and before the cancel.
        raise RestRefusal(110001) from None


def cancel_all(account: Account, parameters: Parameters) -> Mapping[str, Any]:
    """Cancel every order of the category, symbol and coins that are given."""
    wanted = {"symbol": "symbol", "settleCoin": "settle_coin", "baseCoin": "base_coin", "category": "category"}
    asked = {attribute: parameters[key] for key, attribute in wanted.items() if parameters.get(key)}
    found = [o for o in account.orders() if all(getattr(o.instrument, name) == value for name, value in asked.items())]
    return {"list": [_named(account.cancel(order)) for order in found], "success": "1"}


def _wanted(account: Account, parameters: Parameters) -> Order:
    """Return the unfinished order that is named.

    Raises `RestRefusal` 110001 when there is none.
    """
    _check_contract(parameters)
    order_id, link_id = parameters.get("orderId"), parameters.get("orderLinkId")
    if not (order_id or link_id):
        raise RestRefusal(10001, "params error: orderId or orderLinkId is needed")
    for order in account.orders(parameters["symbol"]):
        if order.order_id == order_id or (not order_id and order.order_link_id == link_id):
            return order
    raise RestRefusal(110001)


def _check_contract(parameters: Parameters) -> None:
    """Raise `RestRefusal` 10001 unless the symbol names a contract of the category."""
    try:
        category = Instrument.named(str(parameters.get("symbol", ""))).category
    except ValueError:
        category = ""
    if not category or category != parameters.get("category"):
        raise RestRefusal(10001, "params error: category or symbol invalid")


def _needed(parameters: Parameters, name: str) -> Decimal:
    number = _number(parameters, name)
    if number is None:
        raise RestRefusal(10001, f"params error: {name} is needed")
    return number


def _number(parameters: Parameters, name: str) -> Decimal | None:
    """Return the number in a text or a JSON number.

    It is None for a missing one, for "" and, as on the exchange, for "0".
    """
    try:
        number = Decimal(str(parameters.get(name) or "0"))
    except InvalidOperation:
        raise RestRefusal(10001, f"params error: {name} invalid") from None
    if not number.is_finite():
        raise RestRefusal(10001, f"params error: {name} invalid")
    return number or None


def _named(order: Order) -> Mapping[str, Any]:
    return {"orderId": order.order_id, "orderLinkId": order.order_link_id}
