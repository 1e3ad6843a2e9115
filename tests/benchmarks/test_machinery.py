"""The benchmarks' own machinery: what they send, how they count, what they make of the figures. Nothing is timed here."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

import attrs
import pytest
import websocket

from bybit_sync import V5, Stream
from tests.benchmarks import account, latency, recovery, scale, scheduling, throughput, trace
from tests.benchmarks.contestants import CONTESTANTS, DEFAULT_INSTALL, OURS, left_out, marks, reads
from tests.benchmarks.payloads import KINDS, STAMP, STREAMS, mark_of, pushes, renamed
from tests.benchmarks.peer import frame, reply
from tests.benchmarks.processes import Process
from tests.benchmarks.results import text
from tests.benchmarks.server import Reel
from tests.benchmarks.table import Spread, number, percentile, spread, table
from tests.benchmarks.tally import Stopwatch, Tally
from tests.benchmarks.throughput import Cost, ratios, verify

NAMES = {"position": Stream.POSITIONS, "order": Stream.ORDERS, "execution": Stream.USER_TRADES, "wallet": Stream.BALANCES}


# -- what is sent


@pytest.mark.parametrize("kind", KINDS)
def test_no_push_is_like_another_and_every_run_has_the_same(kind: str) -> None:
    """Whoever keeps what it has seen has nothing of it, and rounds can be compared."""
    some = list(itertools.islice(pushes(KINDS[kind]), 20))
    assert len({mark_of(KINDS[kind], push) for push in some}) == 20
    assert some == list(itertools.islice(pushes(KINDS[kind]), 20))


def test_a_position_has_the_documented_keys() -> None:
    """Thirty-three, as many as the figures of others were taken with."""
    (row,) = json.loads(next(pushes(KINDS["position"])))["data"]
    assert len(row) == 33


def test_an_execution_is_two_fills_of_one_order() -> None:
    """They share the order, and nothing that is a fill's own."""
    first, second = json.loads(next(pushes(KINDS["execution"])))["data"]
    assert first["orderId"] == second["orderId"]
    assert first["execId"] != second["execId"]


@pytest.mark.parametrize("stream", STREAMS)
def test_every_row_can_be_read(stream: str) -> None:
    """A message that costs no more than its refusal would make us look fast."""
    (channel, *_) = V5.channels(NAMES[stream], ("linear",))
    rows = json.loads(next(pushes(KINDS[stream])))["data"]
    updates, faults = channel.decode(rows)
    assert (len(updates), len(faults)) == (len(rows), 0)
    assert str(marks("callback")[stream](updates[-1])) == mark_of(KINDS[stream], next(pushes(KINDS[stream])))


def test_a_push_comes_on_the_topic_that_was_subscribed_to() -> None:
    """Ours asks for a topic per category, the peers for the one that has all."""
    push = next(pushes(KINDS["order"]))
    assert json.loads(renamed(push, "order", "order.linear")) == json.loads(push) | {"topic": "order.linear"}


def test_a_stamp_has_its_room() -> None:
    """Exactly one place, as wide as the clock."""
    assert next(pushes(KINDS["stamped"])).count(STAMP) == 1


def test_a_reel_is_cut_between_frames() -> None:
    """Each part is whole messages, and what was not rendered is not sent."""
    reel = Reel([b"one", b"two", b"three"])
    assert bytes(reel.cut(1, 2)) == b"twothree"
    with pytest.raises(AssertionError, match="rendered"):
        reel.cut(1, 3)


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_frame_says_how_long_it_is(size: int) -> None:
    """In each of the three ways there are."""
    head = len(frame(bytes(size))) - size
    assert head == (2 if size < 126 else 4 if size < 65_536 else 10)


def test_a_request_is_answered_by_its_name() -> None:
    """As the exchange does it: the id first if there was one, a pong without success."""
    assert list(reply({"op": "subscribe", "req_id": "7"})) == ["req_id", "success", "ret_msg", "op", "conn_id"]
    assert reply({"op": "ping"})["op"] == "pong"


# -- the server, for real


