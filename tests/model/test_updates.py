"""What a subscriber receives: updates, events and gaps as values."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import attrs
import pytest

from bybit_sync import (
    AccountType,
    BalanceUpdate,
    Category,
    CoinBalance,
    ConnectionLost,
    Event,
    ExtraFee,
    Gap,
    GapReason,
    OrderStatus,
    OrderUpdate,
    PositionUpdate,
    Side,
    Source,
    Stream,
    UserTradeUpdate,
    to_dict,
)
from bybit_sync.model.events import with_index

NOON = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=timezone.utc)

POSITION = PositionUpdate(
    category=Category.LINEAR,
    symbol="BTCUSDT",
    side=Side.BUY,
    size=Decimal("0.010"),
    position_idx=1,
    updated_time=NOON,
    extra={"newKey": [1, {"deep": Decimal("1.50")}]},
    wire={"symbol": "BTCUSDT", "newKey": [1, {"deep": Decimal("1.50")}]},
)
ORDER = OrderUpdate(order_id="o-1", order_status=OrderStatus("Parked"), cum_fee_detail={"USDT": Decimal("0.10")})
TRADE = UserTradeUpdate(exec_id="e-1", is_maker=False, extra_fees=(ExtraFee(fee=Decimal("0.01"), wire={"fee": "0.01"}),))
BALANCE = BalanceUpdate(account_type=AccountType.UNIFIED, coins=(CoinBalance(coin="BTC"), CoinBalance(coin="USDT")))
GAP = Gap(
    reason=GapReason.ENDED,
    since=NOON,
    until=NOON + timedelta(seconds=5),
    missed=None,
    detail="lost",
    error=ConnectionLost("it went away", code=1006),
)


def event(**changes: Any) -> Event[PositionUpdate]:
    """Return a push of one position, with *changes*."""
    push: Event[PositionUpdate] = Event(
        stream=Stream.POSITIONS,
        topic="position.linear",
        data=(POSITION,),
        id="4711000_position_1",
        created_at=NOON,
        received_at=NOON,
        received_ns=5,
        raw=b'{"id":"4711000_position_1"}',
        client="bybit-1",
        epoch=1,
    )
    return attrs.evolve(push, **changes)


everything = pytest.mark.parametrize(
    "record", [POSITION, ORDER, TRADE, BALANCE, GAP, event(), event(data=(), gap=GAP)], ids=lambda record: type(record).__name__
)
updates = pytest.mark.parametrize("update", [POSITION, ORDER, TRADE, BALANCE], ids=lambda update: type(update).__name__)


@everything
def test_record_is_frozen(record: Any) -> None:
    """What several threads share, nobody changes; nor does anybody add to it."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(record, attrs.fields(type(record))[0].name, None)
    with pytest.raises((AttributeError, TypeError)):
        record.of_my_own = 1
    assert not hasattr(record, "__dict__")


@updates
def test_update_is_hashable_and_comparable(update: Any) -> None:
    """Two updates that say the same are one element of a set."""
    again = attrs.evolve(update)
    assert update is not again
    assert {update, again} == {update}
    assert update != attrs.evolve(update, **{type(update).__slots__[0]: "another"})


@updates
def test_wire_and_extra_are_no_part_of_equality(update: Any) -> None:
    """The same facts in another spelling, or with a key more, are the same update."""
    other = attrs.evolve(update, wire={"spelled": "otherwise"}, extra={"more": 1})
    assert other == update
    assert hash(other) == hash(update)


@everything
@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, *(lambda r, p=p: pickle.loads(pickle.dumps(r, p)) for p in range(6))]
)
def test_copy_equals_the_original(record: Any, duplicate: Any) -> None:
    """Copies and pickles, in every protocol, give the same again, down to the mappings that equality leaves out."""
    twin = duplicate(record)
    assert type(twin) is type(record)
    for field in attrs.fields(type(record)):
        mine, theirs = getattr(record, field.name), getattr(twin, field.name)
        assert repr(mine) == repr(theirs)


def test_error_of_a_gap_survives_pickling() -> None:
    """The error that ended a subscription arrives in another process with its facts."""
    error = pickle.loads(pickle.dumps(GAP)).error
    assert (type(error), str(error), error.code) == (ConnectionLost, "it went away", 1006)


@pytest.mark.parametrize("twin", [POSITION, copy.deepcopy(POSITION), pickle.loads(pickle.dumps(POSITION))])
def test_mappings_are_read_only(twin: PositionUpdate) -> None:
    """Nobody changes the row under the eyes of another consumer, also after a copy."""
    for mapping in (twin.wire, twin.extra):
        with pytest.raises(TypeError):
            mapping["symbol"] = "ETHUSDT"  # type: ignore[index]


