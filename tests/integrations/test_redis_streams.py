"""`bybit_sync.integrations.redis_streams`: what is written and read, through a real server."""

from __future__ import annotations

import contextlib
import copy
import gc
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import attrs
import pytest

from bybit_sync import Client, ConfigurationError, Event, GapReason, RedisStreamError, Source, Stream
from bybit_sync.integrations.redis_entries import EntryId, write
from bybit_sync.integrations.redis_reader import GroupMember
from bybit_sync.integrations.redis_server import RedisServer
from bybit_sync.integrations.redis_streams import RedisStreams, consume
from bybit_sync.simulator import Account, Exchange
from tests.conftest import push
from tests.integrations.reading import difference, outline
from tests.integrations.servers import Server, connected
from tests.integrations.test_redis_entries import LOST, order, pushed, rest
from tests.recovery.conftest import Recovering

Sink = RedisStreams
Consumer = Callable[..., Iterator[Event[Any]]]


@pytest.fixture
def sink(redis_url: str, prefix: str) -> RedisStreams:
    """A sink whose streams are the test's own."""
    return RedisStreams(redis_url, prefix=prefix)


@pytest.fixture
def orders(redis_url: str, prefix: str) -> Consumer:
    """Consume the orders of the client main."""
    return partial(consume, redis_url, "main", "orders", prefix=prefix, timeout=30.0)


@pytest.fixture
def raw(redis_url: str) -> Iterator[Any]:
    """A connection to the server."""
    with connected(redis_url) as raw:
        yield raw


def numbered(first: int, last: int) -> Iterator[Event[Any]]:
    """Yield the events *first* to *last* of a subscription to orders."""
    for number in range(first, last + 1):
        yield attrs.evolve(pushed(order(f"o-{number}")), index=number)


def first(reading: Iterator[Event[Any]], count: int) -> list[Event[Any]]:
    """Return the next *count* events."""
    return [next(reading) for _ in range(count)]


def publish(sink: RedisStreams, first: int, last: int) -> None:
    """Write the events *first* to *last*."""
    for event in numbered(first, last):
        sink(event)


# --- equality with a local subscriber ---


class Both:
    """A sink that keeps what it also gives to another one."""

    def __init__(self, sink: RedisStreams) -> None:
        self.events: list[Event[Any]] = []
        self._sink = sink

    def __call__(self, event: Event[Any]) -> None:
        """Write *event*, then keep it."""
        self._sink(event)
        self.events.append(event)


def busy(exchange: Exchange, account: Account) -> None:
    """Let every stream have something, a bad row, and an outage."""
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
    account.push("orders", [{"category": "linear", "orderId": "good"}, {"category": "linear", "orderId": "bad", "price": "x"}])
    exchange.drop()


SUBSCRIBE = {stream: f"subscribe_{stream.value}" for stream in Stream}


@pytest.mark.parametrize("stream", Stream)
def test_a_consumer_gets_what_a_local_subscriber_gets(
    make_client: Callable[..., Client],
    exchange: Exchange,
    account: Account,
    sink: Sink,
    orders: Consumer,
    dialect: str,
    stream: Stream,
) -> None:
    """Attribute by attribute: pushes, gaps, and what follows a bad row."""
    both = Both(sink)
    client = make_client(name="main", dialect=dialect)
    getattr(client, SUBSCRIBE[stream])(both)
    reading = consume_all(orders, stream)
    busy(exchange, account)
    exchange.wait_for(lambda: any(e.gap and e.gap.reason == GapReason.DISCONNECTED for e in both.events))
    assert client.close()
    found = first(reading, len(both.events))
    assert [difference(a, b) for a, b in zip(found, both.events, strict=True)] == [[] for _ in found]


def consume_all(orders: Consumer, stream: Stream) -> Iterator[Event[Any]]:
    """Consume another *stream* than orders."""
    assert isinstance(orders, partial)
    return consume(orders.args[0], "main", stream, **orders.keywords)


@pytest.mark.parametrize("stream", Stream)
def test_recovered_events_are_equal_too(
    recovering: Recovering, exchange: Exchange, account: Account, sink: Sink, orders: Consumer, stream: Stream
) -> None:
    """Snapshots and rows of REST, with their `wire`."""
    both = Both(sink)
    account.place_order("ETHUSDT", "Buy", qty="1", price="1000")
    client = recovering(client={"name": "main"})
    reading = consume_all(orders, stream)
    getattr(client, SUBSCRIBE[stream])(both)
    exchange.stop_listening()
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
    exchange.listen()
    exchange.wait_for(lambda: any(event.recovered for event in both.events), timeout=20)
    assert client.close()
    found = first(reading, len(both.events))
    assert [difference(a, b) for a, b in zip(found, both.events, strict=True)] == [[] for _ in found]
    assert any(row.wire for event in found if event.source is Source.REST for row in event)


