"""The spelling of rows in REST, as a table.

A row is that of the stream, except for some keys and some values for "none".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from bybit_sync.simulator.books.rows import SPELLINGS, print_rows

__all__ = ["SPELLINGS_OF_REST", "WAYS", "RestSpelling", "spell"]

Row = Mapping[str, Any]
_NOTHING: Row = MappingProxyType({})


_NO_NUMBER: Final[Mapping[Any, Any]] = {"0": ""}


@attrs.frozen
class RestSpelling:
    """The changes to a pushed row.

    *names* renames keys, *without* leaves keys out, *values* translates the values of
    pushed keys, *when_flat* besides those of a position of size 0, and *more* are keys
    that only REST has.
    """

    names: Mapping[str, str] = _NOTHING
    without: frozenset[str] = frozenset()
    values: Mapping[str, Mapping[Any, Any]] = _NOTHING
    when_flat: Mapping[str, Mapping[Any, Any]] = _NOTHING
    more: Row = _NOTHING


_STREAM_ONLY: Final = frozenset({"category", "closedPnl", "feeCurrency"})
_HISTORY_ONLY: Final = frozenset({"slippageToleranceType", "slippageTolerance", "rpiTakerAccess", "rpiMatchedQty"})
_NO_MODE: Final[Mapping[str, Mapping[Any, Any]]] = {"tpslMode": {"UNKNOWN": ""}}

SPELLINGS_OF_REST: Final[Mapping[str, RestSpelling]] = {
    "position": RestSpelling(
        names={"entryPrice": "avgPrice", "mmrSysUpdatedTime": "mmrSysUpdateTime"},
        without=frozenset({"category"}),
        values={"takeProfit": _NO_NUMBER, "stopLoss": _NO_NUMBER},
        when_flat={"positionValue": _NO_NUMBER, "unrealisedPnl": _NO_NUMBER},
    ),
    "order": RestSpelling(without=_STREAM_ONLY | _HISTORY_ONLY, values=_NO_MODE),
    "order history": RestSpelling(without=_STREAM_ONLY, values=_NO_MODE, more={"extraFees": ""}),
    "execution": RestSpelling(without=frozenset({"category", "isLeverage", "execPnl"})),
    "wallet": RestSpelling(),
}

_TIMES: Final = ("createdTime", "updatedTime", "execTime")
_UNKNOWN = {"": "UNKNOWN"}
_NO_PRICE = {"": "0.00", "0": "0.00"}
WAYS: Final[Mapping[str, Mapping[str, Mapping[Any, Any]]]] = {
    # As the examples of older pages of the documentation.
    "documented": {
        "stopOrderType": _UNKNOWN,
        "triggerBy": _UNKNOWN,
        "triggerPrice": _NO_PRICE,
        "takeProfit": _NO_PRICE,
        "stopLoss": _NO_PRICE,
    },
    # As some gateways: whole numbers where a text of digits is usual.
    "whole times": {},
    # Fees as a JSON text, as some captures show.
    "fees as text": {"extraFees": {"": "[]"}},
    # null where nothing is set.
    "null": {key: {"": None} for key in ("takeProfit", "stopLoss", "liqPrice", "orderLinkId", "triggerPrice")},
}


def spell(kind: str, values: Row, *, way: str | None = None) -> Row:
    """Return *values* (see `books.row_values`) as REST's row of *kind*.

    *way* is one of `WAYS`; None is the usual one.
    """
    (pushed,) = print_rows(SPELLINGS["v5", "UNIFIED"], kind.partition(" ")[0], [values])
    spelling = SPELLINGS_OF_REST[kind]
    values = {**spelling.values, **(spelling.when_flat if pushed.get("size") == "0" else {})}
    kept = {key: value for key, value in pushed.items() if key not in spelling.without}
    row: Row = {spelling.names.get(key, key): _translated(values.get(key), value) for key, value in kept.items()}
    row = {**row, **spelling.more}
    return row if way is None else _respelled(row, way)


def _respelled(row: Row, way: str) -> Row:
    if way == "whole times":
        return {key: int(value) if key in _TIMES else value for key, value in row.items()}
    return {key: _translated(WAYS[way].get(key), value) for key, value in row.items()}


def _translated(table: Mapping[Any, Any] | None, value: Any) -> Any:
    return table.get(value, value) if table and not isinstance(value, (dict, list)) else value
