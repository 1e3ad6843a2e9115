"""The delivery invariants: validators over recorded histories, each of which returns what is wrong, in words.

They share one idea. From the exchange's log follows what a reader misses nothing of would have got: the items of `reference`.
What a subscription did get is laid beside it. Between two events with data lies a stretch: the items that did not come, and
the gaps that tell of them. Every item that had to come is told by one of these gaps, and every gap has its item.

Where the log does not say whether the client still read something (before a reset, or when it left by itself), the item may
come or not; what follows from either is allowed.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs

from bybit_sync import GapReason
from tests.delivery.record import (
    Asked,
    Confirmed,
    Cut,
    Disturbed,
    Entry,
    Frame,
    Gone,
    History,
    Left,
    Log,
    Missed,
    Ponged,
    Record,
    Synced,
    Taken,
    Upgraded,
    Wrote,
)
from tests.delivery.rows import numbers_in

Complaints = Iterator[str]

# An overflow's window is told by the exchange's clock, in whole milliseconds.
ROUNDING = timedelta(milliseconds=1)


# --- what the log says of one connection ---


@attrs.define
class Line:
    """One connection as the log has it, up to some position."""

    number: int
    upgraded: int
    frames: list[tuple[int, Frame]] = attrs.Factory(list)
    asked: dict[str, list[int]] = attrs.Factory(dict)
    answered: dict[str, list[int]] = attrs.Factory(dict)
    left: dict[str, list[int]] = attrs.Factory(dict)
    ponged: float = math.inf
    """Position of the first pong: until then the gap of an outage, and what follows it, may wait for a moment."""
    read: float = 0
    """The client has surely read all that was written before this position."""
    ended: int | None = None
    """Position of whatever ended it first."""
    disturbed: bool = False
    lossless: bool = False
    gone: int | None = None


def lines_of(log: Log, upto: float = math.inf) -> dict[int, Line]:
    """Return the connections that *log* knows before position *upto*."""
    lines: dict[int, Line] = {}
    for at, entry in enumerate(log.entries[: None if upto == math.inf else int(upto)]):
        if isinstance(entry, Upgraded):
            lines[entry.line] = Line(entry.line, at)
        elif not isinstance(entry, Missed):
            _enter(lines[entry.line], at, entry)
    return lines


def _enter(line: Line, at: int, entry: Entry) -> None:
    match entry:
        case Wrote(frame=frame):
            line.frames.append((at, frame))
        case Asked(topic=topic):
            line.asked.setdefault(topic, []).append(at)
        case Confirmed(topic=topic):
            line.answered.setdefault(topic, []).append(at)
        case Left(topic=topic):
            line.left.setdefault(topic, []).append(at)
        case Ponged():
            line.ponged = min(line.ponged, at)
        case Synced(upto=upto):
            line.read = max(line.read, upto)
        case Disturbed():
            line.disturbed = True
        case Cut(lossless=lossless):
            line.lossless = lossless and not line.disturbed
            line.ended = at
        case Gone():
            line.gone = at
            line.ended = at if line.ended is None else line.ended
            # Who closes after the exchange ended in an orderly way has read to the end.
            line.read = math.inf if line.lossless else line.read


@attrs.frozen
class Confirmation:
    """When a stream was confirmed on a connection: *early* at the earliest, *sure* by any reading."""

    asked: dict[str, int]
    early: int
    sure: int


def confirmation(line: Line, record: Record, before: float = math.inf) -> Confirmation | None:
    """Return when the stream of *record* was confirmed on *line* within its time; None if it was not.

    Of several times that it was asked for, the last one before *before* counts.
    """
    asked, early, sure = {}, [], []
    for topic in record.topics:
        began = [at for at in line.asked.get(topic, ()) if at < min(_closed(record), before)]
        if not began or any(began[-1] < at < record.asked_at for at in line.left.get(topic, ())):
            return None
        asked[topic] = began[-1]
        answers = [at for at in line.answered.get(topic, ()) if at > began[-1]]
        # A push proves a subscription as well as an answer does, unless it may still be one from before.
        pushes = [at for at, frame in line.frames if frame.topic == topic and at > began[-1]]
        if not answers and not pushes:
            return None
        early.append(min(answers[:1] + pushes[:1]))
        # Left while the subscription is open: that was for one before, and this one's own request is still to come.
        stays = not any(began[-1] < at < _closed(record) for at in line.left.get(topic, ()))
        proofs = answers[:1] + (pushes[:1] if len(began) == 1 else [])
        sure.append(min(proofs, default=math.inf) if stays else math.inf)
    return Confirmation(asked, max(early), max(sure))  # type: ignore[arg-type]


def _closed(record: Record) -> float:
    return math.inf if record.closed_at is None else record.closed_at


# --- what a reader that misses nothing would get ---


@attrs.frozen
class Item:
    """One thing that a subscription should get, or be told of."""

    kind: str
    """"data", "bad" or "outage"."""
    line: int
    at: int
    inside: bool
    """Whether it surely belongs into the subscription's time."""
    read: bool
    """Whether the client has surely read it."""
    frame: Frame | None = None
    epoch: int | None = None

    def is_due(self, before: Item | None, after: Item | None) -> bool:
        """Whether it had to come, between *before* and *after*, which did."""
        inside = self.inside or (before is not None and before.line == self.line and self.kind != "outage")
        return inside and (self.read or (after is not None and after.line == self.line))