# --- runs ---


def test_a_new_stream_begins_without_a_gap(sink: Sink, orders: Consumer) -> None:
    """Nothing was before it."""
    reading = orders()
    publish(sink, 1, 3)
    assert outline(first(reading, 3)) == [1, 2, 3]


def test_a_publisher_that_begins_again_tells_one_gap(redis_url: str, prefix: str, orders: Consumer) -> None:
    """From the last entry on, by the exchange's time."""
    publish(RedisStreams(redis_url, prefix=prefix), 1, 2)
    reading = orders()
    publish(RedisStreams(redis_url, prefix=prefix), 1, 2)
    gap, *events = first(reading, 3)
    assert outline([gap, *events]) == [("DISCONNECTED", None), 1, 2]
    assert gap.gap is not None
    assert (gap.gap.since, gap.gap.until, gap.client, gap.epoch) == (events[0].created_at, events[0].created_at, "main", 3)


def test_a_subscription_that_is_made_again_tells_one_gap(sink: Sink, orders: Consumer) -> None:
    """Its events are numbered from 1 again."""
    publish(sink, 1, 2)
    reading = orders()
    publish(sink, 1, 1)
    assert outline(first(reading, 2)) == [("DISCONNECTED", None), 1]


def test_ids_rise_though_the_clock_went_back(sink: Sink, orders: Consumer, raw: Any, prefix: str) -> None:
    """Above the last entry, whenever that was."""
    ahead = EntryId(2**43, 5)
    raw.xadd(f"{prefix}:main:orders", write(next(numbered(1, 1)), "run", None), str(ahead))
    reading = orders()
    publish(sink, 1, 2)
    assert outline(first(reading, 3)) == [("DISCONNECTED", None), 1, 2]
    assert [entry.decode() for entry, _ in raw.xrange(f"{prefix}:main:orders")][1:] == [f"{2**43 + 1}-{n}" for n in (1, 2, 3)]


def test_an_event_that_never_came_is_told_by_a_gap(sink: Sink, orders: Consumer) -> None:
    """It was not written, for whatever reason."""
    reading = orders()
    publish(sink, 1, 2)
    publish(sink, 5, 5)
    assert outline(first(reading, 4)) == [1, 2, ("OVERFLOW", 2), 5]


def test_a_second_subscription_of_one_stream_is_refused(sink: Sink) -> None:
    """As long as the first one lives."""
    publishing, over = threading.Event(), threading.Event()
    other = threading.Thread(target=lambda: (publish(sink, 1, 1), publishing.set(), over.wait(60)))
    other.start()
    assert publishing.wait(60)
    with pytest.raises(RedisStreamError, match="subscribe once to each stream of a client"):
        publish(sink, 1, 1)
    over.set()
    other.join()
    publish(sink, 1, 1)


def test_of_two_subscriptions_that_begin_at_once_one_writes(redis_url: str, prefix: str, raw: Any) -> None:
    """Every event; the other one is refused each time."""
    begin, end, written = threading.Barrier(2), threading.Barrier(2), []

    def write_all(sink: RedisStreams) -> None:
        begin.wait(60)
        written.append(accepted(sink))
        end.wait(60)

    with switching_often():
        for number in range(20):
            sink = RedisStreams(redis_url, prefix=f"{prefix}:{number}")
            run_together(partial(write_all, sink))
            entries = raw.xrange(f"{prefix}:{number}:main:orders")
            assert [int(fields[b"index"]) for _, fields in entries] == [1, 2, 3, 4]
    assert sorted(map(len, written)) == [0] * 20 + [4] * 20


def accepted(sink: RedisStreams) -> list[int]:
    """Return which of the events 1 to 4 are not refused."""
    found = []
    for event in numbered(1, 4):
        with contextlib.suppress(RedisStreamError):
            sink(event)
            found.append(event.index)
    return found


