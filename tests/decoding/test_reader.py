"""From JSON rows to updates: every kind of value, exact, and what each refuses."""

from __future__ import annotations

import decimal
import json
import logging
import threading
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from cattrs import ClassValidationError

from bybit_sync import V3, V5, OrderUpdate, PositionUpdate, Stream, UserTradeUpdate
from bybit_sync.decoding import compiled
from bybit_sync.decoding.parsing import PARSERS, Unreadable
from bybit_sync.decoding.values import moment
from bybit_sync.session.dialects import DECODER, Channel

POSITIONS = V5.channels(Stream.POSITIONS, None)[0]
ORDERS = V5.channels(Stream.ORDERS, None)[0]
TRADES = V5.channels(Stream.USER_TRADES, None)[0]
WALLET = V5.channels(Stream.BALANCES, None)[0]

Decode = Callable[..., Any]


@pytest.fixture(params=PARSERS)
def parse(request: pytest.FixtureRequest) -> Callable[[bytes | str], Any]:
    """Return one way of reading JSON; a test with it runs on all that are installed."""
    return PARSERS[request.param]


@pytest.fixture
def position(parse: Callable[[bytes | str], Any]) -> Callable[[str], PositionUpdate]:
    """Return what reads a position with further JSON text in its row."""
    return lambda text: only(POSITIONS, parse(f'[{{"symbol": "BTCUSDT", "positionIdx": 0, {text}}}]'))


@pytest.fixture
def order(parse: Callable[[bytes | str], Any]) -> Callable[[str], OrderUpdate]:
    """Return what reads an order with further JSON text in its row."""
    return lambda text: only(ORDERS, parse(f'[{{"orderId": "o-1", {text}}}]'))


@pytest.fixture
def trade(parse: Callable[[bytes | str], Any]) -> Callable[[str], UserTradeUpdate]:
    """Return what reads a trade with further JSON text in its row."""
    return lambda text: only(TRADES, parse(f'[{{"execId": "e-1", {text}}}]'))


@pytest.fixture
def fault(parse: Callable[[bytes | str], Any]) -> Callable[[str], str]:
    """Return what reads a bad position with further JSON text in its row, and what is said about it."""
    return lambda text: refused(POSITIONS, parse(f'[{{"symbol": "BTCUSDT", "positionIdx": 0, {text}}}]'))


def only(channel: Channel, data: Any) -> Any:
    """Return the only update of *data*."""
    (update,), faults = channel.decode(data)
    assert not faults
    return update


def refused(channel: Channel, data: Any) -> str:
    """Return what is wrong with the only row of *data*."""
    updates, (text,) = channel.decode(data)
    assert not updates
    return text


# --- numbers ---


@pytest.mark.parametrize("text", ["0", "0.0000", "0.000000000000000000", "-0.00", "12.50", "-3", "1" * 64, "0." + "1" * 63])
def test_plain_number_keeps_its_digits(position: Decode, text: str) -> None:
    """What the exchange wrote is what `format` gives back."""
    size = position(f'"size": "{text}"').size
    assert (type(size), format(size, "f")) == (Decimal, text)


@pytest.mark.parametrize("text", ["1E+5", "1.50e-7", "-2.0E3", "+7", ".5", "5.", "1e64", "1e-64", "9" * 64 + "e64", "1e0064"])
def test_number_in_another_notation_keeps_value_and_digits(position: Decode, text: str) -> None:
    """An exponent, a plus or a bare point says the same as in `Decimal`."""
    size = position(f'"size": "{text}"').size
    assert size.as_tuple() == Decimal(text).as_tuple()


@pytest.mark.parametrize(
    "text", ["0.10000000000000000001", "-12.50", "1E+5", "7", "0.0000", "123456789012345678901234567890.5"]
)
def test_bare_number_is_exact(position: Decode, text: str) -> None:
    """A number without quotes never passes through a float, and keeps its digits too."""
    size = position(f'"size": {text}').size
    assert size.as_tuple() == Decimal(text).as_tuple()


def test_unusual_number_leaves_its_neighbours_alone(position: Decode) -> None:
    """One exponent, or one bare number, in a row of plain texts changes nothing for them."""
    update = position('"size": "1E+5", "markPrice": 0.5, "entryPrice": "0.10", "leverage": ""')
    assert (update.size, update.mark_price, str(update.entry_price)) == (Decimal(100_000), Decimal("0.5"), "0.10")
    assert update.leverage is None


