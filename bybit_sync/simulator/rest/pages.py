"""Pages: sizes, cursors, and odd cursors.

A cursor names the row after which the next page begins, so that new rows at the head
shift nothing. It is sent percent-escaped, accepted raw or escaped once more, and is not
empty on the last page: the page behind that is empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, unquote

import attrs

from bybit_sync.simulator.rest.refusals import RestRefusal

__all__ = ["CURSORS", "Page", "PageSize", "cut"]

Row = Mapping[str, Any]
Key = tuple[str, ...]
CURSORS: Final = ("kept", "ends", "self", "stuck", "cycle", "empty page", "repeat")
_EMPTY_PAGE: Final = "skip"


@attrs.frozen
class PageSize:
    """The default and the largest size of a page.

    *is_strict* refuses a larger size, which else is cut to *most*.
    """

    default: int
    most: int
    is_strict: bool = False

    def of(self, parameters: Mapping[str, Any]) -> int:
        """Return the size that *parameters* ask for.

        Raises `RestRefusal` 10001 for an invalid size.
        """
        asked = parameters.get("limit")
        if asked in (None, ""):
            return self.default
        if not str(asked).isdecimal() or int(asked) < 1 or (self.is_strict and int(asked) > self.most):
            raise RestRefusal(10001, "params error: limit invalid")
        return min(int(asked), self.most)


@attrs.frozen
class Page:
    """The *rows* of a page, and the cursor of the *next*; "" when there is none."""

    rows: Sequence[Row]
    next: str


def cut(rows: Sequence[tuple[Key, Row]], size: int, cursor: str, *, kind: str = "kept") -> Page:
    """Return the page of *rows* that *cursor* addresses.

    Each row comes with its sort key, in the order of the listing.

    *kind* is one of `CURSORS`: how cursors behave.
    """
    asked = _unescaped(cursor)
    is_empty_page = asked[:1] == (_EMPTY_PAGE,)
    behind = asked[1:] if is_empty_page else asked
    if is_empty_page:
        return Page((), _escaped(behind))
    start = _place_behind(rows, behind)
    # With a size of 1 a repeated row would leave no room for the next one.
    start -= kind == "repeat" and start > 0 and size > 1
    page = rows[start : start + size]
    return Page([row for _, row in page], _next(rows, page, start + size, cursor, kind))


def _next(rows: Sequence[tuple[Key, Row]], page: Sequence[tuple[Key, Row]], end: int, cursor: str, kind: str) -> str:
    is_last = end >= len(rows)
    if cursor and (kind == "stuck" or (kind == "self" and is_last)):
        return cursor
    if kind == "cycle" and is_last and rows:
        return _escaped(rows[0][0])
    if not page or (kind in ("ends", "repeat") and is_last):
        return ""
    behind = page[-1][0]
    return _escaped((_EMPTY_PAGE, *behind) if kind == "empty page" else behind)


def _place_behind(rows: Sequence[tuple[Key, Row]], behind: Key) -> int:
    """Return the index of the first row behind the key *behind*.

    The row of the key may be gone.
    """
    if not behind:
        return 0
    return next((place for place, (key, _) in enumerate(rows) if key > behind), len(rows))


def _escaped(key: Key) -> str:
    return quote(",".join(key), safe="")


def _unescaped(cursor: str) -> Key:
    text = unquote(cursor) if "%" in cursor else cursor
    return tuple(text.split(",")) if text else ()