@contextlib.contextmanager
def switching_often() -> Iterator[None]:
    """Let threads take turns within a microsecond."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def run_together(call: Callable[[], None]) -> None:
    """Run *call* in two threads, and wait for both."""
    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_subscription_whose_first_events_were_refused_tells_a_gap(sink: Sink, orders: Consumer) -> None:
    """Though its numbers go on where those of the other one ended."""
    reading = orders()
    for first_index, last_index in ((1, 2), (3, 4)):
        writing = threading.Thread(target=publish, args=(sink, first_index, last_index))
        writing.start()
        writing.join()
    assert outline(first(reading, 5)) == [1, 2, ("DISCONNECTED", None), 3, 4]


def test_a_subscription_begins_again_after_one_that_was_refused(
    sink: Sink, orders: Consumer, redis_url: str, prefix: str
) -> None:
    """Its error, which a user may keep, holds what raised it."""
    reading, errors = orders(), []

    def be_refused() -> None:
        publish(sink, 1, 1)
        publish(RedisStreams(redis_url, prefix=prefix), 1, 1)
        try:
            publish(sink, 2, 2)
        except RedisStreamError as error:
            errors.append(error)

    writing = threading.Thread(target=be_refused)
    writing.start()
    writing.join()
    publish(sink, 3, 3)
    assert outline(first(reading, 5)) == [1, ("DISCONNECTED", None), 1, ("DISCONNECTED", None), 3]
    assert "another writer" in str(errors)


def test_a_subscription_that_ended_leaves_no_connection(sink: Sink, raw: Any) -> None:
    """Nor a consumer that nobody uses; without waiting for the collector of garbage."""
    before, deadline = len(raw.client_list()), time.monotonic() + 30.0
    gc.disable()
    try:
        writing = threading.Thread(target=publish, args=(sink, 1, 2))
        writing.start()
        writing.join()
        while len(raw.client_list()) > before:
            assert time.monotonic() < deadline
    finally:
        gc.enable()


def test_a_stream_whose_ids_are_used_up_is_an_error(sink: Sink, raw: Any, prefix: str) -> None:
    """It says what can be done."""
    raw.xadd(f"{prefix}:main:orders", {"a": "b"}, id=f"{2**64 - 1}-5")
    raw.xtrim(f"{prefix}:main:orders", maxlen=0, approximate=False)
    with pytest.raises(RedisStreamError, match=r"has no ids left .*: delete it, or give another prefix="):
        publish(sink, 1, 1)


def test_executions_of_a_pause_follow_its_gap(
    recovering: Recovering, account: Account, sink: Sink, redis_url: str, prefix: str
) -> None:
    """With ``since=`` of what is in the stream; 60 seconds come twice, under the same keys."""
    client = recovering(client={"name": "main"})
    reading = consume(redis_url, "main", "user_trades", prefix=prefix, timeout=1.0)
    trades = client.subscribe_user_trades(sink)
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
    filled = next(reading)
    assert trades.close()
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
    client.subscribe_user_trades(sink, since=sink.complete_until("main", "user_trades"))
    gap, rows = next(reading), next(reading)
    assert gap.gap is not None
    assert (gap.index, len(rows.data), rows.data[0].key) == (0, 2, filled.data[0].key)


def test_the_time_that_a_stream_is_complete_until(sink: Sink) -> None:
    """A minute before its last event; of an empty stream, before now."""
    now = datetime.now(timezone.utc)
    assert timedelta(0) <= sink.complete_until("main", "orders") + timedelta(seconds=60) - now < timedelta(seconds=30)
    (event,) = numbered(1, 1)
    sink(event)
    assert event.created_at is not None
    assert sink.complete_until("main", Stream.ORDERS) == event.created_at - timedelta(seconds=60)


def test_a_window_that_is_being_mended_is_not_complete(sink: Sink) -> None:
    """Also when later pushes are behind its gap, until the event that mends it."""
    mended, minute = attrs.evolve(LOST, recovering=True), timedelta(seconds=60)
    push = attrs.evolve(next(numbered(2, 2)), created_at=LOST.until)
    events = [rest(gap=mended, index=1, stream=Stream.ORDERS), push, rest(recovered=LOST, index=3, stream=Stream.ORDERS)]
    found = []
    for event in events:
        sink(event)
        found.append(sink.complete_until("main", "orders") + minute)
    assert found == [LOST.since, LOST.since, LOST.until]


def test_a_server_that_is_away_cannot_be_asked() -> None:
    """At once: nothing depends on it."""
    with pytest.raises(RedisStreamError, match="unix:///no/such does not answer"):
        RedisStreams("unix:///no/such").complete_until("main", "orders")


def test_a_foreign_entry_proves_nothing(sink: Sink, raw: Any, prefix: str) -> None:
    """It is named."""
    raw.xadd(f"{prefix}:main:orders", {"a": "b"})
    with pytest.raises(RedisStreamError, match="main, orders: the entry is no event of bybit_sync"):
        sink.complete_until("main", "orders")


# --- following ---


def test_a_follower_begins_with_the_next_entry(sink: Sink, orders: Consumer) -> None:
    """Counted from the call, not from the first look."""
    publish(sink, 1, 2)
    reading = orders()
    publish(sink, 3, 4)
    assert outline(first(reading, 2)) == [3, 4]


def test_a_follower_may_come_before_its_stream(sink: Sink, orders: Consumer) -> None:
    """It gets the first entry."""
    reading = orders(timeout=5.0)
    writing = threading.Timer(0.3, publish, (sink, 1, 1))
    writing.start()
    assert next(reading).index == 1
    writing.join()


def test_an_iteration_ends_when_nothing_comes_for_so_long(orders: Consumer) -> None:
    """And not before."""
    began = datetime.now(timezone.utc)
    assert list(orders(timeout=1.5)) == []
    assert datetime.now(timezone.utc) - began >= timedelta(seconds=1.5)


def test_a_server_that_is_away_for_longer_is_told() -> None:
    """It is not the same as a stream in which nothing happens."""
    with pytest.raises(RedisStreamError, match=r"unix:///no/such does not answer.*nothing can be read"):
        consume("unix:///no/such", "main", "orders", timeout=0.5)


def test_a_follower_that_trimming_overtook_gets_a_gap(
    redis_url: str, prefix: str, sink: Sink, orders: Consumer, raw: Any
) -> None:
    """With the number of what is gone."""
    reading = orders()
    publish(sink, 1, 1)
    assert next(reading).index == 1
    publish(sink, 2, 9)
    raw.xtrim(f"{prefix}:main:orders", maxlen=3, approximate=False)
    assert outline(first(reading, 4)) == [("OVERFLOW", 5), 7, 8, 9]


def test_about_so_many_entries_stay(redis_url: str, prefix: str, orders: Consumer, raw: Any) -> None:
    """The server trims whole blocks of a hundred."""
    reading = orders()
    publish(RedisStreams(redis_url, prefix=prefix, maxlen=150), 1, 600)
    assert 150 <= raw.xlen(f"{prefix}:main:orders") < 400
    gap = next(reading).gap
    assert gap is not None
    assert gap.reason == GapReason.OVERFLOW


def by_hand(**changes: bytes) -> dict[bytes, bytes]:
    """Return the fields of an event, changed by hand."""
    return {**write(next(numbered(3, 3)), "run", None), **{name.encode(): value for name, value in changes.items()}}


@pytest.mark.parametrize("group", [None, "risk"])
@pytest.mark.parametrize(
    "fields",
    [{"a": "b"}, by_hand(), by_hand(after=b"first"), by_hand(received_at=b"2026-01-01"), by_hand(event=b"[" * 100_000)],
    ids=["no event", "an event without its place", "no id", "no zone", "too deep"],
)
def test_a_foreign_entry_is_told_as_undecodable(
    sink: Sink, orders: Consumer, raw: Any, prefix: str, fields: Any, group: str | None
) -> None:
    """And the entries after it are read."""
    reading = orders(group=group)
    publish(sink, 1, 1)
    assert next(reading).index == 1
    for number in range(2):
        raw.xadd(f"{prefix}:main:orders", fields, id=f"{sys.maxsize + number}-0")
    assert outline(first(reading, 2)) == [("UNDECODABLE", None)] * 2


def test_an_event_of_another_stream_is_told_as_undecodable(sink: Sink, orders: Consumer, raw: Any, prefix: str) -> None:
    """A consumer of orders gets orders."""
    publish(sink, 1, 1)
    (_, fields) = raw.xrange(f"{prefix}:main:orders")[0]
    raw.xadd(f"{prefix}:main:positions", fields)
    found = next(consume_all(partial(orders, group="risk"), Stream.POSITIONS))
    assert (found.stream, outline([found])) == (Stream.POSITIONS, [("UNDECODABLE", None)])


def test_a_follower_of_a_stream_that_was_lost_gets_a_gap(sink: Sink, orders: Consumer, raw: Any, prefix: str) -> None:
    """Also when the ids of the new one are lower."""
    reading = orders(timeout=4.0)
    publish(sink, 1, 2)
    assert [next(reading).index, next(reading).index] == [1, 2]
    raw.delete(f"{prefix}:main:orders")
    raw.xadd(f"{prefix}:main:orders", write(next(numbered(3, 3)), "run", None), "7-1")
    assert outline([next(reading), next(reading)]) == [("OVERFLOW", None), 3]


# --- groups ---


def test_a_new_group_begins_with_the_oldest_entry(sink: Sink, orders: Consumer) -> None:
    """And goes on where it was, whoever reads."""
    publish(sink, 1, 4)
    reading = orders(group="risk", consumer="a")
    assert [next(reading).index, next(reading).index, next(reading).index] == [1, 2, 3]
    reading.close()  # type: ignore[attr-defined]
    assert outline(first(orders(group="risk", consumer="a"), 2)) == [3, 4]


def test_a_group_may_come_before_its_stream(sink: Sink, orders: Consumer) -> None:
    """It is made with the stream, which only the publisher makes."""
    reading = orders(group="risk", timeout=5.0)
    writing = threading.Timer(0.3, publish, (sink, 1, 2))
    writing.start()
    assert [next(reading).index, next(reading).index] == [1, 2]
    writing.join()


def test_what_was_handled_is_acknowledged_with_the_next_question(sink: Sink, orders: Consumer, raw: Any, prefix: str) -> None:
    """Not before, as it may never be handled."""
    publish(sink, 1, 2)
    reading = orders(group="risk", consumer="a", timeout=1.0)
    next(reading)
    assert raw.xpending(f"{prefix}:main:orders", "risk")["pending"] == 1
    assert len(list(reading)) == 1
    assert raw.xpending(f"{prefix}:main:orders", "risk")["pending"] == 0


def test_a_second_consumer_waits_for_the_first_and_then_takes_its_event(sink: Sink, orders: Consumer) -> None:
    """No event is given before an older one was handled."""
    publish(sink, 1, 3)
    reading = orders(group="risk", consumer="a")
    assert next(reading).index == 1
    assert list(orders(group="risk", consumer="b", claim_idle=60.0, timeout=1.0)) == []
    assert outline(first(orders(group="risk", consumer="b", claim_idle=0.2), 3)) == [1, 2, 3]


def test_a_consumer_that_ends_leaves_to_others_what_it_has_not_given(
    sink: Sink, orders: Consumer, raw: Any, prefix: str
) -> None:
    """They do not wait until it is idle."""
    publish(sink, 1, 2)
    reading = orders(group="risk", consumer="a")
    assert next(reading).index == 1
    raw.xreadgroup("risk", "b", {f"{prefix}:main:orders": ">"}, count=1)
    assert list(orders(group="risk", consumer="b", timeout=0.5)) == []
    assert next(reading).index == 2


def test_two_consumers_take_turns(sink: Sink, orders: Consumer) -> None:
    """Each event once, in the stream's order."""
    publish(sink, 1, 20)
    given: list[int] = []

    def read(name: str) -> None:
        given.extend(event.index for event in orders(group="risk", consumer=name, timeout=1.0))

    threads = [threading.Thread(target=read, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given == [*range(1, 21)]


def test_no_consumer_gets_an_event_while_another_has_an_older_one(sink: Sink, redis_url: str, prefix: str) -> None:
    """Also when both wait for the next one: the one that reads it second keeps it for later."""
    publish(sink, 1, 1)
    servers = [RedisServer(redis_url) for _ in range(2)]
    one, other = (
        GroupMember(server, f"{prefix}:main:orders", "risk", name, 60.0) for server, name in zip(servers, "ab", strict=True)
    )
    assert taken(one) == 1
    assert [taken(one), taken(other)] == [None, None]
    publish(sink, 2, 3)
    assert taken(one) == 2
    assert taken(other) is None
    assert [taken(one), taken(other)] == [None, 3]
    for server in servers:
        server.close()


def taken(member: GroupMember) -> int | None:
    """Return the index of the event that *member* is given, if there is one for it."""
    entries = (member.read(0.01) for _ in range(3))
    return next((int(entry.fields[b"index"]) for entry in entries if entry is not None and entry.fields), None)


def test_a_group_that_trimming_overtook_gets_a_gap(sink: Sink, orders: Consumer, raw: Any, prefix: str) -> None:
    """Also a consumer that has just been started."""
    publish(sink, 1, 3)
    reading = orders(group="risk", consumer="a", timeout=1.0)
    assert outline(list(reading)) == [1, 2, 3]
    publish(sink, 4, 9)
    raw.xtrim(f"{prefix}:main:orders", maxlen=2, approximate=False)
    assert outline(first(orders(group="risk", consumer="b"), 3)) == [("OVERFLOW", 4), 8, 9]


@pytest.mark.parametrize("consumer", ["a", "b"])
def test_a_gap_that_was_not_handled_is_told_again(sink: Sink, orders: Consumer, raw: Any, prefix: str, consumer: str) -> None:
    """A consumer that was given it may have died."""
    publish(sink, 1, 9)
    reading = orders(group="risk", consumer="a")
    assert outline(first(reading, 2)) == [1, 2]
    assert raw.xack(f"{prefix}:main:orders", "risk", raw.xrange(f"{prefix}:main:orders")[1][0]) == 1
    raw.xtrim(f"{prefix}:main:orders", maxlen=2, approximate=False)
    assert outline([next(reading)]) == [("OVERFLOW", 5)]
    assert outline(first(orders(group="risk", consumer=consumer, claim_idle=0.1), 3)) == [("OVERFLOW", None), 8, 9]


def test_an_event_that_is_given_again_follows_no_gap(sink: Sink, orders: Consumer) -> None:
    """While the one before it is there."""
    publish(sink, 1, 3)
    for given in ([1], [1, 2], [2, 3]):
        assert outline(first(orders(group="risk", consumer="a"), len(given))) == given


def test_a_group_that_was_made_again_begins_with_the_oldest_entry(sink: Sink, orders: Consumer, raw: Any, prefix: str) -> None:
    """After a gap, because what its consumers had handled is forgotten."""
    publish(sink, 1, 3)
    reading = orders(group="risk")
    assert outline(first(reading, 2)) == [1, 2]
    raw.xgroup_destroy(f"{prefix}:main:orders", "risk")
    assert outline(first(reading, 4)) == [("OVERFLOW", None), 1, 2, 3]


@pytest.mark.parametrize("consumer", ["a", "b"])
def test_an_event_that_is_gone_before_it_was_handled_is_told(
    sink: Sink, orders: Consumer, raw: Any, prefix: str, consumer: str
) -> None:
    """To the consumer that had it, and to the one that claims it."""
    publish(sink, 1, 3)
    reading = orders(group="risk", consumer="a")
    assert next(reading).index == 1
    raw.xtrim(f"{prefix}:main:orders", maxlen=2, approximate=False)
    assert outline(first(orders(group="risk", consumer=consumer, claim_idle=0.1), 3)) == [("OVERFLOW", 1), 2, 3]


def test_a_gap_of_an_event_that_is_gone_is_told_until_it_is_handled(
    sink: Sink, orders: Consumer, raw: Any, prefix: str
) -> None:
    """The consumer that was told it may have died."""
    publish(sink, 1, 4)
    (one, other) = (orders(group="risk", consumer=name, claim_idle=0.1) for name in "ab")
    assert next(one).index == 1
    raw.xtrim(f"{prefix}:main:orders", maxlen=2, approximate=False)
    assert outline([next(other)]) == [("OVERFLOW", 1)]
    assert outline(first(orders(group="risk", consumer="c", claim_idle=0.1), 4)) == [("OVERFLOW", 1), ("OVERFLOW", 1), 3, 4]


def test_an_event_that_is_trimmed_as_it_is_claimed_is_told(
    sink: Sink, orders: Consumer, raw: Any, redis_url: str, prefix: str
) -> None:
    """Between the look at it and the claim."""
    publish(sink, 1, 2)
    assert next(orders(group="risk", consumer="a")).index == 1
    server = RedisServer(redis_url)
    member = Late(server, f"{prefix}:main:orders", "risk", "b", 0.01)
    raw.xtrim(f"{prefix}:main:orders", maxlen=1, approximate=False)
    found = next(entry for entry in iter(lambda: member.read(0.1), 0) if entry is not None)
    assert (found.fields, found.id.seq) == (None, 1)
    server.close()


class Late(GroupMember):
    """A consumer that looks before an entry is gone."""

    def has(self, entry: EntryId) -> bool:
        """Return True."""
        return True


@pytest.mark.parametrize("lose", ["group", "stream"])
def test_a_group_that_is_gone_as_it_is_joined_is_joined_again(
    sink: Sink, raw: Any, redis_url: str, prefix: str, lose: str
) -> None:
    """It was there at the first question, and is not at the second."""
    key = f"{prefix}:main:orders"
    publish(sink, 1, 1)
    for group in ("books", "risk"):
        raw.xgroup_create(key, group, "0")
    losing = partial(raw.xgroup_destroy, key, "risk") if lose == "group" else partial(raw.delete, key)
    member = GroupMember(Losing(redis_url, losing), key, "risk", "a", 60.0)
    member.begin()
    publish(sink, 2, 2)
    assert taken(member) == (1 if lose == "group" else 0)


def test_a_stream_that_is_replaced_as_its_group_is_joined_is_an_error(
    sink: Sink, raw: Any, redis_url: str, prefix: str
) -> None:
    """It is not waited for."""
    key = f"{prefix}:main:orders"
    publish(sink, 1, 1)
    raw.xgroup_create(key, "risk", "0")
    member = GroupMember(Losing(redis_url, lambda: raw.set(key, "mine")), key, "risk", "a", 60.0)
    with pytest.raises(RedisStreamError, match="WRONGTYPE"):
        member.begin()


class Losing(RedisServer):
    """A connection after whose first refusal something is lost."""

    def __init__(self, url: str, lose: Callable[[], object]) -> None:
        super().__init__(url)
        self._lose = lose

    def call(self, command: Callable[[Any], Any]) -> Any:
        """Call *command*; lose it when that is refused."""
        try:
            return super().call(command)
        except RedisStreamError:
            self._lose()
            raise


def test_a_group_of_a_stream_that_was_lost_begins_again(sink: Sink, orders: Consumer, raw: Any, prefix: str) -> None:
    """With the gap of the publisher, and its own."""
    publish(sink, 1, 2)
    reading = orders(group="risk")
    assert [next(reading).index, next(reading).index] == [1, 2]
    raw.delete(f"{prefix}:main:orders")
    publish(sink, 3, 3)
    assert outline(first(reading, 3)) == [("OVERFLOW", None), ("DISCONNECTED", None), 3]


@pytest.mark.parametrize("begun", [False, True])
def test_a_group_of_what_is_no_stream_is_an_error(sink: Sink, orders: Consumer, raw: Any, prefix: str, begun: bool) -> None:  # noqa: FBT001 - a parameter
    """At the call, and later."""
    publish(sink, 1, 1)
    reading = orders(group="risk") if begun else None
    assert reading is None or next(reading).index == 1
    raw.delete(f"{prefix}:main:orders")
    raw.set(f"{prefix}:main:orders", "mine")
    with pytest.raises(RedisStreamError, match="WRONGTYPE"):
        next(reading or orders(group="risk"))


# --- arguments, secrets, processes ---


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"url": "http://localhost"}, "url="),
        ({"url": 5}, "url="),
        ({"url": "redis://localhost:port"}, "url="),
        ({"url": "redis://localhost?socket_timeout=long"}, "url="),
        ({"url": "redis://localhost?no_such_option=1"}, "url="),
        ({"client": ""}, "client="),
        ({"stream": "trades"}, "stream='trades' cannot work: give one of balances, orders, positions, user_trades"),
        ({"prefix": ""}, "prefix="),
        ({"group": ""}, "group="),
        ({"consumer": "a"}, "consumer='a' cannot work: it names a member of a group"),
        ({"claim_idle": 0}, "claim_idle="),
        ({"timeout": -1}, "timeout="),
    ],
)
def test_an_argument_that_cannot_work_is_named(arguments: dict[str, Any], named: str) -> None:
    """Before anything is connected."""
    with pytest.raises(ConfigurationError, match=named):
        consume(**{"url": "redis://localhost:1", "client": "main", "stream": "orders", **arguments})


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": "redis:"},
        {"url": "unix://name"},
        {"url": "redis://localhost/orders"},
        {"url": "redis://main:1234?5678@localhost"},
        {"url": "redis://main:1234#5678@localhost"},
        {"url": "redis://main:1234/5678@localhost"},
        {"url": "redis://.host"},
        {"url": "redis://:\udc80@localhost"},
        {"url": "redis://localhost?socket_timeout=0"},
        {"url": "redis://localhost?socket_timeout=nan"},
        {"url": "redis://localhost?socket_connect_timeout=-1"},
        {"maxlen": 0},
        {"maxlen": True},
        {"prefix": 1},
        {"prefix": "\udc80"},
    ],
)
def test_an_argument_of_the_sink_that_cannot_work_is_refused(arguments: dict[str, Any]) -> None:
    """As above."""
    with pytest.raises(ConfigurationError, match=next(iter(arguments))):
        RedisStreams(**{"url": "redis://localhost:1", **arguments})