@pytest.mark.parametrize(
    "text",
    [
        *("1_000", " 1", "1 ", "1,5", "1.2.3", "--1", "-", ".", "0x10", "1e", "e5", "1-2", "\u0661\u0662", "\uff11", "\u00b2"),
        *(
            "NaN",
            "nan",
            "-nan",
            "sNaN1",
            "Infinity",
            "-inf",
            "1\\u0000",
            "1\\n",
            "\\ud800",
            "1" * 65,
            "0." + "0" * 64,
            "0" * 40 + "1" * 30,
            "-" + "0" * 64 + "1",
            "9" * 400,
        ),
        *("1e65", "1e-65", "1e999999999", "1e+00000000000000000000099", "1" * 65 + "e1", "1e" + "9" * 5_000),
    ],
)
def test_what_is_no_number_is_refused(fault: Decode, text: str) -> None:
    """No underscore, space, foreign digit, NaN or number without end becomes a Decimal."""
    said = fault(f'"size": "{text}"')
    assert said.startswith("data[0].size: '")
    assert said.endswith(("is not a number", "is a number of more than 64 digits, or with an exponent beyond 64"))


def test_float_is_no_number() -> None:
    """A float has already lost digits, whoever made it."""
    assert refused(POSITIONS, [{"symbol": "S", "positionIdx": 0, "size": 0.5}]) == "data[0].size: 0.5 is not a number"


@pytest.mark.parametrize("value", ["true", "false", "[]", "{}", "[1]", "NaN", "Infinity", "-Infinity", "1e99999"])
def test_value_of_another_kind_is_no_number(fault: Decode, value: str) -> None:
    """A flag or a list where a number belongs is never turned into one."""
    assert "size" in fault(f'"size": {value}')


def test_number_is_exact_in_any_decimal_context(position: Decode) -> None:
    """Neither the precision nor the traps of the thread's own context touch a number, or let nonsense pass."""
    with decimal.localcontext(decimal.Context(prec=2, traps=[])):
        assert str(position('"size": "123.456789"').size) == "123.456789"
        assert refused(POSITIONS, [{"symbol": "BTCUSDT", "positionIdx": 0, "size": "1.2.3"}])


@pytest.mark.parametrize("text", ['"size": ""', '"side": "Buy"'])
def test_number_that_is_not_told_is_none(position: Decode, text: str) -> None:
    """An empty text and a missing key are None, and never 0."""
    assert position(text).size is None


# --- times ---


@pytest.mark.parametrize("milliseconds", [1, 999, 1_672_364_262_474, 1_697_682_317_038, 2**42 - 1, 2**42, 253_402_300_799_999])
@pytest.mark.parametrize("quote", ['"', ""], ids=["text", "int"])
def test_time_is_exact_to_the_millisecond(position: Decode, milliseconds: int, quote: str) -> None:
    """Digits, with or without quotes, are an aware time in UTC, until the last millisecond of the year 9999."""
    time = position(f'"updatedTime": {quote}{milliseconds}{quote}').updated_time
    assert time == datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=milliseconds)
    assert time.utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ['"updatedTime": ""', '"updatedTime": "0"', '"updatedTime": 0', '"side": "Buy"'])
def test_time_that_is_not_told_is_none(position: Decode, text: str) -> None:
    """An empty text, 0 and a missing key say that it never happened."""
    assert position(text).updated_time is None


@pytest.mark.parametrize(
    "value",
    [
        *(
            '"-1"',
            "-1",
            '"1.5"',
            "1.5",
            '"1e3"',
            '" 1"',
            '"1_0"',
            '"\uff11"',
            '"\u00b2"',
            '"253402300800000"',
            "253402300800000",
        ),
        *('"' + "9" * 5_000 + '"', "9" * 400, "true", "[]", "{}", '"2026-01-01"'),
    ],
)
def test_what_is_no_time_is_refused(fault: Decode, value: str) -> None:
    """Negative and absurd moments, fractions and other spellings cost the row."""
    said = fault(f'"updatedTime": {value}')
    assert said.startswith("data[0].updatedTime: ")
    assert said.endswith(("is not a time in milliseconds", "is not a time before the year 10000"))


