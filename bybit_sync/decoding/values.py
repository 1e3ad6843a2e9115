"""Read the values of a row: one reader for each kind of value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Clamped, Context, Decimal, InvalidOperation, Rounded
from typing import Any, Final, NamedTuple

from bybit_sync.model.enums import LastLiquidityInd, OpenEnum
from bybit_sync.model.lazy_row import ReadOnly
from bybit_sync.model.record import EMPTY
from bybit_sync.text import quoted

__all__ = [
    "ABSENT",
    "SCOPE",
    "VALUE_READERS",
    "InvalidValue",
    "ValueReader",
    "are_plain",
    "defaulted",
    "kind_of",
    "maker",
    "moment",
    "moment_or_none",
    "offending",
    "optional",
    "required",
    "word",
]

_DIGITS = 64  # the most digits of a number as written, and its largest exponent
_WHOLE = 2**63  # the limit of whole numbers
_SMALL = 2**29  # whole numbers that Python keeps in one piece
_WHOLE_DIGITS = 19  # the most digits of a whole number
_LOOK = 100  # the most characters of a value in a log line
_NAMES = 1_000  # the most names in an object of numbers

_END = 253_402_300_800_000  # milliseconds until the year 10000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
ABSENT: Final[Any] = object()
"""The value of a missing key, where "" would be a value."""


class InvalidValue(ValueError):
    """A value that its attribute cannot hold.

    The text follows the value: "is not a number".
    """


# --- reading one value ---
#
# Each function returns the attribute's value, None for "", or raises InvalidValue. Each
# compares exact types, because True is an int.

_WRITTEN = re.compile(r"[+-]?(\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?0*(\d+))?", re.ASCII)
# Not the thread's own context, which may return NaN for an invalid text: this one
# raises, and never rounds.
_exact_number = Context(prec=_DIGITS, Emin=-999, Emax=999, clamp=0, traps=[InvalidOperation, Rounded]).create_decimal
# The same for plain notation and half as many digits. The context does not count
# leading zeros: `are_plain` refuses long runs of zeros, so the digits stay within the
# limit. The context refuses underscores and spaces, but accepts NaN, exponents and the
# digits of other scripts.
_HALF = _DIGITS // 2 - 1
_plain_number = Context(prec=_HALF, Emin=-1, Emax=999, clamp=0, traps=[InvalidOperation, Rounded, Clamped]).create_decimal
_ZEROS = b"0" * (_HALF + 1)


def are_plain(texts: tuple[str, ...]) -> bool:
    """Return whether all of *texts* are plain.

    Plain texts hold only digits, points and minus signs, and few zeros in a row.

    The first of them is "". Checking all numbers of a row at once costs a fraction of
    checking each, and deleting the allowed characters a fraction of a search for
    others.
    """
    try:
        written = ",".join(texts).encode()
    except (TypeError, UnicodeEncodeError):
        return False
    return not written.translate(None, b"0123456789.,-") and _ZEROS not in written


def _number(value: Any) -> Decimal | None:
    """Read a number with the digits it was written with."""
    if value.__class__ is int and -_WHOLE < value < _WHOLE:
        return Decimal(value)
    text = value if value.__class__ is str else _bare_text(value)
    if not text:
        return None
    # A text this short and plain cannot have too many digits: it is a number or
    # invalid.
    if len(text) <= _HALF and not text.strip("0123456789.-"):
        try:
            return _plain_number(text)
        except InvalidOperation:
            raise InvalidValue("is not a number") from None
    _check_written(text)
    return _exact_number(text)


def _bare_text(value: object) -> str:
    """Return a bare JSON number as text; `parse` made an int or a Decimal of it."""
    if value.__class__ in (int, Decimal):
        return str(value)
    raise InvalidValue("is not a number")


def _check_written(text: str) -> None:
    """Raise unless *text* is a number within the limits.

    That is 64 digits, and an exponent from -64 to 64.
    """
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise InvalidValue("is not a number")
    digits, exponent = written[1].replace(".", ""), written[2] or "0"
    if len(digits) > _DIGITS or len(exponent) > len(str(_DIGITS)) or int(exponent) > _DIGITS:
        raise InvalidValue(f"is a number of more than {_DIGITS} digits, or with an exponent beyond {_DIGITS}")


def _numbers_by_name(value: Any) -> Mapping[str, Decimal]:
    """Read an object of numbers; leave out those that are "" or null."""
    if value == "":
        return EMPTY
    if value.__class__ is not dict:
        raise InvalidValue("is not an object")
    if len(value) > _NAMES:
        raise InvalidValue(f"holds more than {_NAMES} names")
    numbers = {}
    try:
        for name, text in value.items():
            if text is not None and (number := _number(text)) is not None:
                numbers[name] = number
    except InvalidValue as invalid:
        raise InvalidValue(f"holds {quoted(name)}: {offending(text)} {invalid}") from None
    return ReadOnly(numbers)


def _time(value: Any) -> datetime | None:
    """Read milliseconds since 1970, as a text of digits or a whole number.

    0 means "never".
    """
    if _is_digits(value):
        value = int(value)
    if value.__class__ is int and value > 0:
        try:
            return _EPOCH + _MILLISECOND * value
        except OverflowError:
            raise InvalidValue("is not a time before the year 10000") from None
    if value == "" or (value.__class__ is int and value == 0):
        return None
    raise InvalidValue("is not a time in milliseconds")


def moment(ms: Any) -> datetime | None:
    """Return the time of an envelope, aware and in UTC.

    *ms* is milliseconds since 1970, a whole number or a text of digits.

    None for None, "" and 0. Raises `ValueError` for any other value.
    """
    if ms.__class__ is int and 0 < ms < _END:
        return _EPOCH + _MILLISECOND * ms
    return None if ms is None else _time(ms)


def moment_or_none(ms: object) -> datetime | None:
    """Return `moment` of *ms*, and None where that raises.

    A message with an invalid time is read without one, because its rows matter.
    """
    try:
        return moment(ms)
    except ValueError:
        return None


def _is_digits(value: Any) -> bool:
    """Return whether *value* is a text of ASCII digits, few enough for a fast `int`."""
    return value.__class__ is str and value.isascii() and value.isdigit() and len(value) <= _WHOLE_DIGITS


def _whole(value: Any) -> int | None:
    """Read a whole number, bare or as a text of ASCII digits.

    The exchange changes between the two without notice.
    """
    if _is_digits(value):
        value = int(value)
    if value.__class__ is int and -_WHOLE < value < _WHOLE:
        return value
    if value == "":
        return None
    raise InvalidValue("is not a whole number of 64 bits")


def _sequence(value: Any) -> int | None:
    """Read a cross sequence; -1 means "never traded"."""
    return None if value == "-1" or (value.__class__ is int and value == -1) else _whole(value)


def _text(value: Any) -> str | None:
    if value.__class__ is str:
        return value or None
    raise InvalidValue("is not a text")


def _flag(value: Any) -> bool | None:
    if value is True or value is False:
        return value
    if value is ABSENT:
        return None
    raise InvalidValue("is not true or false")


_BITS = {"": None, "0": False, "1": True}


def _bit(value: Any) -> bool | None:
    """Read a flag that is written as 0 or 1, bare or as a text."""
    if value.__class__ is int and 0 <= value <= 1:
        return value == 1
    if value.__class__ is str and value in _BITS:
        return _BITS[value]
    raise InvalidValue("is not 0 or 1")


# --- readers of values ---


class ValueReader(NamedTuple):
    """The reader of one kind of value.

    *read* accepts every valid value and raises `InvalidValue` for any other. *inline*
    is the source of an expression over ``{x}`` for the usual values; it calls
    ``read_{x}`` for all others, and may use the names in `SCOPE` and ``lookup_{x}``,
    which is *lookup*: the members of a vocabulary by their text, or the compiled
    readers of the rows of a list. *is_plain* says that `are_plain` is called with
    ``{x}`` before. *if_missing* is the value that is read in place of a missing key.
    """

    read: Callable[[Any], Any]
    inline: str = "read_{x}({x})"
    lookup: Any = None
    if_missing: Any = ""
    is_plain: bool = False


SCOPE: Final[Mapping[str, Any]] = {
    "DIGITS": {str(digit): digit for digit in range(10)},
    "END": _END,
    "EPOCH": _EPOCH,
    "MILLISECOND": _MILLISECOND,
    "ZERO": Decimal(0),
    "number": _plain_number,
}
"""The names that *inline* expressions may use."""

# Most unset numbers are "0", and comparing a single character is cheap.
_NUMBER = 'ZERO if {x} == "0" else number({x}) if {x} else None'
# Text > "1" is true only for numbers that start with 1-9; `int` then accepts whole
# numbers only.
_TIME = 'EPOCH + MILLISECOND * int({x}) if {x} > "1" else read_{x}({x}) if {x} else None'
# A bare time, as `openTime` is one, would make `are_plain` refuse the whole row.
_BARE_TIME = "EPOCH + MILLISECOND * {x} if {x}.__class__ is int and 0 < {x} < END else read_{x}({x})"
_IF_WORD = "lookup_{x}[{x}] if {x} in lookup_{x} else read_{x}({x})"
# Small integers only, because comparing them is cheap. Most texts are one digit.
_IF_DIGIT = "DIGITS[{x}] if {x} in DIGITS else read_{x}({x})"
_IF_WHOLE = f"{{x}} if {{x}}.__class__ is int and {-_SMALL} < {{x}} < {_SMALL} else {_IF_DIGIT}"
_IF_COUNT = f"{{x}} if {{x}}.__class__ is int and 0 <= {{x}} < {_WHOLE} else read_{{x}}({{x}})"
_IF_BIT = f"{{x}} == 1 if {{x}}.__class__ is int and 0 <= {{x}} <= 1 else {_IF_WORD}"
_TEXT = "({x} or None) if {x}.__class__ is str else read_{x}({x})"
_SOME_TEXT = "{x} if {x}.__class__ is str and {x} else read_{x}({x})"
_IF_FLAG = "{x} if {x} is True or {x} is False else read_{x}({x})"

VALUE_READERS: Final[Mapping[Any, ValueReader]] = {
    Decimal: ValueReader(_number, _NUMBER, is_plain=True),
    datetime: ValueReader(_time, _TIME, is_plain=True),
    "bare time": ValueReader(_time, _BARE_TIME),
    int: ValueReader(_whole, _IF_WHOLE),
    str: ValueReader(_text, _TEXT),
    bool: ValueReader(_flag, _IF_FLAG, if_missing=ABSENT),
    "sequence": ValueReader(_sequence, _IF_COUNT),
    "0 or 1": ValueReader(_bit, _IF_BIT, _BITS),
    "numbers by name": ValueReader(_numbers_by_name),
}
"""The readers, by the type of an attribute, or by its kind where the type is not
enough.
"""


def word(vocabulary: type[OpenEnum], words: Mapping[str, Any]) -> ValueReader:
    """Return the reader of *vocabulary*.

    *words* maps further spellings to their members.
    """
    known = {member.value: member for member in vocabulary} | dict(words) | {"": None, "UNKNOWN": None}

    def read(value: Any) -> Any:
        if value.__class__ is not str:
            raise InvalidValue("is not a text")
        return known[value] if value in known else vocabulary(value)

    return ValueReader(read, _IF_WORD, known)


def maker(words: Mapping[str, bool | None]) -> ValueReader:
    """Return the reader of V5's flag, and of V3's *words* for the same fact.

    A new word is logged once and read as None: an unknown maker costs less than a lost
    trade.
    """

    def read(value: Any) -> bool | None:
        if value.__class__ is not str:
            return _flag(value)
        if value not in words:
            LastLiquidityInd(value)
        return words.get(value)

    return ValueReader(read, _IF_FLAG, if_missing=ABSENT)


def optional(reader: ValueReader) -> ValueReader:
    """Return *reader* for an optional attribute: null equals a missing key."""

    def read(value: Any) -> Any:
        return reader.read(reader.if_missing if value is None else value)

    return reader._replace(read=read)


def required(reader: ValueReader) -> ValueReader:
    """Return *reader* for a required attribute: None becomes an error."""

    def read(value: Any) -> Any:
        result = reader.read(value)
        if result is None:
            raise InvalidValue("names nothing, and the row cannot do without")
        return result

    known = {text: word for text, word in (reader.lookup or {}).items() if word is not None}
    return reader._replace(read=read, inline=_SOME_TEXT if reader.inline == _TEXT else reader.inline, lookup=known)


def defaulted(reader: ValueReader, default: Any) -> ValueReader:
    """Return *reader*, of a vocabulary, with *default* in place of None."""

    def read(value: Any) -> Any:
        result = reader.read(value)
        return default if result is None else result

    return reader._replace(read=read, lookup={text: default if word is None else word for text, word in reader.lookup.items()})


# --- a value as text ---


def offending(value: Any) -> str:
    """Return *value* for a log line, cut at 100 characters.

    A text is quoted, a container is named by its kind only.
    """
    if isinstance(value, str):
        return quoted(value)
    return str(value)[:_LOOK] if type(value) in (int, float, Decimal) else kind_of(value)


def kind_of(value: object) -> str:
    """Return the kind of a JSON value, in JSON's words."""
    if isinstance(value, bool):
        return str(value).lower()
    kinds = {type(None): "null", dict: "an object", list: "a list", str: "a text"}
    return kinds.get(type(value), "a number")
