"""Section H: what stands in the frames."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import attrs
import pytest

from bybit_sync import Event, GapReason, OrderStatus, Subscription
from bybit_sync.decoding import compiled
from tests.faults import pace
from tests.faults.conftest import Play
from tests.faults.exchange import Talk, hang_up, order, push, pushed, say
from tests.faults.history import History
from tests.faults.rows import PLAIN_AND_TLS, row
from tests.faults.scene import Scene
from tests.peers import BINARY, TEXT, frame

TOPICS = {"orders": "order.linear", "positions": "position.linear", "user_trades": "execution.linear", "balances": "wallet"}
SAMPLES: dict[str, dict[str, Any]] = {
    "orders": {"orderId": "1"},
    "positions": {"symbol": "BTCUSDT", "positionIdx": 0},
    "user_trades": {"execId": "1"},
    "balances": {"accountType": "UNIFIED"},
}


# --- what the rows have in common ---


def reading(play: Play, stream: str, **arguments: Any) -> tuple[Scene, Subscription[Any]]:
    """Set a scene with a subscription to *stream*."""
    scene = play(**arguments)
    return scene, getattr(scene.client, f"subscribe_{stream}")(timeout=pace.patience())


def send_rows(scene: Scene, stream: str, *rows: object, **envelope: object) -> None:
    """Push *rows* of *stream*."""
    scene.exchange.do(say, pushed(TOPICS[stream], list(rows), **envelope))


def take(subscription: Subscription[Any]) -> Any:
    """Return the next event of *subscription*, one with a single row: the row."""
    event = subscription.get(timeout=pace.patience())
    assert event.gap is None, event
    (update,) = event
    return update


def take_fault(subscription: Subscription[Any], *, missed: int | None) -> Event[Any]:
    """Return the next event of *subscription*, an UNDECODABLE gap for *missed* rows."""
    event = subscription.get(timeout=pace.patience())
    assert event.gap is not None, event
    assert (event.gap.reason, event.gap.missed, event.data) == (GapReason.UNDECODABLE, missed, ())
    return event


def still_reads(scene: Scene, subscription: Subscription[Any]) -> None:
    """Make sure that the next update arrives, over the first connection."""
    send_rows(scene, subscription.stream, SAMPLES[subscription.stream])
    event = subscription.get(timeout=pace.patience())
    assert (event.gap, len(event.data), event.epoch) == (None, 1, 1)


def watching(scene: Scene) -> History:
    """Subscribe to orders with a queue: it gets each gap by itself, as nothing waits in a buffer to be merged."""
    history = History()
    scene.histories.append(history)
    scene.client.subscribe_orders(history)
    return history


# --- frames that cannot be read ---


@row(101, kills="a frame that is no JSON is dropped, or told to one subscription only")
@PLAIN_AND_TLS
@pytest.mark.parametrize(
    "payload",
    [
        b'{"topic":"order.linear","data":[{"orderId":"1"}',
        b'{"topic":"order.linear","data":[{"orderId":}]}',
        b'\xef\xbb\xbf{"topic":"order.linear","data":[]}',
        b'{"topic":"order.linear","data":[]} trailing',
        b'{"topic":"order.linear","data":[]}{"topic":"order.linear","data":[]}',
        b"nonsense",
        b"",
    ],
    ids=repr,
)
def test_a_frame_that_cannot_be_read_is_a_gap_for_all(play: Play, payload: bytes) -> None:
    """It could have been for any of them: each gets a gap with the frame, an ERROR says so, and the connection stays."""
    scene = play()
    orders = watching(scene)
    balances = scene.client.subscribe_balances()
    scene.exchange.do(say, frame(payload))
    event = orders.gap(GapReason.UNDECODABLE)
    for told in (event, take_fault(balances, missed=None)):
        assert told.raw == payload
        assert told.gap is not None
        assert told.gap.missed is None
    assert "cannot be read" in scene.logged(["ERROR"])
    scene.goes_on()


@row(101, kills="unreadable frames are counted without end, or never")
def test_the_third_frame_that_cannot_be_read_costs_the_connection(play: Play) -> None:
    """Three in a minute are no accident: each has its gap, then the connection is made anew."""
    scene = play()
    orders = watching(scene)
    for _ in range(2):
        scene.exchange.do(say, frame(b"nonsense"))
        orders.gap(GapReason.UNDECODABLE)
    scene.cause(say, frame(b"nonsense"))
    orders.gap(GapReason.UNDECODABLE)
    scene.recovers("3 unreadable frames", levels=["ERROR"] * 3 + ["WARNING", "INFO"])


@row(101, kills="unreadable frames are never forgotten")
def test_three_frames_that_cannot_be_read_in_a_long_time_do_not(play: Play) -> None:
    """After a minute the first of them is forgotten."""
    scene = play(timings={"unreadable_window": pace.seconds(4)})
    orders = watching(scene)
    for pause in (0, 0, 5, 5):
        scene.client.wait(pace.seconds(pause))
        scene.exchange.do(say, frame(b"nonsense"))
        orders.gap(GapReason.UNDECODABLE)
    scene.logged(["ERROR"] * 4)
    scene.goes_on()


@row(102, kills="a message of an unknown kind is a gap, or warned about each time")
@pytest.mark.parametrize("message", [{"op": "hello"}, {"op": "welcome", "conn_id": "conn-1", "success": True}, {"op": 7}])
def test_an_unknown_message_without_rows_is_told_once(play: Play, message: Any) -> None:
    """Three of a kind are one WARNING; there were no rows in them, so that nothing is missing."""
    scene = play()
    scene.subscribe()
    scene.exchange.do(say, *[frame(json.dumps(message))] * 3)
    scene.goes_on()
    assert "unknown shape" in scene.logged(["WARNING"])


@row(102, kills="rows without a topic are dropped")
@pytest.mark.parametrize(
    "message",
    [
        {"data": [{"orderId": "1"}]},
        {"topic": 5, "data": [{"orderId": "1"}]},
        {"op": "new", "data": [{"orderId": "1"}]},
        [{"orderId": "1"}],
        "text",
        None,
        17,
    ],
    ids=json.dumps,
)
def test_an_unknown_message_that_may_hold_rows_is_a_gap_for_all(play: Play, message: Any) -> None:
    """Whose rows they are cannot be told: each subscription gets a gap with the frame, and the log one WARNING for three."""
    scene = play()
    orders = watching(scene)
    balances = scene.client.subscribe_balances()
    for _ in range(3):
        scene.exchange.do(say, frame(json.dumps(message)))
        assert orders.gap(GapReason.UNDECODABLE).raw == json.dumps(message).encode()
        take_fault(balances, missed=None)
    assert "unknown shape" in scene.logged(["WARNING"])
    assert [s.undecodable for s in scene.client.health().subscriptions] == [3, 3]
    scene.goes_on()


# --- rows that cannot be read, or not wholly ---


@row(103, kills="a new key makes a row unreadable, is dropped, or is logged each time")
@pytest.mark.parametrize("stream", TOPICS)
def test_a_new_key_is_kept(play: Play, stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands in `extra` as it was sent, and in the log once, at DEBUG."""
    # Tests before this one may have used up what a process logs.
    monkeypatch.setattr(compiled, "_unknown_keys", set())
    scene, subscription = reading(play, stream)
    key = f"newKey{time.monotonic_ns()}"
    for value in ("text", 1.5, None):
        send_rows(scene, stream, {**SAMPLES[stream], key: value})
        update = take(subscription)
        assert update.extra == {key: Decimal("1.5") if value == 1.5 else value}
    assert scene.log.text.count(key) == 1
    scene.logged(())
    still_reads(scene, subscription)


