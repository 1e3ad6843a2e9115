"""Make updates, events and gaps from the plain values that `to_dict` returned."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, Final

import attrs

from bybit_sync import errors
from bybit_sync.model.balances import BalanceUpdate, CoinBalance
from bybit_sync.model.events import Event, Gap
from bybit_sync.model.orders import OrderUpdate
from bybit_sync.model.positions import PositionUpdate
from bybit_sync.model.trades import ExtraFee, UserTradeUpdate
from bybit_sync.text import quoted

__all__ = ["from_dict"]

_CLASSES: Final = {
    cls.__name__: cls
    for cls in (Event, Gap, BalanceUpdate, CoinBalance, OrderUpdate, PositionUpdate, UserTradeUpdate, ExtraFee)
}


def from_dict(data: Mapping[str, Any]) -> Any:
    """Return the update, event or gap that `to_dict` turned into *data*.

    It is equal, also after JSON, except for the parts that `to_dict` leaves out (`wire`
    and `raw` are empty) and the `error` of a gap, which keeps its text, and its class
    if that is of this library. A key that is missing or unknown comes from another
    version: the attribute has its default, or the key is left out. Any thread.

    Raises:
        ConfigurationError: *data* is not a result of `to_dict`.

    Example:
        >>> trade = UserTradeUpdate(exec_id="e-1", exec_qty=Decimal("0.500"), side=Side.BUY)
        >>> from_dict(to_dict(trade)) == trade
        True

    """
    cls = _CLASSES.get(str(data.get("type"))) if isinstance(data, Mapping) else None
    if cls is None:
        raise errors.ConfigurationError(
            f"data={quoted(str(data))} is nothing that to_dict gives: its type is none of {[*_CLASSES]}"
        )
    try:
        return cls(**{name: read(data[name]) for name, read in _readers(cls).items() if data.get(name) is not None})
    except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise errors.ConfigurationError(f"data cannot be read as {cls.__name__}: {quoted(str(error))}") from error


@cache
def _readers(cls: type[Any]) -> dict[str, Callable[[Any], Any]]:
    """Return, for each attribute of *cls*, a function that reads its plain value."""
    return {field.name: _reader(field.type) for field in attrs.fields(cls) if field.name not in ("wire", "raw")}


def _reader(annotation: Any) -> Callable[[Any], Any]:
    """Return a function that reads the plain value of an attribute, unless None.

    *annotation* is the attribute's type.
    """
    kind, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if kind in (types.UnionType, typing.Union):
        return _reader(next(argument for argument in arguments if argument is not types.NoneType))
    if kind is tuple:
        return lambda values: tuple(from_dict(value) if isinstance(value, Mapping) else value for value in values)
    if kind is Mapping:
        read = _reader(arguments[1])
        return lambda values: {key: read(value) for key, value in values.items()}
    return _read_one(kind)


def _read_one(kind: Any) -> Callable[[Any], Any]:
    if kind is datetime:
        return datetime.fromisoformat
    if kind is BaseException:
        return _error
    if attrs.has(kind):
        return from_dict
    # `Any` is no class before Python 3.11.
    if kind is Decimal or (isinstance(kind, type) and issubclass(kind, Enum)):
        return kind
    return lambda value: value


def _error(text: str) -> BaseException:
    """Return the error that was written as *text*, "class: message"."""
    name, _, message = text.partition(": ")
    cls = getattr(errors, name, None)
    ours = isinstance(cls, type) and issubclass(cls, errors.BybitSyncError)
    return cls(message) if ours else Exception(message)  # type: ignore[misc]
