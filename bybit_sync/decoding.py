"""From plain values to updates: exact, open, and one bad row at a time.

A row is read twice at most. A function written for its class reads it in a few microseconds and does not explain itself; when
it fails, cattrs' own detailed validation reads the row again, slowly, and its errors become a text with the path to the field.
Both use the same *leaves*, one for each kind of value.
"""

from __future__ import annotations

import functools
import itertools
import logging
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Clamped, Context, Decimal, InvalidOperation, Rounded
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

import attrs
from cattrs import (
    BaseValidationError,
    Converter,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, override

from bybit_sync.enums import LastLiquidityInd, OpenEnum, quoted
from bybit_sync.parsing import Unreadable
from bybit_sync.rows import Frame, Row
from bybit_sync.updates import (
    NOTHING,
    BalanceUpdate,
    CoinBalance,
    ExtraFee,
    OrderUpdate,
    PositionUpdate,
    UserTradeUpdate,
    draft_class,
)

__all__ = ["Decoded", "Decoder", "moment"]

_LOG = logging.getLogger(__name__)

_DIGITS = 64  # of a number as written, and the largest exponent
_WHOLE = 2**63  # where whole numbers end
_SMALL = 2**29  # whole numbers that Python keeps in one piece
_WHOLE_DIGITS = 19  # of the largest
_NAMES = 1_000  # unknown keys that are logged
_DESCRIBED = 100  # bad rows of one message that are told in words
_LOOK = 100  # characters of a value that are told

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
_ABSENT: Any = object()


class Misfit(ValueError):
    """A value that its attribute cannot hold; the text goes behind the value: "is not a number"."""


class Decoded(NamedTuple):
    """What became of the rows of one push: the *updates* that could be read, and one text for each row that could not."""

    updates: tuple[Any, ...]
    faults: tuple[str, ...]


# --- Leaves: one for each kind of value --------------------------------------------------------------------------------------
#
# Each returns what its attribute holds, None for "", or raises Misfit; each looks at exact types, because True is an int.

_WRITTEN = re.compile(r"[+-]?(\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?0*(\d+))?", re.ASCII)
# Not the thread's own context, which may let nonsense pass as NaN; one that would rather raise than round.
_exact_number = Context(prec=_DIGITS, Emin=-999, Emax=999, clamp=0, traps=[InvalidOperation, Rounded]).create_decimal
# The same for numbers in plain notation. One digit less, and no more places than that: with the 0 before the point it is
# never more than there may be. It takes neither underscores nor spaces, but NaN, exponents and the digits of other scripts.
_plain_number = Context(prec=_DIGITS - 1, Emin=-1, Emax=999, clamp=0, traps=[InvalidOperation, Rounded, Clamped]).create_decimal


def _are_plain(texts: tuple[str, ...]) -> bool:
    """Tell whether `_plain_number` may read all of *texts*, the first of which is "".

    They hold digits, points and minus signs only, and no zeros in front, which the context does not count. One look at all the
    numbers of a row costs a fraction of a look at each, and deleting what is plain a fraction of a search for what is not.
    """
    try:
        digits = ",".join(texts).encode().translate(None, b"-")
    except (TypeError, UnicodeEncodeError):
        return False
    return not digits.translate(None, b"0123456789.,") and b",00" not in digits


def _number(value: Any) -> Decimal | None:
    """Read a number with the digits it was written with."""
    text = value if value.__class__ is str else _bare_text(value)
    if not text:
        return None
    _check_written(text)
    return _exact_number(text)


def _bare_text(value: object) -> str:
    """Return a number that stood in JSON without quotes in its normal notation; `parse` made no float of it."""
    if value.__class__ in (int, Decimal):
        return str(value)
    raise Misfit("is not a number")


def _check_written(text: str) -> None:
    """Raise unless *text* is a number of at most 64 digits, with an exponent of at most 64 either way."""
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise Misfit("is not a number")
    digits, exponent = written[1].replace(".", ""), written[2] or "0"
    if len(digits) > _DIGITS or len(exponent) > len(str(_DIGITS)) or int(exponent) > _DIGITS:
        raise Misfit(f"is a number of more than {_DIGITS} digits, or with an exponent beyond {_DIGITS}")


def _numbers_by_name(value: Any) -> Mapping[str, Decimal]:
    """Read an object of numbers; one that is "" is not there."""
    if value == "":
        return NOTHING
    if value.__class__ is not dict:
        raise Misfit("is not an object")
    numbers = {}
    for name, text in value.items():
        try:
            numbers[name] = _number(text)
        except Misfit as misfit:
            raise Misfit(f"holds {quoted(name)}: {_offending(text)} {misfit}") from None
    return MappingProxyType({name: number for name, number in numbers.items() if number is not None})


def _time(value: Any) -> datetime | None:
    """Read milliseconds since 1970, as a text of digits or a whole number; 0 says "never"."""
    if _is_digits(value):
        value = int(value)
    if value.__class__ is int and value > 0:
        try:
            return _EPOCH + _MILLISECOND * value
        except OverflowError:
            raise Misfit("is not a time before the year 10000") from None
    if value == "" or (value.__class__ is int and value == 0):
        return None
    raise Misfit("is not a time in milliseconds")


def moment(ms: object) -> datetime | None:
    """Return the time of an envelope, aware and in UTC, from milliseconds since 1970: a whole number or a text of digits.

    None for None, "" and 0. Raises `ValueError` for what is no time.
    """
    return None if ms is None else _time(ms)


def _is_digits(value: Any) -> bool:
    """Tell whether *value* is a text of digits that `int` takes, and takes quickly."""
    return value.__class__ is str and value.isascii() and value.isdigit() and len(value) <= _WHOLE_DIGITS


def _whole(value: Any) -> int | None:
    if value.__class__ is int and -_WHOLE < value < _WHOLE:
        return value
    if value == "":
        return None
    raise Misfit("is not a whole number of 64 bits")


def _sequence(value: Any) -> int | None:
    """Read a cross sequence, which the exchange also writes as a text; -1 says "never traded"."""
    number = int(value) if _is_digits(value) else value
    return None if number == "-1" or (number.__class__ is int and number == -1) else _whole(number)


def _text(value: Any) -> str | None:
    if value.__class__ is str:
        return value or None
    raise Misfit("is not a text")


def _flag(value: Any) -> bool | None:
    if value is True or value is False:
        return value
    if value is _ABSENT:
        return None
    raise Misfit("is not true or false")


def _number_flag(value: Any) -> bool | None:
    if value.__class__ is int and value in (0, 1):
        return value == 1
    if value == "":
        return None
    raise Misfit("is not 0 or 1")


_TEXT_FLAGS = {"": None, "0": False, "1": True}


def _text_flag(value: Any) -> bool | None:
    if value.__class__ is str and value in _TEXT_FLAGS:
        return _TEXT_FLAGS[value]
    raise Misfit('is not "0" or "1"')


def _word(vocabulary: type[OpenEnum], words: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Return the leaf of *vocabulary*, whose known spellings are *words*."""

    def read(value: Any) -> Any:
        if value.__class__ is not str:
            raise Misfit("is not a text")
        return words[value] if value in words else vocabulary(value)

    return read


def _maker(words: Mapping[str, bool | None]) -> Callable[[Any], bool | None]:
    """Return the leaf that reads V5's flag and V3's *words* for the same thing.

    A new word is logged, once, and says nothing: losing a trade over it would be worse than not knowing who was the maker.
    """

    def read(value: Any) -> bool | None:
        if value.__class__ is not str:
            return _flag(value)
        if value not in words:
            LastLiquidityInd(value)
        return words.get(value)

    return read


# --- Rows ---------------------------------------------------------------------------------------------------------------------


class _Leaf(NamedTuple):
    """How one kind of value is read.

    *read* looks at everything. *quick* is the source of an expression over ``{x}`` for values that need no such look; it calls
    ``read_{x}`` for all others, and may use ``known_{x}``, which is *known*. *blank* stands for a missing key.
    """

    read: Callable[[Any], Any]
    quick: str = "read_{x}({x})"
    known: Any = None
    blank: Any = ""


_IF_WORD = "known_{x}[{x}] if {x} in known_{x} else read_{x}({x})"
_UNLESS_EMPTY = 'None if {x} == "" else read_{x}({x})'
# All are texts where they are plain, and then nothing but "" is false.
_NUMBER = "number({x}) if {x} or not plain else None"
# Small ones only, which Python compares at once.
_IF_WHOLE = f"{{x}} if {{x}}.__class__ is int and {-_SMALL} < {{x}} < {_SMALL} else read_{{x}}({{x}})"
_IF_COUNT = f"{{x}} if {{x}}.__class__ is int and 0 <= {{x}} < {_WHOLE} else read_{{x}}({{x}})"
_IF_ONE_BIT = "{x} == 1 if {x}.__class__ is int and 0 <= {x} <= 1 else read_{x}({x})"
_TEXT = "({x} or None) if {x}.__class__ is str else read_{x}({x})"
_SOME_TEXT = "{x} if {x}.__class__ is str and {x} else read_{x}({x})"
_IF_FLAG = "{x} if {x} is True or {x} is False else read_{x}({x})"

_LEAVES: Mapping[Any, _Leaf] = {
    Decimal: _Leaf(_number, _NUMBER),
    datetime: _Leaf(_time, _UNLESS_EMPTY),
    int: _Leaf(_whole, _IF_WHOLE),
    str: _Leaf(_text, _TEXT),
    bool: _Leaf(_flag, _IF_FLAG, blank=_ABSENT),
    "sequence": _Leaf(_sequence, _IF_COUNT),
    "number flag": _Leaf(_number_flag, _IF_ONE_BIT),
    "text flag": _Leaf(_text_flag, _IF_WORD, _TEXT_FLAGS),
    "numbers by name": _Leaf(_numbers_by_name),
}


def _required(leaf: _Leaf) -> _Leaf:
    """Return *leaf* for an attribute that must not be None, whichever way it is read."""

    def read(value: Any) -> Any:
        result = leaf.read(value)
        if result is None:
            raise Misfit("names nothing, and the row cannot do without")
        return result

    known = {text: word for text, word in (leaf.known or {}).items() if word is not None}
    return leaf._replace(read=read, quick=_SOME_TEXT if leaf.quick == _TEXT else leaf.quick, known=known)


def _source_of_reader(names: Mapping[str, str], leaves: Mapping[str, _Leaf], aliases: Mapping[str, str]) -> str:
    """Return the source of the function that makes an update out of a row as fast as Python can.

    *names* maps JSON keys to attributes, *leaves* the same keys to their leaves, *aliases* further keys to one of these. It
    explains nothing: whatever it raises, the row has to be read thoroughly. For three attributes and one alias it is ::

        def read(row, wire):
            whole = BLANK | row
            tpsl_mode, size, price, tpSlMode, *unknown = whole.values()
            if tpsl_mode is ABSENT:
                tpsl_mode = tpSlMode
            plain = are_plain(('', size, price, ))
            number = plain_number if plain else any_number
            draft = Draft()
            draft.tpsl_mode = known_tpsl_mode[tpsl_mode] if tpsl_mode in known_tpsl_mode else read_tpsl_mode(tpsl_mode)
            draft.size = number(size) if size or not plain else None
            draft.price = number(price) if price or not plain else None
            draft.extra = extra_of(whole, BLANK) if unknown else NOTHING
            draft.wire = wire
            draft.__class__ = Update
            return draft

    BLANK holds every key once, with what stands for its absence: merged with the row it has all values in a known order, and
    behind them those of keys that nobody knows.
    """
    numbers = "".join(f"{names[key]}, " for key, leaf in leaves.items() if leaf.quick == _NUMBER)
    lines = [
        "def read(row, wire):",
        "    whole = BLANK | row",
        f"    {', '.join([*names.values(), *aliases])}, *unknown = whole.values()",
        *(f"    if {names[key]} is ABSENT:\n        {names[key]} = {alias}" for alias, key in aliases.items()),
        f"    plain = are_plain(('', {numbers}))",
        "    number = plain_number if plain else any_number",
        "    draft = Draft()",
        *(f"    draft.{name} = {leaves[key].quick.format(x=name)}" for key, name in names.items()),
        "    draft.extra = extra_of(whole, BLANK) if unknown else NOTHING",
        "    draft.wire = wire",
        "    draft.__class__ = Update",
        "    return draft",
    ]
    return "\n".join(lines)


def _write_reader(
    cls: type[Any], leaves: Mapping[str, _Leaf], aliases: Mapping[str, str]
) -> Callable[[Any, Mapping[str, Any]], Any]:
    """Return the function that `_source_of_reader` writes for *cls*."""
    names = {field.metadata["key"]: field.name for field in _sent(cls)}
    scope: dict[str, Any] = {
        "ABSENT": _ABSENT,
        "BLANK": _blank(leaves, aliases),
        "Draft": draft_class(cls),
        "NOTHING": NOTHING,
        "Update": cls,
        "any_number": _number,
        "are_plain": _are_plain,
        "extra_of": _extra_of,
        "plain_number": _plain_number,
        **{f"read_{name}": leaves[key].read for key, name in names.items()},
        **{f"known_{name}": leaves[key].known for key, name in names.items()},
    }
    exec(_source_of_reader(names, leaves, aliases), scope)  # noqa: S102 - every name in it is ours
    return scope["read"]  # type: ignore[no-any-return]


def _blank(leaves: Mapping[str, _Leaf], aliases: Mapping[str, str]) -> dict[str, Any]:
    """Return a row in which every key is missing: one with an alias says so, and the alias stands for both."""
    blank = {key: _ABSENT if key in aliases.values() else leaf.blank for key, leaf in leaves.items()}
    return blank | {alias: leaves[key].blank for alias, key in aliases.items()}


def _sent(cls: type[Any]) -> list[attrs.Attribute[Any]]:
    """Return the attributes of *cls* that the exchange sends."""
    return [field for field in attrs.fields(cls) if "key" in field.metadata]


_unknown_keys: set[str] = set()


def _extra_of(whole: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what stands in *whole*, which is *known* and a row, behind the known keys."""
    extra = dict(itertools.islice(whole.items(), len(known), None))
    if _LOG.isEnabledFor(logging.DEBUG):
        for name in {quoted(key) for key in extra} - _unknown_keys:
            if len(_unknown_keys) < _NAMES:
                _unknown_keys.add(name)
                _LOG.debug("a new key of the exchange, %s; it is delivered in extra", name)
    return MappingProxyType(extra)


class Decoder:
    """Reads rows of the exchange into updates, through one cattrs converter.

    *renames* maps a JSON key to the one whose attribute it shares; *words* maps, for a vocabulary, spellings to what they mean.
    """

    def __init__(self, renames: Mapping[str, str], words: Mapping[type[OpenEnum], Mapping[str, Any]]) -> None:
        self.converter: Converter = Converter()
        self._renames = renames
        self._words = words
        self._quick: dict[type[Any], Callable[[Any, Mapping[str, Any]], Any]] = {}
        for cls in (ExtraFee, CoinBalance, BalanceUpdate, OrderUpdate, PositionUpdate, UserTradeUpdate):
            self._learn(cls)

    def rows(self, cls: type[Any], data: Any, frame: Frame) -> Decoded:
        """Read *data*, the rows of *frame*, as *cls*; a row that cannot be read costs only itself.

        Raises `Unreadable` when *data* is not a list.
        """
        if data.__class__ is not list:
            raise Unreadable(f"data is not a list of rows but {_kind(data)}")
        read = self._quick[cls]
        try:
            return Decoded(tuple([read(row, Row(frame, ("data", index))) for index, row in enumerate(data)]), ())
        except Exception:  # noqa: BLE001 - whatever is wrong with a row, it costs that row
            return self._read_one_by_one(cls, data)

    def _read_one_by_one(self, cls: type[Any], data: list[Any]) -> Decoded:
        """Read what can be read of *data* thoroughly, and say what is wrong with the rest."""
        updates: list[Any] = []
        faults: list[str] = []
        for index, row in enumerate(data):
            # A hostile peer's million bad rows are not all explained to it.
            is_brief = len(faults) >= _DESCRIBED
            try:
                updates.append(self._quick[cls](row, MappingProxyType(row)) if is_brief else self.converter.structure(row, cls))
            except Exception as error:  # noqa: BLE001 - as above
                brief = "further rows are not described"
                faults.append(brief if is_brief else _fault(error, row, f"data[{index}]", self._renames))
        return Decoded(tuple(updates), tuple(faults))

    def _learn(self, cls: type[Any]) -> None:
        attrs.resolve_types(cls)
        leaves = {field.metadata["key"]: self._leaf(field) for field in _sent(cls)}
        aliases = {alias: key for alias, key in self._renames.items() if key in leaves}
        quick = self._quick[cls] = _write_reader(cls, leaves, aliases)
        # Written when the first bad row needs it: that takes longer than all the rest of the import of this module.
        thorough = functools.cache(lambda: _thorough_reader(cls, leaves, aliases, self.converter))

        def structure(row: Any, _: object) -> Any:
            try:
                return quick(row, Row(Frame(b"", row), ()))
            except Exception:  # noqa: BLE001 - it does not explain itself
                return thorough()(row)

        self.converter.register_structure_hook(cls, structure)

    def _leaf(self, field: attrs.Attribute[Any]) -> _Leaf:
        leaf = self._kind_of_leaf(field)
        return _required(leaf) if field.default is attrs.NOTHING else leaf

    def _kind_of_leaf(self, field: attrs.Attribute[Any]) -> _Leaf:
        """Return the leaf for what *field*'s metadata and type say."""
        kind = field.metadata.get("kind")
        if "rows" in field.metadata:
            return self._row_leaf(field.metadata["rows"], field.metadata["key"])
        if kind == "maker":
            return _Leaf(_maker(self._words[LastLiquidityInd]), _IF_FLAG, blank=_ABSENT)
        held = next(iter(get_args(field.type)), field.type)  # "X | None" holds an X
        if isinstance(held, type) and issubclass(held, OpenEnum):
            known = {member.value: member for member in held} | dict(self._words.get(held, {})) | {"": None, "UNKNOWN": None}
            return _Leaf(_word(held, known), _IF_WORD, known)
        return _LEAVES[kind or held]

    def _row_leaf(self, cls: type[Any], key: str) -> _Leaf:
        """Return the leaf for a list of rows inside a row, under *key*."""
        quick, converter = self._quick[cls], self.converter

        def read(value: Any) -> Any:
            if value == "":
                return ()
            if value.__class__ is not list:
                raise Misfit("is not a list")
            return tuple(read_row(index, row) for index, row in enumerate(value))

        def read_row(index: int, row: Any) -> Any:
            try:
                return converter.structure(row, cls)
            except Exception as error:
                # As cattrs does it, but not on and on: it would keep an error for each of a hostile peer's million rows.
                vars(error)["__notes__"] = [IterableValidationNote("", index, cls)]
                raise IterableValidationError("", [error], cls) from error

        each = f"known_{{x}}(row, wire.part({key!r}, index)) for index, row in enumerate({{x}})"
        return _Leaf(read, f"tuple([{each}]) if {{x}}.__class__ is list else read_{{x}}({{x}})", quick)


def _thorough_reader(
    cls: type[Any], leaves: Mapping[str, _Leaf], aliases: Mapping[str, str], converter: Converter
) -> Callable[[Any], Any]:
    """Return the function that makes a *cls* out of a row with cattrs' detailed validation, whose errors explain themselves."""
    fields: dict[str, Any] = {"extra": override(omit=True), "wire": override(omit=True)}
    for field in _sent(cls):
        key = field.metadata["key"]
        fields[field.name] = override(rename=key, struct_hook=_cattrs_hook(leaves[key].read))
    stock = make_dict_structure_fn(cls, converter, _cattrs_detailed_validation=True, **fields)
    blank = _blank(leaves, aliases)

    def read(row: Any) -> Any:
        if row.__class__ is not dict:
            raise Misfit("is not an object")
        old = {alias: key for alias, key in aliases.items() if alias in row and key not in row}
        update = stock({old.get(key) or key: value for key, value in row.items()}, cls)
        return attrs.evolve(update, extra=_extra_of(blank | row, blank), wire=row)

    return read


def _cattrs_hook(read: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda value, _: read(value)


# --- What was wrong, in words -------------------------------------------------------------------------------------------------


def _fault(error: BaseException, value: Any, path: str, renames: Mapping[str, str]) -> str:
    """Return the *path* to the first thing that is wrong with *value*, what stands there, and why it cannot be read."""
    others = 0
    while isinstance(error, BaseValidationError):
        others += len(error.exceptions) - 1
        cls, error = error.cl, error.exceptions[0]
        step = _step(error, cls, value, renames)
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
        value = value[step] if isinstance(step, int) else value.get(step, _ABSENT)
    why = str(error) if isinstance(error, Misfit) else f"cannot be read: {type(error).__name__}"
    fault = f"{path} is missing" if value is _ABSENT else f"{path}: {_offending(value)} {why}"
    return f"{fault} (and {others} more)" if others else fault


def _step(error: BaseException, cls: Any, value: Any, renames: Mapping[str, str]) -> int | str:
    """Return the index or the JSON key, as it is spelled in *value*, that cattrs' note on *error* is about."""
    note = vars(error)["__notes__"][0]
    if isinstance(note, IterableValidationNote):
        return int(note.index)
    key: str = getattr(attrs.fields(cls), note.name).metadata["key"]
    spellings = [alias for alias, name in renames.items() if name == key and alias in value]
    return spellings[0] if spellings and key not in value else key


def _offending(value: Any) -> str:
    """Return *value* for a log line: quoted if it is a text, cut at 100 characters, a container by its kind only."""
    if isinstance(value, str):
        return quoted(value)
    return str(value)[:_LOOK] if type(value) in (int, float, Decimal) else _kind(value)


def _kind(value: object) -> str:
    """Return the kind of a JSON value, in JSON's words."""
    if isinstance(value, bool):
        return str(value).lower()
    kinds = {type(None): "null", dict: "an object", list: "a list", str: "a text"}
    return kinds.get(type(value), "a number")
