"""The fast path: the same updates as with the parser, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from weakref import WeakKeyDictionary

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bybit_sync.decoding import fast_path
from bybit_sync.decoding.fast_path import FastRows
from bybit_sync.decoding.parsing import PARSERS, RawFrame, Unreadable, parse
from bybit_sync.decoding.reader import Decoder, Reader
from bybit_sync.model.balances import BalanceUpdate
from bybit_sync.model.orders import OrderUpdate
from bybit_sync.model.positions import PositionUpdate
from bybit_sync.model.trades import UserTradeUpdate
from bybit_sync.session.dialects import RENAMES, WORDS
from tests.benchmarks.payloads import Market, compact
from tests.searching import any_text, examples, some_of

MARKET = Market()
ROWS: Mapping[type[Any], Callable[[], dict[str, Any]]] = {
    PositionUpdate: MARKET.position,
    OrderUpdate: MARKET.order,
    UserTradeUpdate: MARKET.trade,
    BalanceUpdate: MARKET.account,
}
SMALL = {"symbol": "BTCUSDT", "positionIdx": 0, "size": "1.50"}
each_class = pytest.mark.parametrize("cls", ROWS)


def fresh(cls: type[Any]) -> Reader:
    """Return what reads *cls*, and has seen nothing."""
    return Decoder(RENAMES, WORDS).reader(cls)


def written(*rows: object) -> str:
    """Return *rows* as a push ends with them."""
    return compact({"data": list(rows)}).decode().removeprefix('{"data":[')


ROWS_OF: WeakKeyDictionary[Reader, FastRows] = WeakKeyDictionary()


def rows_of(reader: Reader) -> FastRows:
    """Return the patterns of *reader*."""
    return ROWS_OF.setdefault(reader, FastRows(reader.compiled))


def read(reader: Reader, text: str) -> tuple[Any, ...] | None:
    """Return what *reader* sees at a glance in *text*, the end of a push; None when that is left to a parser."""
    try:
        return rows_of(reader).read(text, 0, RawFrame('{"data":[' + text), ("data",), "]}")
    except Exception:  # noqa: BLE001 - as it likes
        return None


def parsed(reader: Reader, text: str) -> tuple[Any, ...] | None:
    """Return what *reader* makes of *text* with a parser; None when that is not JSON, or a row of it bad."""
    try:
        data = parse('{"data":[' + text)["data"]
    except Unreadable:
        return None
    updates, faults = reader.rows(data, RawFrame("", {"data": data}))
    return None if faults else updates


def whole(update: Any) -> Any:
    """Return everything that *update* holds, its numbers by their digits."""
    if isinstance(update, Decimal):
        return update.as_tuple()
    if isinstance(update, tuple):
        return [whole(one) for one in update]
    if attrs.has(type(update)):
        return {field.name: whole(getattr(update, field.name)) for field in attrs.fields(type(update))}
    return {key: whole(value) for key, value in update.items()} if isinstance(update, Mapping) else update


# --- as usual ---


@each_class
def test_a_row_is_what_a_parser_makes_of_it(cls: type[Any]) -> None:
    """Every attribute, digit for digit, with what is extra, and the row itself."""
    reader = fresh(cls)
    for _ in range(20):
        text = written(
            ROWS[cls](),
            ROWS[cls]() | {"new": "x", "rows": [{"a": 1}, {"b": "x"}], "object": {"a": 1}, "list": [1], "none": None},
        )
        assert whole(read(reader, text)) == whole(parsed(reader, text))


@each_class
def test_a_row_that_looks_as_usual_needs_no_parser(cls: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written like it has been taken apart, once."""
    reader = fresh(cls)
    assert read(reader, written(ROWS[cls]()))
    monkeypatch.delattr(fast_path, "scan")
    assert read(reader, written(ROWS[cls](), ROWS[cls]()))


def test_ways_to_write_may_alternate() -> None:
    """Each is known from its first row on, also within a push."""
    rows = [SMALL, {**SMALL, "side": "Buy"}, {**SMALL, "isReduceOnly": True}] * 3
    reader = fresh(PositionUpdate)
    assert whole(read(reader, written(*rows))) == whole(reader.rows(rows, RawFrame("", {"data": rows}))[0])
    assert len(rows_of(reader)._patterns) == 1 + 3


COIN = {"coin": "BTC", "equity": "1.50", "walletBalance": "", "collateralSwitch": True}
ACCOUNT = {"accountType": "UNIFIED", "totalEquity": "5"}


@pytest.mark.parametrize("coins", [[], [COIN], [COIN, COIN], [COIN, {"coin": "ETH", "new": 1}, COIN]])
def test_coins_are_what_a_parser_makes_of_them(coins: list[Any]) -> None:
    """However each is written, with its own row."""
    reader = fresh(BalanceUpdate)
    assert read(reader, written({**ACCOUNT, "coin": [COIN]}))
    text = written({**ACCOUNT, "coin": coins})
    assert read(reader, text)
    assert whole(read(reader, text)) == whole(parsed(reader, text))