def test_moment_reads_the_time_of_an_envelope() -> None:
    """A whole number or a text of digits is a time; what is not told is None."""
    noon = datetime(2022, 12, 30, 1, 37, 42, 474000, tzinfo=timezone.utc)
    assert moment(1_672_364_262_474) == moment("1672364262474") == noon
    assert (moment(None), moment(""), moment(0)) == (None, None, None)


@pytest.mark.parametrize("nonsense", [-1, "x", "9" * 20, 10**18, 1.5, True, [], {}])
def test_moment_refuses_nonsense(nonsense: object) -> None:
    """What is no time is an error, not a guess."""
    with pytest.raises(ValueError, match="time"):
        moment(nonsense)


# --- the other kinds ---


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *(("0", 0), ("2", 2), ("-7", -7), ('""', None), (str(2**63 - 1), 2**63 - 1)),
        *(('"0"', 0), ('"7"', 7), ('"123456789"', 123_456_789), (f'"{2**63 - 1}"', 2**63 - 1)),
    ],
)
def test_whole_number(position: Decode, value: str, number: int | None) -> None:
    """A bare number without a fraction is an int, and so is a text of ASCII digits: the exchange changes between the two."""
    assert position(f'"riskId": {value}').risk_id == number


@pytest.mark.parametrize(
    "value",
    [
        *("1.0", "1e0", "true", "[]", "{}", str(2**63), "9" * 400),
        *('"-1"', '"+1"', '"1.0"', '" 1"', '"1_0"', '"\uff11"', '"\u00b2"', f'"{2**63}"', '"' + "9" * 5_000 + '"'),
    ],
)
def test_what_is_no_whole_number_is_refused(fault: Decode, value: str) -> None:
    """A fraction, a flag, a text of more than digits or a number without end is not guessed into an int."""
    assert fault(f'"riskId": {value}').endswith("is not a whole number of 64 bits")


@pytest.mark.parametrize(
    ("value", "seq"),
    [("140667095077548", 140667095077548), ('"8327597863"', 8327597863), ("0", 0), ("-1", None), ('"-1"', None), ('""', None)],
)
def test_sequence(position: Decode, value: str, seq: int | None) -> None:
    """The cross sequence comes as a number or as a text; -1 says that nothing was traded."""
    assert position(f'"seq": {value}').seq == seq


@pytest.mark.parametrize("value", ['"-2"', '"1.0"', "-1.0", "1.5", "true", '" 1"', '"x"', '"' + "9" * 5_000 + '"'])
def test_what_is_no_sequence_is_refused(fault: Decode, value: str) -> None:
    """Anything else costs the row."""
    assert fault(f'"seq": {value}').endswith("is not a whole number of 64 bits")


@pytest.mark.parametrize("quote", ['"', ""], ids=["text", "int"])
def test_open_time_is_a_time(position: Decode, quote: str) -> None:
    """Though it is the exchange's only time that is documented as a bare number; 0 without a position is None."""
    assert position(f'"openTime": {quote}0{quote}').open_time is None
    opened = datetime(2023, 10, 19, 2, 25, 17, 38000, tzinfo=timezone.utc)
    assert position(f'"openTime": {quote}1697682317038{quote}').open_time == opened


def test_flag(position: Decode) -> None:
    """JSON's true and false are a bool; only a missing key is None."""
    texts = ('"isReduceOnly": true', '"isReduceOnly": false', '"side": "Buy"')
    assert [position(text).is_reduce_only for text in texts] == [True, False, None]


@pytest.mark.parametrize("value", ['""', '"true"', "0", "1", "[]", "{}"])
def test_what_is_no_flag_is_refused(fault: Decode, value: str) -> None:
    """No text and no number is taken for a flag."""
    assert fault(f'"isReduceOnly": {value}').endswith("is not true or false")


@pytest.mark.parametrize(
    ("value", "flag"), [("0", False), ("1", True), ('"0"', False), ('"1"', True), ('""', None), ("null", None)]
)
def test_flag_that_is_written_as_a_digit(position: Decode, order: Decode, value: str, flag: object) -> None:
    """``autoAddMargin`` is documented as 0 or 1, ``isLeverage`` as "0" or "1": each is read in both spellings."""
    assert position(f'"autoAddMargin": {value}').auto_add_margin is flag
    assert order(f'"isLeverage": {value}').is_leverage is flag


