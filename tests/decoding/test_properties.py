"""What holds for every row that can be written: digits, times and key subsets at random."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_sync import V3, V5, Dialect, OpenEnum, Stream, from_dict, to_dict
from bybit_sync.decoding.parsing import PARSERS
from bybit_sync.model import enums
from tests.documented_keys import COIN, DOCUMENTED, EXECUTION, ORDER, POSITION, Key
from tests.searching import any_text, examples

few, many = examples(8), examples(30)

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
LAST = 253_402_300_799_999  # the last millisecond of the year 9999

SENDERS = ((V3, "3"), (V5, "u"), (V5, "c"))

each_parser = pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)

digits = st.text("0123456789", min_size=1, max_size=32)
plain_numbers = st.builds(
    lambda sign, whole, fraction: f"{sign}{int(whole)}{'.' if fraction else ''}{fraction}",
    st.sampled_from(["", "-"]),
    digits,
    st.text("0123456789", max_size=32),
)


def exponents(limit: int) -> st.SearchStrategy[str]:
    """Return numbers with an exponent of at most *limit* either way."""
    powers = st.integers(-limit, limit)
    return st.builds(lambda number, e, power: f"{number}{e}{power}", plain_numbers, st.sampled_from("eE"), powers)


numbers = plain_numbers | exponents(30)
times = st.integers(1, LAST)
texts = any_text(min_size=1, max_size=20)


class Kind(NamedTuple):
    """What may be sent under a key, what it means, and how that is written again."""

    sent: st.SearchStrategy[Any]
    meant: Callable[[Any], Any] = lambda sent: sent
    again: Callable[[Any], Any] = lambda value: value


def time_of(milliseconds: int | str) -> datetime:
    """Return the time without the library."""
    return EPOCH + timedelta(milliseconds=int(milliseconds))


KINDS = {
    "number": Kind(numbers, Decimal, str),
    "text": Kind(texts),
    "int": Kind(st.integers(-(2**63) + 1, 2**63 - 1) | st.integers(0, 2**63 - 1).map(str), int),
    "bool": Kind(st.booleans()),
    "0/1": Kind(st.sampled_from([0, 1, "0", "1"]), lambda sent: sent in (1, "1"), int),
    "time": Kind(times.map(str) | times, time_of, lambda value: str((value - EPOCH) // timedelta(milliseconds=1))),
    "sequence": Kind(st.integers(0, 2**63 - 1) | st.integers(0, 2**60).map(str), int, str),
    "fees": Kind(
        st.dictionaries(texts, plain_numbers, min_size=1, max_size=3),
        lambda sent: {coin: Decimal(fee) for coin, fee in sent.items()},
        lambda value: {coin: str(fee) for coin, fee in value.items()},
    ),
    "maker": Kind(
        st.sampled_from(["AddedLiquidity", "RemovedLiquidity"]),
        lambda sent: sent == "AddedLiquidity",
        {True: "AddedLiquidity", False: "RemovedLiquidity"}.get,
    ),
}


def kind(key: Key) -> Kind:
    """Return the kind of *key*; a vocabulary's words are those that have a member."""
    if key.holds in KINDS:
        return KINDS[key.holds]
    vocabulary: type[OpenEnum] = getattr(enums, key.holds)
    return Kind(st.sampled_from([member.value for member in vocabulary]), vocabulary, str)


