"""Faults of pushes: sent twice, out of order, changed, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bybit_sync.simulator.refusals import Refusals

__all__ = ["DUPLICATE", "LATE", "LOSE", "PushFaults", "PushSender"]

DUPLICATE, LATE, LOSE = "duplicate", "late", "lose"
# The number of copies sent at once, by fault; a late push follows the next one.
_COPIES: Mapping[str | None, int] = {None: 1, DUPLICATE: 2, LOSE: 0}
Row = Mapping[str, Any]


class PushFaults:
    """The faults that an exchange applies to its pushes, on all connections."""

    def __init__(self) -> None:
        self._orders: Refusals[str] = Refusals()
        self._changes: dict[str, Callable[[Row], Row]] = {}

    def order(self, what: str, times: int | None) -> None:
        """Apply *what* to the next *times* pushes, None for all.

        It replaces the fault before.
        """
        self._orders.order("push", what, times)

    def take(self) -> str | None:
        """Return the fault of the push that is sent now, None for no fault."""
        return self._orders.take("push")

    def rewrite(self, word: str, changes: Mapping[str, Any], without: Sequence[str], as_text: Sequence[str]) -> None:
        """Change the rows of a stream (by its word on the wire) from now on."""
        self._changes[word] = lambda row: _changed({**row, **changes}, without, as_text)

    def rewritten(self, word: str, rows: Sequence[Row]) -> Sequence[Row]:
        """Return *rows* with the changes that were ordered for their stream."""
        change = self._changes.get(word)
        return rows if change is None else [change(row) for row in rows]

    def lift(self) -> None:
        """End every fault."""
        self._orders.lift()
        self._changes.clear()


def _changed(row: Row, without: Sequence[str], as_text: Sequence[str]) -> Row:
    """Return *row* without the keys *without*.

    Whole numbers under the keys *as_text* become texts.
    """
    return {
        key: str(value) if key in as_text and type(value) is int else value for key, value in row.items() if key not in without
    }


class PushSender:
    """The sender of one connection's pushes, which applies the faults.

    Not locked: the connection holds its lock.
    """

    def __init__(self, push_faults: PushFaults, send: Callable[[str], None]) -> None:
        self._push_faults = push_faults
        self._send = send
        self._late: str | None = None

    def send(self, push: str) -> None:
        """Send *push*, subject to faults, and then the one that was late."""
        late, self._late = self._late, None
        order = self._push_faults.take() if late is None else None
        if order == LATE:
            self._late = push
        for message in [push] * _COPIES.get(order, 0) + [late] * (late is not None):
            assert message is not None
            self._send(message)

    def flush(self) -> None:
        """Send the late push now."""
        late, self._late = self._late, None
        if late is not None:
            self._send(late)
