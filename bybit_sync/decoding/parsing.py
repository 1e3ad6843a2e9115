"""Parse a frame into plain Python values: JSON, with every bare number exact."""

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
    """A frame that no update can be read from.

    *detail* is the reason; it contains no part of the frame.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def _bare(text: str) -> Decimal | float:
    """Return a JSON number without quotes exactly.

    A number that is too large for a Decimal becomes a float, which no attribute
    accepts: that costs one row, not the whole message.
    """
    try:
        return Decimal(text)
    except InvalidOperation:
        return float(text)


_JSON = json.JSONDecoder(parse_float=_bare)
scan: Callable[[str, int], tuple[Any, int]] = _JSON.scan_once  # type: ignore[attr-defined]
"""Return the value that begins at an index of a text, and the index of its end.

Raises `StopIteration` when no value begins there.
"""


# The rows of a message up to this size take at most half a second; in a larger one they
# are counted.
_SMALL = 65_536
_MOST_OBJECTS = 12_000
_MOST_VALUES = 200_000


def _check_amounts(frame: bytes | str) -> None:
    """Raise `Unreadable` for more objects or values than the exchange ever sends.

    A frame of the largest size, 4 MiB, of the exchange's rows holds fewer. Each costs
    microseconds: millions of them would hold the GIL for many seconds, and stop every
    other client of the process.
    """
    text = frame.encode("utf-8", "surrogatepass") if isinstance(frame, str) else frame
    if text.count(b"{") + text.count(b"[") > _MOST_OBJECTS:
        raise Unreadable(f"more than {_MOST_OBJECTS} objects and lists")
    if text.count(b",") > _MOST_VALUES:
        raise Unreadable(f"more than {_MOST_VALUES} values")


def _read_json(frame: bytes | str) -> Any:
    """Return a JSON text as plain Python values, its numbers as int or Decimal.

    Raises `Unreadable`, and nothing else: for wrong UTF-8 or JSON, nesting beyond
    Python's limit, an integer of thousands of digits. Of a repeated key, the last value
    counts.
    """
    try:
        text = frame if isinstance(frame, str) else frame.decode()
        try:
            value, end = scan(text, 0)
        except StopIteration:
            end = -1
        # The decoder is slower, but accepts white space around the value and reports
        # the error.
        return value if end == len(text) else _JSON.decode(text)
    except (ValueError, RecursionError) as error:
        detail = _complaint(error)
    # Raised outside of the except clause: as `__context__`, the caught error would keep
    # the whole frame.
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
        """Parse with msgspec.

        Retry what it refuses, such as half a surrogate pair, with the standard library.
        """
        try:
            return _quick_json(frame)
        except Exception:  # noqa: BLE001, S110 - its error may hold a part of the frame
            pass
        return _read_json(frame)

    PARSERS["msgspec"] = _read_msgspec

_read: Callable[[bytes | str], Any] = PARSERS.get("msgspec", _read_json)


def parse(frame: bytes | str) -> Any:
    """Return a JSON text as plain Python values, with the fastest parser installed.

    Raises `Unreadable`, and nothing else: also for more objects and values than the
    exchange ever sends.
    """
    if len(frame) > _SMALL:
        _check_amounts(frame)
    return _read(frame)


class RawFrame:
    """A frame as it was received; it is parsed at the first call of `message`."""

    __slots__ = ("_message", "_text")

    def __init__(self, text: bytes | str, message: Any = None) -> None:
        self._text = text
        self._message = message

    def message(self) -> Any:
        """Return the parsed frame.

        Any thread: two threads at once may both parse, with equal results.
        """
        if self._message is None:
            self._message = parse(self._text)
        return self._message
