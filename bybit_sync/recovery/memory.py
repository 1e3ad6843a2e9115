"""What a subscription remembers of its stream, so that what REST says can be merged with it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from attrs import frozen

from bybit_sync.model.events import Event, Gap, new_event
from bybit_sync.recovery.wants import Answered, Known

__all__ = ["FILTERED_NS", "REMEMBERED", "Memory", "Merged", "with_rows"]

FILTERED_NS: Final = 60 * 10**9
"""How long after a read pushes that are older than its rows are left out."""
REMEMBERED: Final = 10_000
"""How many fills and ended orders are remembered at least."""


@frozen
class Merged:
    """The rows to deliver: *is_news* tells whether they differ from what was delivered before.

    *unresolved* are the ids of orders that were open and that REST shows nowhere.
    """

    rows: tuple[Any, ...]
    is_news: bool
    unresolved: tuple[str, ...] = ()


class Memory(Protocol):
    """What one subscription was given of its stream. Only the connection thread."""

    is_state: bool
    """Whether an answer tells all that there is."""

    def admit(self, event: Event[Any]) -> Event[Any] | None:
        """Return the push *event* without the rows that must not be delivered; None when none is left.

        The rows that are left count as delivered.
        """

    def forget(self, event: Event[Any]) -> None:
        """Take note that *event*, which counted as delivered, was dropped."""

    def known(self) -> tuple[Known, ...]:
        """Return what a read has to account for, and remember that it is asked for now."""

    def begin(self, at: datetime) -> datetime | None:
        """Take note that the subscription was confirmed *at*; return since when to read for it, None to read nothing."""

    def since(self, gap: Gap, overlap: timedelta) -> datetime | None:
        """Return from when to read for *gap*, *overlap* earlier; None for what is there now."""

    def keep(self, gap: Gap, overlap: timedelta) -> None:
        """Keep what is needed to mend *gap* until `release`."""

    def release(self) -> None:
        """Take note that every gap is mended."""

    def merge(self, answered: Answered, held: Iterable[Event[Any]], now_ns: int) -> Merged:
        """Return what to deliver of *answered*, read at *now_ns*, before the pushes *held*; it counts as delivered."""


def with_rows(event: Event[Any], rows: tuple[Any, ...]) -> Event[Any]:
    """Return *event* with *rows* in the place of its own; `raw` stays whole."""
    return new_event(
        event.stream,
        event.topic,
        event.received_at,
        event.received_ns,
        rows,
        event.id,
        event.created_at,
        event.raw,
        event.client,
        event.epoch,
    )
