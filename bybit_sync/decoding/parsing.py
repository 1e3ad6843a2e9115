"""From a frame to plain Python values: JSON, with every bare number exact."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

__all__ = ["PARSERS", "RawFrame", "Unreadable", "parse", "scan"]


try:
    import msgspec
except ImportError:  # the extra ``speed`` is not installed
    msgspec = None  # type: ignore[assignment]


class Unreadable(ValueError):
    """Something that no update can be read from; *detail* says why, without a character of its content."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def _bare(text: str) -> Decimal | float:
    """Return a number that stands in JSON without quotes, exactly.

    What is too large even for a Decimal becomes a float, which no attribute takes: that costs one row, not the message.
    """
    try:
        return Decimal(text)
    except InvalidOperation:
        return float(text)


_JSON = json.JSONDecoder(parse_float=_bare)
scan: Callable[[str, int], tuple[Any, int]] = _JSON.scan_once  # type: ignore[attr-defined]
"""Returns the value that begins at a place of a text, and where it ends. Raises `StopIteration` when none begins there."""


# A message of this size holds no more rows than cost half a second; in a larger one they are counted.
_SMALL = 65_536
_MOST_OBJECTS = 12_000
_MOST_VALUES = 200_000


def _check_amounts(frame: bytes | str) -> None:
    """Raise `Unreadable` for a *frame* of so many objects, lists or values that only a hostile peer sends it.

    A frame of the largest size, 4 MiB, of rows of the exchange holds fewer. Each costs microseconds, and a bad one costs
    its neighbours another reading: of millions, that would be many seconds in which no other client of the process is served.
    """
    text = frame.encode("utf-8", "surrogatepass") if isinstance(frame, str) else frame
    if text.count(b"{") + text.count(b"[") > _MOST_OBJECTS:
        raise Unreadable(f"more than {_MOST_OBJECTS} objects and lists")
    if text.count(b",") > _MOST_VALUES:
        raise Unreadable(f"more than {_MOST_VALUES} values")


def _read_json(frame: bytes | str) -> Any:
    """Return a JSON text as plain Python values, its bare numbers exact: int or Decimal.

    Raises `Unreadable`, and nothing else, for what cannot be read: wrong UTF-8 or JSON, nesting beyond Python's limit, a whole
    number of thousands of digits. Of a key that comes twice, the last one counts.
    """
    try:
        text = frame if isinstance(frame, str) else frame.decode()
        try:
            value, end = scan(text, 0)
        except StopIteration:
            end = -1
        # White space around the value, and what is no JSON at all, is for the decoder, which costs more and says what is wrong.
        return value if end == len(text) else _JSON.decode(text)
    except (ValueError, RecursionError) as error:
        detail = _complaint(error)
    # Outside of the except clause, because the error that it caught holds the whole frame.
    raise Unreadable(detail)


def _complaint(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8: a wrong byte at {error.start}"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: wrong at character {error.pos}"
    return "nested too deeply" if isinstance(error, RecursionError) else "a whole number with too many digits"


PARSERS = {"json": _read_json}

if msgspec is not None:
    _quick_json = msgspec.json.Decoder(float_hook=_bare).decode

    def _read_msgspec(frame: bytes | str) -> Any:
        """Do what the standard library does, sooner; what msgspec refuses, such as half a surrogate pair, is tried again."""
        try:
            return _quick_json(frame)
        except Exception:  # noqa: BLE001, S110 - whatever it refuses; its error, too, may hold a part of the frame
            pass
        return _read_json(frame)

    PARSERS["msgspec"] = _read_msgspec

_read: Callable[[bytes | str], Any] = PARSERS.get("msgspec", _read_json)


def parse(frame: bytes | str) -> Any:
    """Return a JSON text as plain Python values, by the quickest parser that is installed.

    Raises `Unreadable`, and nothing else: also for more objects and values than the exchange could mean.
    """
    if len(frame) > _SMALL:
        _check_amounts(frame)
    return _read(frame)


class RawFrame:
    """What was received; it is read when somebody asks what it says, and remembers that."""

    __slots__ = ("_message", "_text")

    def __init__(self, text: bytes | str, message: Any = None) -> None:
        self._text = text
        self._message = message

    def message(self) -> Any:
        """Return what it says. Any thread: two that ask at once read the same."""
        if self._message is None:
            self._message = parse(self._text)
        return self._message
