"""Bad input of every kind: nothing but a text about it may come of it, in bounded memory."""

from __future__ import annotations

import json
import logging
import tracemalloc
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from bybit_sync import V3, V5, BalanceUpdate, OrderUpdate, PositionUpdate, Stream, UserTradeUpdate, to_dict
from bybit_sync.decoding import parsing
from bybit_sync.decoding.parsing import PARSERS, Unreadable
from bybit_sync.session.dialects import Channel
from tests.benchmarks.payloads import Market, compact
from tests.documented_keys import DOCUMENTED

MARKET = Market()

CHANNELS = [dialect.channels(stream, None)[0] for dialect in (V3, V5) for stream in Stream]
POSITIONS = V5.channels(Stream.POSITIONS, None)[0]
POSITION = '{"symbol": "BTCUSDT", "positionIdx": 0}'

Parse = Callable[[bytes | str], Any]

each_channel = pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.topic)


@pytest.fixture(params=PARSERS)
def parse(request: pytest.FixtureRequest) -> Parse:
    """Return one way of reading JSON; a test with it runs on all that are installed."""
    return PARSERS[request.param]


def unreadable(parse: Parse, frame: bytes | str) -> str:
    """Return why *frame* cannot be read."""
    with pytest.raises(Unreadable) as caught:
        parse(frame)
    return caught.value.detail


# --- frames ---


@pytest.mark.parametrize(
    "frame",
    [
        *(
            "",
            " ",
            "\x00",
            "ping",
            "{",
            "[",
            '{"a": 1',
            '{"a": 1}}',
            "[1] x",
            "{'a': 1}",
            '{"a": 01}',
            '{"a": 1.}',
            '["\t"]',
            "[1,]",
        ),
        *(
            '"',
            '"\\u12"',
            "nul",
            "\ufeff[]",
            b"\xef\xbb\xbf[]",
            b"\x1f\x8b\x08\x00",
            b"\x00\x01\x02",
            "{]",
            "[}",
            '{"a" 1}',
            "-",
        ),
    ],
)
def test_what_is_no_json_is_unreadable(parse: Parse, frame: bytes | str) -> None:
    """Cut, garbled, compressed or empty frames are one documented error."""
    assert unreadable(parse, frame).startswith(("not JSON: wrong at character ", "not UTF-8: a wrong byte at "))


@pytest.mark.parametrize(
    "frame", [b'["\xff"]', b'["\xed\xa0\x80"]', b'["\xc0\xaf"]', b'["\xf5\x80\x80\x80"]', b"\xff\xfe[\x00]\x00"]
)
def test_what_is_no_utf8_is_unreadable(parse: Parse, frame: bytes) -> None:
    """Bytes that are no text are not guessed into one."""
    assert unreadable(parse, frame).startswith("not UTF-8: a wrong byte at ")


@pytest.mark.parametrize("frame", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000])
def test_deep_nesting_is_unreadable(parse: Parse, frame: str) -> None:
    """A frame that nests beyond Python's limit is an error like any other, and the next one is read."""
    assert unreadable(parse, frame) == "nested too deeply"
    assert parse("[1]") == [1]


def test_whole_number_without_end_is_unreadable(parse: Parse) -> None:
    """Python refuses to read five thousand digits, because it would take ever longer."""
    assert unreadable(parse, f"[{'9' * 5_000}]") == "a whole number with too many digits"


@pytest.mark.parametrize(
    "frame", ['{"id": "4711000", ', b'{"id": "4711000\xff"}', '{"id": "4711000"}{', '["4711000", ' + "9" * 5_000 + "]"]
)
def test_error_holds_nothing_of_the_frame(parse: Parse, frame: bytes | str) -> None:
    """The account id is in frames: neither the error nor one behind it may carry it into a log."""
    with pytest.raises(Unreadable) as caught:
        parse(frame)
    assert "4711000" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_white_space_around_a_frame_is_read(parse: Parse) -> None:
    """JSON allows it."""
    assert parse(b' \r\n\t{"a": [1]} \n') == {"a": [1]}


