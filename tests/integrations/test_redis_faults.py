"""What may happen to a Redis server, its network and its users: every event is in the stream once, or told."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from bybit_sync import Client, Event, GapReason, RedisStreamError, State
from bybit_sync.integrations.redis_entries import EntryId
from bybit_sync.integrations.redis_server import RedisServer, ServerAway
from bybit_sync.integrations.redis_streams import RedisStreams, consume
from bybit_sync.simulator import Account, Exchange
from tests.conftest import FAST_ARGUMENTS, SECRET, FastClient, push
from tests.conftest import KEY as KEY_OF
from tests.faults.relay import Relay
from tests.faults.rows import row
from tests.integrations.dying import DyingConsumers, skipped
from tests.integrations.reading import outline
from tests.integrations.servers import Server, connected
from tests.integrations.test_redis_streams import first, publish

ROOT = Path(__file__).parent.parent.parent
KEY = "bybit:main:orders"
SYNCED = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def errors() -> list[BaseException]:
    """Return the errors that the client's user is told."""
    return []


@pytest.fixture
def client(make_client: Callable[..., Client], account: Account, errors: list[BaseException]) -> Client:
    """A client that is called main."""
    return make_client(name="main", on_error=lambda error, *_: errors.append(error))


@pytest.fixture
def synced(make_server: Callable[..., Server]) -> Server:
    """A server that has on its disk what it acknowledged."""
    return make_server(*SYNCED)


def rows(events: list[Event[Any]]) -> list[str]:
    """Return the names of the orders in *events*."""
    return [row.order_id for event in events for row in event]


def oldest(url: str, count: int, group: str = "risk") -> list[Event[Any]]:
    """Return the oldest *count* events of the stream."""
    return first(consume(url, "main", "orders", group=group, timeout=30.0), count)


def names(last: int, begin: int = 1) -> list[str]:
    """Return the names of orders."""
    return [f"o-{number}" for number in range(begin, last + 1)]


# --- away ---


@row(194, kills="the first connection is made in the constructor")
def test_a_server_that_is_away_at_the_start_gets_every_event_later(
    client: Client, account: Account, synced: Server, errors: list[BaseException]
) -> None:
    """The client does not notice."""
    client.subscribe_orders(RedisStreams(synced.url))
    push(account, *names(20))
    synced.start()
    assert rows(oldest(synced.url, 20)) == names(20)
    assert (client.state, client.health().reconnects, errors) == (State.LIVE, 0, [])
    # Before the server ends: it may not have answered yet.
    assert client.close()