@pytest.mark.parametrize("value", ["2", "-1", "true", "1.0", '"2"', '"01"', '"true"', "[]", "{}"])
def test_what_is_neither_0_nor_1_is_refused(fault: Decode, parse: Decode, value: str) -> None:
    """Anything else costs the row."""
    assert fault(f'"autoAddMargin": {value}').endswith("is not 0 or 1")
    assert refused(ORDERS, parse(f'[{{"orderId": "o-1", "isLeverage": {value}}}]')).endswith("is not 0 or 1")


@pytest.mark.parametrize("right", ['"isLeverage": "1"', '"isLeverage": ""', '"reduceOnly": true', '"positionIdx": 0'])
def test_of_a_row_that_cannot_be_read_only_what_is_wrong_is_named(parse: Decode, right: str) -> None:
    """Not its neighbour, which is read once more with it and is right."""
    row = f'[{{"orderId": "o-1", {right}, "qty": "1_000"}}]'
    assert refused(ORDERS, parse(row)) == "data[0].qty: '1_000' is not a number"


def test_of_a_position_that_cannot_be_read_only_what_is_wrong_is_named(fault: Decode) -> None:
    """The same for what only a position has."""
    for flag in ("0", "1", '""'):
        assert fault(f'"autoAddMargin": {flag}, "size": "x"') == "data[0].size: 'x' is not a number"


def test_text_is_delivered_as_it_is(order: Decode) -> None:
    """Line breaks, zeros, terminal codes and half a surrogate pair arrive unchanged; "" is None."""
    assert order(r'"orderLinkId": "a\n\u0000\u001b[31m\ud800"').order_link_id == "a\n\x00\x1b[31m\ud800"
    assert order('"orderLinkId": ""').order_link_id is None


@pytest.mark.parametrize("value", ["5", "true", "[]", "{}"])
def test_what_is_no_text_is_refused(parse: Decode, value: str) -> None:
    """A number where a text belongs is not turned into one."""
    assert refused(ORDERS, parse(f'[{{"orderId": "o-1", "orderLinkId": {value}}}]')).endswith("is not a text")
    assert refused(ORDERS, parse(f'[{{"orderId": "o-1", "side": {value}}}]')).endswith("is not a text")


@pytest.mark.parametrize("placeholder", ["", "UNKNOWN"])
def test_placeholder_is_none(order: Decode, placeholder: str) -> None:
    """The exchange's two ways to say "no word here" are None, for every vocabulary."""
    update = order(f'"cancelType": "{placeholder}", "tpslMode": "{placeholder}", "stopOrderType": "{placeholder}"')
    assert (update.cancel_type, update.tpsl_mode, update.stop_order_type) == (None, None, None)


def test_new_word_is_a_member(order: Decode) -> None:
    """A word that nobody knows yet costs nothing and is delivered."""
    status = order('"orderStatus": "Parked"').order_status
    assert (status, status.name) == ("Parked", "PARKED")


def test_fees_by_coin(order: Decode) -> None:
    """Fees are numbers by coin, read-only; empty when not told; a coin without a number is not told."""
    fees = order('"cumFeeDetail": {"USDT": "0.10", "MNT": "0.0000", "BTC": "", "ETH": null}').cum_fee_detail
    assert {coin: str(fee) for coin, fee in fees.items()} == {"USDT": "0.10", "MNT": "0.0000"}
    with pytest.raises(TypeError):
        fees["USDT"] = Decimal(0)
    assert order('"cumFeeDetail": {}').cum_fee_detail == order('"cumFeeDetail": ""').cum_fee_detail == {}
    assert order('"side": "Buy"').cum_fee_detail == {}


@pytest.mark.parametrize(
    "value", ["[]", "1", '{"USDT": "x"}', '{"USDT": {}}', json.dumps({f"C{number}": "1" for number in range(1_001)})]
)
def test_what_are_no_fees_is_refused(parse: Decode, value: str) -> None:
    """Fees of another shape cost the row."""
    assert refused(ORDERS, parse(f'[{{"orderId": "o-1", "cumFeeDetail": {value}}}]')).startswith("data[0].cumFeeDetail: ")