@row(104, kills="a missing key is 0, or makes the row unreadable")
@pytest.mark.parametrize("stream", TOPICS)
def test_what_is_missing_is_none(play: Play, stream: str) -> None:
    """A row of nothing but its key is delivered, and says None to all else."""
    scene, subscription = reading(play, stream)
    send_rows(scene, stream, SAMPLES[stream])
    assert not {name: value for name, value in beside_the_key(take(subscription)).items() if value not in (None, (), {})}
    scene.logged(())
    still_reads(scene, subscription)


def beside_the_key(update: Any) -> dict[str, Any]:
    """Return the attributes of *update* that are neither its key nor about the row as a whole."""
    names = [field.name for field in attrs.fields(type(update)) if field.name not in (*NAMES, "category", "wire")]
    return {name: getattr(update, name) for name in names}


NAMES = {"order_id", "symbol", "position_idx", "exec_id", "account_type"}


@row(104, kills="one bad row costs the whole push, or nobody is told of it")
@pytest.mark.parametrize("stream", TOPICS)
def test_a_row_without_its_key_costs_only_itself(play: Play, stream: str) -> None:
    """The gap comes first and counts it, with path and frame; the other rows of the same push follow."""
    scene, subscription = reading(play, stream)
    send_rows(scene, stream, SAMPLES[stream], {"seq": 1}, SAMPLES[stream], {})
    event = take_fault(subscription, missed=2)
    assert b'"seq"' in event.raw
    assert event.gap is not None
    assert "data[1]." in event.gap.detail
    assert "data[3]." in event.gap.detail
    following = subscription.get(timeout=pace.patience())
    assert (len(following.data), following.raw) == (2, event.raw)
    assert "missing" in scene.logged(["WARNING"])
    still_reads(scene, subscription)