class Case(NamedTuple):
    """The rows of one stream as one sender writes them."""

    dialect: Dialect
    stream: Stream
    keys: dict[str, Key]
    required: tuple[str, ...]

    def rows(self) -> st.SearchStrategy[dict[str, Any]]:
        """Return rows with any subset of the documented keys, some of them "not set", and a few keys that nobody knows."""
        known = {name: kind(key).sent for name, key in self.keys.items()}
        must = {name: known.pop(name) for name in self.required}
        unset = {
            name: st.none() | sent if self.keys[name].holds == "bool" else st.none() | st.just("") | sent
            for name, sent in known.items()
        }
        strange = st.dictionaries(texts.map("new".__add__), st.none() | st.integers() | st.lists(texts), max_size=2)
        return st.builds(dict.__or__, st.fixed_dictionaries(must, optional=known | unset), strange)

    def read(self, data: list[Any]) -> Any:
        """Return the update that the only row of *data* becomes."""
        (update,), faults = self.dialect.channels(self.stream, None)[0].decode(data)
        assert faults == ()
        return update.coins[0] if self.stream is Stream.BALANCES else update


NAMED_AFTER_ANOTHER = {"tpSlMode": "tpslMode", "mmrSysUpdateTime": "mmrSysUpdatedTime", "lastLiquidityInd": "isMaker"}


def held(update: Any, name: str) -> Any:
    """Return what *update* holds for the JSON key *name*."""
    name = NAMED_AFTER_ANOTHER.get(name, name)
    return next(getattr(update, field.name) for field in attrs.fields(type(update)) if field.metadata.get("key") == name)


def case(dialect: Dialect, sender: str, stream: Stream, table: tuple[Key, ...], *required: str) -> Any:
    """Return the parameter of a test: every key of *table* that *sender* sends, but one spelling of each."""
    keys = {key.name: key for key in table if sender in key.senders and key.holds not in ("taxes", "coins")}
    for old, new in NAMED_AFTER_ANOTHER.items():
        if old in keys:
            keys.pop(new, None)
    return pytest.param(Case(dialect, stream, keys, required), id=f"{dialect.name}-{sender}-{stream}")


CASES = [
    *(case(dialect, sender, Stream.POSITIONS, POSITION, "symbol", "positionIdx") for dialect, sender in SENDERS),
    *(case(dialect, sender, Stream.ORDERS, ORDER, "orderId") for dialect, sender in SENDERS),
    *(case(dialect, sender, Stream.USER_TRADES, EXECUTION, "execId") for dialect, sender in SENDERS),
    case(V3, "3", Stream.BALANCES, COIN, "coin"),
]
each_case = pytest.mark.parametrize("case", CASES)


def exactly(value: Any) -> Any:
    """Return *value* so that equality looks at every digit, also of numbers in a mapping."""
    if isinstance(value, Decimal):
        return value.as_tuple()
    return {name: exactly(number) for name, number in value.items()} if isinstance(value, Mapping) else value


@pytest.mark.search
@each_parser
@each_case
def test_row_means_what_it_says(parse: Any, case: Case) -> None:
    """Each value of any subset of keys is in its attribute, exactly; what is "not set" is None; unknown keys are in `extra`."""

    @few
    @given(case.rows())
    def means_what_it_says(row: dict[str, Any]) -> None:
        update = case.read(parse(json.dumps([row])))
        for name, sent in row.items():
            if name in case.keys:
                meant = kind(case.keys[name]).meant(sent) if sent not in ("", None) else {} if name == "cumFeeDetail" else None
                assert exactly(held(update, name)) == exactly(meant)
        assert update.extra == {name: value for name, value in row.items() if name not in case.keys}
        assert update.wire == row

    means_what_it_says()


@pytest.mark.search
@each_case
def test_update_survives_the_way_back_to_the_wire(case: Case) -> None:
    """Written as the exchange writes it and read again, an update is the same."""

    @few
    @given(case.rows())
    def there_and_back(row: dict[str, Any]) -> None:
        update = case.read([row])
        values = {name: held(update, name) for name in case.keys}
        again = {name: kind(case.keys[name]).again(value) for name, value in values.items() if value not in (None, {})}
        assert case.read([again]) == update

    there_and_back()