def reference(history: History, record: Record, upto: float = math.inf) -> list[Item]:
    """Return what *record* should have got of what happened before position *upto*, in order."""
    upto = min(upto, _closed(record))
    lines = list(lines_of(history.log, upto).values())
    items: list[Item] = []
    lived = ""
    for number, line in enumerate(lines):
        confirmed = confirmation(line, record)
        following = lines[number + 1].upgraded if number + 1 < len(lines) else upto
        # The client knows that a connection is over when it opens the next one, not sooner.
        if confirmed is None or (following < record.asked_at and number + 1 < len(lines)):
            # What a session held for a stream that it never confirmed may be told by a gap on the next one.
            if any(frame.topic is None or frame.topic in record.topics for _, frame in line.frames):
                lived = lived or "perhaps"
            continue
        if lived and not any(line.upgraded < at <= following for at in record.seen_live):
            # The connection may not live for the moment that the gap waits for a pong.
            confirmed = attrs.evolve(confirmed, sure=max(confirmed.sure, line.ponged))
        sure = _is_surely_confirmed(record, line, confirmed, following)
        if lived:
            epoch = history.epochs.get(line.number)
            items.append(Item("outage", line.number, confirmed.early, lived == "surely", sure, epoch=epoch))
        lived = "surely" if sure else lived or "perhaps"
        for at, frame in line.frames:
            if frame.topic is None or frame.topic in record.topics:
                items += _items_of(record, line, confirmed, at, frame)
    return items


def _is_surely_confirmed(record: Record, line: Line, confirmed: Confirmation, following: float) -> bool:
    if any(line.upgraded < at <= following for at in record.seen_live):
        return True
    return record.given_at is not None and record.given_at <= confirmed.sure < line.read


def _items_of(record: Record, line: Line, confirmed: Confirmation, at: int, frame: Frame) -> Iterator[Item]:
    begins = confirmed.asked[frame.topic] if frame.topic is not None else max(confirmed.asked.values())
    inside = record.given_at is not None and at >= max(begins, record.given_at)
    read = at < line.read and confirmed.sure < line.read
    if frame.bad != 0:
        yield Item("bad", line.number, at, inside, read, frame)
    if frame.arrives:
        yield Item("data", line.number, at, inside, read, frame)


# --- laying beside each other what should come and what came ---


@attrs.frozen
class Stretch:
    """What lies between two events with data: the *items* that did not come, and the *gaps* that did."""

    before: Item | None
    after: Item | None
    items: Sequence[Item]
    gaps: Sequence[Taken]

    def due(self, kind: str) -> list[Item]:
        """Return the items of *kind* that had to be told."""
        return [item for item in self.items if item.kind == kind and item.is_due(self.before, self.after)]

    def all(self, kind: str) -> list[Item]:
        """Return the items of *kind*, also those that the client need not have read."""
        return [item for item in self.items if item.kind == kind]

    def told(self, reason: GapReason) -> list[Taken]:
        """Return the gaps with *reason*."""
        return [gap for gap in self.gaps if gap.event.gap is not None and gap.event.gap.reason is reason]