@row(104, kills="V3's wallet is read as V5's")
def test_a_coin_without_its_name_costs_only_itself_in_v3(play: Play) -> None:
    """V3's wallet is a list of coins; one of them that has no name does not cost the account."""
    scene, balances = reading(play, "balances", dialect="v3")
    rows = [{"coin": "BTC", "equity": "1"}, {"equity": "2"}]
    scene.exchange.do(push, "user.wallet.contractAccount", rows)
    take_fault(balances, missed=1)
    assert take(balances).coin("BTC").equity == Decimal(1)
    scene.exchange.do(push, "user.wallet.contractAccount", rows[:1])
    assert take(balances).coin("BTC").equity == Decimal(1)


@row(105, kills='"" is read as 0')
@pytest.mark.parametrize(
    ("stream", "keys"),
    [
        (
            "positions",
            ["side", "leverage", "liqPrice", "entryPrice", "bustPrice", "positionIM", "riskLimitValue", "createdTime"],
        ),
        ("orders", ["avgPrice", "triggerPrice", "takeProfit", "orderIv", "isLeverage", "orderLinkId", "stopOrderType"]),
        ("user_trades", ["closedSize", "markPrice", "execFee", "extraFees", "isLeverage", "feeCurrency"]),
        ("balances", ["totalEquity", "accountIMRate", "totalPerpUPL"]),
    ],
)
def test_an_empty_text_is_never_a_number(play: Play, stream: str, keys: list[str]) -> None:
    """Bybit writes "" for what does not apply: None, which nobody can take for a price of zero."""
    scene, subscription = reading(play, stream)
    send_rows(scene, stream, {**SAMPLES[stream], **dict.fromkeys(keys, "")})
    assert not {name: value for name, value in beside_the_key(take(subscription)).items() if value not in (None, (), {})}
    scene.logged(())
    still_reads(scene, subscription)


@row(106, kills="an unknown word makes the row unreadable, or is None")
def test_a_new_word_is_a_member_that_carries_it(play: Play) -> None:
    """The exchange invents a status: the order is delivered with it, and the log says so once."""
    scene, orders = reading(play, "orders")
    word = f"Half{time.monotonic_ns()}Filled"
    for _ in range(3):
        send_rows(scene, "orders", {"orderId": "1", "orderStatus": word})
        status = take(orders).order_status
        assert isinstance(status, OrderStatus)
        assert status == word == f"{status}"
    assert word in scene.logged(["WARNING"])
    send_rows(scene, "orders", {"orderId": "1", "orderStatus": "Filled"})
    assert take(orders).order_status is OrderStatus.FILLED