@pytest.mark.parametrize(("text", "value"), [("[]", []), ("{}", {}), ("null", None), ("5", 5), ('"x"', "x"), ("true", True)])
def test_frame_that_is_no_object_is_still_json(parse: Parse, text: str, value: object) -> None:
    """What a frame means is for others to say."""
    assert parse(text) == value


def test_last_of_two_equal_keys_counts(parse: Parse) -> None:
    """Bybit's own examples have a key twice."""
    (update,), _ = POSITIONS.decode(parse('[{"symbol": "A", "size": "1", "positionIdx": 0, "size": "2", "symbol": "B"}]'))
    assert (update.symbol, update.size) == ("B", 2)


def test_half_a_surrogate_pair_is_delivered(parse: Parse) -> None:
    """JSON can spell what UTF-8 cannot; it arrives as it is, and prints escaped."""
    (update,), faults = POSITIONS.decode(parse(r'[{"symbol": "\ud800", "positionIdx": 0, "new": "\udfff"}]'))
    assert (update.symbol, update.extra, faults) == ("\ud800", {"new": "\udfff"}, ())
    repr(update).encode()
    json.dumps(to_dict(update)).encode()


def test_numbers_beyond_all_measure_cost_one_row(parse: Parse) -> None:
    """NaN, Infinity and what no Decimal holds spoil their own row only, and none at all under an unknown key."""
    bad = [
        f'{{"symbol": "S", "positionIdx": 0, "size": {number}}}' for number in ("NaN", "-Infinity", "1e999999999999999999999")
    ]
    good = f'{{"symbol": "S", "positionIdx": 0, "new": [NaN, 1e{"9" * 30}]}}'
    updates, faults = POSITIONS.decode(parse(f"[{', '.join([*bad, good])}]"))
    assert (len(updates), len(faults)) == (1, 3)
    assert json.dumps(to_dict(updates[0]), allow_nan=False)


HOSTILE = {
    "rows": ("objects and lists", '{"symbol":"B","positionIdx":0}'),
    "objects": ("objects and lists", "{}"),
    "lists": ("objects and lists", "[]"),
    "numbers": ("values", "1"),
    "rows of many coins": ("objects and lists", '{"accountType":"UNIFIED","coin":[{"coin":"A"},{"coin":"A"}]}'),
    "keys": ("values", "{" + ",".join(f'"{number}":1' for number in range(1_000)) + "}"),
}


