"""The run of a read: its listings are walked page by page, and decoded."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from bybit_sync.errors import RestError, RestLimited, RestRefused
from bybit_sync.recovery.asking.steps import Ask, Asking, Reply, Wait
from bybit_sync.recovery.wants import Answered, Unreadable
from bybit_sync.rest.answers import Answer
from bybit_sync.rest.spellings import decode_rows
from bybit_sync.rest.walks import Walk

if TYPE_CHECKING:  # it needs urllib3, an extra
    from bybit_sync.rest.reader import RestReader

__all__ = ["Runner"]

# The most requests for one page when the rate limit is exceeded.
_MOST_TRIES: Final = 5
_JITTER: Final = 0.5


class Runner:
    """Runs reads over *reader*, one request after the other.

    *now* returns the exchange's time; *pause* waits for some seconds, or raises when
    the read must end.
    """

    def __init__(self, reader: RestReader, now: Callable[[], datetime], pause: Callable[[float], None]) -> None:
        self._reader = reader
        self._now = now
        self._pause = pause

    def run(self, steps: Asking[Answered]) -> Answered:
        """Return the answer of *steps*. Raises `RestError`.

        An error that concerns one category is part of the answer. Only a page that
        exceeded the rate limit is retried, after the end of the limit: with few
        requests a second, a read that starts again would never finish.
        """
        result: Reply | RestError | None = None
        try:
            while True:
                step = steps.throw(result) if isinstance(result, RestError) else steps.send(result)
                result = self._taken(step)
        except StopIteration as end:
            answered: Answered = end.value
            return answered

    def _taken(self, step: Ask | Wait) -> Reply | RestError | None:
        if isinstance(step, Wait):
            self._pause(step.seconds)
            return None
        asked_at = self._now()
        try:
            return self._reply(step, asked_at)
        except RestRefused as error:
            return error if error.is_general else Reply(asked_at=asked_at, at=asked_at, refused=error)
        except RestError as error:
            return error

    def _reply(self, ask: Ask, asked_at: datetime) -> Reply:
        walk, rows, unreadable, at = Walk(ask.endpoint, ask.parameters), list[Any](), list[Unreadable](), asked_at
        was_enough = False
        for answer, new in self._pages(walk):
            # The category of the request, because an answer may leave it out.
            updates, faults = decode_rows(ask.endpoint, new, ask.category or None)
            rows += updates
            unreadable += [Unreadable(ask.endpoint.name, fault) for fault in faults]
            at = answer.at or self._now()
            was_enough = walk.query is not None and ask.enough(rows)
            if was_enough:
                break
        return Reply(
            rows=tuple(rows),
            unreadable=tuple(unreadable),
            asked_at=asked_at,
            at=at,
            is_complete=walk.is_complete,
            was_enough=was_enough,
        )

    def _pages(self, walk: Walk) -> Iterator[tuple[Answer, list[Any]]]:
        """Yield the pages of *walk*; retry one that exceeded the rate limit."""
        tries, read = 0, 0
        while True:
            try:
                yield from self._reader.pages(walk)
            except RestLimited:
                tries, read = (tries + 1, read) if walk.pages == read else (1, walk.pages)
                if tries >= _MOST_TRIES:
                    raise
                # The reader waits for the end of the limit; a random pause separates
                # programs that share it.
                self._pause(random.uniform(0.0, _JITTER))  # noqa: S311 - no secret
            else:
                return