def stretches(items: Sequence[Item], taken: Sequence[Taken], *, tail: bool) -> Iterator[Stretch]:
    """Yield the stretches between the events with data in *taken*; the last one, which is open, if *tail*."""
    places = {item.frame.id: place for place, item in enumerate(items) if item.kind == "data" and item.frame is not None}
    last, gaps = -1, []
    for one in taken:
        if one.event.gap is not None:
            gaps.append(one)
        elif (place := places.get(str(one.event.id), -1)) > last:
            yield Stretch(items[last] if last >= 0 else None, items[place], items[last + 1 : place], gaps)
            last, gaps = place, []
    if tail and not _has_ended(taken):
        yield Stretch(items[last] if last >= 0 else None, None, items[last + 1 :], gaps)


def _has_ended(taken: Sequence[Taken]) -> bool:
    return any(one.event.gap is not None and one.event.gap.reason is GapReason.ENDED for one in taken)


def views(history: History, record: Record) -> Iterator[tuple[list[Item], Sequence[Taken], Iterator[Stretch]]]:
    """Yield what should have come, what came, and its stretches: at the end, and each time that nothing was left to take."""
    for drained in record.drained:
        items, taken = reference(history, record, drained.at), record.taken[: drained.count]
        yield items, taken, stretches(items, taken, tail=True)
    items = reference(history, record)
    yield items, record.taken, stretches(items, record.taken, tail=_is_complete(record))


def _is_complete(record: Record) -> bool:
    """Whether *record* got all that it was owed before it was closed."""
    return not (record.discarded or record.queued or record.broken or record.raised)


# --- the invariants ---


def numbers_told(history: History, record: Record) -> Complaints:
    """Every missing number is told by a gap before the next number of its topic."""
    last: dict[str, int] = {}
    gaps: dict[str, bool] = {}
    for one in record.taken:
        if one.event.gap is not None:
            gaps = dict.fromkeys(record.topics, True)
            continue
        topic = one.event.topic
        for number in numbers_in(one.event):
            if topic in last and number > last[topic] + 1 and not gaps.get(topic):
                yield f"{topic}: {number} follows {last[topic]}, and no gap tells of those between"
            last[topic] = max(number, last.get(topic, 0))
            gaps[topic] = False


def faithful(history: History, record: Record) -> Complaints:
    """Each event is a frame that was written, with its rows, under its topic and login."""
    frames = {frame.id: (line, frame) for line in lines_of(history.log).values() for _, frame in line.frames}
    for one in record.taken:
        event = one.event
        if event.gap is not None:
            continue
        line, frame = frames.get(str(event.id), (None, None))
        if line is None or frame is None:
            yield f"{event!r} was never written"
        elif (numbers_in(event), event.topic) != (frame.numbers, frame.topic):
            yield f"{event!r} is not {frame}"
        elif event.epoch != history.epochs.get(line.number, event.epoch):
            yield f"{event!r} of connection {line.number} says that its login was the {event.epoch}."


def ordered(history: History, record: Record) -> Complaints:
    """Frames come in the order in which they were written."""
    places = {frame.id: at for line in lines_of(history.log).values() for at, frame in line.frames}
    last = -1
    for one in record.taken:
        at = places.get(str(one.event.id), last + 1) if one.event.gap is None else last + 1
        if at < last:
            yield f"{one.event!r} comes behind what was written later"
        last = max(at, last) if one.event.gap is None else last


def unique(history: History, record: Record) -> Complaints:
    """No frame comes twice."""
    seen = set()
    for one in record.taken:
        if one.event.gap is None and one.event.id in seen:
            yield f"{one.event!r} ({one.event.id}) comes twice"
        seen.add(one.event.id)


def indexed(history: History, record: Record) -> Complaints:
    """The events are numbered without a hole."""
    numbers = [one.event.index for one in record.taken]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"the events are numbered {numbers}"


def told(history: History, record: Record) -> Complaints:
    """Whatever had to come and did not is told before the next that came, an outage as one."""
    for _, _, parts in views(history, record):
        for part in parts:
            outages, spoilt, lost = part.due("outage"), part.due("bad"), part.due("data")
            reasons = {gap.event.gap.reason for gap in part.gaps if gap.event.gap is not None}
            if outages and GapReason.DISCONNECTED not in reasons:
                yield f"no gap tells of the outage that ended on connection {outages[-1].line} {_where(part)}"
            elif spoilt and not reasons & {GapReason.UNDECODABLE, GapReason.DISCONNECTED}:
                yield f"no gap tells of the unreadable {spoilt[0].frame} {_where(part)}"
            elif lost and not reasons:
                yield f"no gap tells of the missing {lost[0].frame} {_where(part)}"