WRONG: list[tuple[str, str, Any]] = [
    ("positions", "size", True),
    ("positions", "size", ["1"]),
    ("positions", "size", {"value": "1"}),
    ("positions", "size", "one"),
    ("positions", "side", 1),
    ("positions", "symbol", ["BTCUSDT"]),
    ("positions", "symbol", 7),
    ("positions", "symbol", None),
    ("positions", "positionIdx", "-1"),
    ("positions", "positionIdx", "1.0"),
    ("positions", "positionIdx", "１"),
    ("positions", "positionIdx", 1.0),
    ("positions", "positionIdx", True),
    ("positions", "positionIdx", None),
    ("positions", "positionIdx", 2**63),
    ("positions", "seq", 1.5),
    ("positions", "seq", -1.0),
    ("positions", "isReduceOnly", "true"),
    ("positions", "isReduceOnly", 1),
    ("positions", "autoAddMargin", True),
    ("positions", "autoAddMargin", 2),
    ("positions", "autoAddMargin", "2"),
    ("positions", "openTime", True),
    ("positions", "openTime", 1.5),
    ("positions", "createdTime", "yesterday"),
    ("positions", "createdTime", 1.5),
    ("positions", "createdTime", -1),
    ("positions", "createdTime", True),
    ("positions", "createdTime", False),
    ("positions", "createdTime", []),
    ("positions", "createdTime", 10**18),
    ("orders", "orderId", None),
    ("orders", "smpGroup", "0x1"),
    ("orders", "orderStatus", 3),
    ("orders", "reduceOnly", "false"),
    ("orders", "cumFeeDetail", []),
    ("orders", "cumFeeDetail", {"USDT": "free"}),
    ("orders", "isLeverage", True),
    ("orders", "isLeverage", "true"),
    ("user_trades", "isMaker", 1),
    ("user_trades", "extraFees", {}),
    ("user_trades", "extraFees", ["fee"]),
    ("balances", "coin", "BTC"),
    ("balances", "coin", [{"coin": 5}]),
    ("balances", "totalEquity", [1]),
]


@row(107, kills="data is invented: 1.9 becomes 1, null a text, a text a list of its characters")
@pytest.mark.parametrize("stream", TOPICS)
def test_a_value_of_the_wrong_type_costs_its_row(play: Play, stream: str) -> None:
    """Nothing is guessed: the row is a gap that names path and value, the next row is there, and the connection stays."""
    scene, subscription = reading(play, stream)
    for _, key, value in [wrong for wrong in WRONG if wrong[0] == stream]:
        send_rows(scene, stream, {**SAMPLES[stream], key: value}, SAMPLES[stream])
        event = subscription.get(timeout=pace.patience())
        assert event.gap is not None, f"{key}: {json.dumps(value)} was read as {event.data[0]!r}"
        assert (event.gap.reason, event.gap.missed) == (GapReason.UNDECODABLE, 1)
        assert f"data[0].{key}" in event.gap.detail
        assert len(subscription.get(timeout=pace.patience()).data) == 1
    still_reads(scene, subscription)


@row(107, kills="a number without quotes is refused, or goes through a float")
def test_a_number_without_quotes_is_a_number(play: Play) -> None:
    """Digit for digit."""
    scene, positions = reading(play, "positions")
    rows = '[{"symbol":"BTCUSDT","positionIdx":0,"size":0.10000000000000000001,"markPrice":100}]'
    scene.exchange.do(say, frame(f'{{"topic":"position.linear","data":{rows}}}'))
    update = take(positions)
    assert (format(update.size, "f"), format(update.mark_price, "f")) == ("0.10000000000000000001", "100")
    still_reads(scene, positions)