@pytest.fixture
def server() -> Iterator[Process]:
    """A server with three positions."""
    with Process("server") as server:
        server.ask(do="prepare", kind="position", count=3)
        server.ask(do="prepare", kind="stamped", count=3)
        yield server


def test_the_server_sends_what_was_asked_for_to_who_subscribed(server: Process) -> None:
    """Login, subscription and the pushes in between, in order, over a real socket."""
    client = websocket.create_connection(server.ask(do="url")["url"] + V5.path, timeout=10)
    client.send(json.dumps({"op": "subscribe", "args": ["position.linear"], "req_id": "1"}))
    assert json.loads(client.recv())["success"]
    assert server.ask(do="topics") == {"streams": [1]}
    sent = server.ask(do="blast", kind="position", first=1, count=2)
    got = [json.loads(client.recv()) for _ in range(2)]
    assert [push["topic"] for push in got] == ["position.linear"] * 2
    assert str(got[-1]["data"][-1]["seq"]) == sent["mark"]
    assert server.ask(do="pace", count=2, burst=1, rate=1000) == {"sent": 2}
    first, second = (int(json.loads(client.recv())["id"]) for _ in range(2))
    assert sent["at"] < first < server.ask(do="sent_at")["ns"][0] < second
    client.close()


def test_the_server_comes_back_where_it_was(server: Process) -> None:
    """Whoever was connected is dropped, and finds it again."""
    url = server.ask(do="url")["url"] + V5.path
    before = websocket.create_connection(url, timeout=10)
    gone = server.ask(do="restart", after=0.0)
    with pytest.raises((websocket.WebSocketException, ConnectionError)):
        before.recv()
    after = websocket.create_connection(url, timeout=10)
    assert gone["back_at"] > gone["dropped_at"]
    before.close()
    after.close()


def test_a_process_that_fails_says_why() -> None:
    """What went wrong in a child is told by whoever asked it."""
    with Process("child", "bare", "ws://127.0.0.1:1", "costs") as child, pytest.raises(RuntimeError, match="ended with 1"):
        child.ask(do="ready")


# -- counting


def test_a_tally_ends_with_the_last_message_expected() -> None:
    """It knows how many messages and rows there were, and which one was the last."""
    tally = Tally(itemgetter("seq"))
    tally.expect(2)
    tally.add([{"seq": 1}, {"seq": 2}], "a")
    with pytest.raises(TimeoutError, match="1 of 2"):
        tally.wait(0)
    tally.add([{"seq": 3}], "b")
    assert tally.wait(0)[0] > 0
    assert (tally.messages, tally.rows, tally.last) == (2, 3, 3)


def test_a_loss_fails_the_measurement() -> None:
    """A gap is no message, and nothing is made of a run that had one."""
    tally = Tally(itemgetter("seq"))
    tally.expect(1)
    tally.fail("OVERFLOW")
    with pytest.raises(RuntimeError, match="OVERFLOW"):
        tally.wait(0)


def test_a_stopwatch_reads_the_stamps() -> None:
    """Microseconds between the stamp and now."""
    watch = Stopwatch()
    watch.expect(1)
    watch.add((), "0")
    assert watch.wait(0)[0] > 0


RESULT = {"messages": 5, "rows": 10, "mark": "9", "speed": False, "wsaccel": False}


@pytest.mark.parametrize("wrong", [{"messages": 4}, {"rows": 9}, {"mark": "8"}, {"speed": True}, {"wsaccel": True}])
def test_a_result_that_is_wrong_in_anything_is_refused(wrong: dict[str, object]) -> None:
    """Fewer messages, another last one, or msgspec or wsaccel where it was to be absent."""
    sent = {"mark": "9", "peers": 1}
    verify("callback", 5, 2, sent, RESULT)
    with pytest.raises(RuntimeError, match="callback"):
        verify("callback", 5, 2, sent, RESULT | wrong)


def test_the_default_install_has_no_msgspec() -> None:
    """Blocked before the library is imported, so that it cannot be used by accident."""
    block = "from tests.benchmarks.contestants import block, left_out; block(left_out('callback'))"
    script = f"{block}; from bybit_sync.decoding.parsing import PARSERS; print(*PARSERS)"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.split() == ["json"]