def test_coins_that_look_as_usual_need_no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way to write one is known from the first on."""
    reader = fresh(BalanceUpdate)
    other = {**COIN, "bonus": "1"}
    assert read(reader, written({**ACCOUNT, "coin": [COIN, other]}))
    monkeypatch.delattr(fast_path, "scan")
    assert read(reader, written({**ACCOUNT, "coin": [other, COIN, COIN]}))
    assert read(reader, written({**ACCOUNT, "coin": [{**COIN, "free": "1"}]})) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1.50", "1.5e0"),
        ('"1.50"', "1.50"),
        ("1.50", "1.5.0"),
        ("BTC", ""),
        ("true", "1"),
        ("true", "truth"),
        ('"coin":"BTC"', '"coin":null'),
        ("}]}", "},]}"),
        ("}]}", "}{}]}"),
    ],
)
def test_coins_that_do_not_look_as_usual_are_left_to_a_parser(old: str, new: str) -> None:
    """The whole push is."""
    reader = fresh(BalanceUpdate)
    text = written({**ACCOUNT, "coin": [COIN]})
    assert read(reader, text)
    assert old in text
    assert read(reader, text.replace(old, new, 1)) is None


# --- otherwise ---


@pytest.mark.parametrize(
    "text",
    [
        "]}",
        "",
        written(SMALL)[:-1],
        written(SMALL) + " ",
        written(SMALL).replace("]}", '],"op":"pong"}'),
        written(SMALL).replace(":", ": "),
        written(SMALL).replace("1.50", "1.5e0"),
        written(SMALL).replace('"1.50"', "1.50"),
        written(SMALL).replace("1.50", "1.5.0"),
        written(SMALL).replace("1.50", "1/50"),
        written(SMALL).replace("BTC", "\\u0042TC"),
        written(SMALL).replace("BTC", "B\tTC"),
        written(SMALL).replace("BTCUSDT", ""),
        written(SMALL).replace(":0", ":00"),
        written(SMALL).replace('"size"', '"symbol"'),
        written(SMALL, 1),
    ],
)
def test_what_does_not_look_as_usual_is_left_to_a_parser(text: str) -> None:
    """It may be good, and it may be bad: a glance does not tell."""
    reader = fresh(PositionUpdate)
    assert read(reader, written(SMALL))
    for _ in range(2):
        assert read(reader, text) is None
    assert read(reader, written(SMALL))


@pytest.mark.parametrize("old", ["0", "00", "01", "0" * 20, "0" * 12 + "1741000000000", "1", "5.", "-1", "1" * 20])
@pytest.mark.parametrize("size", ["1.5", "0" * 33 + "1", "1" * 35, ".", "-", "-0"])
def test_a_number_that_is_written_oddly_is_read_as_a_parser_reads_it(old: str, size: str) -> None:
    """Or not at all: also a time, and one beside the other."""
    reader = fresh(PositionUpdate)
    assert read(reader, written({**SMALL, "updatedTime": "1741000000000"}))
    text = written({**SMALL, "size": size, "updatedTime": old})
    assert (seen := read(reader, text)) is None or whole(seen) == whole(parsed(reader, text))


def test_what_cannot_be_learned_is_tried_less_and_less() -> None:
    """An account whose rows are never as usual pays for a parser, and for no more; what is as usual is learned in time."""
    reader, tries = fresh(PositionUpdate), 0
    learned = rows_of(reader)._learn

    def counted(text: str, at: int) -> Any:
        nonlocal tries
        tries += 1
        return learned(text, at)

    rows_of(reader)._learn = counted  # type: ignore[method-assign]
    for _ in range(1_000):
        assert read(reader, written({**SMALL, "size": "1e5"})) is None
    assert tries == 9
    assert any(read(reader, written(SMALL)) for _ in range(2_000))


@pytest.mark.search
@each_class
def test_a_text_with_a_typing_error_is_read_as_a_parser_reads_it(cls: type[Any]) -> None:
    """Or not at all."""
    reader = fresh(cls)
    good = written(ROWS[cls]())

    @examples(50)
    @given(st.integers(0, len(good)), st.integers(0, 3), st.text('",:[]{}\\0129.-eE+ \t\x00aNé', max_size=3))
    def is_never_misread(at: int, gone: int, new: str) -> None:
        text = good[:at] + new + good[at + gone :]
        assert read(reader, good)
        assert (seen := read(reader, text)) is None or whole(seen) == whole(parsed(reader, text))

    is_never_misread()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text('"\\]}a0', max_size=4),
    lambda held: st.lists(held, max_size=3) | st.dictionaries(st.text("]}a", max_size=3), held, max_size=3),
    max_leaves=5,
)


@pytest.mark.search
@each_class
def test_a_row_of_any_values_is_read_as_a_parser_reads_it(cls: type[Any]) -> None:
    """Or not at all; and so are all those behind it that are written in the same way."""
    keys = sorted(ROWS[cls]())

    @examples(15)
    @given(st.dictionaries(st.sampled_from(keys), json_values, max_size=4), st.dictionaries(any_text(max_size=4), json_values))
    def is_never_misread(odd: dict[str, Any], strange: dict[str, Any]) -> None:
        reader = fresh(cls)
        text = written(ROWS[cls]() | odd | strange, ROWS[cls]() | odd | strange)
        assert (seen := read(reader, text)) is None or whole(seen) == whole(parsed(reader, text))

    is_never_misread()


def flipped(value: Any) -> list[Any]:
    """Return *value* as it would stand if the exchange changed its type over night."""
    digits = [int(value)] if type(value) is str and value.isdecimal() and value.isascii() else []
    return [None, "", str(value), [value], True, 1, "1", "-1", 1.0, *digits]


def told(read_row: Callable[[Any], Any], row: Any) -> Any:
    """Return what *read_row* makes of *row*; None when it refuses it."""
    try:
        return {**whole(read_row(row)), "wire": None}
    except Exception:  # noqa: BLE001 - as it likes
        return None


def readings(reader: Reader, row: dict[str, Any], text: str) -> Iterator[Any]:
    """Go over what all who read *row*, which is written as *text*, make of it; () where it is left to another."""
    compiled = reader.compiled
    yield told(lambda row: compiled.read_slowly(row, {}), row)
    yield told(lambda row: compiled[tuple(row)](row, {}), row) or ()
    for _ in range(2):
        yield told(lambda text: read(reader, text)[0], text) or ()  # type: ignore[index]


@pytest.mark.search
@each_class
def test_a_value_of_another_type_says_the_same_to_all_who_read_it(cls: type[Any]) -> None:
    """At a glance, by shape, value by value, and thoroughly, with each parser: one meaning, or none at all."""
    good, reader = ROWS[cls](), fresh(cls)
    for key, other in some_of([(key, other) for key, value in good.items() for other in flipped(value)]):
        ROWS_OF[reader], text = FastRows(reader.compiled), written(good | {key: other})
        row, *same = (parse_json('{"data":[' + text)["data"][0] for parse_json in PARSERS.values())
        assert all(repr(row) == repr(other_row) for other_row in same)
        thorough = told(reader.explained, row)
        assert all(reading in ((), thorough) for reading in readings(reader, row, text)), (key, other)


@pytest.mark.parametrize("changes", [{"smpGroup": "0"}, {"smpGroup": "123456789"}, {"price": None}, {"createdTime": None}])
def test_a_row_in_another_spelling_is_read_at_a_glance_too(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the exchange changes for good costs no parser for good."""
    reader, row = fresh(OrderUpdate), MARKET.order() | changes
    assert read(reader, written(row))
    monkeypatch.delattr(fast_path, "scan")
    assert read(reader, written(row))


