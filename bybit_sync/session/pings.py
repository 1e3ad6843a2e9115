"""The pings without a pong, and which of them a pong answers."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from bybit_sync.clock import Moment

__all__ = ["Echo", "Pings"]

# Bounds the memory when an exchange never answers.
PINGS_REMEMBERED: Final = 1000


class Echo(NamedTuple):
    """The proof in a pong: it was written after *since*, the time of a ping.

    *exact* is True when it answers that very ping.
    """

    since: Moment
    exact: bool


class Pings:
    """The pings of one connection."""

    def __init__(self) -> None:
        self._unanswered: deque[tuple[str | None, Moment]] = deque()
        self._forgot = False

    def sent(self, req_id: str | None, now: Moment) -> None:
        """Record a ping; call it before its first byte is written."""
        if len(self._unanswered) == PINGS_REMEMBERED:
            self._forgot = True
            self._unanswered.popleft()
        self._unanswered.append((req_id, now))

    def answered(self, req_id: str | None) -> Echo | None:
        """Return what a pong with *req_id* proves; None when that is nothing.

        A pong without a req_id may answer any ping, and some pings get no pong. So it
        proves only that it was written after the oldest ping.
        """
        if req_id is not None:
            found = next((ping for ping in self._unanswered if ping[0] == req_id), None)
            if found is None:
                return None
            self._unanswered.remove(found)
            return Echo(found[1], exact=True)
        if self._forgot or not self._unanswered:
            return None
        alone = len(self._unanswered) == 1
        return Echo(self._unanswered.popleft()[1], exact=alone)
