"""The memory of a subscription about its stream, with which REST's rows are merged."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from attrs import frozen

from bybit_sync.model.events import Event, Gap, new_event
from bybit_sync.recovery.wants import Answered, Known

__all__ = ["FILTERED_NS", "REMEMBERED", "Memory", "Merged", "with_rows"]

FILTERED_NS: Final = 60 * 10**9
"""The time after a read during which pushes older than its rows are left out."""
REMEMBERED: Final = 10_000
"""The least number of fills and ended orders that are remembered."""


@frozen
class Merged:
    """The rows to deliver.

    *is_news* is True when they differ from the rows delivered before. *unresolved* are
    the ids of orders that were open and that no answer of REST contains. *is_unread*
    is True when the state could not be read: no rows do not mean that nothing is there.
    """

    rows: tuple[Any, ...]
    is_news: bool
    unresolved: tuple[str, ...] = ()
    is_unread: bool = False


class Memory(Protocol):
    """The rows of its stream that one subscription has received.

    Only the connection thread.
    """

    is_state: bool
    """True when an answer is the complete state."""

    def admit(self, event: Event[Any]) -> Event[Any] | None:
        """Return the push *event* without the rows that must not be delivered.

        Returns None when no row is left. The remaining rows count as delivered.
        """

    def forget(self, event: Event[Any]) -> None:
        """Note that *event*, which counted as delivered, was dropped."""

    def known(self) -> tuple[Known, ...]:
        """Return what a read must account for, and note that it is requested now."""

    def begin(self, at: datetime) -> datetime | None:
        """Note that the subscription was confirmed *at*.

        Returns the time from which to read for it; None to read nothing.
        """

    def since(self, gap: Gap, overlap: timedelta) -> datetime | None:
        """Return the time from which to read for *gap*, *overlap* earlier.

        Returns None for the state of now.
        """

    def keep(self, gap: Gap, overlap: timedelta, now_ns: int) -> None:
        """Keep the memory that mending *gap* needs, until `release`."""

    def release(self) -> None:
        """Note that every gap is mended."""

    def merge(self, answered: Answered, held: Iterable[Event[Any]], now_ns: int) -> Merged:
        """Return the rows of *answered* to deliver before the pushes *held*.

        They were read at *now_ns*, and count as delivered.
        """


def with_rows(event: Event[Any], rows: tuple[Any, ...]) -> Event[Any]:
    """Return *event* with *rows* in place of its own; `raw` stays complete."""
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