def test_deep_copy_shares_nothing_that_can_change() -> None:
    """The list inside a new key of the exchange is a list of its own in the copy."""
    twin = copy.deepcopy(POSITION)
    assert twin.extra["newKey"] == POSITION.extra["newKey"]
    assert twin.extra["newKey"] is not POSITION.extra["newKey"]


def test_mapping_given_to_an_update_is_copied() -> None:
    """Whoever makes an update may go on using the dict that it was made from."""
    fees = {"USDT": Decimal(1)}
    order = OrderUpdate(order_id="o-1", cum_fee_detail=fees)
    fees["USDT"] = Decimal(2)
    assert order.cum_fee_detail == {"USDT": Decimal(1)}


@everything
def test_asdict_holds_every_attribute(record: Any) -> None:
    """`attrs.asdict` works, and names everything."""
    assert set(attrs.asdict(record)) == {field.name for field in attrs.fields(type(record))}


def test_repr_leaves_out_what_says_nothing() -> None:
    """A repr is what is set, in the exchange's digits and words."""
    assert repr(POSITION) == (
        "PositionUpdate(category='linear', symbol='BTCUSDT', side='Buy', size=0.010, position_idx=1, "
        "updated_time=2026-03-01T12:00:00.123000+00:00)"
    )
    assert repr(ORDER) == "OrderUpdate(order_id='o-1', order_status='Parked', cum_fee_detail={'USDT': Decimal('0.10')})"
    assert repr(UserTradeUpdate(exec_id="e-1")) == "UserTradeUpdate(exec_id='e-1')"
    assert repr(TRADE) == "UserTradeUpdate(exec_id='e-1', extra_fees=(ExtraFee(fee=0.01),), is_maker=False)"


def test_repr_of_an_update_is_one_line() -> None:
    """Text of the exchange is escaped and cut: it neither forges nor floods a log."""
    shown = repr(PositionUpdate(symbol="a\n\x1b[31m" + "x" * 5_000, position_idx=0))
    assert shown.startswith(r"PositionUpdate(symbol='a\n\x1b[31mxxx")
    assert len(shown) < 200


def test_required_attributes_must_be_given() -> None:
    """An update without what its key needs cannot be made."""
    with pytest.raises(TypeError, match="symbol"):
        PositionUpdate(position_idx=0)  # type: ignore[call-arg]


def test_key_names_what_an_update_replaces() -> None:
    """Each update knows under which key it is to be kept."""
    assert POSITION.key == ("linear", "BTCUSDT", 1)
    assert ORDER.key == ("o-1",)
    assert TRADE.key == (None, "e-1")
    assert attrs.evolve(TRADE, category=Category.SPOT).key == ("spot", "e-1")
    assert BALANCE.key == ("UNIFIED",)


def test_coin_finds_a_balance_by_name() -> None:
    """A coin that was not sent is None: that says nothing about its balance."""
    assert BALANCE.coin("USDT") is BALANCE.coins[1]
    assert BALANCE.coin("ETH") is None


def test_event_holds_what_it_was_made_of() -> None:
    """Every argument is the attribute of its name; what may be left out has the value of a push that tells nothing."""
    given = {field.name: f"the {field.name}" for field in attrs.fields(Event)}
    whole: Any = Event(**given)  # type: ignore[arg-type]
    short: Any = Event(stream=Stream.ORDERS, topic="order", received_at=NOON, received_ns=1)
    assert attrs.asdict(whole) == given
    assert (short.data, short.gap, short.id, short.created_at) == ((), None, None, None)
    assert (short.raw, short.client, short.epoch, short.index) == (b"", "", 0, 0)
    assert (short.source, short.snapshot, short.recovered, short.unresolved) == (Source.STREAM, False, None, ())


def test_event_is_true_and_goes_over_its_rows() -> None:
    """A push and a gap are true; iteration gives rows, none for a gap."""
    push, hole = event(), event(data=(), gap=GAP)
    assert push
    assert hole
    assert GAP
    assert (list(push), list(hole)) == ([POSITION], [])


def test_event_shows_neither_id_nor_frame() -> None:
    """Both hold the account id, which has no place in a log."""
    assert repr(event()) == f"Event(positions, 1 row: {POSITION!r})"
    assert "4711000" not in repr(event())
    assert "4711000" not in str(event(data=(), gap=GAP))


def test_event_shows_the_beginning_of_its_first_row() -> None:
    """A push of ten thousand long rows is one short line."""
    long = attrs.evolve(
        POSITION, **{name: Decimal("12345.678") for name in ("leverage", "liq_price", "mark_price", "bust_price")}
    )
    assert repr(event(data=(long,) * 10_000)) == f"Event(positions, 10000 rows: {repr(long)[:160]}...; print(*event) shows all)"
    assert repr(event(data=())) == "Event(positions, 0 rows: none)"