def _where(part: Stretch) -> str:
    after = f"before {part.after.frame.id}" if part.after is not None and part.after.frame is not None else "at the end"
    return f"{after} (told: {', '.join(str(gap.event.gap) for gap in part.gaps) or 'nothing'})"


def outages_told_once(history: History, record: Record) -> Complaints:
    """Each outage has one gap, with the login that ended it, and a gap that says so has an outage."""
    told_of: list[int] = []
    for part in stretches(reference(history, record), record.taken, tail=True):
        gaps = part.told(GapReason.DISCONNECTED)
        possible = part.all("outage")
        if len(gaps) > len(possible):
            yield f"{len(gaps)} gaps for {len(possible)} outages {_where(part)}"
        epochs = {item.epoch for item in possible if item.epoch is not None}
        told_of += [gap.event.epoch for gap in gaps]
        if strange := {gap.event.epoch for gap in gaps} - epochs if len(epochs) == len(possible) else ():
            yield f"gaps that ended with the logins {strange}, but outages that ended with {epochs} {_where(part)}"
        due = [item.epoch for item in part.due("outage") if item.epoch is not None]
        if part.after is not None and due and gaps and gaps[-1].event.epoch < due[-1]:
            yield f"the outage that ended with login {due[-1]} is not told {_where(part)}"
    if len(set(told_of)) != len(told_of):
        yield f"an outage is told twice: {told_of}"


def caused(history: History, record: Record) -> Complaints:
    """No gap without something that did not come."""
    for part in stretches(reference(history, record), record.taken, tail=True):
        if part.told(GapReason.DISCONNECTED) and not part.all("outage"):
            yield f"a gap without an outage {_where(part)}"
        if part.told(GapReason.UNDECODABLE) and not part.all("bad"):
            yield f"a gap without anything unreadable {_where(part)}"
        if part.told(GapReason.OVERFLOW) and not part.all("data"):
            yield f"a gap without anything dropped {_where(part)}"


def counted(history: History, record: Record) -> Complaints:
    """`missed` is the number of events dropped and rows unreadable; None when nobody can know."""
    for part in stretches(reference(history, record), record.taken, tail=True):
        counts = [gap.event.gap.missed for gap in part.gaps if gap.event.gap is not None]
        if any(gap.event.gap is not None and gap.event.gap.missed is not None for gap in part.told(GapReason.DISCONNECTED)):
            yield f"an outage that counts what it cost {_where(part)}"
        if any(gap.event.gap is not None and gap.event.gap.missed is None for gap in part.told(GapReason.OVERFLOW)):
            yield f"an overflow that does not count {_where(part)}"
        rows = [item.frame.bad for item in part.all("bad") if item.frame is not None]
        most = sum(row or 0 for row in rows) + len(part.all("data"))
        known = sum(count or 0 for count in counts)
        if known > most:
            yield f"{known} missed, but there were only {most} {_where(part)}"
        elif _is_certain(part) and (None in counts) != (None in rows):
            yield f"missed: {counts}, unreadable: {rows} {_where(part)}"
        elif _is_certain(part) and None not in rows and known != most:
            yield f"{known} missed, but there were {most} {_where(part)}"


def _is_certain(part: Stretch) -> bool:
    """Whether it is known to the last row what is missing, and nothing else merges into its gaps."""
    return part.after is not None and not part.all("outage") and all(i.is_due(part.before, part.after) for i in part.items)


def lost_to_overflow_only(history: History, record: Record) -> Complaints:
    """What the client has read reaches the subscription, unless its buffer was full."""
    for items, taken, parts in views(history, record):
        for part in parts:
            for item in part.due("data"):
                if not _was_full(record, items, taken, item, part):
                    yield f"{item.frame} was read and there was room for it, but it did not come {_where(part)}"


def _was_full(record: Record, items: Sequence[Item], taken: Sequence[Taken], lost: Item, part: Stretch) -> bool:
    """Whether *record* can have had no room for *lost*: as many as it holds were not taken yet."""
    room = record.capacity
    if room is None or record.policy == "fail":
        return False
    places = {item.frame.id: item for item in items if item.kind == "data" and item.frame is not None}
    came = [(places[str(one.event.id)], one) for one in taken if str(one.event.id) in places]
    if record.policy == "drop_oldest":
        following = [item for item in items if item.kind == "data" and item.at > lost.at]
        return len(following) >= room and all(one.at > following[room - 1].at for item, one in came if item.at > lost.at)
    if not record.queued:
        waiting = [one for item, one in came if item.at < lost.at][-room:]
        return len(waiting) == room and all(one.at > lost.at for one in waiting)
    places_in_line = [taken.index(gap) for gap in part.gaps] or [len(taken)]
    return any(place >= room and all(one.at > lost.at for one in taken[place - room : place]) for place in places_in_line)


