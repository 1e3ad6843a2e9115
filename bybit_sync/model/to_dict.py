"""Turn updates and events into plain values, ready for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs

__all__ = ["to_dict"]

_PLAIN = 1_000  # the most digits of a number in plain notation


def to_dict(record: Any) -> dict[str, Any]:
    """Return an update, an event or a gap as values for `json.dumps`, without loss.

    A `Decimal` becomes text in plain notation, times ISO 8601, words their text, an
    error its class and message; "type" is the class, for `from_dict`. The original row
    and frame, `wire` of an update and `raw` of an event, are left out, because the
    other attributes have the same content. Any thread. *record* is the update, event or
    gap, or a `Health`, whose numbers stay numbers.

    Example:
        >>> row = to_dict(PositionUpdate(symbol="BTCUSDT", position_idx=0, side=Side.BUY, size=Decimal("0.500")))
        >>> row["side"], row["size"], row["entry_price"]
        ('Buy', '0.500', None)

    """
    names = [field.name for field in attrs.fields(type(record)) if field.name not in ("wire", "raw")]
    return {"type": type(record).__name__, **{name: _plain(getattr(record, name)) for name in names}}


def _plain(value: Any) -> Any:
    # JSON has no NaN and no infinity: these become text.
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if attrs.has(type(value)):
        return to_dict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(held) for key, held in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(held) for held in value]
    return _plain_text(value)


def _plain_text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    # A number of an unknown key may have any exponent: plain notation could exhaust the
    # memory.
    if isinstance(value, Decimal) and abs(value.adjusted()) <= _PLAIN:
        return f"{value:f}"
    return str(value)
