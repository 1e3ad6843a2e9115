"""From REST rows to updates: the stream's decoder, and a table of other spellings."""

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
"""For each class of updates, the keys that REST spells differently, with the stream's
spelling.
"""

# Lists that REST may also send as JSON text.
_LISTS: Final = ("extraFees",)


def decode_rows(endpoint: Endpoint, rows: list[Any], category: str | None) -> Decoded:
    """Return the updates of *rows* of *endpoint*, and a text for each bad row.

    *category* is that of the answer for all its rows, None when it has none. `wire` of
    an update is the row as it came, except for the table's renames.
    """
    assert endpoint.row is not None
    reader = DECODER.reader(endpoint.row, None if category is None else Category(category))
    respelled = [_respelled(row, NAMES.get(endpoint.row, {})) for row in rows]
    return reader.rows(respelled, RawFrame(b"", {"data": respelled}))


def _respelled(row: Any, names: Mapping[str, str]) -> Any:
    """Return *row* in the stream's spelling.

    The decoder refuses a row that is no object.
    """
    if type(row) is not dict:
        return row
    return {names.get(key, key): _listed(value) if key in _LISTS else value for key, value in row.items()}


def _listed(value: Any) -> Any:
    """Return the list in the JSON text *value*; *value* itself if it is none."""
    if type(value) is not str or not value:
        return value
    try:
        return parse(value)
    except Unreadable:
        return value