# --- a hostile peer ---


def test_no_more_than_so_many_patterns_are_made() -> None:
    """A further one takes the place of the one that was of use longest ago, and ever more seldom."""
    reader = fresh(PositionUpdate)
    learned = [number for number in range(1_000) if read(reader, written({**SMALL, f"new {number}": 1}))]
    assert len(rows_of(reader)._patterns) == 16
    assert 16 <= len(learned) <= 32
    assert read(reader, written({**SMALL, f"new {learned[-1]}": 1}))
    assert any(read(reader, written(SMALL)) for _ in range(2_000))


def test_a_way_is_kept_once() -> None:
    """Though two threads learned it at the same time."""
    reader = fresh(PositionUpdate)
    assert read(reader, written(SMALL))
    before, rows_of(reader)._patterns = rows_of(reader)._patterns, rows_of(reader)._patterns[1:]
    assert read(reader, written(SMALL))
    assert [pattern.source for pattern in rows_of(reader)._patterns] == [pattern.source for pattern in before]


def test_an_endless_row_makes_no_pattern() -> None:
    """It would be as long."""
    reader = fresh(PositionUpdate)
    assert read(reader, written({**SMALL, "x" * 9_000: 1})) is None
    assert len(rows_of(reader)._patterns) == 1


def test_what_stands_in_a_key_is_no_pattern_and_no_code() -> None:
    """The exchange's texts are taken for nothing but themselves."""
    reader = fresh(PositionUpdate)
    for key in (".*", "(", "x'\n    raise SystemExit\n#", "é", "{x}", "]}"):
        (update,) = read(reader, written({**SMALL, key: 1})) or parsed(reader, written({**SMALL, key: 1})) or ()
        assert update.extra == {key: 1}