def test_half_of_ours_is_the_default_install() -> None:
    """Each form is measured with and without the extra."""
    with_it = {"+speed,".join(name.split(",")) if "," in name else f"{name}+speed" for name in DEFAULT_INSTALL}
    assert DEFAULT_INSTALL | with_it == set(OURS) < set(CONTESTANTS)


def test_only_one_contestant_has_wsaccel() -> None:
    """Whoever has websocket-client would use it without asking."""
    assert "wsaccel" not in left_out("pybit+wsaccel, all read")
    assert all("wsaccel" in left_out(name) for name in ("pybit", "callback", "bare", "limit"))


def test_a_consumer_reads_a_field_or_all() -> None:
    """Of ours every attribute but the two that are the row once more, of a dict every value."""
    row = attrs.make_class("Row", ["symbol", "size", "wire", "extra"])("BTCUSDT", 1, {}, {})
    assert reads("callback") is None
    assert [reads("callback, all read")(row), reads("pybit, all read")({"a": 1})] == [["BTCUSDT", 1], [1]]  # type: ignore[misc]


# -- what is made of it


def test_a_ratio_is_taken_within_a_round() -> None:
    """A slow moment of the machine slows both, and is not seen in the ratio."""
    rounds = [{"order": {"callback": Cost(cpu, 0), "pybit": Cost(10 * cpu, 0)}} for cpu in (1, 5, 2)]
    assert ratios(rounds, "order", "callback", "pybit") == Spread(0.1, 0.1, 0.1)


def test_the_report_of_throughput_has_costs_and_ratios() -> None:
    """Whoever did not run is not spoken of."""
    plan = throughput.Plan(contestants=("callback", "pybit"), kinds=("order",))
    costs, wall, to_pybit, besides = throughput.report(plan, [{"order": {"callback": Cost(20, 25), "pybit": Cost(200, 250)}}])
    assert costs.splitlines()[-1].split("|")[1:-1] == [" pybit             ", " 200   "]
    assert ("250" in wall, "0.10" in to_pybit, "server" in besides) == (True, True, True)


def test_the_report_of_latency_has_percentiles_and_ratios() -> None:
    """Ours against pybit's, at each pace."""
    plan = latency.Plan(contestants=("callback", "pybit"), paces=(latency.Pace(200, 1),))
    ours, theirs = dict.fromkeys(latency.SHARES, 30.0), dict.fromkeys(latency.SHARES, 60.0)
    all_of_it, to_pybit = latency.report(plan, [{plan.paces[0]: {"callback": ours, "pybit": theirs}}])
    assert "60.0" in all_of_it
    assert to_pybit.count("0.50") == 3


def test_the_report_of_recovery_has_costs_and_who_misses_fills() -> None:
    """The ratio of a push within its round, the times of the outage, and each contestant's fills."""
    costs = {"callback": Cost(20, 25), "recover": Cost(21, 25)}
    pushes = [dict.fromkeys(("position", "order", "execution", "wallet"), costs)]
    found = recovery.Found(pushes, [recovery.Mended(1.5, 2.5, 33)], 217.0, 380, 430, {"recover=True": 430, "pybit": 50})
    pushed, outage, ends_with = recovery.report(recovery.Plan(), found)
    assert (pushed.count("1.05"), "1.50" in outage, "33.0" in outage) == (5, True, True)
    assert "hid 380 of 430" in ends_with
    assert ends_with.splitlines()[-1].split("|")[2].strip() == "50"


def test_the_report_of_the_account_has_reads_and_changes() -> None:
    """The median of the changes, and what nearly all of them stay below."""
    found = account.measure(account.Plan(rounds=1, reads=10, changes=20, orders=(10, 1_000)))
    reads, changes = account.report(found)
    assert "is_current" in reads
    assert [line.split("|")[1].strip() for line in changes.splitlines()[2:]] == ["10", "1,000"]


