"""The entries of a Redis stream: their ids, and events as fields. Pure.

An entry holds one event as it was delivered. Its fields:

* ``run``, ``client``, ``stream``, ``epoch``, ``index``, ``received_at``: as the event
  has them; ``run`` is a new text for each subscription of the publisher.
* ``frame``: the frame of a push, byte for byte. The reader decodes it again.
* ``event``: JSON of `to_dict`, for every event that its frame does not hold: a gap,
  rows of REST, a push of which recovery left rows out. ``frame`` is then its `raw`.
* ``after``: only in the first entry of a series, the id of the entry before it.
* ``mending``: only while the publisher still reads what an outage hid, since when.

The ids of a series are ``T-1``, ``T-2``, ``T-3``, ... with one time ``T`` in
milliseconds. So each id tells which one stood before it: a reader notices entries that
are gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

import attrs

from bybit_sync.clock import Moment
from bybit_sync.decoding.fast_path import try_fast
from bybit_sync.decoding.parsing import RawFrame, parse
from bybit_sync.model.events import Event, Gap, GapReason, Source, new_event, set_index
from bybit_sync.model.from_dict import from_dict
from bybit_sync.model.to_dict import to_dict
from bybit_sync.model.trades import UserTradeUpdate
from bybit_sync.session.dialects import CHANNELS
from bybit_sync.session.messages import Push, classify

__all__ = [
    "LARGEST",
    "START",
    "EntryId",
    "Fields",
    "complete_until",
    "instant",
    "mending_since",
    "new_gap",
    "previous",
    "read",
    "resume_at",
    "write",
]

Fields = Mapping[bytes, bytes]
"""The fields of an entry, as the server returns them."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LATEST_MS: Final = 253_402_300_799_000  # the year 9999
_DECIMAL: Final = "$decimal"


# --- ids ---


@attrs.frozen(order=True)
class EntryId:
    """The id of an entry: milliseconds, and a number within them."""

    ms: int = 0
    seq: int = 0

    @classmethod
    def parse(cls, text: bytes) -> EntryId:
        """Return the id of *text*. Raises `ValueError`."""
        ms, _, seq = text.partition(b"-")
        entry = cls(int(ms), int(seq))
        if not (0 <= entry.ms <= LARGEST and 0 <= entry.seq <= LARGEST):
            raise ValueError("no server has such an id")
        return entry

    @property
    def time(self) -> datetime:
        """The time of its milliseconds: of its series, the begin."""
        return _EPOCH + timedelta(milliseconds=min(self.ms, _LATEST_MS))

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"


LARGEST: Final = 2**64 - 1
"""The largest number in an id."""
START: Final = EntryId()
"""The position before the first entry of a stream."""


def previous(entry: EntryId, fields: Fields) -> EntryId:
    """Return the id of the entry that was written before *entry*.

    Raises `ValueError` for an entry of another program.
    """
    if b"after" in fields:
        return EntryId.parse(fields[b"after"])
    if not entry.seq:
        raise ValueError("the numbers of a series begin with 1")
    return EntryId(entry.ms, entry.seq - 1)


# --- times ---


def instant(event: Event[Any]) -> datetime:
    """Return the exchange's time of *event*; ours where it has none."""
    return event.gap.until if event.gap is not None else event.created_at or event.received_at


def complete_until(event: Event[Any]) -> datetime:
    """Return the time up to which a stream that ends with *event* is complete.

    Of executions read over REST, oldest first, more may have been to come.
    """
    if event.recovered is not None:
        return event.recovered.until
    if event.source is Source.REST and event.data:
        last = event.data[-1]
        if isinstance(last, UserTradeUpdate) and last.exec_time is not None:
            return last.exec_time
    return instant(event)


def mending_since(event: Event[Any], before: datetime | None) -> datetime | None:
    """Return since when something is still to be mended by a later event than *event*.

    *before* is the same for the event before it; None: nothing is.
    """
    if event.gap is not None and event.gap.recovering:
        return min(event.gap.since, before or event.gap.since)
    is_mended = event.recovered is not None and before is not None and event.recovered.since <= before
    # Recovery has given up: the same window, told again.
    is_left = event.gap is not None and event.gap.since == before
    return None if is_mended or is_left else before


def resume_at(fields: Fields) -> datetime:
    """Return since when a publisher has to read what a stream that ends here lacks.

    Raises `ValueError` for an entry of another program.
    """
    event = read(fields, 0)
    times = [complete_until(event), *([event.gap.since] if event.gap is not None else [])]
    if b"mending" in fields:
        times.append(datetime.fromisoformat(fields[b"mending"].decode()).astimezone(timezone.utc))
    return min(times)


def new_gap(
    event: Event[Any], reason: GapReason, since: datetime, detail: str, missed: int | None = None, until: datetime | None = None
) -> Event[Any]:
    """Return the gap before *event*, with the index 0: it is the stream's own."""
    until = until or instant(event)
    return new_event(
        event.stream,
        "",
        event.received_at,
        event.received_ns,
        client=event.client,
        epoch=event.epoch,
        gap=Gap(reason=reason, since=min(since, until), until=until, missed=missed, detail=detail),
    )


