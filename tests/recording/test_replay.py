"""Replaying: what a client received, received again from its recording, and what is left of a damaged one."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import queue
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bybit_sync
from bybit_sync import Client, ConfigurationError, Event, GapReason, Recorder, RecordingError, Stream
from bybit_sync.recording.format import read_recording
from bybit_sync.simulator import Account, Exchange
from tests.searching import any_text, examples

MakeClient = Callable[..., Client]
_numbers = itertools.count(1)


# --- a client that is recorded ---


class Live:
    """A client that is recorded, with one queue for its four streams."""

    def __init__(self, make_client: MakeClient, exchange: Exchange, account: Account, path: Path, **arguments: Any) -> None:
        self.client = make_client(record=path, **arguments)
        self.exchange = exchange
        self.account = account
        self.path = path
        self.events: list[Event[Any]] = []
        self._queue: queue.Queue[Event[Any]] = queue.Queue()
        for stream in ("orders", "positions", "user_trades", "balances"):
            getattr(self.client, f"subscribe_{stream}")(self._queue)

    def trade(self) -> None:
        """Have the account trade, and take all four pushes of it."""
        self.account.fill(self.account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
        self.take_marker()

    def take_marker(self) -> None:
        """Take all events until an order that was pushed just now arrives, and all streams are confirmed."""
        name = f"marker-{next(_numbers)}"
        deadline = time.monotonic() + 20
        while True:
            self.account.push("orders", [{"category": "linear", "orderId": name}])
            if self._takes(name):
                break
            assert time.monotonic() < deadline
        # In v3 each is confirmed for itself: the next outage may not begin before the last one has ended for all.
        self.client.wait_live(20)

    def _takes(self, name: str) -> bool:
        try:
            while True:
                event = self._queue.get(timeout=0.1)
                self.events.append(event)
                if any(getattr(row, "order_id", "") == name for row in event):
                    return True
        except queue.Empty:
            return False

    def reconnect(self) -> None:
        """Have the client reconnect, and wait for its next login: until then the old connection brings what is pushed."""
        before = self.client.health().epoch
        self.client.reconnect()
        self.exchange.wait_for(lambda: self.client.health().epoch > before)

    def finish(self) -> list[Event[Any]]:
        """Close the client and return all that it received."""
        assert self.client.close()
        while not self._queue.empty():
            self.events.append(self._queue.get())
        return self.events


@pytest.fixture
def live(make_client: MakeClient, exchange: Exchange, account: Account, dialect: str, tmp_path: Path) -> Live:
    """A client of each dialect that is recorded."""
    return Live(make_client, exchange, account, tmp_path / "session.jsonl", dialect=dialect)


def outline(event: Event[Any]) -> dict[str, Any]:
    """Return all attributes of *event* but `id` and `raw`, which are scrubbed."""
    names = ["stream", "topic", "data", "created_at", "received_at", "received_ns", "client", "epoch", "index"]
    gap = {name: getattr(event.gap, name) for name in ["reason", "since", "until", "missed", "detail"]} if event.gap else None
    wires = [{**row.wire} for row in event]
    return {
        **{name: getattr(event, name) for name in names},
        "gap": gap,
        "error": str(event.gap and event.gap.error),
        "wire": wires,
    }


def without_id(raw: bytes) -> Any:
    """Return the frame *raw* without its id, if it can be read."""
    try:
        says = json.loads(raw)
    except (ValueError, RecursionError):
        return raw
    return {**says, "id": None} if isinstance(says, dict) else says


def assert_same(live: list[Event[Any]], again: list[Event[Any]]) -> None:
    """Compare all attributes of all events."""
    assert list(map(outline, again)) == list(map(outline, live))
    assert [without_id(event.raw) for event in again] == [without_id(event.raw) for event in live]


# --- the same events ---


def test_a_session_is_received_again(live: Live) -> None:
    """Every attribute of every event of every stream, in the order in which they came."""
    live.trade()
    live.trade()
    events = live.finish()
    assert {event.stream for event in events} == set(Stream)
    assert_same(events, list(bybit_sync.replay(live.path)))


def test_an_outage_is_received_again(live: Live, exchange: Exchange) -> None:
    """The gap of each stream, with window, detail, epoch and number, where it stood."""
    live.trade()
    exchange.drop(code=1012, reason="restart")
    live.trade()
    live.reconnect()
    live.trade()
    events = live.finish()
    assert len([event for event in events if event.gap]) == 8
    assert {event.epoch for event in events} == {1, 2, 3}
    assert_same(events, list(bybit_sync.replay(live.path)))


def test_the_exchanges_clock_is_learned_again(
    make_client: MakeClient, exchange: Exchange, account: Account, tmp_path: Path
) -> None:
    """A login that is refused for our clock and signed again, pongs, and windows in the exchange's time."""
    exchange.clock_offset = 100.0
    live = Live(make_client, exchange, account, tmp_path / "session.jsonl")
    live.trade()
    exchange.wait_for(lambda: live.client.health().ping_rtt is not None)
    exchange.drop(reset=True)
    live.trade()
    events = live.finish()
    again = list(bybit_sync.replay(live.path))
    assert_same(events, again)
    gap = next(event for event in again if event.gap)
    assert gap.gap is not None
    assert 99 < (gap.gap.until - gap.received_at).total_seconds() < 101