@pytest.mark.search
@each_case
def test_update_survives_copies_and_plain_values(case: Case) -> None:
    """Whatever was read can be hashed, compared, copied, pickled, shown on one line and turned into JSON."""

    @few
    @given(case.rows())
    def survives(row: dict[str, Any]) -> None:
        update = case.read([row])
        for twin in (copy.copy(update), copy.deepcopy(update), pickle.loads(pickle.dumps(update))):
            assert (twin, hash(twin), repr(twin)) == (update, hash(update), repr(update))
        assert set(attrs.asdict(update)) == {field.name for field in attrs.fields(type(update))}
        assert "\n" not in repr(update)
        assert from_dict(json.loads(json.dumps(to_dict(update), allow_nan=False))) == update

    survives()


def size(text: str) -> Any:
    """Return what becomes of *text* as a size: a number, or what is said about it."""
    updates, faults = V5.channels(Stream.POSITIONS, None)[0].decode([{"symbol": "S", "positionIdx": 0, "size": text}])
    return updates[0].size if updates else faults[0]


@many
@given(plain_numbers)
def test_plain_number_gives_back_its_text(text: str) -> None:
    """`format(x, "f")` is the exchange's own text."""
    assert format(size(text), "f") == text


@many
@given(exponents(64))
def test_exponent_keeps_value_and_digits(text: str) -> None:
    """A number with an exponent has the digits, and the value, that it was written with."""
    assert exactly(size(text)) == exactly(Decimal(text))


@each_parser
@many
@given(text=numbers)
def test_bare_number_equals_its_text(parse: Any, text: str) -> None:
    """With or without quotes, a number is the same, digit for digit."""
    (update,), faults = V5.channels(Stream.POSITIONS, None)[0].decode(
        parse(f'[{{"symbol": "S", "positionIdx": 0, "size": {text}, "markPrice": "{text}"}}]')
    )
    assert faults == ()
    assert update.size == update.mark_price == Decimal(text)


@many
@given(st.text("0123456789.-+eE_ ", max_size=12) | any_text(max_size=8))
def test_text_is_a_number_only_by_the_grammar(text: str) -> None:
    """Every text is read by one grammar: sign, ASCII digits, point, exponent; whatever else Python would take is refused."""
    number = re.fullmatch(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?0*([0-9]+))?", text)
    if text == "":
        assert size(text) is None
    elif number and int(number[1] or 0) <= 64:
        assert exactly(size(text)) == exactly(Decimal(text))
    else:
        assert isinstance(size(text), str)


@many
@given(times)
def test_time_is_exact(milliseconds: int) -> None:
    """Every millisecond until the year 9999 is exactly itself, as a text and as a number."""
    channel = V5.channels(Stream.POSITIONS, None)[0]
    row = {"symbol": "S", "positionIdx": 0, "updatedTime": str(milliseconds), "createdTime": milliseconds}
    ((position,), _) = channel.decode([row])
    assert position.updated_time == position.created_time == EPOCH + timedelta(milliseconds=milliseconds)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text(max_size=5) | st.decimals(),
    lambda held: st.lists(held, max_size=3) | st.dictionaries(any_text(max_size=5), held, max_size=3),
    max_leaves=5,
)
KEYS = sorted({key.name for table in DOCUMENTED.values() for key in table})


@pytest.mark.search
@pytest.mark.parametrize("stream", Stream)
@pytest.mark.parametrize("dialect", [V3, V5], ids=lambda dialect: dialect.name)
def test_nothing_raises(dialect: Any, stream: Any) -> None:
    """Any values under any keys are read or described: nothing else comes of them."""

    @examples(10)
    @given(st.lists(st.dictionaries(st.sampled_from(KEYS), json_values, max_size=8) | json_values, max_size=4))
    def read_or_described(data: list[Any]) -> None:
        updates, faults = dialect.channels(stream, None)[0].decode(data)
        rows = len(updates[0].coins) if stream is Stream.BALANCES and dialect is V3 and updates else len(updates)
        assert rows + len(faults) == len(data)
        assert all(type(fault) is str and fault.isprintable() for fault in faults)

    read_or_described()