def test_the_trace_has_stages_and_waits() -> None:
    """Clients that end after a stage prove what they were handed, and each message's places add up to its latency."""
    pytest.importorskip("psutil")  # of the extra bench, which all measurements need
    plan = trace.Plan(1, 20, 1, seconds=0.0, fewest=20, contestants=("callback",), paces=(latency.Pace(1_000, 1),))
    found = trace.measure(plan)
    tables = trace.report(found)
    assert [len(table.splitlines()) for table in tables[:2]] == [8, 8]
    for waited in found.waits.values():
        assert sum(waited.slowest[1:]) == pytest.approx(waited.slowest[0])
    assert len(found.waits) == (2 if scheduling.IS_KNOWN else 0)


CAME = [[1_000, 0, 0], [9_000_000, 400_000, 100_000]]


def test_a_message_waits_with_the_one_thread_that_there_is() -> None:
    """In the exchange's process, in the run queue, running, and asleep; each no longer than it was there."""
    answer = {"stamps": [500, 8_000_000], "came": CAME, "read": [], "woken": []}
    _, second = trace.split(answer, [900, 8_200_000])
    assert second == (1_000, [200, 400, 100, 300, 0, 0, 0, 0, 0, 0])


def test_a_message_waits_with_one_thread_after_the_other() -> None:
    """Until it was read and the other was woken with the connection thread, then with the callback's."""
    read, woken = [[700, 0, 0], [8_500_000, 100_000, 50_000]], [[800, 0, 0], [8_600_000, 100_000, 150_000]]
    answer = {"stamps": [500, 8_000_000], "came": CAME, "read": read, "woken": woken}
    _, second = trace.split(answer, [900, 8_200_000])
    assert second == (1_000, [200, 100, 50, 150, 0, 100, 0, 400, 0, 0])


def test_the_report_of_scale_compares_floods_with_one_clients() -> None:
    """Those with a long switch interval too."""
    work = [scale.Work(cpu, slices, 40.0) for cpu, slices in ((20.0, 0.1), (15.0, 0.1), (60.0, 15.0), (30.0, 0.3))]
    one, many = (scale.Cost(5, 100, 0.1, 0.1, 0.1, each, each, each, patient) for each, patient in (work[:2], work[2:]))
    _, why = scale.report({1: one, 500: many})
    assert [cell.strip() for cell in why.splitlines()[-1].split("|")[1:-1]] == [
        *("500", "40.0", "15.0", "60.0", "3.00"),
        *("0.30", "30.0", "2.00"),
    ]


def test_a_spread_shows_its_range() -> None:
    """Unless there was one value."""
    assert str(spread([1.0, 30.0, 200.0])) == "30.0 (1.00–200)"
    assert str(spread([2.0])) == "2.00"


@pytest.mark.parametrize(("share", "count", "value"), [(0.5, 3, 2), (0.99, 1000, 990), (0.999, 1000, 999), (0.999, 10, 10)])
def test_a_percentile_is_a_value_that_occurred(share: float, count: int, value: int) -> None:
    """The smallest one that so many do not exceed."""
    assert percentile(range(count, 0, -1), share) == value


def test_numbers_have_three_digits() -> None:
    """Fewer say too little, and more are not true."""
    assert [number(value) for value in (0.123, 1.234, 12.34, 123.4)] == ["0.12", "1.23", "12.3", "123"]


def test_a_table_is_read_by_people_and_by_markdown() -> None:
    """Columns stand below each other."""
    assert table(("a", "bc"), [("def", 1)]).splitlines() == ["| a   | bc |", "|:----|:---|", "| def | 1  |"]


def test_the_results_say_where_they_come_from_and_nothing_of_whose_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processor, cores, kernel, Python, versions; no path and no name of a host."""
    monkeypatch.setattr("platform.release", lambda: "6.1.2-of-somebody")
    found = text({"scale": ["| a table |"], "trace": []})
    assert "| a table |" in found
    assert ("## Scale" in found, "## Where the time goes" in found) == (True, True)
    for secret in (str(Path(__file__).parents[2]), "somebody"):
        assert secret not in found
