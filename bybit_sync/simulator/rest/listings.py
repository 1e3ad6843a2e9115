"""Listings from the books: orders, executions, positions and coins.

Pure: books and parameters in, a listing out. Only the rows of the requested page are
built.

https://bybit-exchange.github.io/docs/v5/position ,
https://bybit-exchange.github.io/docs/v5/order/open-order ,
https://bybit-exchange.github.io/docs/v5/order/order-list ,
https://bybit-exchange.github.io/docs/v5/order/execution ,
https://bybit-exchange.github.io/docs/v5/account/wallet-balance
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from bybit_sync.simulator.books.instruments import Instrument
from bybit_sync.simulator.books.orders import Order
from bybit_sync.simulator.books.positions import Position
from bybit_sync.simulator.books.row_values import execution_values, order_values, position_values, wallet_values
from bybit_sync.simulator.books.tables import Books
from bybit_sync.simulator.rest.pages import Key
from bybit_sync.simulator.rest.refusals import RestRefusal
from bybit_sync.simulator.rest.windows import DAY, LONGEST, window_of

__all__ = ["CATEGORIES", "Listing", "Omissions", "closed_orders", "executions", "open_orders", "positions", "wallet"]

Parameters = Mapping[str, Any]
Row = Mapping[str, Any]
CATEGORIES: Final = ("linear", "inverse", "option", "spot")
# The number of closed orders that ``openOnly=1`` lists, per category.
RECENT_CLOSED: Final = 500
_LATEST: Final = 10**14
_SCOPES: Final = {"symbol": "symbol", "settleCoin": "settle_coin", "baseCoin": "base_coin"}
# The empty values of a position that was never traded.
_NEVER: Final = dict.fromkeys(("createdTime", "updatedTime", "entryPrice", "markPrice", "positionValue"), "")


@attrs.frozen
class Listing:
    """A listing: items in order, each with its sort key.

    *values* returns the values of an item's row.
    """

    items: Sequence[tuple[Key, Any]]
    values: Callable[[Any], Row]


@attrs.frozen
class Omissions:
    """Omissions from listings, besides those that are documented.

    *hides_conditional*: conditional orders, unless ``orderFilter=StopOrder`` asks for
    them; *forgotten_before*: orders that were closed before that instant (ms) are not
    in ``order/realtime`` any more.
    """

    hides_conditional: bool = False
    forgotten_before: int = 0


# --- positions ---


def positions(books: Books, parameters: Parameters) -> Listing:
    """Return positions: both legs of a ``symbol``, else the open ones only."""
    category = _category(parameters, "linear", "inverse", "option")
    symbol = parameters.get("symbol")
    if symbol:
        found = _of_symbol(books, _instrument(symbol, category))
    else:
        if category == "linear" and not parameters.get("settleCoin"):
            raise RestRefusal(10001, "params error: symbol or settleCoin is needed")
        found = [position for position in books.positions.values() if position.size]
    is_wanted = _scope(category, parameters)
    items = [((p.symbol, str(p.position_idx)), p) for p in found if is_wanted(p.instrument)]
    return _listing(items, lambda position: _position_row(books, position))


def _of_symbol(books: Books, instrument: Instrument) -> list[Position]:
    """Return the legs of the mode that the symbol is in now.

    A symbol that was never ordered has a flat position.
    """
    known = [position for position in books.positions.values() if position.symbol == instrument.symbol]
    if not known:
        return [Position(instrument=instrument, position_idx=0, created=0, updated=0)]
    newest = max(known, key=lambda position: (position.updated, position.position_idx))
    return [position for position in known if bool(position.position_idx) == bool(newest.position_idx)]


def _position_row(books: Books, position: Position) -> Row:
    values = position_values(books, position)
    return {**values, **_NEVER} if not position.created else values


# --- orders ---


def open_orders(books: Books, parameters: Parameters, omissions: Omissions) -> Listing:
    """Return the open orders, or with ``openOnly=1`` the newest closed ones.

    An order that is asked for by its id is returned in either state.
    """
    category = _category(parameters, *CATEGORIES)
    by_id = parameters.get("orderId") or parameters.get("orderLinkId")
    _need_scope(category, parameters, is_by_id=bool(by_id))
    closed = [order for order in books.orders.values() if order.is_final and order.updated >= omissions.forgotten_before]
    closed = sorted(_matching(closed, category, {}), key=lambda order: order.updated)[-RECENT_CLOSED:]
    if by_id:
        found: Iterable[Order] = [*books.unfinished(), *closed]
    else:
        found = closed if str(parameters.get("openOnly", "0")) == "1" else books.unfinished()
    return _order_listing(_visible(_matching(found, category, parameters), parameters, omissions))


def closed_orders(books: Books, parameters: Parameters, omissions: Omissions, now: int) -> Listing:
    """Return the closed orders that were created in the window.

    Those without fills are kept for 24 hours only.
    """
    category = _category(parameters, *CATEGORIES)
    status = parameters.get("orderStatus")
    start, end = window_of(parameters, now)
    found = [order for order in books.orders.values() if order.is_final and _is_kept(order, now)]
    kept = [order for order in _matching(found, category, parameters) if start <= order.created <= end]
    if status:
        if status not in ("Filled", "Cancelled", "Rejected", "Deactivated", "PartiallyFilledCanceled"):
            raise RestRefusal(181017)
        kept = [order for order in kept if order.status == status]
    return _order_listing(_visible(kept, parameters, omissions))


def _is_kept(order: Order, now: int) -> bool:
    if order.cum_qty:
        return True
    return now - order.updated <= DAY and now - order.created <= LONGEST


def _need_scope(category: str, parameters: Parameters, *, is_by_id: bool) -> None:
    scopes = ("symbol", "baseCoin", "settleCoin")
    if category == "linear" and not is_by_id and not any(parameters.get(name) for name in scopes):
        raise RestRefusal(10001, f"params error: {', '.join(scopes)}: one of them is needed")


def _matching(orders: Iterable[Order], category: str, parameters: Parameters) -> list[Order]:
    """Return the orders that *parameters* select.

    An ``orderId`` takes precedence over an ``orderLinkId``, and that over a symbol.
    """
    for name, attribute in (("orderId", "order_id"), ("orderLinkId", "order_link_id")):
        if wanted := parameters.get(name):
            return [o for o in orders if getattr(o, attribute) == wanted and o.instrument.category == category]
    is_wanted = _scope(category, parameters)
    return [order for order in orders if is_wanted(order.instrument)]


def _visible(orders: Iterable[Order], parameters: Parameters, omissions: Omissions) -> list[Order]:
    """Return the orders that ``orderFilter`` selects.

    Without it, conditional orders may be hidden.
    """
    wanted = parameters.get("orderFilter")
    if wanted in (None, ""):
        return [order for order in orders if not (omissions.hides_conditional and order.stop_type)]
    if wanted not in ("Order", "StopOrder", "tpslOrder", "OcoOrder", "BidirectionalTpslOrder"):
        raise RestRefusal(10001, "params error: orderFilter invalid")
    return [order for order in orders if _filter_of(order) == wanted]


def _filter_of(order: Order) -> str:
    return "StopOrder" if order.stop_type else "Order"


def _order_listing(orders: Iterable[Order]) -> Listing:
    return _listing([(_newest_first(order.created, order.order_id), order) for order in orders], order_values)


# --- executions ---


def executions(books: Books, parameters: Parameters, now: int) -> Listing:
    """Return the executions in the window, of every kind.

    For an order id the other parameters are ignored.
    """
    category = _category(parameters, *CATEGORIES)
    order_id, link_id, kind = (parameters.get(name) for name in ("orderId", "orderLinkId", "execType"))
    if order_id or link_id:
        of_order = [e for e in books.executions if (order_id or e.order.order_id) == e.order.order_id]
        found = [e for e in of_order if order_id or e.order.order_link_id == link_id]
        is_wanted = _scope(category, {})
    else:
        start, end = window_of(parameters, now)
        found = [e for e in books.executions if start <= e.time <= end and kind in (None, "", e.kind)]
        is_wanted = _scope(category, parameters)
    items = [(_newest_first(e.time, e.exec_id), e) for e in found if is_wanted(e.order.instrument)]
    return _listing(items, execution_values)


# --- balances ---


def wallet(books: Books, parameters: Parameters, kind: str) -> Row:
    """Return the account's row, with the coins that ``coin`` names.

    By default these are all that are not zero.
    """
    if parameters.get("accountType") != kind:
        raise RestRefusal(10001, f"accountType only support {kind}.")
    asked = [name for name in str(parameters.get("coin", "")).split(",") if name]
    held = [name for name in books.balances if (coin := books.coin(name)).wallet or coin.equity]
    return wallet_values(books, asked or held, kind)


# --- the meaning of parameters ---


def _category(parameters: Parameters, *known: str) -> str:
    category = str(parameters.get("category", ""))
    if category not in known:
        raise RestRefusal(10001, "params error: category invalid")
    return category


def _instrument(symbol: str, category: str) -> Instrument:
    try:
        instrument = Instrument.named(symbol)
    except ValueError:
        raise RestRefusal(10001, "params error: symbol invalid") from None
    if instrument.category != category:
        raise RestRefusal(10001, "params error: symbol invalid")
    return instrument


def _scope(category: str, parameters: Parameters) -> Callable[[Instrument], bool]:
    """Return a predicate of contracts.

    It is true for those of *category*, and of the symbol and coins in *parameters*.
    """
    asked = {attribute: parameters[name] for name, attribute in _SCOPES.items() if parameters.get(name)}

    @functools.cache
    def is_wanted(instrument: Instrument) -> bool:
        return instrument.category == category and all(getattr(instrument, name) == value for name, value in asked.items())

    return is_wanted


def _listing(items: Sequence[tuple[Key, Any]], values: Callable[[Any], Row]) -> Listing:
    return Listing(sorted(items, key=lambda item: item[0]), values)


def _newest_first(time: int, name: str) -> Key:
    return f"{_LATEST - time:015d}", name
