"""Histories written by hand, step by step, to try the validators on."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from bybit_sync import Event, Gap, GapReason, OrderUpdate, State, StatusChange, Stream
from tests.delivery.record import (
    Asked,
    Confirmed,
    Cut,
    Disturbed,
    Drained,
    Entry,
    Frame,
    Gone,
    History,
    Log,
    Look,
    Missed,
    Ponged,
    Record,
    Synced,
    Taken,
    Upgraded,
    Wrote,
)


def stamp(position: int) -> datetime:
    """Return the time of a position in the log: a second each."""
    return datetime.fromtimestamp(position, tz=timezone.utc)


class ByHand:
    """A history of one subscription, told from the start: every method is a step, and returns the whole.

    The steps of the exchange and those of the reader stand in the order in which they happen.
    """

    def __init__(self, *topics: str, **record: Any) -> None:
        self.history = History(Log(), [Record("orders", topics or ("order",), **record)])
        self._line = 0

    @property
    def _now(self) -> int:
        return self.history.log.now

    def _record(self, topic: str) -> Record:
        return next((record for record in self.history.records if topic in record.topics), self.history.records[0])

    def _add(self, *entries: Entry) -> ByHand:
        for entry in entries:
            self.history.log.add(entry, stamp(self._now))
        return self

    def has(self, **what: Any) -> ByHand:
        """Let the subscription be as *what* says."""
        for name, value in what.items():
            setattr(self.history.records[0], name, value)
        return self

    def beside(self, topic: str, **record: Any) -> ByHand:
        """Let there be another subscription."""
        self.history.records.append(Record("orders", (topic,), **record))
        return self

    # --- the exchange ---

    def opens(self) -> ByHand:
        """Open the next connection, and ask for everything."""
        self._line += 1
        self.history.epochs[self._line] = self._line
        asked = [Asked(self._line, topic) for record in self.history.records for topic in record.topics]
        return self._add(Upgraded(self._line), *asked)

    def confirms(self, *topics: str) -> ByHand:
        """Say yes to *topics*, or to all."""
        everything = [topic for record in self.history.records for topic in record.topics]
        return self._add(*(Confirmed(self._line, topic) for topic in topics or everything))

    def live(self) -> ByHand:
        """Open the next connection and say yes to everything, which the client reads."""
        return self.opens().confirms().reads()

    def pongs(self) -> ByHand:
        """Answer a ping."""
        return self._add(Ponged(self._line))

    def pushes(self, *numbers: int, topic: str = "") -> ByHand:
        """Write a frame for each of *numbers*."""
        topic = topic or self.history.records[0].topics[0]
        return self.writes(*(Frame(f"f{number}", topic, (number,)) for number in numbers))

    def spoils(self, bad: int | None) -> ByHand:
        """Write a frame with *bad* rows that cannot be read; None for one of which nothing can."""
        return self.writes(Frame("spoilt", self.history.records[0].topics[0], (), bad))

    def writes(self, *frames: Frame) -> ByHand:
        """Write *frames*."""
        return self._add(*(Wrote(self._line, frame) for frame in frames))

    def misses(self, *numbers: int) -> ByHand:
        """Have *numbers* due while there is nobody to write them to."""
        return self._add(Missed(self.history.records[0].topics[0], numbers))

    def reads(self) -> ByHand:
        """Know that the client has read all so far."""
        return self._add(Synced(self._line, self._now))

    def disturbs(self) -> ByHand:
        """Do what may make the client leave by itself."""
        return self._add(Disturbed(self._line))

    def drops(self, *, lossless: bool = False) -> ByHand:
        """Cut the connection; *lossless* when all that was written can still be read."""
        return self._add(Cut(self._line, lossless), Gone(self._line))

    # --- the reader ---

    def gets(self, *numbers: int, topic: str = "", **event: Any) -> ByHand:
        """Hand over an event for each of *numbers*."""
        topic = topic or self.history.records[0].topics[0]
        for number in numbers:
            data = (OrderUpdate(order_id=str(number)),)
            epoch = next((e.line for e in self.history.log.entries if isinstance(e, Wrote) and e.frame.id == f"f{number}"), 0)
            self._take(self._record(topic), **{"topic": topic, "data": data, "id": f"f{number}", "epoch": epoch, **event})
        return self

    def told(
        self, reason: GapReason, missed: int | None = None, *, since: int = 0, until: int | None = None, **event: Any
    ) -> ByHand:
        """Hand over a gap; *since* and *until* are positions."""
        end, error = stamp(self._now if until is None else until), event.pop("error", None)
        gap = Gap(reason=reason, since=stamp(since), until=end, missed=missed, error=error)
        self._take(self.history.records[0], **{"topic": "", "gap": gap, "epoch": self._line, **event})
        return self

    def _take(self, record: Record, *, batch: int | None = None, **event: Any) -> None:
        index = event.pop("index", len(record.taken) + 1)
        made: Event[Any] = Event(stream=Stream.ORDERS, received_at=stamp(self._now), received_ns=0, index=index, **event)
        record.taken.append(Taken(made, self._now, batch))
        if record.shared:
            self.history.shared.append(record.taken[-1])

    def finds_nothing(self) -> ByHand:
        """Have the reader find that there is no more."""
        record = self.history.records[0]
        record.drained.append(Drained(len(record.taken), self._now))
        return self

    def closes(self) -> ByHand:
        """Close the subscription."""
        return self.has(closed_at=self._now)

    # --- what the client says of itself ---

    def shows(self, client: str, *subscriptions: str) -> ByHand:
        """Find the client, and its subscriptions, in these states."""
        self.history.looks.append(Look(self._now, client, tuple(enumerate(subscriptions))))
        return self

    def says(self, previous: State, state: State) -> ByHand:
        """Have the client tell of a change."""
        self.history.statuses.append(StatusChange(previous=previous, state=state, at=stamp(self._now - 1)))
        return self

    def leaves(self, *what: str) -> ByHand:
        """Have the client leave something behind."""
        self.history.left_behind += what
        return self