def confirmed_first(history: History, record: Record) -> Complaints:
    """Nothing of a connection comes before every topic of the stream is confirmed on it."""
    lines = lines_of(history.log)
    frames = {frame.id: (at, line) for line in lines.values() for at, frame in line.frames}
    for one in record.taken:
        at, line = frames.get(str(one.event.id), (0, None))
        if line is not None:
            confirmed = confirmation(line, record, at)
            if confirmed is None or one.at <= confirmed.early:
                yield f"{one.event!r} came before all of {', '.join(record.topics)} was confirmed"


def merged(history: History, record: Record) -> Complaints:
    """Gaps that lay side by side in our buffer are one."""
    for one, other in zip(record.taken, record.taken[1:], strict=False):
        gaps = one.event.gap, other.event.gap
        if one.batch is not None and one.batch == other.batch and None not in gaps and not _has_ended([other]):
            yield f"two gaps side by side: {gaps[0]} and {gaps[1]}"


def windowed(history: History, record: Record) -> Complaints:
    """The gaps' windows, together, hold the moments at which what is missing was written."""
    stamps = _stamps(history.log)
    last: dict[str, int] = {}
    since: dict[str, list[Taken]] = {topic: [] for topic in record.topics}
    for one in record.taken:
        if one.event.gap is not None:
            yield from _turned(one)
            for gaps in since.values():
                gaps.append(one)
            continue
        topic = one.event.topic
        for number in numbers_in(one.event):
            missing = [stamps[topic, n] for n in range(last.get(topic, number) + 1, number) if (topic, n) in stamps]
            slack = history.clock_error + (ROUNDING if record.capacity is not None else timedelta(0))
            yield from _outside(topic, number, missing, since.get(topic, []), slack)
            last[topic] = max(number, last.get(topic, 0))
            since[topic] = []


def _stamps(log: Log) -> dict[tuple[str, int], datetime]:
    """Return when each number of a topic was first due."""
    stamps: dict[tuple[str, int], datetime] = {}
    for entry, stamp in zip(log.entries, log.stamps, strict=True):
        of = entry.frame if isinstance(entry, Wrote) else entry if isinstance(entry, Missed) else None
        if of is not None and of.topic is not None:
            for number in of.numbers:
                stamps.setdefault((of.topic, number), stamp)
    return stamps


def _turned(one: Taken) -> Complaints:
    gap = one.event.gap
    if gap is not None and gap.since > gap.until:
        yield f"a gap that ends before it begins: {gap}"


def _outside(topic: str, number: int, missing: Sequence[datetime], taken: Sequence[Taken], slack: timedelta) -> Complaints:
    gaps = [one.event.gap for one in taken if one.event.gap is not None]
    if not missing or not gaps:
        return
    since, until = min(gap.since for gap in gaps) - slack, max(gap.until for gap in gaps) + slack
    if not since <= min(missing) <= max(missing) <= until:
        yield f"{topic}: before {number} something of {min(missing)} to {max(missing)} is missing; told: {since} to {until}"


def ended_once(history: History, record: Record) -> Complaints:
    """ENDED comes last and once, with the error, exactly when the subscription ends other than by `close`."""
    ends = [n for n, one in enumerate(record.taken) if _has_ended([one])]
    if len(ends) > 1 or (ends and ends[0] != len(record.taken) - 1):
        yield f"ENDED comes as number {ends} of {len(record.taken)} events"
    if record.raised is not None:
        if ends:
            yield "ENDED comes although subscribe_* raised"
        return
    if ends:
        gap = record.taken[ends[0]].event.gap
        if gap is None or gap.error is None or gap.error is not record.error:
            yield f"ENDED with {gap.error if gap else None!r}, but the subscription's error is {record.error!r}"
    elif record.error is not None and _is_complete(record):
        yield f"no ENDED, but the error {record.error!r}"


