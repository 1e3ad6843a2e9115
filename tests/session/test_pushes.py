from __future__ import annotations

import inspect
import logging
import sys
from datetime import timedelta
from types import ModuleType

import pytest

from bybit_sync import V5
from bybit_sync.decoding import fast_path
from bybit_sync.errors import ProtocolError
from bybit_sync.model.events import Event, GapReason, Stream
from bybit_sync.session import session, wanted
from bybit_sync.session.events import SessionEvent
from tests.benchmarks.payloads import Market, compact
from tests.talking import NOON, Talk, milliseconds, names, order

ORDERS, POSITIONS = Stream.ORDERS, Stream.POSITIONS


@pytest.fixture(autouse=True, params=["fast path", "parser only"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each promise hold with the fast path, and without it."""
    if request.param == "parser only":
        monkeypatch.setattr(session, "try_fast", lambda *_: None)


TWO = ("linear", "inverse")


def only(news: list[SessionEvent] | tuple[SessionEvent, ...]) -> Event[object]:
    """Return the one event that *news* consists of."""
    [event] = news
    assert isinstance(event, Event)
    return event


def live(*wanted: Stream, categories: tuple[str, ...] | None = None) -> Talk:
    """Return a talk with all that is wanted confirmed."""
    talk = Talk(*wanted, categories=categories)
    talk.go_live()
    talk.asked()
    return talk


# --- delivered ---


def test_a_push_is_an_event_with_all_that_is_known_of_it() -> None:
    """Rows, envelope, both clocks, the frame itself, whose it is and of which login."""
    talk = live(ORDERS)
    talk.seconds = 3
    frame = b'{"topic":"order","id":"i","creationTime":%d,"data":[{"orderId":"1"}]}' % milliseconds(NOON)
    event = only([*talk.hear_frame(frame)])
    assert (event.stream, event.topic, event.id, event.created_at) == (ORDERS, "order", "i", NOON)
    assert (event.received_at, event.received_ns) == (talk.now.utc, talk.now.ns)
    assert (event.raw, event.client, event.epoch, event.gap) == (frame, "test", 1, None)
    assert names([event]) == ["1"]


@pytest.mark.parametrize("stream", Stream)
@pytest.mark.parametrize("categories", [None, TWO])
def test_the_fast_path_makes_the_events_of_the_parser(
    stream: Stream, categories: tuple[str, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the envelope says, in whatever order."""
    monkeypatch.setattr(fast_path, "_ROWS", {})  # after other tests' layouts it may learn none for a while
    market, fast, parsed = Market(), live(stream, categories=categories), live(stream, categories=categories)
    row = {"balances": market.account, "orders": market.order, "positions": market.position, "user_trades": market.trade}[
        stream
    ]
    topic = V5.channels(stream, categories)[0].topic
    for envelope in ({"ts": 5}, {}, {"id": "i"}, {"creationTime": 1_741_000_000_000}, {"id": "", "creationTime": 0}):
        for message in ({"topic": topic, **envelope, "data": [row(), row()]}, {**envelope, "topic": topic, "data": [row()]}):
            frame = compact(message)
            assert only([*fast.hear_frame(frame)]) == only([*parsed.session._read(frame, parsed.now)])
    assert tried(fast, frame) is not None


def tried(talk: Talk, frame: bytes) -> Event[object] | None:
    """Return what the fast path makes of *frame*, as soon as it learns: after a test that invented layouts it pauses."""
    channels = talk.session._topics.wanted.confirmed_channels
    tries = (fast_path.try_fast(frame, channels, talk.now, "test", 1) for _ in range(fast_path._LONGEST_PAUSE + 2))
    return next((event for event in tries if event is not None), None)


def test_a_large_push_takes_the_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer may write it so that matching takes long and is in vain."""
    talk, frame = live(ORDERS), compact({"topic": "order", "data": [order("1")]})
    assert tried(talk, frame) is not None
    monkeypatch.setattr(fast_path, "LARGEST_FRAME", len(frame) - 1)
    assert tried(talk, frame) is None


def test_the_fast_path_is_one_line_that_can_be_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the parser reads every push, and the session is right."""
    source = inspect.getsource(session)
    [line] = [line for line in source.splitlines(keepends=True) if "try_fast(" in line]
    without = ModuleType("without")
    monkeypatch.setitem(sys.modules, "without", without)
    exec(source.replace(line, ""), vars(without))
    talk, slow = live(ORDERS), live(ORDERS)
    monkeypatch.setattr(slow.session, "__class__", without.Session)
    frame = compact({"topic": "order", "data": [order("1"), order("2")]})
    assert only([*talk.hear_frame(frame)]) == only([*slow.hear_frame(frame)])


def test_a_push_without_rows_is_an_event_without_rows() -> None:
    """The exchange said something, and it is passed on."""
    assert only([*live(ORDERS).push("order")]).data == ()


def test_a_topics_category_is_its_rows() -> None:
    """Where they do not tell their own."""
    [event] = live(ORDERS, categories=TWO).push("order.inverse", {"orderId": "1"})
    assert isinstance(event, Event)
    assert event.data[0].category == "inverse"


# --- before the confirmation ---


def test_a_push_proves_its_subscription() -> None:
    """Its answer is late, or lost: it is delivered, and nothing is asked for again."""
    talk = Talk(ORDERS)
    talk.log_in()
    assert names(talk.push("order", order("1"))) == ["StreamConfirmed", "AllConfirmed", "1"]
    talk.live_on(30)
    assert talk.topics_asked() == []


def test_pushes_before_the_confirmation_are_held_and_follow_it() -> None:
    """In order; whoever reads the state anew at the confirmation is not overtaken by them."""
    talk = Talk(ORDERS, categories=TWO)
    _, inverse = talk.log_in()
    assert names(talk.push("order.linear", order("1"))) == []
    assert names(talk.push("order.linear", order("2"))) == []
    assert names(talk.answer(inverse)) == ["StreamConfirmed", "1", "2", "AllConfirmed"]
    assert names(talk.push("order.linear", order("3"))) == ["3"]


def test_a_push_of_the_last_topic_follows_what_was_held() -> None:
    """The order of the wire is kept."""
    talk = Talk(ORDERS, categories=TWO)
    talk.log_in()
    talk.push("order.linear", order("1"))
    assert names(talk.push("order.inverse", order("2"))) == ["StreamConfirmed", "1", "AllConfirmed", "2"]


def test_a_push_of_a_refused_topic_proves_that_it_is_subscribed_after_all() -> None:
    """It need not be asked for once more."""
    talk = Talk(ORDERS, resubscribing=True)
    [request] = talk.log_in()
    talk.refuse(request, "not now")
    assert names(talk.push("order", order("1"))) == ["StreamConfirmed", "AllConfirmed", "1"]
    talk.live_on(30)
    assert talk.topics_asked() == []


def test_an_exchange_that_never_confirms_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held is bounded."""
    monkeypatch.setattr(wanted, "HELD_LIMIT", 3)
    talk = Talk(ORDERS, categories=TWO)
    talk.log_in()
    for number in range(3):
        talk.push("order.linear", order(str(number)))
    with pytest.raises(ProtocolError, match="3 messages of orders without confirming"):
        talk.push("order.linear", order("4"))


def test_a_push_while_an_unsubscribe_is_under_way_is_the_old_subscriptions() -> None:
    """It is dropped: the new one begins with a hole otherwise. What comes after the answer is the new one's, and proves it."""
    talk = live(ORDERS)
    talk.session.unsubscribe(ORDERS)
    talk.session.subscribe(ORDERS, talk.now)
    assert names(talk.push("order", order("1"))) == []
    [leave] = talk.asked()
    talk.push("order", order("2"))
    talk.answer(leave)
    assert names(talk.push("order", order("3"))) == ["StreamConfirmed", "3"]


# --- not wanted ---


def test_a_push_that_nobody_subscribed_to_is_dropped_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Once per topic; a terminal does not obey it."""
    talk = live(ORDERS)
    for topic in ("wallet", "wallet", "position", "\x1b[2J"):
        assert names(talk.push(topic, order("1"))) == []
    warned = [record.getMessage() for record in caplog.records]
    assert [text.split()[3] for text in warned] == ["wallet,", "position,", "\\x1b[2J,"]


@pytest.mark.parametrize("answered", [True, False])
def test_a_push_after_leaving_is_dropped_silently(caplog: pytest.LogCaptureFixture, *, answered: bool) -> None:
    """It was under way."""
    talk = live(ORDERS)
    talk.session.unsubscribe(ORDERS)
    [leave] = talk.asked()
    if answered:
        talk.answer(leave)
    assert names(talk.push("order", order("1"))) == []
    assert caplog.records == []


# --- rows that cannot be read ---

GOOD, BAD = {"orderId": "1"}, {"orderId": "2", "qty": "1_000"}


def test_the_readable_rows_follow_the_gap_for_the_others() -> None:
    """The gap counts the bad rows, names their place, and holds the frame; as exact as its window can be."""
    talk = live(ORDERS)
    talk.seconds = 4
    gap, event = talk.push("order", GOOD, BAD)
    assert names([gap, event]) == ["UNDECODABLE", "1"]
    assert isinstance(gap, Event)
    assert gap.gap is not None
    assert (gap.topic, gap.gap.missed, gap.id, gap.created_at) == ("order", 1, None, None)
    assert gap.gap.detail.startswith("data[1].qty: '1_000'")
    assert gap.gap.since == NOON
    # A pong tells whole milliseconds, and clocks drift apart.
    assert timedelta(0) < gap.gap.until - (NOON + timedelta(seconds=4)) < timedelta(milliseconds=5)
    assert b"1_000" in gap.raw


def test_without_a_readable_row_there_is_only_the_gap() -> None:
    """Nothing is delivered that is not there."""
    event = only([*live(ORDERS).push("order", BAD, BAD)])
    assert event.gap is not None
    assert event.gap.missed == 2


@pytest.mark.parametrize("data", [None, {}, "rows", 7])
def test_rows_that_are_no_list_are_a_gap_of_unknown_size(data: object) -> None:
    """In the stream that they are for, and no other."""
    event = only([*live(ORDERS, POSITIONS).hear(topic="order", data=data)])
    assert (event.stream, event.topic) == (ORDERS, "order")
    assert event.gap is not None
    assert (event.gap.reason, event.gap.missed) == (GapReason.UNDECODABLE, None)
    assert isinstance(event.gap.error, ProtocolError)


def test_the_same_mistake_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the value and the row; another mistake is news."""
    talk = live(ORDERS)
    for rows in ([BAD], [GOOD, {"orderId": "3", "qty": "2_000"}], [{"orderId": "4", "price": "x"}]):
        talk.push("order", *rows)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


def test_a_flood_of_mistakes_is_told_in_few_words() -> None:
    """The count is right, the words are bounded."""
    event = only([*live(ORDERS).push("order", *[BAD] * 50)])
    assert event.gap is not None
    assert event.gap.missed == 50
    assert event.gap.detail.count(";") == 9


# --- frames that cannot be read ---


@pytest.mark.parametrize(
    "frame", [b"", b"{", b"\xff", b"\xef\xbb\xbf{}", b"{} {}", b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}"]
)
def test_a_frame_that_cannot_be_read_is_a_gap_in_every_stream(frame: bytes) -> None:
    """It could have been for any of them; the frame is kept, and the log holds nothing of it."""
    news = live(ORDERS, POSITIONS).hear_frame(frame)
    events = [event for event in news if isinstance(event, Event)]
    assert [event.stream for event in events] == [ORDERS, POSITIONS]
    for event in events:
        assert event.gap is not None
        assert (event.gap.reason, event.gap.missed, event.raw) == (GapReason.UNDECODABLE, None, frame)


def test_an_unreadable_frame_is_an_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Each of them, with its size and what is wrong, and nothing of what it holds: the account may be in it."""
    live(ORDERS).hear_frame(b'{"account":4711')
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "a frame of 15 bytes cannot be read" in record.getMessage()
    assert "4711" not in record.getMessage()


def test_an_unreadable_frame_before_the_confirmation_is_held_too() -> None:
    """It keeps its place."""
    talk = Talk(ORDERS, categories=TWO)
    _, inverse = talk.log_in()
    talk.push("order.linear", order("1"))
    talk.hear_frame(b"{")
    assert names(talk.answer(inverse)) == ["StreamConfirmed", "1", "UNDECODABLE", "AllConfirmed"]


def test_three_unreadable_frames_in_a_minute_end_the_session() -> None:
    """All gaps are passed on first; then the connection is no good."""
    talk = live(ORDERS)
    for _ in range(3):
        assert names(talk.hear_frame(b"{")) == ["UNDECODABLE"]
        talk.live_on(20) if _ < 2 else None
    assert talk.session.next_deadline() == 0
    with pytest.raises(ProtocolError, match="3 unreadable frames within 60 s"):
        talk.wait(0)


def test_three_unreadable_frames_in_more_than_a_minute_do_not() -> None:
    """Every one of them is told."""
    talk = live(ORDERS)
    for _ in range(5):
        talk.hear_frame(b"{")
        talk.live_on(31)


# --- frames of unknown shape ---


def test_what_may_have_held_rows_is_a_gap_in_every_stream(caplog: pytest.LogCaptureFixture) -> None:
    """No loss is silent; the warning comes once for each shape, and does not count as unreadable."""
    talk = live(ORDERS, POSITIONS)
    for frame in [b'{"data":[1]}', b'{"data":[2]}', b"[1]", b"[2]", b"7", b'"x"', b"null", b"true"]:
        assert names(talk.hear_frame(frame)) == ["UNDECODABLE"] * 2
    talk.wait(0)
    assert len(caplog.records) == 6


def test_a_control_message_of_a_new_kind_is_only_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """It says what it does and brings no rows: nothing is missing."""
    talk = live(ORDERS)
    for _ in range(2):
        assert talk.hear(op="maintenance", at=7) == ()
    [record] = caplog.records
    assert "an object with the op 'maintenance' with the keys at, op" in record.getMessage()


def test_a_peer_that_invents_shapes_fills_no_memory() -> None:
    """Nor the log."""
    talk = live(ORDERS)
    for number in range(1500):
        talk.hear(op=str(number))
    assert len(talk.session._pushes._shapes) == 1000


# --- how complete it is ---


def test_the_last_pong_bounds_what_is_complete() -> None:
    """All that the exchange wrote before it has been read."""
    talk = live(ORDERS)
    talk.live_on(7)
    assert talk.session.coverage.told == NOON + timedelta(seconds=7)
    talk.seconds += 2
    assert talk.session.coverage.complete_until() == NOON + timedelta(seconds=7)


def test_before_a_pong_the_login_does() -> None:
    """In the exchange's time, as far as that is known by then."""
    talk = Talk(ORDERS, wall=30)
    assert talk.session.coverage.complete_until() is None
    talk.seconds = 1
    talk.answer(*talk.asked())
    assert talk.session.coverage.complete_until() == NOON + timedelta(seconds=31)
    talk.clock.learn(NOON + timedelta(seconds=2), sent=talk.now, received=talk.now)
    assert talk.session.coverage.complete_until() == NOON + timedelta(seconds=2)