def test_no_text_holds_the_password(make_server: Callable[..., Server], log: pytest.LogCaptureFixture) -> None:
    """No repr, no error, no record of the log."""
    server = make_server("--requirepass", "right-c4n4ry-password")
    server.start()
    url = f"redis://user-c4n4ry:wrong-c4n4ry-password@127.0.0.1:{server.port}/0"
    sink = RedisStreams(url)
    with pytest.raises(RedisStreamError, match="give the right user and password in the URL") as wrong:
        publish(sink, 1, 1)
    with pytest.raises(ConfigurationError) as bad:
        RedisStreams(url.replace("redis:", "rediss!"))
    server.kill()
    with pytest.raises(RedisStreamError, match="does not answer") as away:
        consume(url, "main", "orders", timeout=1.0)
    told = [repr(sink), *map(str, (wrong.value, bad.value, away.value)), *(record.getMessage() for record in log.records)]
    assert repr(sink) == f"RedisStreams('redis://127.0.0.1:{server.port}/0')"
    assert [text for text in told if "c4n4ry" in text] == []


@pytest.mark.parametrize("password", ["short", "a%0Ab%5C", "c4n4ry%22%C3%A4%5C%27" * 9])
def test_a_server_that_repeats_a_password_is_not_quoted(make_server: Callable[..., Server], password: str) -> None:
    """As one that does not know the command repeats what it was sent."""
    server = make_server("--rename-command", "AUTH", "LOGIN")
    server.start()
    with pytest.raises(RedisStreamError, match="unknown command .AUTH.") as refused:
        publish(RedisStreams(f"redis://:{password}@127.0.0.1:{server.port}"), 1, 1)
    assert "args" not in f"{refused.value} {refused.value.text}"
    assert "Redis 6.2 or newer" in str(refused.value)