def test_event_that_leaves_rows_out_says_how_to_see_them() -> None:
    """A short second row, too; a whole event says nothing."""
    assert repr(event(data=(POSITION, POSITION))).endswith("...; print(*event) shows all)")
    assert "shows all" not in repr(event())


def test_event_of_a_gap_shows_the_gap() -> None:
    """A gap's line says why, since when, until when."""
    assert repr(event(data=(), gap=GAP)) == f"Event(positions, {GAP!r})"
    assert repr(GAP).startswith("Gap(reason='ENDED', since=2026-03-01T12:00:00.123000+00:00, until=2026-03-01T12:00:05.123000")


def test_a_gap_shows_only_that_it_is_being_mended() -> None:
    """Without ``recover`` none is, and its line is as short as before."""
    assert "recovering" not in repr(GAP)
    assert "recovering=True" in repr(attrs.evolve(GAP, recovering=True))


def test_event_from_rest_shows_what_it_mends() -> None:
    """The window, that the rows are all there is, and how many orders were not found, before the rows."""
    mended = event(source=Source.REST, snapshot=True, recovered=GAP, unresolved=("o-1", "o-2"))
    window = "2026-03-01T12:00:00.123000+00:00 to 2026-03-01T12:00:05.123000+00:00"
    words = f"from REST, snapshot, recovered {window}, 2 unresolved"
    assert repr(mended) == f"Event(positions, {words}, 1 row: {POSITION!r})"
    assert repr(event(data=(), source=Source.REST)) == "Event(positions, from REST, 0 rows: none)"


def test_numbered_event_differs_by_its_number() -> None:
    """Each subscription numbers the event for itself, and shares the rest."""
    push = event(source=Source.REST, snapshot=True, recovered=GAP, unresolved=("o-1",))
    third = with_index(push, 3)
    assert third == attrs.evolve(push, index=3)
    assert third.data is push.data
    assert push.index == 0


def test_number_of_an_event_is_frozen() -> None:
    """A numbered event is as frozen as any."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        with_index(event(), 3).index = 4  # type: ignore[misc]


@everything
def test_plain_values_go_through_json(record: Any) -> None:
    """`to_dict` gives what `json.dumps` takes, and reading it gives the same again."""
    plain = to_dict(record)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_plain_values_lose_nothing() -> None:
    """Numbers keep their digits, times their milliseconds, words their text, unknown keys their values."""
    plain = to_dict(POSITION)
    assert plain["size"] == "0.010"
    assert plain["updated_time"] == "2026-03-01T12:00:00.123000+00:00"
    assert (plain["side"], type(plain["side"])) == ("Buy", str)
    assert plain["extra"] == {"newKey": [1, {"deep": "1.50"}]}
    assert plain["liq_price"] is None


def test_plain_values_of_an_event() -> None:
    """An event becomes its rows and what surrounds them; a gap's error its class and message."""
    push, hole = to_dict(event()), to_dict(event(data=(), gap=GAP))
    assert (push["stream"], push["topic"], push["gap"]) == ("positions", "position.linear", None)
    assert push["data"] == [to_dict(POSITION)]
    assert hole["gap"]["error"] == "ConnectionLost: it went away"
    assert hole["gap"]["recovering"] is False


def test_plain_values_of_an_event_from_rest() -> None:
    """They say that it is one, and what it mends."""
    plain = to_dict(event(source=Source.REST, snapshot=True, recovered=GAP, unresolved=("o-1",)))
    assert (plain["source"], type(plain["source"]), plain["snapshot"]) == ("REST", str, True)
    assert (plain["recovered"], plain["unresolved"]) == (to_dict(GAP), ["o-1"])


@pytest.mark.parametrize(
    ("number", "text"),
    [("0.0000", "0.0000"), ("1E+3", "1000"), ("1E-7", "0.0000001"), ("-0.00", "-0.00"), ("1E+999999", "1E+999999")],
)
def test_plain_numbers_have_no_exponent(number: str, text: str) -> None:
    """A number is written out, unless it is one of an unknown key that would fill the memory."""
    update = PositionUpdate(symbol="BTCUSDT", position_idx=0, extra={"number": Decimal(number)})
    assert to_dict(update)["extra"] == {"number": text}


def test_what_was_sent_is_left_out_of_plain_values() -> None:
    """The row and the frame say the same as the attributes."""
    assert "wire" not in to_dict(POSITION)
    assert "raw" not in to_dict(event())
