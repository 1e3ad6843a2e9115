"""The messages that carry rows: one for each topic that the rows belong to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bybit_sync.simulator.books.rows import SPELLINGS, Spelling, dump, envelope, print_fast, print_rows
from bybit_sync.simulator.dialects import STREAMS, Dialect, Topic
from bybit_sync.simulator.push_faults import PushFaults

__all__ = ["Printer"]

Row = Mapping[str, Any]


class Printer:
    """A printer of the rows of one account, in the spelling of its kind and a dialect.

    * *uid*: the account's number, which is in the envelopes;
    * *kind*: "UNIFIED" or "CONTRACT";
    * *push_faults*: the changes to rows that were ordered.
    """

    def __init__(self, uid: str, kind: str, push_faults: PushFaults) -> None:
        self._uid = uid
        self._kind = kind
        self._push_faults = push_faults

    def messages(
        self,
        dialect: Dialect,
        stream: str,
        rows: Sequence[Row],
        *,
        id: str | None,  # noqa: A002 - the envelope's own word
        created_at: int,
    ) -> Callable[[Topic], str | None]:
        """Return a function that maps a topic to its message.

        The message is None when the topic carries none of *rows*.

        *stream* is a stream's public name, or the name of one topic, whose rows are
        printed as they are. *id* and *created_at* (ms) are in the envelope; without an
        *id* one is made.
        """
        spelling = SPELLINGS[dialect.name, self._kind]

        def message_for(topic: Topic) -> str | None:
            printed = rows if topic.name == stream else _printed(spelling, topic, stream, rows)
            printed = self._push_faults.rewritten(topic.stream, printed)
            own_id = id or f"{self._uid}_{topic.stream}_{created_at}"
            return dump(envelope(dialect, topic, printed, id=own_id, created_at=created_at)) if printed else None

        return message_for


def _printed(spelling: Spelling, topic: Topic, stream: str, values: Sequence[Row]) -> Sequence[Row]:
    """Return the rows of *stream* that *topic* carries."""
    word = STREAMS.get(stream, "")
    if topic.stream not in (word, f"{word}.fast"):
        return ()
    rows = [row for row in print_rows(spelling, word, values) if topic.category in (None, row.get("category"))]
    if topic.stream == word:
        return rows
    return [print_fast(row) for row in rows if row["execType"] == "Trade"]
