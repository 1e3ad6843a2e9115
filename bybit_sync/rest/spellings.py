"""The conversion of REST rows to updates as the stream pushes them: its decoder, and a table of different spellings."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from bybit_sync.decoding.parsing import RawFrame, Unreadable, parse
from bybit_sync.decoding.reader import Decoded
from bybit_sync.model.enums import Category
from bybit_sync.model.positions import PositionUpdate
from bybit_sync.rest.endpoints import Endpoint
from bybit_sync.session.dialects import DECODER

__all__ = ["NAMES", "decode_rows"]

NAMES: Final[Mapping[type[Any], Mapping[str, str]]] = MappingProxyType({PositionUpdate: {"avgPrice": "entryPrice"}})
"""For each class of updates, the keys that REST spells differently, with the stream's spelling."""

# Lists that REST may also send as JSON text.
_LISTS: Final = ("extraFees",)


def decode_rows(endpoint: Endpoint, rows: list[Any], category: str | None) -> Decoded:
    """Return the updates of *rows*, answered by *endpoint*, and a text for each row that cannot be read.

    *category* is what the answer says of all its rows, None when it says nothing.
    `wire` of an update is the row as it came but for the table's renames.
    """
    assert endpoint.row is not None
    reader = DECODER.reader(endpoint.row, None if category is None else Category(category))
    respelled = [_respelled(row, NAMES.get(endpoint.row, {})) for row in rows]
    return reader.rows(respelled, RawFrame(b"", {"data": respelled}))


def _respelled(row: Any, names: Mapping[str, str]) -> Any:
    """Return *row* in the stream's spelling; a row that is no object is left for the decoder to refuse."""
    if type(row) is not dict:
        return row
    return {names.get(key, key): _listed(value) if key in _LISTS else value for key, value in row.items()}


def _listed(value: Any) -> Any:
    """Return the list that *value* is the JSON text of; *value* itself when it is no such text."""
    if type(value) is not str or not value:
        return value
    try:
        return parse(value)
    except Unreadable:
        return value