def test_a_server_without_a_password_is_told(make_server: Callable[..., Server]) -> None:
    """With the remedy."""
    server = make_server("--requirepass", "secret")
    server.start()
    with pytest.raises(RedisStreamError, match="give the right user and password in the URL") as refused:
        consume(server.url, "main", "orders")
    assert "Authentication required" in refused.value.text


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_sink_cannot_be_copied(copied: Callable[[object], object]) -> None:
    """It owns connections, and knows a password."""
    with pytest.raises(TypeError, match="make a new one"):
        copied(RedisStreams("redis://localhost"))


@pytest.mark.skipif(sys.platform == "win32", reason="forks are POSIX's")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_leaves_the_connections_of_its_parent_alone(redis_url: str) -> None:
    """It makes its own."""
    server = RedisServer(redis_url)
    mine = server.call(lambda client: client.client_id())
    child = os.fork()
    if child == 0:
        os._exit(server.call(lambda client: client.client_id()) == mine)
    assert os.waitpid(child, 0)[1] == 0
    assert server.call(lambda client: client.client_id()) == mine
    server.close()


def test_a_connection_that_ctrl_c_interrupted_is_not_used_again(redis_url: str) -> None:
    """An answer may still come, which would be taken for that to the next question."""

    def interrupt(client: Any) -> None:
        client.connection.send_command("ECHO", "late")
        raise KeyboardInterrupt

    server = RedisServer(redis_url)
    with pytest.raises(KeyboardInterrupt):
        server.call(interrupt)
    assert server.call(lambda client: client.echo("now")) == b"now"
    server.close()


def test_options_of_the_url_are_used(redis_url: str, prefix: str) -> None:
    """Except those that would change the answers."""
    sign = "&" if "?" in redis_url else "?"
    changed = "decode_responses=True&protocol=3&retry=5&encoding=utf-16&max_connections=1"
    url = f"{redis_url}{sign}socket_timeout=0.5&{changed}"
    reading = consume(url, "main", "orders", prefix=prefix, group="risk", timeout=1.0)
    publish(RedisStreams(url, prefix=prefix), 1, 1)
    assert outline(first(reading, 1)) == [1]


def test_two_streams_of_one_client_are_two(push_client: Client, account: Account, sink: Sink, orders: Consumer) -> None:
    """One object serves them all."""
    reading, other = orders(), consume_all(orders, Stream.POSITIONS)
    push_client.subscribe_orders(sink)
    push_client.subscribe_positions(sink)
    push(account, "a", "b")
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
    assert [next(reading).index for _ in range(4)] == [1, 2, 3, 4]
    assert next(other).stream == "positions"


@pytest.fixture
def push_client(make_client: Callable[..., Client], account: Account) -> Client:
    """A client that is called main."""
    return make_client(name="main")