def test_extra_fees(trade: Decode) -> None:
    """Taxes are rows of their own; "" and a missing key are no taxes."""
    (tax,) = trade('"extraFees": [{"feeCoin": "USDT", "feeType": "GST", "fee": "0.0064", "new": 1}]').extra_fees
    assert (tax.fee_coin, tax.fee_type, str(tax.fee), tax.fee_rate, tax.extra) == ("USDT", "GST", "0.0064", None, {"new": 1})
    assert trade('"extraFees": ""').extra_fees == trade('"extraFees": []').extra_fees == trade('"side": "Buy"').extra_fees == ()


@pytest.mark.parametrize("value", ["{}", '"x"', "1", "[null]", "[[]]", '[{"fee": "x"}]'])
def test_what_are_no_extra_fees_is_refused(parse: Decode, value: str) -> None:
    """Taxes of another shape cost the row."""
    assert refused(TRADES, parse(f'[{{"execId": "e-1", "extraFees": {value}}}]')).startswith("data[0].extraFees")


# --- rows ---


def test_unknown_keys_are_in_extra_and_the_row_in_wire(parse: Decode) -> None:
    """A key that the exchange adds tomorrow can be read today; `wire` is the whole row."""
    row = {"symbol": "BTCUSDT", "positionIdx": 0, "size": "1.0", "moon": {"phase": None}, "tide": [1]}
    update = only(POSITIONS, parse(json.dumps([row])))
    assert update.extra == {"moon": {"phase": None}, "tide": [1]}
    assert update.wire == row
    assert (len(update.wire), list(update.wire)) == (len(row), list(row))


def test_a_row_may_be_read_alone() -> None:
    """Without a push around it, by the converter; then whatever is wrong with it is raised."""
    read = DECODER.converter.structure
    row = {"symbol": "BTCUSDT", "positionIdx": 0, "size": "1.0"}
    update = read(row, PositionUpdate)
    assert (update.size, update.category) == (Decimal("1.0"), None)
    with pytest.raises(ClassValidationError):
        read({**row, "size": "x"}, PositionUpdate)


def test_row_is_read_only(position: Decode) -> None:
    """No consumer changes what another will see."""
    update = position('"moon": 1')
    for mapping in (update.wire, update.extra):
        with pytest.raises(TypeError):
            mapping["moon"] = 2


def test_row_without_unknown_keys_has_no_extra(position: Decode) -> None:
    """Known keys are not repeated in `extra`, whatever their spelling."""
    assert position('"tpSlMode": "Full", "mmrSysUpdateTime": ""').extra == {}


