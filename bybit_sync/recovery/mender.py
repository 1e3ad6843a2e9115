"""The mending of one subscription's gaps: its reads and their answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import attrs

from bybit_sync.clock import Moment
from bybit_sync.config.timings import Timings
from bybit_sync.delivery.gaps import with_gap
from bybit_sync.delivery.sink import EventSink
from bybit_sync.errors import RestError, RestRefused
from bybit_sync.model.events import Event, Gap, GapReason, Stream
from bybit_sync.recovery.gate import Gate
from bybit_sync.recovery.makes import Maker
from bybit_sync.recovery.memory import Memory, Merged
from bybit_sync.recovery.options import Recovery
from bybit_sync.recovery.wants import Answered, Known, Unreadable
from bybit_sync.recovery.windows import Windows

__all__ = ["Mender"]

_MOST_ROWS: Final = 1_000


class Mender:
    """Opens a window for each gap, and delivers the rows read for it in its place.

    *on_change* is called when a new read is needed; *contradicts* are the seconds after
    an answer that contradicts itself at which it is read again. Only the connection
    thread.
    """

    def __init__(
        self,
        inner: EventSink[Any],
        stream: Stream,
        memory: Memory,
        options: Recovery,
        *,
        client: str,
        on_change: Callable[[Mender], None],
        contradicts: tuple[float, ...] = Timings().rest_contradicts,
    ) -> None:
        self.stream = stream
        self.windows: Windows = Windows()
        """The gaps to mend."""
        self.gate: Gate = Gate(inner, memory, self.windows.lost)
        """The gate that events pass, or that holds them."""
        self._memory = memory
        self._options = options
        self._overlap = timedelta(seconds=options.overlap)
        self._client = client
        self._on_change = on_change
        self._contradicts = contradicts
        # Where the next part of an answer begins, for the window and for confirming
        # reads; the rows of its first parts that cannot be read.
        self._resume_at: datetime | None = None
        self._confirm_at: datetime | None = None
        self._lacks: tuple[Unreadable, ...] = ()
        self._refusals: tuple[RestRefused, ...] = ()
        # The gap that was mended last: its window, and its event.
        self._mended: Gap | None = None
        self._recovered: Gap | None = None
        self.confirms: list[float] = []
        """The times of its confirming reads, the next one first; monotonic seconds."""
        self._unreadable: set[Unreadable] = set()

    # --- the stream ---

    def gap(self, event: Event[Any], gap: Gap) -> None:
        """Have *gap* of *event* mended, and hold the events after it."""
        if gap.reason is GapReason.UNDECODABLE:
            self._tell_undecodable(with_gap(event, attrs.evolve(gap, recovering=True), raw=event.raw))
            return
        if gap.reason is GapReason.START:
            since = self._memory.begin(gap.since)
            if since is None:
                return
            event = with_gap(event, attrs.evolve(gap, since=since, until=max(since, gap.until)), raw=b"")
        self._start_over()
        self.windows.open(event)
        self._keep(event)
        self.gate.hold(event.received_ns * 1e-9 + self._options.hold)
        # Checked after `hold`: a thread that closes checks in the other order.
        if self.gate.is_closing:
            self.give_up()

    def _tell_undecodable(self, event: Event[Any]) -> None:
        # In front of what is held, because the answer that mends it is as well.
        self.gate.put(event)
        self.windows.join(event, is_holding=self.gate.is_holding)
        self._keep(event)

    def _keep(self, event: Event[Any]) -> None:
        assert event.gap is not None
        self._memory.keep(event.gap, self._overlap, event.received_ns)
        self._on_change(self)

    def hold(self, event: Event[Any]) -> None:
        """Hold *event*; with too many, stop holding."""
        self.gate.events.append(event)
        if self.gate.is_full:
            self._stop_waiting(recovering=True)

    def tick(self, now: float) -> None:
        """Stop holding when it is time."""
        if self.gate.is_holding and now >= self.gate.opens_at:
            self._stop_waiting(recovering=True)

    def give_up(self) -> None:
        """Report the gap as final, and pass on the held events, at the end."""
        self._stop_waiting(recovering=False)

    def _stop_waiting(self, *, recovering: bool, detail: str = "") -> None:
        event = self.windows.tell(recovering=recovering, detail=detail)
        try:
            if event is not None:
                self.gate.put(event)
        finally:
            self.gate.open()

    # --- questions of the coordinator ---

    @property
    def is_over(self) -> bool:
        """Return whether it has ended."""
        return self.gate.is_closing and not self.gate.is_holding

    def read_due(self) -> float:
        """Return when a read is due, in monotonic seconds, or infinity."""
        return min([self.windows.read_due(), *self.confirms[:1]])

    def since(self, *, confirms: bool) -> datetime | None:
        """Return the time from which to read, for the window or to confirm.

        None for the state of now.
        """
        gap = self._mended if confirms else self.windows.gap
        if gap is None:
            return None
        since = self._memory.since(gap, self._overlap)
        if confirms and since is not None and gap.reason is GapReason.START:
            # REST is not expected to list old rows late.
            since = max(since, gap.until - self._overlap)
        resume_at = self._confirm_at if confirms else self._resume_at
        return since if resume_at is None else resume_at

    def known(self) -> tuple[Known, ...]:
        """Return the objects that a read must account for."""
        return self._memory.known()

    # --- messages of the coordinator ---

    def mended(self, answered: Answered, now: Moment, epoch: int) -> None:
        """Deliver the rows *answered* for the window, then the held events."""
        # A row that still cannot be read is told again: this mends the gap before.
        self._unreadable.clear()
        merged = self._memory.merge(answered, self.gate.events, now.ns)
        lacks = (*self._lacks, *answered.unreadable)
        maker = Maker(self.stream, self._client, now, epoch, answered, merged, lacks)
        if answered.until is not None:
            self.windows.is_asked = False
            self._resume_at, self._lacks = answered.until, maker.lacks
            self._refusals += answered.refused
            self._put_parts(merged.rows, maker, recovered=None)
            return
        self._resume_at, self._lacks = None, ()
        # Before the event: who takes it must not count it as complete.
        self.windows.lags = answered.lags
        self._deliver(merged, maker)
        self.windows.close()
        self._schedule(answered, merged, now.seconds)
        self.gate.open()

    def _deliver(self, merged: Merged, maker: Maker) -> None:
        gap = self._mended = self.windows.gap
        is_start = gap is not None and gap.reason is GapReason.START
        # A start that is read in time leaves no gap.
        recovered = self._recovered = None if is_start and not self.windows.is_told else gap
        if is_start and not self._memory.is_state:
            self._put_parts(merged.rows, maker, recovered=recovered)
        else:
            self._put_whole(merged, maker, recovered)
        refused, self._refusals = (*self._refusals, *maker.answered.refused), ()
        for error in {str(error): error for error in refused}.values():
            event = maker.gap(gap, f"it cannot be recovered: {error}")
            self.windows.fail(event)
            self.gate.put(event)
        self._tell_unreadable(maker)

    def _put_whole(self, merged: Merged, maker: Maker, recovered: Gap | None) -> None:
        is_snapshot = self._memory.is_state and not merged.is_unread
        if is_snapshot or merged.rows or recovered is not None:
            self.gate.put(maker.event(merged.rows, recovered, snapshot=is_snapshot))

    def _put_parts(self, rows: tuple[Any, ...], maker: Maker, *, recovered: Gap | None) -> None:
        """Deliver *rows* in events of at most 1,000, of which the last one mends."""
        parts = [rows[at : at + _MOST_ROWS] for at in range(0, len(rows), _MOST_ROWS)]
        *first, last = parts or [()]
        for part in first:
            self.gate.put(maker.event(part, None, snapshot=False))
        if last or recovered is not None:
            self.gate.put(maker.event(last, recovered, snapshot=False))

    def _tell_unreadable(self, maker: Maker) -> None:
        new = [row for row in maker.lacks if row not in self._unreadable]
        if new:
            self._unreadable.update(new)
            self.gate.put(maker.undecodable(self._mended, new))

    def _schedule(self, answered: Answered, merged: Merged, now: float) -> None:
        extra = self._contradicts if answered.lags or merged.unresolved else ()
        self.confirms = sorted(now + seconds for seconds in (*self._options.confirm_after, *extra))
        self.skip_confirms(now)

    def confirmed(self, answered: Answered, now: Moment, epoch: int) -> None:
        """Deliver the rows *answered* to a confirming read, if they are news."""
        merged = self._memory.merge(answered, (), now.ns)
        maker = Maker(self.stream, self._client, now, epoch, answered, merged, answered.unreadable)
        if merged.is_news:
            self._put_whole(merged, maker, self._recovered)
        self._tell_unreadable(maker)
        self._confirm_at = answered.until
        self.windows.lags = answered.lags
        if answered.until is None:
            self.skip_confirms(now.seconds)

    def skip_confirms(self, until: float) -> None:
        """Skip the confirming reads that are due *until* then."""
        self.confirms = [at for at in self.confirms if at > until]
        if not self.confirms:
            # Nothing more is read: what still contradicts itself stays as it is.
            self.windows.lags = False
            self._unreadable.clear()
            if self.windows.are_mended:
                self._memory.release()

    def refused(self, error: RestError) -> None:
        """Report the gap as final, due to *error*; the next outage retries it."""
        self._stop_waiting(recovering=False, detail=f"it cannot be recovered: {error}")
        self.windows.give_up()
        self._resume_at, self._lacks, self._refusals = None, (), ()

    def refresh(self) -> None:
        """Read a snapshot, or every fill since the earliest gap that is not mended."""
        self._start_over()
        self.windows.refresh(is_state=self._memory.is_state)
        self._on_change(self)

    def _start_over(self) -> None:
        """Resume no read if rows are missing that it has passed: a part was dropped."""
        if self.windows.has_waiting:
            self._resume_at = None
