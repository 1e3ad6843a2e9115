"""The walk through one listing, page after page; it ends whatever the cursors are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bybit_sync.rest.answers import Answer
from bybit_sync.rest.endpoints import Endpoint
from bybit_sync.rest.queries import query_string

__all__ = ["MOST_IDLE_PAGES", "Walk"]

MOST_IDLE_PAGES: Final = 3
"""The most pages in a row without a new row, behind new cursors, before a walk ends."""


class Walk:
    """A walk through the pages of one listing.

    `query` is the next request, `take` reads its answer, until `query` is None.

    A cursor is opaque and may be odd: not empty on the last page, leading to its own
    page, leading back, or on an empty page in the middle. The walk goes on while a
    cursor is new and pages bring new rows; an empty page alone ends nothing.

    Pure: no socket, no thread, no clock.
    """

    def __init__(self, endpoint: Endpoint, parameters: Mapping[str, str | int]) -> None:
        self.endpoint = endpoint
        self.is_complete: bool = False
        """True when the listing was read to its end; False before, and when its cursors
        form a circle.
        """
        self.pages: int = 0
        """The number of pages that were read."""
        self._parameters = {**parameters, "limit": endpoint.page_size} if endpoint.page_size else dict(parameters)
        self._query: str | None = query_string(self._parameters)
        self._cursors: set[str] = set()
        self._known: set[object] = set()
        self._idle = 0

    @property
    def query(self) -> str | None:
        """The query of the next request; None at the end."""
        return self._query

    def take(self, answer: Answer) -> list[Any]:
        """Return the rows of *answer* that are new within this walk, in their order."""
        rows = answer.rows or []
        new = [row for row in rows if self._is_new(row)]
        self.pages += 1
        self._idle = 0 if new else self._idle + 1
        self._go_on(answer.cursor, is_full=len(rows) >= self.endpoint.page_size)
        return new

    def _is_new(self, row: Any) -> bool:
        """Return whether *row* was on no earlier page.

        A row without a key counts as new; its reader refuses it.
        """
        key = self.endpoint.key(row) if isinstance(row, dict) else None
        if key is None or not _is_hashable(key):
            return True
        if key in self._known:
            return False
        self._known.add(key)
        return True

    def _go_on(self, cursor: str | None, *, is_full: bool) -> None:
        if cursor and cursor not in self._cursors and self._idle < MOST_IDLE_PAGES:
            self._cursors.add(cursor)
            self._query = query_string(self._parameters, cursor)
            return
        self._query = None
        # A full page may have a successor although its cursor leads back or cannot be
        # sent back.
        self.is_complete = cursor == "" or not (is_full and self.endpoint.page_size)


def _is_hashable(key: object) -> bool:
    try:
        hash(key)
    except TypeError:
        return False
    return True