def quiet_when_closed(history: History, record: Record) -> Complaints:
    """Nothing is taken in after `close` was called, and no callback starts after it returned."""
    places = {frame.id: at for line in lines_of(history.log).values() for at, frame in line.frames}
    for one in record.taken:
        if one.event.gap is None and places.get(str(one.event.id), -1) >= _closed(record):
            yield f"{one.event!r} was written after close()"
    if record.count_at_end is not None and len(record.taken) > record.count_at_end:
        yield f"{len(record.taken) - record.count_at_end} calls began after close() had returned"


def never_live_too_early(history: History) -> Complaints:
    """LIVE is told of the client, and of a subscription, only when the exchange has confirmed all that belongs to it."""
    for look in history.looks:
        if look.client == "LIVE":
            yield from _too_early(history, look.at, "the client was found LIVE")
        yield from _subscriptions_too_early(history, look.at, look.subscriptions)
    for change in history.statuses:
        if change.state == "LIVE" and change.previous != "LIVE":
            yield from _too_early(history, bisect.bisect_right(history.log.stamps, change.at), "on_status said LIVE")


def _open_line(history: History, at: int) -> Line | None:
    lines = lines_of(history.log, at)
    line = lines[max(lines)] if lines else None
    # The client may not have noticed yet that a connection is over.
    return line if line is not None and line.ended is None and not line.disturbed else None


def _too_early(history: History, at: int, what: str) -> Complaints:
    line = _open_line(history, at)
    if line is None:
        return
    for record in history.records:
        wanted = record.given_at is not None and record.given_at <= line.upgraded and record.error is None
        if wanted and _closed(record) > at and confirmation(line, record) is None:
            yield f"{what} at {at}, when {', '.join(record.topics)} was not confirmed"


def _subscriptions_too_early(history: History, at: int, states: Sequence[tuple[int, str]]) -> Complaints:
    line = _open_line(history, at)
    for number, state in states:
        record = history.records[number]
        if line is not None and state == "LIVE" and confirmation(line, record) is None:
            yield f"subscription {number} was found LIVE at {at}, when {', '.join(record.topics)} was not confirmed"


def statuses_follow(history: History) -> Complaints:
    """Each change begins where the one before ended."""
    state: Any = "IDLE"
    for change in history.statuses:
        if change.previous != state:
            yield f"{change.previous} -> {change.state} is told when the last state was {state}"
        state = change.state


def shared_in_order(history: History) -> Complaints:
    """In a queue that streams share, what was read first comes first; only what had to be held may come later."""
    lines = lines_of(history.log)
    places = {frame.id: (at, line) for line in lines.values() for at, frame in line.frames}
    last = -1
    for one in history.shared:
        if one.event.gap is not None:
            continue
        at, line = places.get(str(one.event.id), (last, None))
        record = next(r for r in history.records if r.shared and one.event.topic in r.topics)
        confirmed = confirmation(line, record) if line is not None else None
        if at < last and confirmed is not None and at > confirmed.sure and not _waits_for_pong(record, line, at):
            yield f"{one.event!r} comes behind what another stream was sent later"
        last = max(last, at)


def _waits_for_pong(record: Record, line: Line, at: int) -> bool:
    """Whether the gap of an outage, and with it what was written at *at*, may wait for the first pong of *line*."""
    return line.number > 1 and at < line.ponged and not any(line.upgraded < seen <= at for seen in record.seen_live)


def clean(history: History) -> Complaints:
    """Threads and descriptors are back."""
    for what in history.left_behind:
        yield f"left behind: {what}"


OF_A_SUBSCRIPTION: Sequence[Callable[[History, Record], Complaints]] = (
    faithful,
    ordered,
    unique,
    indexed,
    numbers_told,
    told,
    outages_told_once,
    caused,
    counted,
    lost_to_overflow_only,
    confirmed_first,
    merged,
    windowed,
    ended_once,
    quiet_when_closed,
)
OF_A_CLIENT: Sequence[Callable[[History], Complaints]] = (never_live_too_early, statuses_follow, shared_in_order, clean)


def check(history: History) -> list[str]:
    """Return everything that breaks an invariant."""
    complaints = [f"{rule.__name__}: {text}" for rule in OF_A_CLIENT for text in rule(history)]
    for number, record in enumerate(history.records):
        complaints += [
            f"subscription {number}: {rule.__name__}: {text}" for rule in OF_A_SUBSCRIPTION for text in rule(history, record)
        ]
    return complaints
