"""The fast path: read a push with regular expressions instead of a JSON parser.

It is only an optimisation: `try_fast` returns exactly the event that the parser would
produce, or None, and then the parser reads the frame. Without its one call, in
`Session.receive`, everything works as before, only slower.

A pattern is compiled for each layout in which a row was seen: its keys in their order,
and the JSON type of each value. A text that matches is valid JSON and has no other
reading, since each group is a complete JSON value: strings, numbers and flags by their
pattern; the coins of an account are read as the rows of a push, other objects and lists
are parsed, and both raise for invalid ones. So the groups are the values of the keys
that the pattern was made from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

from bybit_sync.clock import Moment
from bybit_sync.decoding.compiled import CompiledReaders, listed
from bybit_sync.decoding.parsing import RawFrame, scan
from bybit_sync.decoding.reader import Reader
from bybit_sync.decoding.values import moment
from bybit_sync.model.events import Event, Stream, new_event
from bybit_sync.model.lazy_row import LazyRow, Readable

__all__ = ["FastChannel", "FastRows", "match_push_envelope", "read_rows", "try_fast"]

# A larger frame goes to the parser at once: a hostile peer may write one that takes
# long and does not match in the end.
LARGEST_FRAME: Final = 262_144

# Limits against a peer that invents layouts: the number of patterns, the length of one,
# and how long the path waits before it compiles another pattern.
_MOST_PATTERNS: Final = 16
_LONGEST_PATTERN: Final = 8_192
_LONGEST_PAUSE: Final = 4_096


class FastChannel(Protocol):
    """A subscribed topic, as far as the fast path needs it."""

    @property
    def stream(self) -> Stream:
        """Return the stream that the topic belongs to."""

    @property
    def reader(self) -> Reader:
        """Return the reader of its rows."""

    @property
    def gather(self) -> Callable[[tuple[Any, ...]], tuple[Any, ...]] | None:
        """Return the function that combines the rows of one push.

        None when each row stands alone.
        """


def try_fast(frame: bytes, channels: Mapping[str, FastChannel], now: Moment, client: str, epoch: int) -> Event[Any] | None:
    """Return the event of *frame* if it is a valid push in a known layout.

    *channels* maps topics to the confirmed channels. Returns None for everything else,
    also for invalid frames: the parser then reads the frame.
    """
    if len(frame) > LARGEST_FRAME:
        return None
    try:
        text = frame.decode()
        envelope = match_push_envelope(text)
        if envelope is None:
            return None
        topic, name, created_at, at = envelope
        channel = channels[topic]
        updates = read_rows(channel, text, at, RawFrame(frame))
    except Exception:  # noqa: BLE001 - the parser reads the frame and reports any error
        return None
    return new_event(channel.stream, topic, now.utc, now.ns, updates, name, created_at, frame, client, epoch)


# --- the envelope ---

# A time of at most 14 digits is a valid date.
_ENVELOPE: Final = re.compile(
    r'\{(?:"(?:topic":"([^"\\\x00-\x1f]*)"|id":"([^"\\\x00-\x1f]*)"|creationTime":(0|[1-9][0-9]{0,13})),)+"data":\['
)


def match_push_envelope(text: str) -> tuple[str, str | None, datetime | None, int] | None:
    """Return a push's topic, id and time, and the index in *text* of its rows.

    Returns None when *text* is no push, or one with other keys in its envelope.
    """
    found = _ENVELOPE.match(text) if text.endswith("}]}") else None
    if found is None:
        return None
    topic, name, created = found.groups()
    return None if topic is None else (topic, name, moment(int(created)) if created else None, found.end())


# --- the rows ---

# The patterns of each reader. Readers live as long as the process.
_ROWS: Final[dict[Reader, FastRows]] = {}


def read_rows(channel: FastChannel, text: str, at: int, frame: RawFrame) -> tuple[Any, ...]:
    """Return the updates of *text*, a push of *channel*, whose rows begin at *at*.

    *frame* is the source of their `wire`. Raises any exception for rows that are
    invalid or have another layout.
    """
    # Two threads may both make one; `setdefault` keeps the first.
    rows = _ROWS.get(channel.reader) or _ROWS.setdefault(channel.reader, FastRows(channel.reader.compiled))
    updates = rows.read(text, at, frame, ("data",), "]}")
    return updates if channel.gather is None else channel.gather(updates)


class _ValueKind(NamedTuple):
    """A JSON type: the pattern of its text, and the source of an expression.

    The expression makes a value of the text ``{x}``; it is "" where the text itself is
    the value.
    """

    pattern: str
    source: str = ""


_WHOLE: Final = "(0|-?[1-9][0-9]{0,17})"
_KINDS: Final[Mapping[type, _ValueKind]] = {
    str: _ValueKind(r'"([^"\\\x00-\x1f]*)"'),
    int: _ValueKind(_WHOLE, "DIGITS[{x}] if {x} in DIGITS else int({x})"),
    bool: _ValueKind("(true|false)", '{x} == "true"'),
    dict: _ValueKind(r"(\{[^{}\[\]]*\})", "parse({x})"),
    list: _ValueKind(r"(\[(?:\{[^{}\[\]]*\}(?:,\{[^{}\[\]]*\})*|[^{}\[\]]*)\])", "parse({x})"),
    type(None): _ValueKind("(null)", "None"),
}
# For attributes that are a number or a time and are read from a string. 40 characters
# never exceed the digits that a number may have. One range, from - to 9, is matched
# faster than the same without /, and a text with / is read as no number and no time.
_DIGITS: Final[Mapping[type, _ValueKind]] = {
    str: _ValueKind(r'"([--9]{0,40})"'),
    int: _ValueKind(_WHOLE),
    type(None): _ValueKind("(null)", '""'),
}


# For attributes that are a list of rows: they are read as the rows of a push.
_ROWS_KIND: Final = _KINDS[list]._replace(source='() if {x} == "[]" else list_{x}({x}, wire)')


class _Pattern(NamedTuple):
    """The pattern of one layout of a row.

    *match* finds a row in a text; *read* makes an update of the match's groups and of
    the update's `wire`.
    """

    source: str
    match: Callable[[str, int], re.Match[str] | None]
    read: Callable[[Any, Any], Any]


class FastRows:
    """The patterns of one class of rows, which are learned from the rows that arrive.

    Any thread: when two threads learn at the same time, one pattern may be lost; it is
    learned again.
    """

    def __init__(self, compiled: CompiledReaders) -> None:
        self._compiled = compiled
        # The patterns of the rows that an attribute is a list of, by its name.
        self._lists: dict[str, FastRows] = {}
        # The pattern that matched last comes first; initially one that never matches.
        # The tuple is replaced, never changed, so that no thread needs a lock to read
        # it.
        self._patterns: tuple[_Pattern, ...] = (_Pattern("(?!)", re.compile("(?!)").match, compiled.read_slowly),)
        # The number of pushes before the next attempt to learn, and the last such
        # number.
        self._pause = 0
        self._last_pause = 0

    def read(self, text: str, at: int, frame: Readable, path: tuple[str | int, ...], end: str) -> tuple[Any, ...]:
        """Return the updates of the rows that *text* has from *at* on, before *end*.

        *end* is the rest of *text*. The list of the rows is under *path* in *frame*,
        the source of their `wire`. Raises any exception for rows that are invalid or
        have an unknown layout.
        """
        updates: list[Any] = []
        while True:
            _, match, read = self._patterns[0]
            found = match(text, at)
            if found is None:
                found, read = self._find(text, at)
            updates.append(read(found.groups(), LazyRow(frame, (*path, len(updates)))))
            at = found.end()
            if text[at] != ",":
                break
            at += 1
        if text[at:] != end:
            raise LookupError
        return tuple(updates)

    def _find(self, text: str, at: int) -> tuple[re.Match[str], Callable[[Any, Any], Any]]:
        """Return the match of another known pattern, or of a new one.

        The new one is learned from the row at *at*.
        """
        for pattern in self._patterns[1:]:
            found = pattern.match(text, at)
            if found is not None:
                self._patterns = (pattern, *(other for other in self._patterns if other is not pattern))
                return found, pattern.read
        if self._pause > 0:
            self._pause -= 1
            raise LookupError
        # The pause stays if learning fails or a known pattern has to be dropped; else
        # it is reset below.
        self._pause = self._last_pause = min(2 * self._last_pause + 1, _LONGEST_PAUSE)
        found, pattern = self._learn(text, at)
        if len(self._patterns) < _MOST_PATTERNS:
            self._pause = self._last_pause = 0
        others = (other for other in self._patterns if other.source != pattern.source)
        self._patterns = (pattern, *others)[:_MOST_PATTERNS]
        return found, pattern.read

    def _learn(self, text: str, at: int) -> tuple[re.Match[str], _Pattern]:
        """Return the match and the pattern of the row at *at*.

        Raises any exception when none can be made.
        """
        row, end = scan(text, at)
        names = self._compiled.variables(row)
        kinds = {name: self._kind(name, row[key]) for key, name in names.items()}
        lists = {f"list_{name}": self._list_reader(key, name) for key, name in names.items() if kinds[name] is _ROWS_KIND}
        source = r"\{" + ",".join(f'"{re.escape(key)}":{kinds[name].pattern}' for key, name in names.items()) + r"\}"
        if len(source) > _LONGEST_PATTERN:
            raise LookupError
        read = self._compiled.compile_reader(tuple(row), lambda _: _from_groups(kinds), lists)
        pattern = _Pattern(source, re.compile(source).match, read)
        found = pattern.match(text, at)
        if found is None or found.end() != end:
            raise LookupError
        pattern.read(found.groups(), LazyRow(RawFrame("", row), ()))
        return found, pattern

    def _kind(self, name: str, value: Any) -> _ValueKind:
        """Return the kind of *value*.

        Raises `LookupError` for a number that only the parser reads exactly.
        """
        value_reader = self._compiled.value_readers.get(name)
        if value.__class__ is list and value_reader is not None and isinstance(value_reader.lookup, CompiledReaders):
            return _ROWS_KIND
        return (_DIGITS if value_reader is not None and value_reader.is_plain else _KINDS)[value.__class__]

    def _list_reader(self, key: str, name: str) -> Callable[[str, LazyRow], tuple[Any, ...]]:
        """Return what reads the text of a list of rows, under *key* of another row."""
        rows = self._lists.setdefault(name, FastRows(self._compiled.value_readers[name].lookup))
        return lambda text, wire: rows.read(text, 1, wire.frame, (*wire.path, key), "]")


def _from_groups(kinds: Mapping[str, _ValueKind]) -> Iterable[str]:
    """Yield the source lines that assign the groups of a match to variables.

    *kinds* names the variables.
    """
    yield f"[{listed(kinds)}] = values"
    for name, kind in kinds.items():
        if kind.source:
            yield f"{name} = {kind.source.format(x=name)}"