@row(194, kills="an event whose answer did not come is given up")
@pytest.mark.parametrize("kills", [4, pytest.param(40, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
def test_a_server_that_is_killed_in_mid_publish_has_every_event_once(
    client: Client, account: Account, exchange: Exchange, synced: Server, kills: int, errors: list[BaseException]
) -> None:
    """It keeps what it acknowledged, and is sent again what it did not."""
    synced.start()
    subscription = client.subscribe_orders(RedisStreams(synced.url))
    over, chance, made = threading.Event(), random.Random(kills), [0]

    def trade() -> None:
        while not over.wait(0.001):
            made[0] += 1
            push(account, f"o-{made[0]}")

    trading = threading.Thread(target=trade)
    trading.start()
    for _ in range(kills):
        before = subscription.delivered
        exchange.wait_for(lambda before=before: subscription.delivered > before + chance.randrange(5, 50), timeout=30)  # type: ignore[misc]
        synced.kill()
        synced.start()
    over.set()
    trading.join()
    assert rows(oldest(synced.url, made[0])) == names(made[0])
    assert client.close()
    assert (connected(synced.url).xlen(KEY), errors) == (made[0], [])


@row(194, kills="the connection's thread waits for the server")
def test_a_server_that_stays_away_costs_the_buffer_and_an_overflow_that_is_told(
    client: Client, account: Account, exchange: Exchange, synced: Server
) -> None:
    """What did not fit is in the stream as a gap, in its place."""
    synced.start()
    subscription = client.subscribe_orders(RedisStreams(synced.url), maxsize=5)
    push(account, "o-1")
    assert rows(oldest(synced.url, 1)) == ["o-1"]
    synced.kill()
    push(account, "o-2")
    exchange.wait_for(lambda: subscription.delivered == 2)
    push(account, *names(20, 3))
    exchange.wait_for(lambda: subscription.dropped == 13, timeout=30)
    synced.start()
    events = oldest(synced.url, 8, "new")
    assert [event.gap.reason for event in events if event.gap] == [GapReason.OVERFLOW]
    assert rows(events) == ["o-1", "o-2", *names(20, 16)]
    assert client.health().reconnects == 0
    assert client.close()


@row(194, kills="a call that waits for the server does not notice that its subscription is closed")
def test_closing_does_not_wait_longer_for_a_server_than_it_may(
    client: Client, account: Account, exchange: Exchange, log: pytest.LogCaptureFixture, errors: list[BaseException]
) -> None:
    """The thread ends then, and says what it did not write."""
    orders = client.subscribe_orders(RedisStreams("unix:///no/such"))
    push(account, *names(3))
    exchange.wait_for(lambda: "it is tried again" in log.text and orders.queued == 2)
    began = time.monotonic()
    assert not client.close(timeout=1.0)
    assert time.monotonic() - began < 3.0
    exchange.wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("main-")])
    assert "orders closed with 2 events undelivered" in log.text
    assert "the event was not written: its subscription was closed" in str(errors[0])


@row(194, kills="one warning for each attempt")
def test_an_outage_is_logged_once(synced: Server, log: pytest.LogCaptureFixture) -> None:
    """Why, and how long."""
    synced.start()
    sink = RedisStreams(synced.url)
    publish(sink, 1, 1)
    synced.kill()
    back = threading.Timer(0.5, synced.start)
    back.start()
    publish(sink, 2, 2)
    back.join()
    told = [record.getMessage() for record in log.records if record.levelname in ("WARNING", "INFO")]
    assert len(told) == 2
    assert "does not answer" in told[0]
    assert "the server answers again after" in told[1]


@row(194, kills="a reader finds its place anew with each connection")
@pytest.mark.parametrize("group", [None, "risk"])
def test_a_consumer_goes_on_where_it_was_when_the_server_is_back(synced: Server, group: str | None) -> None:
    """It skips nothing, and gets nothing twice."""
    synced.start()
    sink = RedisStreams(synced.url)
    publish(sink, 1, 2)
    reading = consume(synced.url, "main", "orders", group=group, timeout=30.0)
    publish(sink, 3, 5)
    events = first(reading, 2)
    synced.kill()
    back = threading.Timer(0.3, synced.start)
    back.start()
    publish(sink, 6, 7)
    back.join()
    events += first(reading, 5 if group else 3)
    assert outline(events) == [*range(1 if group else 3, 8)]


@row(194, kills="a consumer of a group ends with the connection that it waits on")
@pytest.mark.parametrize("group", [None, "risk"])
def test_a_consumer_that_waits_while_the_server_restarts_goes_on(synced: Server, group: str | None) -> None:
    """With what a new publisher writes."""
    synced.start()
    reading = consume(synced.url, "main", "orders", group=group, timeout=30.0)
    publish(RedisStreams(synced.url), 1, 1)
    assert outline(first(reading, 1)) == [1]
    restarting = threading.Timer(
        0.3, lambda: (synced.kill(), time.sleep(0.1), synced.start(), publish(RedisStreams(synced.url), 1, 1))
    )
    restarting.start()
    assert outline(first(reading, 2)) == [("DISCONNECTED", None), 1]
    restarting.join()


def when_it_is_tried_again(log: pytest.LogCaptureFixture, end: Callable[[], object]) -> threading.Thread:
    """Return a thread that ends an outage when the publisher has noticed it."""
    ending = threading.Thread(target=lambda: (until(lambda: "it is tried again" in log.text), end()))
    ending.start()
    return ending


def test_a_server_that_runs_a_script_is_waited_for(make_server: Callable[..., Server], log: pytest.LogCaptureFixture) -> None:
    """Until somebody kills the script."""
    server = make_server("--lua-time-limit", "10")
    server.start()
    sink = RedisStreams(server.url)
    publish(sink, 1, 1)
    with connected(server.url) as raw, connected(server.url) as other:
        other.connection_pool.get_connection().send_command("EVAL", "while true do end", 0)
        until(lambda: is_busy(raw))
        ending = when_it_is_tried_again(log, raw.script_kill)
        publish(sink, 2, 3)
        ending.join()
    assert "refuses: BUSY" in log.text
    assert outline(oldest(server.url, 3)) == [1, 2, 3]


def is_busy(raw: Any) -> bool:
    """Return whether the server runs a script for longer than it may."""
    import redis  # noqa: PLC0415 - only where there is a server

    try:
        return not raw.ping()
    except redis.ResponseError:
        return True


def test_what_a_server_reads_after_the_publisher_gave_up_is_written_once(
    server: Server, log: pytest.LogCaptureFixture, raw: Any
) -> None:
    """It answered nothing for a while, and has the entry in the buffers of several connections."""
    sink = RedisStreams(f"{server.url}?socket_timeout=0.1")
    publish(sink, 1, 1)
    server.pause()
    ending = when_it_is_tried_again(log, server.resume)
    publish(sink, 2, 4)
    ending.join()
    assert outline(oldest(server.url, 4)) == [1, 2, 3, 4]
    assert raw.xlen(KEY) == 4


# --- the answer is lost ---


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    """A network between publisher and server."""
    with Relay(server.port) as relay:
        yield relay


@pytest.fixture
def raw(server: Server) -> Iterator[Any]:
    """A connection to the server that is always well."""
    with connected(server.url) as raw:
        yield raw


def losing_answers(
    relay: Relay, is_written: Callable[[], object], then: Callable[[], object] = lambda: None
) -> threading.Thread:
    """Let no answer come through until an entry *is_written*; do *then*, cut the connection, and heal it."""
    relay.stall(relay.down)

    def lose() -> None:
        until(is_written)
        then()
        relay.reset()
        relay.heal()

    thread = threading.Thread(target=lose)
    thread.start()
    return thread


def until(condition: Callable[[], object]) -> None:
    """Return when *condition* is true."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@row(195, kills="a retry has an id of its own")
def test_an_entry_whose_answer_was_lost_is_not_written_again(server: Server, relay: Relay, raw: Any) -> None:
    """Whether the connection was lost before, and after, is found out from the stream."""
    sink = RedisStreams(f"redis://127.0.0.1:{relay.port}")
    publish(sink, 1, 1)
    for number in range(2, 6):
        losing = losing_answers(relay, lambda number=number: raw.xlen(KEY) == number)
        publish(sink, number, number)
        losing.join()
    assert raw.xlen(KEY) == 5
    assert outline(oldest(server.url, 5)) == [1, 2, 3, 4, 5]


@row(195, kills="the first entry of a series is forgotten when its answer is lost")
def test_the_first_entry_of_a_publisher_is_not_written_again(server: Server, relay: Relay, raw: Any) -> None:
    """Its own entry is no sign of another publisher."""
    publish(RedisStreams(f"redis://127.0.0.1:{relay.port}", prefix="other"), 1, 1)
    (first_id,) = [entry for entry, _ in raw.xrange("other:main:orders")]
    # The same answers come again; the connection is reset in the last one of them, that to the entry.
    relay.reset_in_frame(relay.down.forwarded - len(first_id))
    publish(RedisStreams(f"redis://127.0.0.1:{relay.port}"), 1, 2)
    assert relay.accepted == 3
    assert outline(oldest(server.url, raw.xlen(KEY))) == [1, 2]


@row(195, kills="what the server refuses as too low counts as written")
def test_a_lost_answer_after_which_somebody_else_wrote_is_an_error(relay: Relay, raw: Any) -> None:
    """The stream has another end."""
    sink = RedisStreams(f"redis://127.0.0.1:{relay.port}")
    publish(sink, 1, 1)
    losing = losing_answers(relay, lambda: raw.xlen(KEY) == 2, lambda: raw.xadd(KEY, {"a": "b"}))
    assert "another writer writes to bybit:main:orders" in str(failure(sink, 2))
    losing.join()


def test_an_entry_that_is_deleted_before_its_answer_was_seen_is_no_foreign_one(server: Server, relay: Relay, raw: Any) -> None:
    """The publisher goes on, and readers notice that it is gone."""
    sink = RedisStreams(f"redis://127.0.0.1:{relay.port}")
    publish(sink, 1, 1)
    losing = losing_answers(relay, lambda: raw.xlen(KEY) == 2, lambda: raw.xdel(KEY, raw.xrevrange(KEY, count=1)[0][0]))
    publish(sink, 2, 3)
    losing.join()
    assert outline(oldest(server.url, 3)) == [1, ("OVERFLOW", 1), 3]


@row(195, kills="an entry under the same id counts as ours, whatever it is")
def test_an_entry_of_somebody_else_under_our_id_is_an_error(relay: Relay, raw: Any) -> None:
    """Its content is compared."""
    sink = RedisStreams(f"redis://127.0.0.1:{relay.port}")
    publish(sink, 1, 1)
    last = EntryId.parse(raw.xinfo_stream(KEY)["last-generated-id"])
    raw.xadd(KEY, {"a": "b"}, str(EntryId(last.ms, last.seq + 1)))
    assert "another writer writes to bybit:main:orders" in str(failure(sink, 2))


def failure(sink: RedisStreams, number: int) -> BaseException:
    """Return the error with which event *number* is not written."""
    with pytest.raises(RedisStreamError) as caught:
        publish(sink, number, number)
    return caught.value


# --- the server loses or refuses ---


@row(196, kills="a connection is made again without a look at the stream")
def test_a_server_that_forgot_everything_is_noticed(server: Server, log: pytest.LogCaptureFixture) -> None:
    """It was restarted without persistence: the gap is the first entry."""
    sink = RedisStreams(server.url)
    publish(sink, 1, 3)
    server.kill()
    server.start()
    publish(sink, 4, 4)
    assert outline(oldest(server.url, 2)) == [("DISCONNECTED", None), 4]
    assert "the server lost entries of bybit:main:orders: a gap is told" in log.text


@row(196, kills="the stream is made again without a word")
@pytest.mark.parametrize("lose", ["evict", "flush"])
def test_a_stream_that_is_gone_is_noticed_at_the_next_event(server: Server, lose: str) -> None:
    """Though the connection lives."""
    sink = RedisStreams(server.url)
    publish(sink, 1, 3)
    with connected(server.url) as raw:
        if lose == "flush":
            raw.flushall()
        else:
            raw.config_set("maxmemory-policy", "allkeys-random")
            raw.config_set("maxmemory", 1)
            until(lambda: (try_to_write(raw), not raw.dbsize())[1])
            raw.config_set("maxmemory", 0)
    publish(sink, 4, 4)
    assert outline(oldest(server.url, 2)) == [("DISCONNECTED", None), 4]


def try_to_write(raw: Any) -> None:
    """Give the server an occasion to evict."""
    import redis  # noqa: PLC0415 - only where there is a server

    with pytest.raises(redis.exceptions.OutOfMemoryError):
        raw.set("a", "b")


@row(196, kills="lost entries are not told when others are left")
def test_the_last_entries_that_a_server_lost_are_told(synced: Server) -> None:
    """As after a failover to a replica that lagged."""
    synced.start()
    sink = RedisStreams(synced.url)
    publish(sink, 1, 2)
    with connected(synced.url) as raw:
        kept = raw.dump(KEY)
        publish(sink, 3, 5)
        raw.restore(KEY, 0, kept, replace=True)
    synced.kill()
    synced.start()
    publish(sink, 6, 6)
    gap = oldest(synced.url, 3)[2].gap
    assert outline(oldest(synced.url, 4, "new")) == [1, 2, ("DISCONNECTED", None), 6]
    assert gap is not None
    assert gap.detail == "the server lost entries that it had acknowledged"


@row(196, kills="a stream of another kind is tried again for ever")
def test_another_kind_of_value_at_the_key_is_an_error(
    client: Client, account: Account, exchange: Exchange, server: Server, errors: list[BaseException]
) -> None:
    """For each event; when it is gone, a gap tells what was not written."""
    with connected(server.url) as raw:
        raw.set(KEY, "mine")
        client.subscribe_orders(RedisStreams(server.url))
        push(account, "o-1", "o-2")
        exchange.wait_for(lambda: len(errors) == 2)
        assert "WRONGTYPE" in str(errors[0])
        assert "delete it, or give another prefix=" in str(errors[0])
        with pytest.raises(RedisStreamError, match="WRONGTYPE"):
            consume(server.url, "main", "orders")
        raw.delete(KEY)
    push(account, "o-3")
    assert outline(oldest(server.url, 2)) == [("OVERFLOW", 2), 3]
    assert client.close()


@row(196, kills="no memory is final")
def test_a_server_without_memory_is_waited_for(server: Server, raw: Any, log: pytest.LogCaptureFixture) -> None:
    """And the log says what to do."""
    sink = RedisStreams(server.url)
    publish(sink, 1, 1)
    raw.config_set("maxmemory", 1)
    giving = threading.Thread(
        target=lambda: (
            until(lambda: "give the server more memory, or lower maxlen=" in log.text),
            raw.config_set("maxmemory", 0),
        )
    )
    giving.start()
    publish(sink, 2, 3)
    giving.join()
    assert outline(oldest(server.url, 3)) == [1, 2, 3]


@row(196, kills="the connection to a server that became a replica is kept")
def test_a_server_that_became_a_replica_is_left(server: Server, raw: Any) -> None:
    """Another one may answer at its address."""
    asked = RedisServer(server.url)
    before = asked.call(lambda client: client.client_id())
    raw.replicaof("127.0.0.1", "1")
    with pytest.raises(ServerAway, match="read only replica"):
        asked.call(lambda client: client.xadd("x", {"a": "b"}))
    assert asked.call(lambda client: client.client_id()) != before


@row(196, kills="a permission is waited for")
def test_a_user_who_may_not_write_is_told(server: Server) -> None:
    """With the permission to ask for."""
    with connected(server.url) as raw:
        raw.acl_setuser("reader", enabled=True, passwords=["+pw-c4n4ry"], keys=["*"], commands=["+@read"])
    sink = RedisStreams(f"redis://reader:pw-c4n4ry@127.0.0.1:{server.port}")
    error = failure(sink, 1)
    assert "allow the user the commands of streams" in str(error)
    assert "pw-c4n4ry" not in str(error)


def test_a_server_that_is_too_old_is_told(server: Server) -> None:
    """Before Redis 6.2 the word NOMKSTREAM is taken for an id."""
    with pytest.raises(RedisStreamError, match="Invalid stream ID specified .*: Redis 6.2 or newer, or Valkey, is needed"):
        RedisServer(server.url).call(lambda client: client.xadd(KEY, {"a": "b"}, "NOMKSTREAMS"))


@pytest.mark.parametrize("answer", ["MOVED 11135 127.0.0.1:6381", "ASK 11135 127.0.0.1:6381"])
def test_a_node_of_a_cluster_that_has_not_the_stream_is_told(server: Server, answer: str) -> None:
    """With the node that has it, and what to do."""
    with pytest.raises(RedisStreamError, match=r"11135 127.0.0.1:6381: this is a cluster: give the URL of the node"):
        RedisServer(server.url).call(lambda client: client.eval(f"return redis.error_reply('{answer}')", 0))


# --- consumers die ---


@row(197, kills="an event is acknowledged when it is given")
@pytest.mark.parametrize("kills", [50])
def test_a_consumer_that_is_killed_again_and_again_skips_nothing(server: Server, kills: int) -> None:
    """A second one claims its event; the order of the stream holds."""
    events = 3 * kills
    publish(RedisStreams(server.url), 1, events)
    command = [sys.executable, "-m", "tests.integrations.consuming", server.url, "bybit", str(kills), str(events)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=True)
    given = [int(line) for line in done.stdout.split()]
    assert [*dict.fromkeys(given)] == [*range(1, events + 1)]
    # Each death costs one repetition, at once.
    assert all(second - first in (0, 1) for first, second in pairwise(given))
    assert sum(count - 1 for count in Counter(given).values()) == kills


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 40))])
def test_consumers_that_die_while_trimming_overtakes_them_skip_nothing_unsaid(
    make_server: Callable[..., Server], seed: int
) -> None:
    """Three of one group, which claim from each other what is gone already."""
    server = make_server("--stream-node-max-entries", "5")
    server.start()
    sink = RedisStreams(server.url, maxlen=20)
    publish(sink, 1, 1)
    assert outline(oldest(server.url, 1)) == [1]
    publish(sink, 2, 100)
    consumers = DyingConsumers(server.url, seed, last=300)
    publish(sink, 101, 300)
    consumers.join()
    assert 0 in consumers.given
    assert skipped(consumers.given) == []


# --- two writers ---


@row(198, kills="a foreign entry is written over")
def test_two_clients_of_one_name_are_told(exchange: Exchange, account: Account, server: Server) -> None:
    """The one that began first writes nothing more; the other tells the gap of a new publisher."""
    told: list[str] = []
    options: dict[str, Any] = {"environment": exchange.url, "name": "main", **FAST_ARGUMENTS}
    with (
        FastClient(KEY_OF, SECRET, on_error=lambda error, *_: told.append(str(error)), **options) as one,
        FastClient(KEY_OF, SECRET, **options) as other,
    ):
        one.subscribe_orders(RedisStreams(server.url))
        push(account, "o-1")
        assert rows(oldest(server.url, 1)) == ["o-1"]
        other.subscribe_orders(RedisStreams(server.url))
        exchange.wait_for(lambda: (push(account, "o-2"), told)[1])
    assert "another writer writes to bybit:main:orders" in told[0]
    assert "give each client a name of its own" in told[0]
    events = oldest(server.url, connected(server.url).xlen(KEY), "all")
    assert "began again" in next(event.gap.detail for event in events if event.gap)


@pytest.mark.skipif(sys.platform == "win32", reason="forks are POSIX's")
@pytest.mark.parametrize("tries", [10, pytest.param(500, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
def test_of_two_processes_that_begin_at_once_the_later_goes_on(server: Server, raw: Any, tries: int) -> None:
    """Both find the stream empty. The other one is refused its next event; readers are told a gap."""
    command = [sys.executable, "-m", "tests.integrations.publishing", server.url, "try", str(tries), "5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=True)
    printed = [line.split() for line in done.stdout.splitlines()]
    for number in range(tries):
        before, last = [[], *runs(raw, f"try-{number}:main:orders")][-2:]
        assert last == [1, 2, 3, 4, 5]
        assert sorted([len(before), 5]) == sorted(int(taken) for at, taken in printed if at == str(number))
        events = consume(server.url, "main", "orders", group="risk", prefix=f"try-{number}", timeout=30.0)
        given = first(events, len(before) + bool(before) + 5)
        assert [event.index for event in given] == [*before, *([0] if before else []), *last]


def runs(raw: Any, key: str) -> list[list[int]]:
    """Return the numbers of the events in a stream, run after run as they stand there."""
    entries = [(fields[b"run"], int(fields[b"index"])) for _, fields in raw.xrange(key)]
    return [[index for _, index in run if index] for _, run in groupby(entries, itemgetter(0))]


@row(198, kills="the error is forgotten, and the next event begins again")
def test_a_writer_that_found_another_one_writes_nothing_more(server: Server) -> None:
    """Else the two would take turns."""
    sink, other = RedisStreams(server.url), RedisStreams(server.url)
    publish(sink, 1, 1)
    publish(other, 1, 1)
    assert "another writer" in str(failure(sink, 2))
    assert "another writer" in str(failure(sink, 3))
    publish(other, 2, 3)
    assert outline(oldest(server.url, 5)) == [1, ("DISCONNECTED", None), 1, 2, 3]


@row(198, kills="the publisher's gap goes behind what is no entry of ours")
def test_an_entry_of_another_program_is_an_error(server: Server) -> None:
    """Before anything is written behind it."""
    with connected(server.url) as raw:
        raw.xadd(KEY, {"a": "b"})
        assert "another writer" in str(failure(RedisStreams(server.url), 1))
        assert raw.xlen(KEY) == 1