@pytest.mark.parametrize(("what", "unit"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("kind", [str, str.encode], ids=["text", "bytes"])
def test_a_message_of_too_many_values_is_not_read(what: str, unit: str, kind: Any) -> None:
    """Of 4 MiB each value would cost microseconds, and each bad one another reading of its neighbours."""
    frame = '{"topic":"position.linear","data":[' + ",".join([unit] * (2**22 // (len(unit) + 1) - 20)) + "]}"
    with pytest.raises(Unreadable, match=rf"^more than [0-9]+ {what}$"):
        parsing.parse(kind(frame))


@pytest.mark.parametrize("row", [MARKET.position, MARKET.order, MARKET.trade, MARKET.account])
def test_the_largest_message_of_rows_is_read(row: Callable[[], Any]) -> None:
    """No message of the exchange comes near what is too much."""
    text = compact(row()).decode()
    count = 2**22 // (len(text) + 1)
    assert len(parsing.parse("[" + ",".join([text] * count) + "]")) == count


# --- rows ---


class Counted(dict[str, Any]):
    """A row that counts how often it is read."""

    reads = 0

    def keys(self) -> Any:
        """Return its keys, which a reader looks at first."""
        self.reads += 1
        return super().keys()


def test_rows_in_front_of_a_bad_one_are_read_once() -> None:
    """Of the thousands of rows that a hostile peer sends only the last is bad: it costs no second reading of all (row 213)."""
    rows = [Counted(symbol="B", positionIdx=number) for number in range(3)]
    updates, faults = POSITIONS.decode([*rows, {"symbol": 7}])
    assert ([update.position_idx for update in updates], len(faults)) == ([0, 1, 2], 1)
    assert [row.reads for row in rows] == [1, 1, 1]


@pytest.mark.parametrize(
    ("channel", "cls"),
    [
        (V5.channels(Stream.POSITIONS, None)[0], PositionUpdate),
        (V5.channels(Stream.ORDERS, None)[0], OrderUpdate),
        (V5.channels(Stream.USER_TRADES, None)[0], UserTradeUpdate),
        (V5.channels(Stream.BALANCES, None)[0], BalanceUpdate),
    ],
)
def test_null_says_what_a_missing_key_says(channel: Channel, cls: type[Any]) -> None:
    """One null under a key that nobody needs costs nothing; under one that a row cannot do without it is a fault, and named."""
    fields = {field.metadata["key"]: field for field in attrs.fields(cls) if "key" in field.metadata}
    required = [key for key, field in fields.items() if field.default is attrs.NOTHING]
    base = dict.fromkeys(required, "UNIFIED") | ({"positionIdx": 0} if cls is PositionUpdate else {})
    for key in DOCUMENTED[cls]:
        updates, faults = channel.decode([base | {key.name: None}])
        if key.name in required:
            assert faults[0].startswith(f"data[0].{key.name}: null is not"), key.name
        else:
            assert (updates, faults) == channel.decode([base]), key.name


@each_channel
@pytest.mark.parametrize("junk", [None, True, 0, -1, 1.5, float("nan"), "", "x", [], {}, [None], {"a": None}, [[]], "\ud800"])
def test_junk_under_every_key_raises_nothing(channel: Channel, junk: Any) -> None:
    """Whatever stands under whichever key: a row is delivered or described, and the good one behind it is delivered."""
    good = {"symbol": "S", "positionIdx": 0, "orderId": "1", "execId": "1", "accountType": "UNIFIED", "coin": ""}
    good = {**good, "coin": "USDT"} if channel.topic == "user.wallet.contractAccount" else good
    keys = {key.name for table in DOCUMENTED.values() for key in table}
    for key in keys:
        updates, faults = channel.decode([{**good, key: junk}, good])
        assert updates
        assert len(faults) <= 1
        assert all(isinstance(fault, str) and len(fault) < 300 for fault in faults)


@each_channel
@pytest.mark.parametrize("junk", [None, True, 0, 1.5, "", "x", [], [[]], [{}], {}])
def test_junk_for_a_row_is_described(channel: Channel, junk: Any) -> None:
    """A row that is none is a fault, never an exception."""
    updates, faults = channel.decode([junk])
    assert updates == ()
    assert faults[0].startswith("data[0]")


@pytest.mark.parametrize("data", [None, {}, "x", 5, True, (), b""])
def test_junk_for_rows_is_unreadable(data: Any) -> None:
    """Only a list holds rows."""
    with pytest.raises(Unreadable):
        POSITIONS.decode(data)


def test_deeply_nested_value_is_delivered_or_described(parse: Parse) -> None:
    """Nesting that JSON still takes does not break the text about it."""
    nested = "[" * 300 + "]" * 300
    rows = f'[{{"symbol": {nested}, "positionIdx": 0}}, {{"symbol": "S", "positionIdx": 0, "new": {nested}}}]'
    updates, faults = POSITIONS.decode(parse(rows))
    assert (len(updates), faults) == (1, ("data[0].symbol: a list is not a text",))


# --- amounts ---


def test_three_megabytes_in_one_text(parse: Parse) -> None:
    """A text of three megabytes is read, and neither logged nor described at length."""
    text = "9" * 3_000_000
    rows = [
        {"symbol": text, "positionIdx": 0},
        {"symbol": "S", "positionIdx": 0, "side": text},
        {"symbol": "S", "positionIdx": 0, "size": text},
        {"symbol": "S", "positionIdx": 0, text: 1},
    ]
    updates, faults = POSITIONS.decode(parse(json.dumps(rows)))
    assert ([len(update.symbol) for update in updates], updates[1].side) == ([3_000_000, 1, 1], text)
    assert len(faults[0]) < 300


def test_ten_thousand_rows(parse: Parse) -> None:
    """A push of ten thousand rows is read whole, in order."""
    rows = [{"symbol": "S", "positionIdx": 0, "seq": number} for number in range(10_000)]
    updates, faults = POSITIONS.decode(parse(json.dumps(rows)))
    assert ([update.seq for update in updates], faults) == (list(range(10_000)), ())


def test_ten_thousand_bad_rows_are_counted_not_told(parse: Parse) -> None:
    """There is one text for each bad row, so that they can be counted; only the first hundred are worth describing."""
    rows = [{"symbol": "S", "positionIdx": 0, "size": f"bad {number}"} for number in range(10_000)]
    updates, faults = POSITIONS.decode(parse(json.dumps([*rows, json.loads(POSITION)])))
    assert (len(updates), len(faults)) == (1, 10_000)
    assert faults[99] == "data[99].size: 'bad 99' is not a number"
    assert len(set(faults)) == 101


def test_rows_of_nothing_stay_small() -> None:
    """A list of fifty thousand nulls costs a pointer for each, not a text."""
    rows = [None] * 50_000
    tracemalloc.start()
    try:
        _, faults = POSITIONS.decode(rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(faults) == 50_000
    assert peak < 2_000_000


def test_bad_rows_inside_a_row_stay_small() -> None:
    """Of fifty thousand bad coins the first is described; the others cost nothing."""
    rows = [{"accountType": "UNIFIED", "coin": [{"coin": "USDT"}, *({} for _ in range(50_000))]}]
    tracemalloc.start()
    try:
        _, faults = V5.channels(Stream.BALANCES, None)[0].decode(rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert faults == ("data[0].coin[1].coin is missing",)
    assert peak < 2_000_000


def test_endless_new_texts_keep_no_memory(caplog: pytest.LogCaptureFixture) -> None:
    """New numbers, times, words, keys and coins without end are not hoarded anywhere."""
    caplog.set_level(logging.CRITICAL)

    def flood(start: int) -> None:
        for number in range(start, start + 3_000):
            row = {
                "symbol": f"S{number}",
                "positionIdx": 0,
                "size": f"{number}.5",
                "updatedTime": str(number),
                f"new{number}": 1,
            }
            assert POSITIONS.decode([{**row, "positionStatus": f"word {number}", "seq": number, "side": f"{number}" * 30}])[0]

    flood(0)
    tracemalloc.start()
    try:
        flood(1_000_000)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 300_000


def test_log_of_new_keys_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """Of endless new keys only the first thousand are worth a line."""
    caplog.set_level(logging.DEBUG, "bybit_sync.shapes")
    POSITIONS.decode([{"symbol": "S", "positionIdx": 0} | {f"flood {number}": 1 for number in range(3_000)}])
    assert len([record for record in caplog.records if "flood" in record.getMessage()]) <= 1_000


def test_an_update_of_junk_can_still_be_used(parse: Parse) -> None:
    """What was let in under a new key prints, compares, and goes through `asdict` and `to_dict`."""
    row = '{"symbol": "S", "positionIdx": 0, "new": {"a": [1.50, null, true, "\\u0000"], "b": {}}}'
    (update,), _ = POSITIONS.decode(parse(f"[{row}]"))
    assert to_dict(update)["extra"] == {"new": {"a": ["1.50", None, True, "\x00"], "b": {}}}
    assert attrs.asdict(update)["extra"] == update.extra
    assert repr(update) == "PositionUpdate(symbol='S', position_idx=0)"
