"""What a history is written down as: the exchange's log, and of each subscription what it was given and when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import attrs

from bybit_sync import Event, StatusChange

# --- the exchange's log; a position in it is the time that everything here is told in ---


@attrs.frozen
class Frame:
    """One data message of the exchange.

    *numbers* are those of its readable rows; *bad* is how many of its rows cannot be read, None when nothing in it can.
    *topic* is None when nobody can tell whose it is.
    """

    id: str
    topic: str | None
    numbers: tuple[int, ...] = ()
    bad: int | None = 0

    @property
    def arrives(self) -> bool:
        """Whether an event with data becomes of it; an empty list of rows is one too."""
        return self.bad is not None and (bool(self.numbers) or not self.bad)


@attrs.frozen
class Upgraded:
    """Connection number *line* is open."""

    line: int


@attrs.frozen
class LoggedIn:
    """The login is answered with yes."""

    line: int


@attrs.frozen
class Asked:
    """A subscribe for *topic* has been read; from here on it is pushed."""

    line: int
    topic: str


@attrs.frozen
class Confirmed:
    """The subscribe is answered with yes."""

    line: int
    topic: str


@attrs.frozen
class Left:
    """An unsubscribe for *topic*, or the no to its subscribe: from here on it is not pushed."""

    line: int
    topic: str


@attrs.frozen
class Wrote:
    """*frame* has been written."""

    line: int
    frame: Frame


@attrs.frozen
class Missed:
    """*numbers* of *topic* were due when there was nobody to write them to."""

    topic: str
    numbers: tuple[int, ...]


@attrs.frozen
class Ponged:
    """A ping of the client is answered."""

    line: int


@attrs.frozen
class Synced:
    """The client has dealt with all that was written before position *upto*."""

    line: int
    upto: int


@attrs.frozen
class Disturbed:
    """From here on the client may leave by itself, with what was written unread."""

    line: int


@attrs.frozen
class Cut:
    """The exchange ends the connection; *lossless* when whatever was written before can still be read."""

    line: int
    lossless: bool


@attrs.frozen
class Gone:
    """The client has closed its end."""

    line: int


Entry = Upgraded | LoggedIn | Asked | Confirmed | Left | Wrote | Missed | Ponged | Synced | Disturbed | Cut | Gone


class Log:
    """The exchange's own record. Written by the test's thread only; any thread may ask for the time."""

    def __init__(self, entries: Sequence[Entry] = ()) -> None:
        self.entries: list[Entry] = []
        self.stamps: list[datetime] = []
        for entry in entries:
            self.add(entry, datetime.fromtimestamp(len(self.entries), tz=timezone.utc))

    def add(self, entry: Entry, stamp: datetime | None = None) -> None:
        """Write down *entry*, before what it says is done: whatever follows from it happens later."""
        self.stamps.append(stamp or datetime.now(timezone.utc))
        self.entries.append(entry)

    @property
    def now(self) -> int:
        """The position of the next entry."""
        return len(self.entries)


# --- what the client's side saw ---


@attrs.frozen
class Taken:
    """*event* as its consumer got it, at position *at* of the log.

    *batch* is the same number for events that lay in our buffer together, as the client had nothing to do when they were
    taken one after the other; None when that is not known.
    """

    event: Event[Any]
    at: int
    batch: int | None = None


@attrs.frozen
class Drained:
    """The consumer had taken *count* events, and there was none left, when the log was at position *at*."""

    count: int
    at: int


@attrs.define(eq=False)
class Record:
    """One subscription."""

    stream: str
    topics: tuple[str, ...]
    capacity: int | None = None
    """How many events its buffer or queue holds; None for more than a history has."""
    policy: str = "drop_oldest"
    queued: bool = False
    """Whether it is a queue of the user's, in which gaps take up room too."""
    shared: bool = False
    """Whether that queue is shared with other streams."""
    asked_at: int = 0
    """Position when `subscribe_*` was called, and when it had returned (None: it has not)."""
    given_at: int | None = 0
    closed_at: int | None = None
    """Position when it was closed, by itself or with the client, or was first found to have ended."""
    discarded: bool = False
    """Whether that threw away what was not yet delivered."""
    count_at_end: int | None = None
    """How many events had been handed over when nothing more might be; None where that is not known."""
    taken: list[Taken] = attrs.Factory(list)
    drained: list[Drained] = attrs.Factory(list)
    seen_live: list[int] = attrs.Factory(list)
    """Positions at which the exchange's side found its state LIVE."""
    error: BaseException | None = None
    """What it ended with."""
    raised: BaseException | None = None
    """What `subscribe_*` raised."""
    end: BaseException | None = None
    """What `get` raised when there was nothing more to come."""
    broken: bool = False
    """Whether its queue raises, and so cannot be told the end."""


@attrs.frozen
class Look:
    """The states that the exchange's side found at position *at*."""

    at: int
    client: str
    subscriptions: tuple[tuple[int, str], ...] = ()
    """Number and state of each."""


@attrs.define
class History:
    """All of it."""

    log: Log
    records: list[Record] = attrs.Factory(list)
    statuses: list[StatusChange] = attrs.Factory(list)
    looks: list[Look] = attrs.Factory(list)
    epochs: dict[int, int] = attrs.Factory(dict)
    """Which login each connection was, as `health()` told."""
    shared: list[Taken] = attrs.Factory(list)
    """What came out of the queue that several streams share."""
    clock_error: timedelta = timedelta(0)
    """By how much the client may err about the exchange's clock, once it was told."""
    left_behind: list[str] = attrs.Factory(list)
    """Threads and descriptors that outlived the client."""