@pytest.mark.parametrize("name", ["half json", "no object", "binary", "data is no list", "row is no object", "long number"])
def test_what_could_not_be_read_cannot_be_read_again(live: Live, exchange: Exchange, name: str) -> None:
    """UNDECODABLE with the same window and detail, and the frame byte for byte."""
    live.trade()
    exchange.send_garbage(name)
    live.trade()
    assert_same(live.finish(), list(bybit_sync.replay(live.path)))


def test_a_topic_refused_after_an_outage_ends_again(live: Live, exchange: Exchange) -> None:
    """Asked for once more, then ENDED with the exchange's words; the other streams go on."""
    live.trade()
    topics = exchange.connections[0].topics
    for topic in topics:
        if "position" in topic:
            exchange.refuse_topic(topic)
    exchange.drop()
    while not any(event.gap and event.gap.reason is GapReason.ENDED for event in live.events):
        live.take_marker()
    live.trade()
    assert_same(live.finish(), list(bybit_sync.replay(live.path)))


def test_what_arrives_before_its_confirmation_follows_the_gap_again(live: Live, exchange: Exchange) -> None:
    """Held then, held now."""
    live.trade()
    exchange.hold_acks("subscribe")
    exchange.drop()
    exchange.wait_for(lambda: exchange.connections and len(exchange.connections[0].topics) >= 4)
    live.account.fill(live.account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
    exchange.release_acks()
    live.trade()
    assert_same(live.finish(), list(bybit_sync.replay(live.path)))


@pytest.mark.parametrize("seed", [0, 1, pytest.param(2, marks=pytest.mark.soak), pytest.param(3, marks=pytest.mark.soak)])
def test_any_history_is_received_again(live: Live, exchange: Exchange, seed: int) -> None:
    """Trades, garbage, cuts, reconnects, clocks that jump, answers that get lost: in any order."""
    chance = random.Random(seed)
    steps: list[Callable[[], object]] = [
        live.trade,
        lambda: exchange.send_garbage(chance.choice(["no json", "no object", "binary", "row is no object", "masked"])),
        lambda: exchange.drop(reset=chance.random() < 0.5),
        live.client.reconnect,
        lambda: exchange.set_clock(chance.uniform(-50, 50)),
        lambda: exchange.lose_answers("subscribe", times=1),
        lambda: exchange.duplicate_pushes(times=2),
        lambda: live.account.push("wallet", [{"accountType": "UNIFIED", "coin": 7}]),
    ]
    live.trade()
    for _ in range(12):
        chance.choice(steps)()
        live.take_marker()
    assert_same(live.finish(), list(bybit_sync.replay(live.path)))


def test_raw_is_the_recorded_frame(live: Live) -> None:
    """To the byte: what was scrubbed in it is, and nothing else differs."""
    live.trade()
    live.finish()
    frames = {line.frame.encode() for line in read_recording(live.path) if line.direction.value == "in"}
    assert {event.raw for event in bybit_sync.replay(live.path)} <= frames


def test_a_stream_that_was_left_for_a_time_has_a_gap(client: Client, make_client: MakeClient, tmp_path: Path) -> None:
    """There is one subscription to each stream in a replay: where the client had none, updates may be missing."""
    client = make_client(record=tmp_path / "session.jsonl")
    client.subscribe_balances()
    client.subscribe_orders().close()
    client.subscribe_orders()
    client.close()
    (event,) = bybit_sync.replay(tmp_path / "session.jsonl")
    assert event.gap is not None
    assert (event.stream, event.gap.reason, event.index) == (Stream.ORDERS, GapReason.DISCONNECTED, 1)
    assert "unsubscribed" in event.gap.detail


def test_a_second_run_in_the_same_file_follows_a_gap(
    make_client: MakeClient, exchange: Exchange, account: Account, tmp_path: Path
) -> None:
    """Between two clients that recorded one after the other, updates may be missing; indices and epochs count on."""
    path = tmp_path / "session.jsonl"
    for _ in range(2):
        live = Live(make_client, exchange, account, path)
        live.trade()
        live.finish()
    orders = [event for event in bybit_sync.replay(path) if event.stream is Stream.ORDERS]
    assert [event.index for event in orders] == list(range(1, len(orders) + 1))
    assert [event.gap.detail for event in orders if event.gap] == ["the connection was lost: the client closed the connection"]
    assert {event.epoch for event in orders} == {1, 2}
    assert len({event.client for event in orders}) == 2


def lines(*frames: tuple[str, str], ns: int = 10**12, day: int = 1) -> list[str]:
    """Return the lines of *frames*, a second apart, by a monotonic clock that shows *ns* at first."""
    return [
        json.dumps(
            {
                "recv_ns": ns + second * 10**9,
                "recv_utc": f"2026-01-{day:02}T00:00:{second:02}Z",
                "direction": direction,
                "frame": frame,
            }
        )
        for second, (direction, frame) in enumerate(frames)
    ]


def run(mark: str = "a") -> list[tuple[str, str]]:
    """Return the frames of a login, a subscription and a pong by a clock that is ahead by a day; a kill ended it."""
    return [
        ("out", json.dumps({"req_id": f"{mark}-1", "op": "auth", "args": ["mine", 1, "there"]})),
        ("in", json.dumps({"req_id": f"{mark}-1", "success": True, "op": "auth"})),
        ("out", json.dumps({"req_id": f"{mark}-2", "op": "subscribe", "args": ["order"]})),
        ("in", json.dumps({"req_id": f"{mark}-2", "success": True, "op": "subscribe"})),
        ("out", json.dumps({"op": "ping"})),
        ("in", json.dumps({"op": "pong", "args": [str(1767312005_000)]})),
    ]


def test_a_recording_that_was_killed_and_went_on_has_a_gap() -> None:
    """Nobody wrote down that the connection ended; the next login proves it."""
    (event,) = bybit_sync.replay([*lines(*run("a")), *lines(*run("b"), ns=10**12 + 10**10)])
    assert event.gap is not None
    assert event.gap.detail == "the connection was lost: the recording broke off"
    assert (event.epoch, event.client, event.index) == (2, "mine", 1)
    assert event.gap.since.isoformat() == "2026-01-02T00:00:05+00:00"


def test_a_login_of_another_form_names_no_client() -> None:
    """The replay's own name is given; the second login follows a gap, as usual."""
    frames = [(way, text.replace('"mine", 1, "there"', '"mine", 1')) for way, text in run()]
    (event,) = bybit_sync.replay([*lines(*frames), *lines(*frames, ns=10**12 + 10**10)])
    assert event.gap is not None
    assert (event.epoch, event.client) == (2, "replay")


def test_a_push_of_the_subscription_before_is_dropped() -> None:
    """Left and asked for again: until the exchange has let go, its pushes stem from before."""
    again = [
        ("out", json.dumps({"req_id": "a-3", "op": "unsubscribe", "args": ["order"]})),
        ("in", json.dumps({"topic": "order", "data": [{"orderId": "old"}]})),
        ("in", json.dumps({"req_id": "a-3", "success": True, "op": "unsubscribe"})),
        ("out", json.dumps({"req_id": "a-4", "op": "subscribe", "args": ["order"]})),
        ("in", json.dumps({"topic": "order", "data": [{"orderId": "new"}]})),
    ]
    gap, push = bybit_sync.replay(lines(*run()[:4], *again))
    assert gap.gap is not None
    assert [row.order_id for row in push] == ["new"]


def test_what_the_exchange_still_holds_after_it_let_go_is_not_confirmed() -> None:
    """The recorded client gave the connection up for it: one gap, where the next one confirms."""
    again = [
        ("out", json.dumps({"req_id": "a-3", "op": "unsubscribe", "args": ["order"]})),
        ("in", json.dumps({"req_id": "a-3", "success": True, "op": "unsubscribe"})),
        ("out", json.dumps({"req_id": "a-4", "op": "subscribe", "args": ["order"]})),
        ("in", json.dumps({"req_id": "a-4", "success": False, "op": "subscribe", "ret_msg": "error:already subscribed"})),
    ]
    (event,) = bybit_sync.replay(lines(*run("a")[:4], *again, *run("b")))
    assert event.gap is not None


def test_a_machine_that_was_started_anew_has_another_clock() -> None:
    """What the exchange's clock was before says nothing of it by a monotonic clock that began anew."""
    (event,) = bybit_sync.replay([*lines(*run("a")), *lines(*run("b"), ns=17, day=9)])
    assert event.gap is not None
    assert event.gap.until.isoformat() == "2026-01-09T00:00:03+00:00"


def test_a_login_that_is_signed_once_more_is_no_other_run() -> None:
    """The same connection went on."""
    refused = {"req_id": "a-1", "success": False, "op": "auth", "ret_msg": "Params Error"}
    again = {"req_id": "a-2", "op": "auth", "args": ["mine", 2, "there"]}
    frames = [run()[0], ("in", json.dumps(refused)), *run()[4:], ("out", json.dumps(again))]
    frames += [(way, frame.replace("a-2", "a-3").replace("a-1", "a-2")) for way, frame in run()[1:4]]
    push = ("in", json.dumps({"topic": "order", "data": [{"orderId": "1"}]}))
    (event,) = bybit_sync.replay(lines(*frames, push))
    assert (event.epoch, event.gap) == (1, None)


def test_a_recording_feeds_the_simulated_exchange(
    live: Live, make_client: MakeClient, exchange: Exchange, dialect: str
) -> None:
    """Another client receives the same frames from it; what was not the exchange's is left out."""
    live.trade()
    live.finish()
    frames = [event.raw for event in bybit_sync.replay(live.path) if event.stream is Stream.ORDERS]
    orders = make_client(dialect=dialect).subscribe_orders()
    exchange.replay(live.path, speed=None)
    assert [orders.get(timeout=5).raw for _ in frames] == frames


# --- how it is given ---


@pytest.fixture
def recorded(make_client: MakeClient, exchange: Exchange, account: Account, tmp_path: Path) -> Path:
    """A recording with an outage."""
    live = Live(make_client, exchange, account, tmp_path / "recorded.jsonl")
    live.trade()
    exchange.drop()
    live.trade()
    live.finish()
    return live.path


def test_a_callable_gets_them_in_the_callers_thread(recorded: Path) -> None:
    """And how many there were is returned."""
    got: list[Event[Any]] = []
    assert bybit_sync.replay(recorded, sink=got.append) == len(got)
    assert_same(got, list(bybit_sync.replay(recorded)))


def test_a_queue_gets_them(recorded: Path) -> None:
    """One that has room; a full one says so."""
    got: queue.Queue[bybit_sync.AnyEvent] = queue.Queue()
    assert bybit_sync.replay(recorded, None, got) == got.qsize() > 4
    with pytest.raises(queue.Full):
        bybit_sync.replay(recorded, sink=queue.Queue(2))


def test_what_a_callable_raises_is_raised(recorded: Path) -> None:
    """It runs in the caller's own thread."""
    with pytest.raises(ZeroDivisionError):
        bybit_sync.replay(recorded, sink=lambda event: 1 // 0)


def test_speed_keeps_time(recorded: Path) -> None:
    """As far apart as they were, or nearer."""
    moments = [event.received_ns for event in bybit_sync.replay(recorded)]
    lasted = (moments[-1] - moments[0]) / 1e9
    for speed in (1.0, 4.0):
        began = time.monotonic()
        for _ in bybit_sync.replay(recorded, speed):
            pass
        assert lasted / speed <= time.monotonic() - began < lasted / speed + 10


def test_a_long_recording_is_soon_over() -> None:
    """A minute takes a moment at a speed that is high enough."""
    push = ("in", json.dumps({"topic": "order", "data": [{"orderId": "1"}]}))
    whole = lines(*run(), *[push] * 50)
    began = time.monotonic()
    assert bybit_sync.replay(whole, speed=500, sink=lambda event: None) == 50
    assert time.monotonic() - began < 20


def test_lines_and_open_files_are_replayed_too(recorded: Path) -> None:
    """Whatever gives lines."""
    whole = list(bybit_sync.replay(recorded))
    assert_same(whole, list(bybit_sync.replay(recorded.read_text().splitlines())))
    with recorded.open() as file:
        assert_same(whole, list(bybit_sync.replay(file)))


def test_a_rotated_recording_is_read_from_its_first_part_on(
    make_client: MakeClient, exchange: Exchange, account: Account, tmp_path: Path
) -> None:
    """Its path is that of the last part; more than nine parts are in their order."""
    recorder = Recorder(tmp_path / "session.jsonl", rotate_bytes=3000)
    live = Live(make_client, exchange, account, recorder)  # type: ignore[arg-type]  # as `record` takes it
    for _ in range(6):
        live.trade()
    events = live.finish()
    assert len(list(tmp_path.iterdir())) > 10
    assert_same(events, list(bybit_sync.replay(tmp_path / "session.jsonl")))


@pytest.fixture
def rotated(make_client: MakeClient, exchange: Exchange, account: Account, tmp_path: Path) -> Path:
    """A recording of more than ten files."""
    live = Live(make_client, exchange, account, Recorder(tmp_path / "session.jsonl", rotate_bytes=3000))  # type: ignore[arg-type]
    for _ in range(6):
        live.trade()
    live.finish()
    return tmp_path / "session.jsonl"


def pack(file: Path, suffix: str = ".gz") -> None:
    """Replace *file* by a packed one."""
    file.with_name(file.name + suffix).write_bytes(gzip.compress(file.read_bytes()))
    file.unlink()


@pytest.mark.parametrize("names", ["session.jsonl.1", "session.jsonl.1*", "session.jsonl*"])
def test_rotated_files_may_be_packed(rotated: Path, names: str) -> None:
    """Some of them or all, by the name of either kind; each is read in its place."""
    whole = list(bybit_sync.replay(rotated))
    for file in rotated.parent.glob(names):
        pack(file)
    assert_same(whole, list(bybit_sync.replay(rotated)))
    newest = next(rotated.parent.glob("session.jsonl.gz"), rotated)
    assert_same(whole, list(bybit_sync.replay(newest)))


def test_a_file_that_is_being_packed_is_read_once(rotated: Path) -> None:
    """The copy of it is not complete yet."""
    whole = list(bybit_sync.replay(rotated))
    rotated.with_name("session.jsonl.2.gz").write_bytes(gzip.compress(rotated.read_bytes())[:-20])
    assert_same(whole, list(bybit_sync.replay(rotated)))


def test_a_rotated_file_of_another_packer_is_told(rotated: Path) -> None:
    """It is not left out; what stands before it was given."""
    pack(rotated.with_name("session.jsonl.5"), ".zst")
    before: list[Any] = []
    with pytest.raises(RecordingError, match=r"session\.jsonl\.5\.zst is not packed by gzip: unpack it"):
        bybit_sync.replay(rotated, sink=before.append)
    assert before


def test_a_part_without_those_before_it_gives_what_it_has(recorded: Path) -> None:
    """Every push after the login that is missing, of the streams that are seen; the account was subscribed, or none came."""
    lines = recorded.read_text().splitlines()
    first = next(number for number, text in enumerate(lines) if "topic" in text and '\\"data' in text)
    whole = list(bybit_sync.replay(lines))
    part = list(bybit_sync.replay(lines[first:]))
    names = ("stream", "topic", "data", "received_ns", "epoch", "index", "raw")
    assert [[getattr(e, name) for name in names] for e in part] == [[getattr(e, name) for name in names] for e in whole]
    assert len([event for event in part if event.gap]) == 4


@pytest.mark.parametrize(("arguments", "text"), [({"speed": 0}, "speed"), ({"speed": "fast"}, "speed"), ({"sink": 7}, "sink")])
def test_a_wrong_argument_is_told_at_once(arguments: dict[str, Any], text: str) -> None:
    """Before the file is looked for."""
    with pytest.raises(ConfigurationError, match=text):
        bybit_sync.replay("nowhere", **arguments)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """As the system tells it."""
    with pytest.raises(FileNotFoundError):
        list(bybit_sync.replay(tmp_path / "nowhere"))


# --- damage ---


def given_before(lines: Any) -> tuple[list[dict[str, Any]], RecordingError | None]:
    """Return what a replay of *lines* gives, and the error that ends it."""
    given: list[Event[Any]] = []
    try:
        bybit_sync.replay(lines, sink=given.append)
    except RecordingError as error:
        return list(map(outline, given)), error
    return list(map(outline, given)), None


def by_line(path: Path) -> list[int]:
    """Return how many events the first 0, 1, 2, ... lines of *path* give."""
    lines = path.read_text().splitlines()
    return [len(given_before(lines[:count])[0]) for count in range(len(lines) + 1)]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, list[dict[str, Any]], list[int]]:
    """A recording, its bytes, its events, and how many of them the first lines give."""
    path = tmp_path_factory.mktemp("sample") / "sample.jsonl"
    frames = [
        ("out", '{"req_id": "a-1", "op": "auth", "args": ["me", 1, "there"]}'),
        ("in", '{"req_id": "a-1", "success": true, "op": "auth"}'),
        ("out", '{"req_id": "a-2", "op": "subscribe", "args": ["order"]}'),
        ("in", '{"req_id": "a-2", "success": true, "op": "subscribe"}'),
        *[("in", f'{{"topic": "order", "id": "é", "data": [{{"orderId": "{n}"}}]}}') for n in range(5)],
        ("lost", "gone"),
    ]
    lines = [
        {"recv_ns": n, "recv_utc": f"2026-01-01T00:00:{n:02}Z", "direction": way, "frame": frame}
        for n, (way, frame) in enumerate(frames)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path, path.read_bytes(), given_before(path)[0], by_line(path)


def replayed(path: Path, content: bytes) -> tuple[list[dict[str, Any]], RecordingError | None]:
    """Return what a replay of a file of *content* gives, and the error that ends it."""
    other = path.with_name("damaged.jsonl")
    other.write_bytes(content)
    return given_before(other)


@examples(40)
@given(data=st.data())
def test_a_truncated_recording_gives_what_is_whole(sample: Any, data: st.DataObject) -> None:
    """Cut at any byte: the events of all whole lines, then one error that names the line; none when a line ends there."""
    path, content, events, counts = sample
    cut = data.draw(st.integers(0, len(content)))
    kept = content[:cut]
    given, error = replayed(path, kept)
    whole = kept.count(b"\n") + (content[cut : cut + 1] == b"\n")
    assert given == events[: counts[whole]]
    assert (error is None) == (kept.endswith(b"\n") or kept == b"" or content[cut : cut + 1] == b"\n")
    if error is not None:
        assert error.line == whole + 1
        assert "breaks off" in str(error)
        assert str(path.with_name("damaged.jsonl")) in str(error)


@examples(50)
@given(data=st.data())
def test_a_damaged_recording_gives_what_stands_before(sample: Any, data: st.DataObject) -> None:
    """One byte is another one: the events of the lines before it are given; then at most one clear error, of that line."""
    path, content, events, counts = sample
    place = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.integers(0, 255))
    given, error = replayed(path, content[:place] + bytes([byte]) + content[place + 1 :])
    before = content[:place].count(b"\n")
    assert given[: counts[before]] == events[: counts[before]]
    if error is not None:
        assert error.line in (before + 1, before + 2)
        assert f"line {error.line} of" in str(error)
        assert "take the line out" in str(error)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        "9" * 5000,
        '{"recv_ns": true, "recv_utc": "2026-01-01T00:00:00Z", "direction": "in", "frame": ""}',
        f'{{"recv_ns": {"9" * 400}, "recv_utc": "2026-01-01T00:00:00Z", "direction": "in", "frame": ""}}',
        '{"recv_ns": -1, "recv_utc": "2026-01-01T00:00:00Z", "direction": "in", "frame": ""}',
        '{"recv_ns": 1, "recv_utc": "2026-01-01T00:00:00", "direction": "in", "frame": ""}',
        '{"recv_ns": 1, "recv_utc": "todayZ", "direction": "in", "frame": ""}',
        '{"recv_ns": 1, "recv_utc": "2026-01-01T00:00:00Z", "direction": [], "frame": ""}',
        '{"recv_ns": 1, "recv_utc": "2026-01-01T00:00:00Z", "direction": "in", "frame": {}}',
        '{"recv_ns": 1, "recv_utc": "2026-01-01T00:00:00Z", "direction": "in", "frame": "\\ud800"}',
    ],
)
def test_a_line_that_is_none_is_told(line: str) -> None:
    """Whatever stands there; its content is not repeated."""
    with pytest.raises(RecordingError, match="line 1 of the recording is damaged") as caught:
        list(bybit_sync.replay([line]))
    assert caught.value.line == 1
    assert len(str(caught.value)) < 300


def test_a_recording_that_is_no_utf8_is_told() -> None:
    """Also by a file that was opened as text."""
    file = io.TextIOWrapper(io.BytesIO(b"\xff\n"), encoding="utf-8")
    with pytest.raises(RecordingError, match="not UTF-8"):
        list(bybit_sync.replay(file))


@examples(15)
@given(
    frames=st.lists(
        st.tuples(
            st.sampled_from(["in", "out", "lost"]),
            any_text()
            | st.recursive(
                st.none() | st.integers() | any_text(),
                lambda inner: (
                    st.lists(inner)
                    | st.dictionaries(st.sampled_from(["op", "args", "topic", "data", "success", "req_id"]), inner)
                ),
            ).map(json.dumps),
        )
    )
)
def test_strange_frames_are_no_bug(frames: list[tuple[str, str]]) -> None:
    """A line that is whole may hold anything: at worst it gives no event."""
    lines = [
        json.dumps({"recv_ns": n, "recv_utc": "2026-01-01T00:00:00Z", "direction": way, "frame": frame})
        for n, (way, frame) in enumerate(frames)
    ]
    list(bybit_sync.replay(lines))