# --- events ---


def write(event: Event[Any], run: str, after: EntryId | None, mending: datetime | None = None) -> dict[bytes, bytes]:
    """Return the fields of *event*; *after* is the id before a series, else None.

    *mending* is `mending_since` of the event.
    """
    texts = {
        "run": run,
        "client": event.client,
        "stream": event.stream.value,
        "epoch": event.epoch,
        "index": event.index,
        "received_at": event.received_at.isoformat(),
        **({} if after is None else {"after": after}),
        **({} if mending is None else {"mending": mending.isoformat()}),
    }
    fields = {name.encode(): str(text).encode(errors="surrogatepass") for name, text in texts.items()}
    if event.raw:
        fields[b"frame"] = event.raw
    if not _is_its_frame(event):
        fields[b"event"] = json.dumps(_plain(event), separators=(",", ":")).encode()
    return fields


def read(fields: Fields, received_ns: int) -> Event[Any]:
    """Return the event of an entry, read at *received_ns* of the monotonic clock.

    Raises:
        ValueError: The fields are no event.
    """
    try:
        event = _event(fields, received_ns)
        # Raises for a time without a zone, which could not be compared later.
        max(_EPOCH, event.received_at, instant(event), complete_until(event))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"the entry is no event of bybit_sync: {type(error).__name__}") from error
    return event


def _event(fields: Fields, received_ns: int) -> Event[Any]:
    if b"event" in fields:
        plain = json.loads(fields[b"event"])
        return attrs.evolve(_record(plain), raw=fields.get(b"frame", b""), received_ns=received_ns)
    text = {name: fields[name].decode(errors="surrogatepass") for name in (b"client", b"received_at", b"epoch", b"index")}
    now = Moment(received_ns, datetime.fromisoformat(text[b"received_at"]))
    return _pushed(fields[b"frame"], now, text[b"client"], int(text[b"epoch"]), int(text[b"index"]))


def _is_its_frame(event: Event[Any]) -> bool:
    """Return whether the reader can make *event* of its frame alone."""
    if not event.raw or event.gap is not None or event.source is not Source.STREAM:
        return False
    now = Moment(event.received_ns, event.received_at)
    try:
        return _pushed(event.raw, now, event.client, event.epoch, event.index) == event
    except (LookupError, ValueError, TypeError):
        return False


def _pushed(frame: bytes, now: Moment, client: str, epoch: int, index: int) -> Event[Any]:
    """Return the event of the push *frame*, by the decoder of a live client."""
    event = try_fast(frame, CHANNELS, now, client, epoch)
    if event is None:
        push = classify(parse(frame))
        if not isinstance(push, Push):
            raise ValueError("the frame is no push")
        channel = CHANNELS[push.topic]
        rows, _ = channel.decode(push.data, RawFrame(frame))
        event = new_event(channel.stream, push.topic, now.utc, now.ns, rows, push.id, push.created_at, frame, client, epoch)
    set_index(event, index)
    return event


# --- rows with everything that `to_dict` leaves out ---


def _plain(record: Any) -> dict[str, Any]:
    """Return *record* as `to_dict` does, with `wire` and `extra` of each row."""
    plain = to_dict(record)
    for name in _whole(type(record)):
        plain[name] = _tagged(getattr(record, name))
    for name in _rows(record):
        plain[name] = [_plain(row) for row in getattr(record, name)]
    return plain


def _record(plain: Mapping[str, Any]) -> Any:
    """Return the record of *plain*, which `_plain` made."""
    record = from_dict(plain)
    whole = {name: _untagged(plain[name]) for name in _whole(type(record))}
    rows = {name: tuple(map(_record, plain[name])) for name in _rows(record)}
    return attrs.evolve(record, **whole, **rows)


def _whole(cls: type[Any]) -> list[str]:
    return [field.name for field in attrs.fields(cls) if field.name in ("wire", "extra")]


def _rows(record: Any) -> list[str]:
    return [name for name in ("data", "coins") if getattr(record, name, ())]


def _tagged(value: Any) -> Any:
    """Return *value* of `wire` or `extra` for JSON, which has no exact number.

    A `Decimal` becomes an object with the key "$decimal". A key that begins with "$"
    gets one more, so that no key of the exchange is taken for that one.
    """
    if isinstance(value, Decimal):
        return {_DECIMAL: str(value)}
    if isinstance(value, Mapping):
        return {f"${key}" if key.startswith("$") else key: _tagged(held) for key, held in value.items()}
    return [_tagged(held) for held in value] if isinstance(value, (tuple, list)) else value


def _untagged(value: Any) -> Any:
    """Return the value of which `_tagged` made *value*."""
    if isinstance(value, list):
        return [_untagged(held) for held in value]
    if not isinstance(value, dict):
        return value
    if [*value] == [_DECIMAL]:
        return Decimal(value[_DECIMAL])
    return {key[1:] if key.startswith("$$") else key: _untagged(held) for key, held in value.items()}
