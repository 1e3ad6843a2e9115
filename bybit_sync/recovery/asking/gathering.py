"""The collection of the replies of one read: times, refusals, unreadable rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final, TypeVar

from bybit_sync.errors import RestProtocolError, RestRefused
from bybit_sync.recovery.asking.steps import Ask, Asking, Reply, Wait
from bybit_sync.recovery.wants import Answered, Unreadable
from bybit_sync.rest.windows import Window, chunks

__all__ = ["Gathering", "rounds"]

HashableT = TypeVar("HashableT")
# The codes for a symbol, an order or a coin that does not exist.
_NOT_KNOWN: Final = (10001, 110001, 170213)


class Gathering:
    """Collects the replies of one read into its answer."""

    def __init__(self) -> None:
        self._asked_at: datetime | None = None
        self._at: datetime | None = None
        self._refused: dict[str, RestRefused] = {}
        # In order, each once: a window that is divided is read again.
        self._unreadable: dict[Unreadable, None] = {}

    def ask(self, ask: Ask) -> Asking[Reply]:
        """Request a listing and return the reply, complete or not."""
        reply: Reply = yield ask
        self.note(ask, reply)
        return reply

    def note(self, ask: Ask, reply: Reply) -> None:
        """Note the refusal in *reply* of its category, or the times of *reply*."""
        if reply.refused is not None:
            self._refused.setdefault(ask.category, reply.refused)
            return
        self._asked_at = self._asked_at or reply.asked_at
        self._at = reply.at

    def rows(self, reply: Reply) -> tuple[Any, ...]:
        """Return the rows of *reply*, and note the unreadable ones."""
        self._unreadable.update(dict.fromkeys(reply.unreadable))
        return reply.rows

    def listing(self, ask: Ask) -> Asking[tuple[Any, ...]]:
        """Return the rows of a complete listing; none when it is refused.

        Raises `RestProtocolError` when its pages lead in a circle: unknown rows are
        missing then.
        """
        reply = yield from self.ask(ask)
        if not reply.is_complete and not reply.was_enough:
            raise circle(ask)
        return self.rows(reply)

    def alone(self, ask: Ask) -> Asking[tuple[Any, ...]]:
        """Return the rows about one object; none when the exchange has none.

        That does not count as a refusal of its category.
        """
        reply: Reply = yield ask
        if reply.refused is None or reply.refused.code not in _NOT_KNOWN:
            self.note(ask, reply)
        return self.rows(reply)

    def history(self, ask: Ask, window: Window) -> Asking[list[Any]]:
        """Return the rows within *window*, divided until its parts are complete."""
        rows: list[Any] = []
        for part in chunks(window):
            rows += yield from self._part(ask, part)
        return rows

    def _part(self, ask: Ask, window: Window) -> Asking[list[Any]]:
        windowed = Ask(ask.endpoint, {**ask.parameters, **window.parameters})
        reply = yield from self.ask(windowed)
        halves = window.halves()
        if reply.is_complete or reply.refused is not None:
            return list(self.rows(reply))
        if halves is None:
            raise circle(windowed)
        older = yield from self._part(ask, halves[0])
        return older + (yield from self._part(ask, halves[1]))

    def open_categories(self, categories: Iterable[str]) -> list[str]:
        """Return those of *categories* that were not refused."""
        return [category for category in categories if category not in self._refused]

    def answered(self, rows: Iterable[Any], **more: Any) -> Answered:
        """Return the answer with *rows*.

        Raises the first refusal when every reply was one.
        """
        if self._asked_at is None or self._at is None:
            raise next(iter(self._refused.values()))
        refused, unreadable = tuple(self._refused.values()), tuple(self._unreadable)
        return Answered(tuple(rows), self._asked_at, self._at, refused=refused, unreadable=unreadable, **more)


def circle(ask: Ask) -> RestProtocolError:
    """Return the error for a listing whose pages lead in a circle."""
    remedy = "Nothing to do: it is asked again."
    text = f"{ask.endpoint.name}: its pages lead in a circle, so that rows may be missing. {remedy}"
    return RestProtocolError(text, endpoint=ask.endpoint.name, remedy=remedy)


def rounds(
    missing: Iterable[HashableT], look: Callable[[set[HashableT]], Asking[set[HashableT]]], waits: tuple[float, ...]
) -> Asking[set[HashableT]]:
    """Call *look* with the *missing* objects until it finds all; return the rest.

    It is called at once and after each of *waits*, because REST may lag. It returns the
    objects that it has not found.
    """
    left = set(missing)
    for pause in (0.0, *waits):
        if left and pause:
            yield Wait(pause)
        if left:
            left = yield from look(left)
    return left