@row(107, kills="an integer, a time or a flag is refused in its other spelling, or a null costs the row")
@pytest.mark.parametrize(
    ("stream", "sent", "meant"),
    [
        ("orders", {"smpGroup": "0", "isLeverage": 1}, {"smp_group": 0, "is_leverage": True}),
        ("orders", {"smpGroup": "123456789", "isLeverage": "0"}, {"smp_group": 123_456_789, "is_leverage": False}),
        ("orders", {"price": None, "side": None, "cumFeeDetail": None}, {"price": None, "side": None, "cum_fee_detail": {}}),
        ("positions", {"positionIdx": "2", "riskId": "1"}, {"position_idx": 2, "risk_id": 1}),
        ("positions", {"autoAddMargin": "1", "openTime": "0"}, {"auto_add_margin": True, "open_time": None}),
        ("positions", {"updatedTime": None, "isReduceOnly": None}, {"updated_time": None, "is_reduce_only": None}),
        ("user_trades", {"seq": "8327597863", "markIv": None}, {"seq": 8_327_597_863, "mark_iv": None}),
        ("user_trades", {"isMaker": None, "extraFees": None}, {"is_maker": None, "extra_fees": ()}),
        ("balances", {"coin": None, "totalEquity": None}, {"coins": (), "total_equity": None}),
    ],
)
def test_a_value_in_its_other_spelling_is_that_value(play: Play, stream: str, sent: Any, meant: Any) -> None:
    """The exchange changes between the two without notice: digits may be quoted or bare, and null is "not set"."""
    scene, subscription = reading(play, stream)
    for _ in range(2):  # with a parser, and at a glance
        send_rows(scene, stream, SAMPLES[stream] | sent)
        update = take(subscription)
        assert {name: getattr(update, name) for name in meant} == meant
    scene.logged(())
    still_reads(scene, subscription)