def test_unknown_key_is_logged_once(parse: Decode, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """One DEBUG line tells of a new key, escaped, however often it comes."""
    # Other tests may have named as many new keys as are logged at all.
    monkeypatch.setattr(compiled, "_unknown_keys", set())
    caplog.set_level(logging.DEBUG, "bybit_sync.shapes")
    key = f"new\n{uuid.uuid4().hex}"
    for _ in range(3):
        only(POSITIONS, parse(json.dumps([{"symbol": "BTCUSDT", "positionIdx": 0, key: 1}])))
    (message,) = [record.getMessage() for record in caplog.records]
    assert repr(key) in message


@pytest.mark.parametrize(
    ("channel", "row", "missing"),
    [
        (POSITIONS, {"symbol": "BTCUSDT", "positionIdx": 0}, "symbol"),
        (POSITIONS, {"symbol": "BTCUSDT", "positionIdx": 0}, "positionIdx"),
        (ORDERS, {"orderId": "o-1"}, "orderId"),
        (TRADES, {"execId": "e-1"}, "execId"),
        (WALLET, {"accountType": "UNIFIED"}, "accountType"),
        (V3.channels(Stream.BALANCES, None)[0], {"coin": "USDT"}, "coin"),
    ],
)
def test_row_without_its_key_is_refused(channel: Channel, row: dict[str, Any], missing: str) -> None:
    """An update that could not be told from another is none, whether its name is missing, empty or null."""
    assert only(channel, [row])
    assert (
        refused(channel, [{name: value for name, value in row.items() if name != missing}]) == f"data[0].{missing} is missing"
    )
    assert refused(channel, [{**row, missing: ""}]).startswith(f"data[0].{missing}: ''")
    assert refused(channel, [{**row, missing: None}]).startswith(f"data[0].{missing}: null")


def test_bad_row_costs_only_itself(parse: Decode) -> None:
    """The rows before and behind a bad one are delivered, in order, and the bad one is named by its place."""
    rows = [{"symbol": f"S{index}", "positionIdx": 0, "size": "1_0" if index == 1 else "10"} for index in range(4)]
    updates, faults = POSITIONS.decode(parse(json.dumps(rows)))
    assert [update.symbol for update in updates] == ["S0", "S2", "S3"]
    assert faults == ("data[1].size: '1_0' is not a number",)


@pytest.mark.parametrize(
    ("row", "kind"), [("null", "null"), ("[]", "a list"), ("5", "5"), ("true", "true"), ('"x"', "'x'"), ("1.5", "1.5")]
)
def test_row_that_is_no_object_is_refused(parse: Decode, row: str, kind: str) -> None:
    """A row of another kind is named by what it is."""
    assert refused(POSITIONS, parse(f"[{row}]")) == f"data[0]: {kind} is not an object"


@pytest.mark.parametrize(
    ("data", "kind"), [("null", "null"), ("{}", "an object"), ("5", "a number"), ('"x"', "a text"), ("true", "true")]
)
def test_data_that_is_no_list_is_unreadable(parse: Decode, data: str, kind: str) -> None:
    """Without rows nothing can be delivered, and nothing is invented."""
    with pytest.raises(Unreadable) as caught:
        POSITIONS.decode(parse(data))
    assert caught.value.detail == f"data is not a list of rows but {kind}"


def test_no_rows_are_no_updates() -> None:
    """An empty list is an empty push, and not an error."""
    assert POSITIONS.decode([]) == ((), ())


def test_fault_names_the_path_as_the_exchange_spells_it() -> None:
    """A nested field is found by keys and indices of the frame, also under the old spelling of a key."""
    coins = [{"coin": "BTC"}, {"coin": "USDT", "equity": "n/a"}]
    assert refused(WALLET, [{"accountType": "UNIFIED", "coin": coins}]) == "data[0].coin[1].equity: 'n/a' is not a number"
    assert refused(POSITIONS, [{"symbol": "S", "positionIdx": 0, "tpSlMode": 1}]) == "data[0].tpSlMode: 1 is not a text"
    assert (
        refused(TRADES, [{"execId": "e", "extraFees": [{"fee": "1,5"}]}]) == "data[0].extraFees[0].fee: '1,5' is not a number"
    )


def test_fault_counts_what_else_is_wrong() -> None:
    """The first field is described, the others are counted."""
    row = {"symbol": "BTCUSDT", "positionIdx": 0, "size": "x", "side": 1, "leverage": "y"}
    assert refused(POSITIONS, [row]) == "data[0].side: 1 is not a text (and 2 more)"


def test_fault_cannot_flood_or_forge_a_log() -> None:
    """The offending text is escaped and cut, a container is named by its kind only."""
    flood = refused(POSITIONS, [{"symbol": "S", "positionIdx": 0, "size": "\n\x1b[31m" + "9" * 3_000_000}])
    assert flood.startswith(r"data[0].size: '\n\x1b[31m999")
    assert len(flood) < 200
    assert refused(POSITIONS, [{"symbol": "S", "positionIdx": 0, "size": [["x"] * 1000]}]) == (
        "data[0].size: a list is not a number"
    )
    assert refused(ORDERS, [{"orderId": "1", "cumFeeDetail": {"a\nb": "?"}}]) == (
        r"data[0].cumFeeDetail: an object holds 'a\nb': '?' is not a number"
    )


def test_decoding_works_on_many_threads() -> None:
    """Connections decode at the same time, and share nothing that could mix up their numbers."""
    rows = [{"symbol": f"S{index}", "positionIdx": 0, "size": f"{index}.{index:04}"} for index in range(300)]
    wrong: list[object] = []

    def decode() -> None:
        updates, faults = POSITIONS.decode(rows)
        wrong.extend(faults)
        wrong.extend(update for update, row in zip(updates, rows, strict=True) if str(update.size) != row["size"])

    threads = [threading.Thread(target=decode) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong
