"""`bybit_sync.integrations.redis_entries`: an event as fields and back, and the ids of entries."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest

from bybit_sync import (
    AccountType,
    BalanceUpdate,
    CoinBalance,
    Event,
    Gap,
    GapReason,
    OrderUpdate,
    ProtocolError,
    Source,
    Stream,
    UserTradeUpdate,
)
from bybit_sync.integrations.redis_entries import START, EntryId, complete_until, mending_since, previous, read, write
from tests.integrations.reading import difference
from tests.talking import at

LOST = Gap(reason=GapReason.DISCONNECTED, since=at(5).utc, until=at(9).utc, detail="lost", error=ProtocolError("why"))
NOON_MS = 1_767_268_800_000


def order(name: str, **changes: Any) -> dict[str, Any]:
    """Return a row of an order."""
    return {"category": "linear", "orderId": name, "symbol": "BTCUSDT", "price": "20000.50", "new": 1, **changes}


def frame(*rows: dict[str, Any], topic: str = "order.linear") -> bytes:
    """Return a push of *rows*."""
    return json.dumps({"topic": topic, "id": "1", "creationTime": NOON_MS, "data": rows}).encode()


def pushed(*rows: dict[str, Any], raw: bytes = b"", **changes: Any) -> Event[Any]:
    """Return the event of a push of *rows*, as a client delivers it."""
    usual = {b"frame": raw or frame(*rows), b"client": b"main", b"epoch": b"3", b"index": b"7"}
    return attrs.evolve(read({**usual, b"received_at": at(1).utc.isoformat().encode()}, at(1).ns), **changes)


def rest(*rows: Any, **changes: Any) -> Event[Any]:
    """Return an event of REST with *rows*."""
    now = at(8)
    usual: dict[str, Any] = {"stream": Stream.USER_TRADES, "topic": "", "created_at": at(7).utc, "source": Source.REST}
    return Event(**{**usual, "data": rows, "received_at": now.utc, "received_ns": now.ns, "client": "main", **changes})


EVENTS = {
    "a push": pushed(order("a"), order("b")),
    "rows without their frame": attrs.evolve(pushed(order("a")), raw=b"{"),
    "a push of another layout": pushed(raw=json.dumps({"data": [order("a")], "topic": "order"}).encode()),
    "a push with a bad row": pushed(order("a"), order("b", price="x")),
    "a push of which rows were left out": (two := pushed(order("a"), order("b"))) and attrs.evolve(two, data=two.data[1:]),
    "a gap": rest(gap=LOST, source=Source.STREAM, created_at=None, epoch=4, index=9),
    "a gap with its frame": rest(gap=LOST, source=Source.STREAM, raw=b"\xff{", topic="execution.linear"),
    "rows of REST": rest(UserTradeUpdate(exec_id="e\ud83d", wire={"a": Decimal("1.50"), "b": [1]}, extra={"c": Decimal(2)})),
    "a snapshot": rest(
        BalanceUpdate(
            account_type=AccountType.UNIFIED,
            coins=(CoinBalance(coin="BTC", equity=Decimal("0.50"), wire={"coin": "BTC"}, extra={"x": None}),),
        ),
        stream=Stream.BALANCES,
        snapshot=True,
        recovered=LOST,
        unresolved=("o-1",),
    ),
}


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_an_event_comes_back_with_every_attribute(event: Event[Any]) -> None:
    """Its rows with `wire` and `extra` too; of an error the class and the text."""
    assert difference(read(write(event, "run", None), 5), event) == []


@pytest.mark.parametrize(
    "value",
    [
        {"$decimal": "1.5"},
        {"$decimal": "x"},
        {"$decimal": Decimal("1.50"), "b": 1},
        {"$$decimal": {"$decimal": Decimal(1)}},
        {"type": "Gap", "$": [{"$decimal": None}]},
    ],
)
def test_no_value_of_the_exchange_is_taken_for_a_mark(value: dict[str, Any]) -> None:
    """Whatever an unknown key holds, and a coin may be called anything."""
    row = OrderUpdate(order_id="o", wire={"a": value, **value}, extra={"a": value}, cum_fee_detail={"$decimal": Decimal("0.1")})
    event = rest(row, stream=Stream.ORDERS)
    assert difference(read(write(event, "run", None), 5), event) == []


def test_a_push_is_its_frame_alone() -> None:
    """There is no second schema."""
    fields = write(EVENTS["a push"], "run", EntryId(5, 3))
    assert fields == {
        b"run": b"run",
        b"client": b"main",
        b"stream": b"orders",
        b"epoch": b"3",
        b"index": b"7",
        b"received_at": b"2026-01-01T12:00:01+00:00",
        b"after": b"5-3",
        b"frame": EVENTS["a push"].raw,
    }


GOOD = write(EVENTS["a push"], "run", None)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {b"event": b"{"},
        {b"event": b'{"type": "Gap"}'},
        {b"event": b'{"$decimal": "x"}'},
        {**GOOD, b"frame": b"{}"},
        {**GOOD, b"frame": b'{"topic": "news", "data": []}'},
        {**GOOD, b"frame": b'{"topic": "order", "data": 1}'},
        {**GOOD, b"index": b"one"},
        {**GOOD, b"received_at": b"noon"},
        {**GOOD, b"received_at": b"2026-01-01T12:00:01"},
        {b"event": b"[" * 100_000},
    ],
)
def test_what_is_no_event_is_refused(fields: dict[bytes, bytes]) -> None:
    """With one error, whatever is wrong."""
    with pytest.raises(ValueError, match="the entry is no event of bybit_sync"):
        read(fields, 5)


def test_an_id_tells_the_one_before() -> None:
    """The first of a series names it."""
    assert previous(EntryId(5, 3), {}) == EntryId(5, 2)
    assert previous(EntryId(5, 1), {b"after": b"4-17"}) == EntryId(4, 17)


@pytest.mark.parametrize("after", [b"", b"first", b"5", b"-5-1", b"5--1", b"18446744073709551616-1"])
def test_an_id_that_no_server_gives_is_refused(after: bytes) -> None:
    """A server could not be asked for it."""
    with pytest.raises(ValueError):  # noqa: PT011 - the entry is named by whoever reads it
        previous(EntryId(5, 1), {b"after": after})


def test_an_entry_that_somebody_else_numbered_has_none_before_it() -> None:
    """Servers begin with 0."""
    with pytest.raises(ValueError, match="begin with 1"):
        previous(EntryId(5, 0), {})


def test_ids_are_compared_as_numbers() -> None:
    """As the server does."""
    assert START < EntryId.parse(b"9-10") < EntryId.parse(b"10-2") < EntryId.parse(b"10-10")
    assert str(EntryId.parse(b"10-2")) == "10-2"


def test_a_series_began_at_the_time_in_its_ids() -> None:
    """Whatever a foreign id says."""
    assert EntryId(NOON_MS, 7).time == at(0).utc
    assert EntryId(2**64 - 1, 0).time.year == 9999


PROVEN = {
    "a push": (pushed(order("a")), 0),
    "a push without a time": (pushed(raw=b'{"topic": "order", "data": []}'), 1),
    "a gap": (rest(gap=LOST), 9),
    "rows that mend a gap": (rest(UserTradeUpdate(exec_id="e", exec_time=at(6).utc), recovered=LOST), 9),
    "executions of REST": (rest(UserTradeUpdate(exec_id="e", exec_time=at(6).utc)), 6),
    "no rows of REST": (rest(), 7),
    "rows of REST without a time": (rest(UserTradeUpdate(exec_id="e")), 7),
}


@pytest.mark.parametrize(("event", "seconds"), PROVEN.values(), ids=PROVEN)
def test_a_stream_is_complete_until_its_last_event(event: Event[Any], seconds: float) -> None:
    """By the exchange's time, if there is one."""
    assert complete_until(event) == at(0).utc + timedelta(seconds=seconds)


MENDING = attrs.evolve(LOST, recovering=True)


@pytest.mark.parametrize(
    ("event", "before", "after"),
    [
        (pushed(order("a")), None, None),
        (pushed(order("a")), 5, 5),
        (rest(gap=MENDING), None, 5),
        (rest(gap=MENDING), 3, 3),
        (rest(gap=MENDING), 7, 5),
        (rest(gap=LOST), 3, 3),
        (rest(gap=LOST), 5, None),
        (rest(recovered=LOST), 5, None),
        (rest(recovered=LOST), 3, 3),
    ],
)
def test_what_is_to_be_mended_is_known_until_it_is_told(event: Event[Any], before: int | None, after: int | None) -> None:
    """By an event that mends the window, or the gap of one that cannot be."""
    known, found = (None if seconds is None else at(seconds).utc for seconds in (before, after))
    assert mending_since(event, known) == found