@row(213, kills="a message of millions of tiny values takes the process many seconds")
@pytest.mark.parametrize("unit", ["1", "[]", "{}", '{"symbol":"B","positionIdx":0}'])
def test_a_message_of_too_many_values_is_given_up_and_told(play: Play, unit: str) -> None:
    """It is counted before it is read: a gap says what it held, and the connection goes on."""
    scene, positions = reading(play, "positions")
    rows = ",".join([unit] * (2**22 // (len(unit) + 1) - 20))
    scene.exchange.do(say, frame(f'{{"topic":"position.linear","data":[{rows}]}}'))
    event = take_fault(positions, missed=None)
    assert event.gap is not None
    assert event.gap.detail.startswith("more than ")
    scene.logged(["ERROR"])
    still_reads(scene, positions)


NO_NUMBERS = [
    '"NaN"', '"Infinity"', '"-Infinity"', '"sNaN"', "NaN", "Infinity", "-Infinity", "1e999", "1e99999999999999999999",
    '"1e999"', '"1_000"', '" 1 "', '"1 "', '"１２"', '"٣"', '"0x10"', '"1e"', '"--1"', '"1,5"', '"1e65"', '"1e-65"',
    f'"{"1" * 33}.{"1" * 32}"',
]  # fmt: skip


@row(108, kills="Decimal decides what is a number")
@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_plain_number_costs_its_row(play: Play, text: str) -> None:
    """ASCII digits, finite, at most 64 of them and an exponent within 64; anything else is a gap, whatever Decimal thinks."""
    scene, positions = reading(play, "positions")
    good = '{"symbol":"BTCUSDT","positionIdx":1,"size":"1"}'
    rows = f'[{{"symbol":"BTCUSDT","positionIdx":0,"size":{text}}},{good}]'
    scene.exchange.do(say, frame(f'{{"topic":"position.linear","data":{rows}}}'))
    gap = take_fault(positions, missed=1).gap
    assert gap is not None
    assert "data[0].size" in gap.detail
    assert take(positions).position_idx == 1
    still_reads(scene, positions)


@row(108, kills="the limit is one digit, or one power of ten, too strict")
@pytest.mark.parametrize("text", [f"{'1' * 32}.{'1' * 32}", "1e64", "1e-64", "-0.0000", "0." + "1" * 63])
def test_a_long_number_is_a_number(play: Play, text: str) -> None:
    """What is within the limits arrives with every digit."""
    scene, positions = reading(play, "positions")
    send_rows(scene, "positions", {**SAMPLES["positions"], "size": text})
    size = take(positions).size
    assert size == Decimal(text)
    assert "e" in text or format(size, "f") == text
    still_reads(scene, positions)


@row(109, kills="a key that comes twice makes a frame unreadable, or the first one wins")
@pytest.mark.parametrize(
    "rows", ['[{"symbol":"B","positionIdx":0,"size":"1","size":"2"}]', '[],"data":[{"symbol":"B","positionIdx":0,"size":"2"}]']
)
def test_of_a_key_that_comes_twice_the_last_one_holds(play: Play, rows: str) -> None:
    """Bybit's own examples have some; nothing breaks on them."""
    scene, positions = reading(play, "positions")
    scene.exchange.do(say, frame(f'{{"topic":"position.linear","data":{rows}}}'))
    assert take(positions).size == Decimal(2)
    still_reads(scene, positions)


@row(110, kills="RecursionError or ValueError ends the thread")
@pytest.mark.parametrize(
    "data",
    ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000, "[" * 100_000, f'[{{"seq":{"9" * 5_000}}}]'],
    ids=["lists", "objects", "lists without end", "digits"],
)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_monstrous_frame_is_a_gap(play: Play, data: str, opcode: int) -> None:
    """Nested to death, or with a number that takes for ever: one gap for all, and the connection stays."""
    scene = play()
    orders = watching(scene)
    payload = f'{{"topic":"order.linear","data":{data}}}'
    scene.exchange.do(say, frame(payload, opcode))
    event = orders.next()
    assert event.gap is not None
    assert (event.gap.reason, event.raw) == (GapReason.UNDECODABLE, payload.encode())
    assert len(event.gap.detail) < 2_000
    scene.goes_on()


@row(110, kills="every bad row is described in the gap")
def test_many_bad_rows_are_counted_not_described(play: Play) -> None:
    """As many as one message may hold cost a moment and one gap, and nobody takes the moment for a dead exchange."""
    scene, orders = reading(play, "orders")
    rows = 200_000 // pace.traced()
    scene.exchange.do(say, frame('{"topic":"order.linear","data":[' + "0," * (rows - 1) + "0]}"))
    event = take_fault(orders, missed=rows)
    assert event.gap is not None
    assert len(event.gap.detail) < 2_000
    still_reads(scene, orders)


# --- texts ---


NASTY = ["\ud800", "a\x00b", "\x1b[31mred\x1b[0m", "one\nWARNING two", "\u202etxt.exe", "\r\n", "\x7f"]


@row(111, kills="a text of the exchange is logged as it is, or a lone surrogate makes a frame unreadable")
@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_a_nasty_text_is_delivered_verbatim_and_logged_escaped(
    play: Play, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In free texts, words, keys, topics and numbers: the user gets it as it is, the log what is fit to be read."""
    scene, orders = reading(play, "orders")
    columns = {"orderLinkId": text, "orderStatus": f"{text}{time.monotonic_ns()}", f"key{text}{time.monotonic_ns()}": text}
    send_rows(scene, "orders", {"orderId": text, **columns})
    update = take(orders)
    assert [update.order_id, update.order_link_id, *update.extra.values()] == [text] * 3
    assert update.order_status == columns["orderStatus"]
    send_rows(scene, "orders", {"orderId": "1", "qty": text})
    gap = take_fault(orders, missed=1).gap
    scene.exchange.do(say, pushed(f"topic{text}", []), frame(json.dumps({"op": f"op{text}", f"key{text}": 1})))
    scene.log.wait_for("unknown shape")
    for told in (repr(update), repr(gap), repr(orders), *[message for _, message in scene.log.messages]):
        assert told.isprintable(), told
        told.encode()
    assert capsys.readouterr().err == ""
    still_reads(scene, orders)


# --- pushes that are odd, but no faults ---


@row(112, kills="an empty list is dropped, or data of another kind is an empty list")
def test_an_empty_push_is_an_empty_event(play: Play) -> None:
    """No rows, and still an event: the exchange had something to say."""
    scene, orders = reading(play, "orders")
    send_rows(scene, "orders")
    event = orders.get(timeout=pace.patience())
    assert (event.gap, event.data, bool(event)) == (None, (), True)
    still_reads(scene, orders)


@row(112, kills="what is no list counts as an empty one")
@pytest.mark.parametrize("data", [None, {}, {"orderId": "1"}, "rows", 0, False], ids=json.dumps)
def test_rows_that_are_no_list_are_a_gap(play: Play, data: object) -> None:
    """How many were in there cannot be told; only the stream that the topic names is concerned."""
    scene, orders = reading(play, "orders")
    balances = scene.client.subscribe_balances()
    scene.exchange.do(push, "order.linear", data)
    event = take_fault(orders, missed=None)
    assert event.topic == "order.linear"
    assert json.loads(event.raw)["data"] == data
    scene.exchange.do(say, pushed("wallet", [SAMPLES["balances"]]))
    assert take(balances).account_type == "UNIFIED"
    still_reads(scene, orders)


@row(113, kills="what was seen before is filtered out")
def test_a_trade_that_comes_twice_is_delivered_twice(play: Play) -> None:
    """Before and after an outage, in this order, with the gap between them; `key` tells that they are one."""
    scene = play()
    scene.subscribe()
    trades = scene.client.subscribe_user_trades()
    send_rows(scene, "user_trades", {"execId": "one", "execQty": "1"})
    first = take(trades)
    scene.cause(hang_up)
    scene.recovers("without a close frame")
    send_rows(scene, "user_trades", {"execId": "one", "execQty": "1"}, {"execId": "two", "execQty": "1"})
    assert trades.get(timeout=pace.patience()).gap
    again, other = trades.get(timeout=pace.patience()).data
    assert first.key == again.key == ("linear", "one")
    assert first == again != other


@row(114, kills="events are sorted by their time, or old ones dropped")
def test_pushes_are_delivered_in_the_order_of_the_wire(play: Play) -> None:
    """Older than the last one, minutes late, or from the future: nothing is reordered, and `health` shows how late it is."""
    scene, positions = reading(play, "positions")
    now = scene.exchange.milliseconds()
    for at, offset in enumerate((0, -60_000, -300_000, 300_000)):
        send_rows(scene, "positions", {**SAMPLES["positions"], "seq": at}, creationTime=now + offset)
        assert take(positions).seq == at
        lag = next(s.last_push_lag for s in scene.client.health().subscriptions if s.stream == "positions")
        assert lag == pytest.approx(-offset / 1000, abs=2)
    scene.logged(())
    still_reads(scene, positions)


@row(114, kills="the lag is measured by this machine's clock alone")
def test_the_lag_is_by_the_exchanges_clock(play: Play) -> None:
    """A push that was written two minutes ago is two minutes late, though this machine's clock is ten minutes behind."""
    scene = play()
    scene.exchange.clock_offset = 600.0
    scene.subscribe()
    positions = scene.client.subscribe_positions()
    assert scene.client.health().clock_offset == pytest.approx(600, abs=1)
    late = scene.exchange.milliseconds() - 120_000
    send_rows(scene, "positions", SAMPLES["positions"], creationTime=late)
    take(positions)
    lag = next(s.last_push_lag for s in scene.client.health().subscriptions if s.stream == "positions")
    assert lag == pytest.approx(120, abs=2)
    scene.goes_on()


@row(115, kills="an order that is filled or cancelled gets no further update")
@pytest.mark.parametrize("states", [["Filled", "Filled"], ["Cancelled", "Filled"], ["PartiallyFilled", "Cancelled", "Filled"]])
def test_an_order_may_end_twice(play: Play, states: list[str]) -> None:
    """Bybit documents it for a cancel that races a fill: each update is delivered, as sent."""
    scene = play()
    orders = scene.subscribe()
    scene.exchange.do(say_all(states))
    assert [orders.update("racing").data[0].order_status for _ in states] == states
    scene.goes_on()


def say_all(states: list[str]) -> Any:
    """Return the act that pushes the order "racing" in each of *states*, in one segment."""

    def act(line: Talk) -> None:
        say(line, *[order(line, "racing", orderStatus=state) for state in states])

    return act
