"""The delivery invariants, each on histories that break it and on their sound twins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from bybit_sync import GapReason, State
from tests.delivery import invariants
from tests.delivery.by_hand import ByHand
from tests.delivery.record import Frame

OVERFLOW, SPOILT, LOST, ENDED = GapReason.OVERFLOW, GapReason.UNDECODABLE, GapReason.DISCONNECTED, GapReason.ENDED
WRONG = ValueError("wrong")


class Case(NamedTuple):
    """A way to break *rule*: what happens, a history in which it does, its sound twin, and a part of the complaint."""

    rule: Callable[..., invariants.Complaints]
    what: str
    bad: ByHand
    good: ByHand
    complaint: str


def one(*topics: str, **record: Any) -> ByHand:
    """Return a history in which a subscription is live."""
    return ByHand(*topics, **record).live()


def lost(**record: Any) -> ByHand:
    """Return a history in which a subscription got 1 and lost its connection."""
    return one(**record).pushes(1).reads().gets(1).drops()


def back(**record: Any) -> ByHand:
    """Return a history in which a subscription got 1, lost its connection, and is live again."""
    return lost(**record).opens().confirms().pongs().reads()


def full(capacity: int, policy: str = "drop_oldest", **record: Any) -> ByHand:
    """Return a history in which there is room for *capacity* events."""
    return one(capacity=capacity, policy=policy, **record)


def sharing() -> ByHand:
    """Return a history in which two streams share a queue."""
    return ByHand("order", shared=True).beside("spot", shared=True).live()


def returning() -> ByHand:
    """Return a history in which a stream returns from an outage, and another one begins, to share a queue with it."""
    return ByHand("order", shared=True).live().drops().beside("spot", shared=True).opens().confirms()


CASES = [
    Case(
        invariants.faithful,
        "an event comes that was never written",
        one().pushes(1).gets(1, 2),
        one().pushes(1).gets(1),
        "was never written",
    ),
    Case(
        invariants.faithful,
        "an event has other rows than its frame",
        one().writes(Frame("f1", "order", (2,))).gets(1),
        one().writes(Frame("f1", "order", (1,))).gets(1),
        "is not",
    ),
    Case(
        invariants.faithful,
        "an event comes under another topic",
        one("order", "spot").pushes(1, topic="order").gets(1, topic="spot"),
        one("order", "spot").pushes(1, topic="order").gets(1, topic="order"),
        "is not",
    ),
    Case(
        invariants.faithful,
        "an event tells a wrong login",
        one().pushes(1).gets(1, epoch=2),
        one().pushes(1).gets(1, epoch=1),
        "says that its login was the 2",
    ),
    Case(
        invariants.ordered,
        "two events change places",
        one().pushes(1, 2).gets(2, 1),
        one().pushes(1, 2).gets(1, 2),
        "comes behind what was written later",
    ),
    Case(
        invariants.unique,
        "an event comes twice",
        one().pushes(1).gets(1, 1),
        one().pushes(1).gets(1),
        "comes twice",
    ),
    Case(
        invariants.indexed,
        "an index is left out",
        one().pushes(1, 2).gets(1).gets(2, index=3),
        one().pushes(1, 2).gets(1).gets(2, index=2),
        "numbered [1, 3]",
    ),
    Case(
        invariants.numbers_told,
        "a number is left out and no gap tells of it",
        back().misses(2).pushes(3).gets(3),
        back().misses(2).pushes(3).told(LOST).gets(3),
        "3 follows 1",
    ),
    Case(
        invariants.numbers_told,
        "a gap tells of one topic's number and comes behind the next",
        full(1).pushes(1, 2, 3).gets(1, 3).told(OVERFLOW, 1),
        full(1).pushes(1).gets(1).pushes(2, 3).told(OVERFLOW, 1).gets(3),
        "3 follows 1",
    ),
    Case(
        invariants.told,
        "the connection is lost and no gap tells of it",
        back().pushes(2).gets(2),
        back().pushes(2).told(LOST).gets(2),
        "no gap tells of the outage",
    ),
    Case(
        invariants.told,
        "the connection is lost, nothing comes behind, and no gap tells of it",
        back().finds_nothing(),
        back().told(LOST).finds_nothing(),
        "no gap tells of the outage",
    ),
    Case(
        invariants.told,
        "a frame cannot be read and no gap tells of it",
        one().pushes(1).spoils(None).pushes(2).gets(1, 2),
        one().pushes(1).spoils(None).pushes(2).gets(1).told(SPOILT).gets(2),
        "no gap tells of the unreadable",
    ),
    Case(
        invariants.told,
        "the last event that was read never comes",
        one().pushes(1, 2).reads().gets(1).finds_nothing(),
        one().pushes(1, 2).reads().gets(1, 2).finds_nothing(),
        "no gap tells of the missing",
    ),
    Case(
        invariants.told,
        "an event that was written before an orderly end never comes",
        one().pushes(1, 2).drops(lossless=True).gets(1).finds_nothing(),
        one().pushes(1, 2).drops(lossless=True).gets(1, 2).finds_nothing(),
        "no gap tells of the missing",
    ),
    Case(
        invariants.told,
        "an event between two that came does not, and its number was sent again",
        one(given_at=99).pushes(1, 2).writes(Frame("f3", "order", (2,))).gets(1).gets(2, id="f3"),
        one(given_at=99).pushes(1, 2).writes(Frame("f3", "order", (2,))).gets(1, 2).gets(2, id="f3"),
        "no gap tells of the missing",
    ),
    Case(
        invariants.told,
        "a frame that nobody can tell anything about is read, and no gap tells of it",
        one().writes(Frame("junk", None, (), None)).reads().finds_nothing(),
        one().writes(Frame("junk", None, (), None)).reads().told(SPOILT).finds_nothing(),
        "no gap tells of the unreadable",
    ),
    Case(
        invariants.outages_told_once,
        "one outage has two gaps",
        back().pushes(2).told(LOST).told(LOST).gets(2),
        back().pushes(2).told(LOST).gets(2),
        "2 gaps for 1 outages",
    ),
    Case(
        invariants.outages_told_once,
        "a gap tells another login than the one that ended the outage",
        back().pushes(2).told(LOST, epoch=3).gets(2),
        back().pushes(2).told(LOST, epoch=2).gets(2),
        "ended with the logins {3}",
    ),
    Case(
        invariants.outages_told_once,
        "of two outages only the first is told",
        back().drops().live().pushes(2).told(LOST, epoch=2).gets(2),
        back().drops().live().pushes(2).told(LOST, epoch=3).gets(2),
        "ended with login 3 is not told",
    ),
    Case(
        invariants.outages_told_once,
        "an outage is told again behind the next event",
        back().pushes(2).told(LOST).gets(2).told(LOST),
        back().pushes(2).told(LOST).gets(2),
        "told twice: [2, 2]",
    ),
    Case(
        invariants.caused,
        "a gap tells of an outage that never was",
        one().pushes(1).told(LOST).gets(1),
        one().pushes(1).gets(1),
        "without an outage",
    ),
    Case(
        invariants.caused,
        "a gap tells of an unreadable frame that never was",
        one().pushes(1).told(SPOILT).gets(1),
        one().pushes(1).gets(1),
        "without anything unreadable",
    ),
    Case(
        invariants.caused,
        "a gap tells of an overflow that never was",
        full(1).pushes(1).told(OVERFLOW, 0).gets(1),
        full(1).pushes(1).gets(1),
        "without anything dropped",
    ),
    Case(
        invariants.counted,
        "an outage counts what it cost",
        back().pushes(2).told(LOST, 0).gets(2),
        back().pushes(2).told(LOST).gets(2),
        "an outage that counts",
    ),
    Case(
        invariants.counted,
        "an overflow does not count",
        full(1).pushes(1, 2).told(OVERFLOW).gets(2),
        full(1).pushes(1, 2).told(OVERFLOW, 1).gets(2),
        "an overflow that does not count",
    ),
    Case(
        invariants.counted,
        "an overflow counts more than was dropped",
        full(1).pushes(1, 2).told(OVERFLOW, 2).gets(2),
        full(1).pushes(1, 2).told(OVERFLOW, 1).gets(2),
        "2 missed, but there were only 1",
    ),
    Case(
        invariants.counted,
        "rows that can be counted are not",
        one().spoils(2).pushes(1).told(SPOILT).gets(1),
        one().spoils(2).pushes(1).told(SPOILT, 2).gets(1),
        "missed: [None], unreadable: [2]",
    ),
    Case(
        invariants.counted,
        "a gap counts fewer rows than could not be read",
        one().spoils(2).pushes(1).told(SPOILT, 1).gets(1),
        one().spoils(2).pushes(1).told(SPOILT, 2).gets(1),
        "1 missed, but there were 2",
    ),
    Case(
        invariants.lost_to_overflow_only,
        "an event is dropped though there is room for everything",
        one().pushes(1, 2, 3).gets(1).told(OVERFLOW, 1).gets(3),
        one().pushes(1, 2, 3).gets(1, 2, 3),
        "there was room for it",
    ),
    Case(
        invariants.lost_to_overflow_only,
        "the oldest event is dropped though fewer came behind it than there is room for",
        full(2).pushes(1, 2).told(OVERFLOW, 1).gets(2),
        full(2).pushes(1, 2, 3).told(OVERFLOW, 1).gets(2, 3),
        "there was room for it",
    ),
    Case(
        invariants.lost_to_overflow_only,
        "the oldest event is dropped though its successor was taken in time",
        full(2).pushes(1, 2).told(OVERFLOW, 1).gets(2).pushes(3).gets(3),
        full(2).pushes(1, 2, 3).told(OVERFLOW, 1).gets(2, 3),
        "there was room for it",
    ),
    Case(
        invariants.lost_to_overflow_only,
        "the newest event is dropped though the one before was taken in time",
        full(1, "drop_newest").pushes(1).gets(1).pushes(2).told(OVERFLOW, 1).pushes(3).gets(3),
        full(1, "drop_newest").pushes(1, 2).gets(1).told(OVERFLOW, 1).pushes(3).gets(3),
        "there was room for it",
    ),
    Case(
        invariants.lost_to_overflow_only,
        "the newest event is dropped though fewer wait than there is room for",
        full(2, "drop_newest").pushes(1, 2).gets(1).told(OVERFLOW, 1).pushes(3).gets(3),
        full(2, "drop_newest").pushes(1, 2, 3).gets(1, 2).told(OVERFLOW, 1).pushes(4).gets(4),
        "there was room for it",
    ),
    Case(
        invariants.lost_to_overflow_only,
        "an event for a queue is dropped though fewer wait than there is room for",
        full(2, "drop_newest", queued=True).pushes(1, 2).gets(1).told(OVERFLOW, 1).pushes(3).gets(3),
        full(2, "drop_newest", queued=True).pushes(1, 2, 3).gets(1, 2).told(OVERFLOW, 1).pushes(4).gets(4),
        "there was room for it",
    ),
    Case(
        invariants.lost_to_overflow_only,
        "an event for a queue is dropped though one before was taken in time",
        full(2, "drop_newest", queued=True).pushes(1, 2).gets(1).pushes(3).gets(2).told(OVERFLOW, 1).pushes(4).gets(4),
        full(2, "drop_newest", queued=True).pushes(1, 2, 3).gets(1, 2).told(OVERFLOW, 1).pushes(4).gets(4),
        "there was room for it",
    ),
    Case(
        invariants.lost_to_overflow_only,
        "an event is dropped where an overflow ends the subscription",
        full(1, "fail").pushes(1, 2).gets(1).told(OVERFLOW, 1).pushes(3).gets(3),
        full(1, "fail").pushes(1, 2).gets(1, 2).pushes(3).gets(3),
        "there was room for it",
    ),
    Case(
        invariants.lost_to_overflow_only,
        "an event behind an outage never comes though its subscription was found LIVE",
        lost().opens().confirms().has(seen_live=[11]).pushes(2).reads().told(LOST).finds_nothing(),
        lost().opens().confirms().has(seen_live=[11]).pushes(2).reads().told(LOST).gets(2).finds_nothing(),
        "there was room for it",
    ),
    Case(
        invariants.confirmed_first,
        "an event comes while another topic of its stream is not confirmed",
        ByHand("order", "spot").opens().confirms("order").pushes(1).gets(1).confirms("spot"),
        ByHand("order", "spot").opens().confirms("order").pushes(1).confirms("spot").gets(1),
        "came before all of order, spot was confirmed",
    ),
    Case(
        invariants.confirmed_first,
        "an event comes and another topic of its stream never is confirmed",
        ByHand("order", "spot").opens().confirms("order").pushes(1).gets(1),
        ByHand("order", "spot").opens().confirms("order").pushes(1),
        "came before all of order, spot was confirmed",
    ),
    Case(
        invariants.merged,
        "two gaps lie side by side in the buffer",
        one().spoils(1).drops().live().pushes(1).told(SPOILT, 1, batch=1).told(LOST, batch=1).gets(1, batch=1),
        one().spoils(1).drops().live().pushes(1).told(SPOILT, 1, batch=1).told(LOST, batch=2).gets(1, batch=2),
        "two gaps side by side",
    ),
    Case(
        invariants.windowed,
        "a gap begins behind what is missing",
        back().misses(2).pushes(3).told(LOST, since=14).gets(3),
        back().misses(2).pushes(3).told(LOST, since=13).gets(3),
        "before 3 something",
    ),
    Case(
        invariants.windowed,
        "a gap ends before what is missing",
        back().misses(2).pushes(3).told(LOST, until=12).gets(3),
        back().misses(2).pushes(3).told(LOST, until=13).gets(3),
        "before 3 something",
    ),
    Case(
        invariants.windowed,
        "a gap ends before it begins",
        back().pushes(2).told(LOST, since=9, until=8).gets(2),
        back().pushes(2).told(LOST, since=8, until=9).gets(2),
        "ends before it begins",
    ),
    Case(
        invariants.ended_once,
        "an event comes behind the last word",
        one().pushes(1).has(error=WRONG).closes().told(ENDED, error=WRONG).gets(1),
        one().pushes(1).has(error=WRONG).closes().gets(1).told(ENDED, error=WRONG),
        "ENDED comes as number [0] of 2 events",
    ),
    Case(
        invariants.ended_once,
        "the last word comes twice",
        one().has(error=WRONG).closes().told(ENDED, error=WRONG).told(ENDED, error=WRONG),
        one().has(error=WRONG).closes().told(ENDED, error=WRONG),
        "ENDED comes as number [0, 1] of 2 events",
    ),
    Case(
        invariants.ended_once,
        "the last word comes for a subscription that nobody got",
        one(raised=WRONG).has(error=WRONG).closes().told(ENDED, error=WRONG),
        one(raised=WRONG).has(error=WRONG).closes(),
        "although subscribe_* raised",
    ),
    Case(
        invariants.ended_once,
        "the last word tells another error",
        one().has(error=WRONG).closes().told(ENDED, error=ValueError("another")),
        one().has(error=WRONG).closes().told(ENDED, error=WRONG),
        "ENDED with ValueError('another')",
    ),
    Case(
        invariants.ended_once,
        "the last word tells no error",
        one().closes().told(ENDED),
        one().closes(),
        "ENDED with None",
    ),
    Case(
        invariants.ended_once,
        "a subscription ends with an error and nobody is told",
        one().has(error=WRONG).closes(),
        one().has(error=WRONG).closes().told(ENDED, error=WRONG),
        "no ENDED, but the error",
    ),
    Case(
        invariants.quiet_when_closed,
        "what was written behind close() comes",
        one().closes().pushes(1).gets(1),
        one().pushes(1).closes().gets(1),
        "was written after close()",
    ),
    Case(
        invariants.quiet_when_closed,
        "a callback begins when close() has returned",
        one(count_at_end=0).pushes(1).closes().gets(1),
        one(count_at_end=1).pushes(1).closes().gets(1),
        "1 calls began after close()",
    ),
    Case(
        invariants.never_live_too_early,
        "the client is found LIVE before all is confirmed",
        ByHand("order", "spot").opens().confirms("order").shows("LIVE"),
        ByHand("order", "spot").opens().shows("CONNECTING").confirms().shows("LIVE").drops().shows("LIVE"),
        "the client was found LIVE",
    ),
    Case(
        invariants.never_live_too_early,
        "a subscription is found LIVE before it is confirmed",
        ByHand().opens().shows("CONNECTING", "LIVE"),
        ByHand().opens().confirms().shows("CONNECTING", "LIVE"),
        "subscription 0 was found LIVE",
    ),
    Case(
        invariants.never_live_too_early,
        "on_status says LIVE before all is confirmed",
        ByHand().says(State.IDLE, State.CONNECTING).opens().says(State.CONNECTING, State.LIVE),
        ByHand().opens().says(State.IDLE, State.CONNECTING).confirms().says(State.CONNECTING, State.LIVE),
        "on_status said LIVE",
    ),
    Case(
        invariants.statuses_follow,
        "a change of state is left out",
        one().says(State.IDLE, State.CONNECTING).says(State.LIVE, State.BACKING_OFF),
        one().says(State.IDLE, State.CONNECTING).says(State.CONNECTING, State.BACKING_OFF),
        "is told when the last state was CONNECTING",
    ),
    Case(
        invariants.shared_in_order,
        "two streams change places in the queue that they share",
        sharing().pushes(1).pushes(2, topic="spot").gets(2, topic="spot").gets(1),
        sharing().spoils(1).pushes(1).pushes(2, topic="spot").told(SPOILT, 1).gets(1).gets(2, topic="spot"),
        "comes behind what another stream was sent later",
    ),
    Case(
        invariants.shared_in_order,
        "a stream that returns from an outage comes late though there was a pong",
        returning().pongs().pushes(1).pushes(2, topic="spot").pongs().gets(2, topic="spot").told(LOST).gets(1),
        returning().pushes(1).pushes(2, topic="spot").gets(2, topic="spot").pongs().told(LOST).gets(1),
        "comes behind what another stream was sent later",
    ),
    Case(
        invariants.shared_in_order,
        "a stream that returns from an outage comes late though it was found LIVE",
        returning().has(seen_live=[11]).pushes(1).pushes(2, topic="spot").gets(2, topic="spot").told(LOST).gets(1),
        returning().pushes(1).has(seen_live=[12]).pushes(2, topic="spot").gets(2, topic="spot").told(LOST).gets(1),
        "comes behind what another stream was sent later",
    ),
    Case(invariants.clean, "a thread is left behind", one().leaves("a thread"), one().leaves(), "left behind: a thread"),
]

by_name = pytest.mark.parametrize("case", CASES, ids=[f"{case.rule.__name__}: {case.what}" for case in CASES])


SOUND = {
    "the last event may not have been read": one().pushes(1, 2).gets(1).finds_nothing(),
    "the last event was lost with its connection": one()
    .pushes(1)
    .gets(1)
    .pushes(2)
    .drops()
    .live()
    .pushes(3)
    .told(LOST)
    .gets(3),
    "the client left by itself before an orderly end": one()
    .disturbs()
    .pushes(1, 2)
    .drops(lossless=True)
    .gets(1)
    .finds_nothing(),
    "the first event came before subscribe_* had returned": one(given_at=99).pushes(1, 2).reads().gets(2).finds_nothing(),
    "a connection was lost before its yes was read": ByHand().opens().confirms().drops().live().pushes(1).reads().gets(1),
    "a connection was lost, perhaps before its yes was read": ByHand()
    .opens()
    .confirms()
    .drops()
    .live()
    .pushes(1)
    .told(LOST)
    .gets(1),
    "the gap waits for a pong that never comes": lost().opens().confirms().reads().finds_nothing(),
    "the gap waits for a pong that was not read": lost().opens().confirms().reads().pongs().finds_nothing(),
    "a subscription that begins later misses no earlier connection": (
        one(asked_at=8, given_at=11).pushes(1).reads().drops().live().pushes(2).reads().gets(2)
    ),
    "an outage swallows the count of rows": one().spoils(2).reads().drops().live().pushes(1).told(LOST).gets(1),
    "what was buffered is discarded": one(discarded=True).pushes(1, 2).reads().gets(1).closes(),
    "what a queue has no room for is owed": one(queued=True).pushes(1, 2).reads().gets(1).closes(),
    "a queue that breaks gets nothing more": one(broken=True).pushes(1, 2).reads().gets(1).closes(),
    "nobody gets the events of a subscription that was refused": one(raised=WRONG).pushes(1, 2).reads().closes(),
    "nothing comes behind the last word": one().pushes(1, 2).reads().has(error=WRONG).gets(1).told(ENDED, error=WRONG),
    "the last word lies beside a gap": one()
    .spoils(1)
    .has(error=WRONG)
    .told(SPOILT, 1, batch=1)
    .told(ENDED, error=WRONG, batch=1),
    "two gaps did not lie in the buffer together": one().spoils(1).drops().live().pushes(1).told(SPOILT, 1).told(LOST).gets(1),
    "a push proves a subscription whose answer is lost": ByHand().opens().pushes(1).reads().gets(1),
    "what is held until all is confirmed comes behind another stream": (
        ByHand("order", "option", shared=True)
        .beside("spot", shared=True)
        .opens()
        .confirms("order", "spot")
        .pushes(1)
        .pushes(2, topic="spot")
        .gets(2, topic="spot")
        .confirms("option")
        .gets(1)
    ),
    "the client is LIVE and did not see yet what was disturbed": ByHand().opens().disturbs().shows("LIVE", "LIVE"),
    "the client is LIVE without a subscription that came later": ByHand(given_at=9).opens().shows("LIVE", "CONNECTING"),
    "the client is LIVE without a subscription that is closed": ByHand(closed_at=0).opens().shows("LIVE", "CLOSED"),
    "the client is LIVE without a subscription that was refused": ByHand(error=WRONG, discarded=True)
    .opens()
    .shows("LIVE", "CLOSED"),
}


@pytest.mark.parametrize("what", SOUND)
def test_the_invariants_let_pass_what_may_be(what: str) -> None:
    """Where the log does not say whether the client still read something, either may follow."""
    assert invariants.check(SOUND[what].history) == []


def complaints(rule: Callable[..., invariants.Complaints], story: ByHand) -> list[str]:
    """Return what *rule* alone has to say."""
    history = story.history
    if rule in invariants.OF_A_CLIENT:
        return list(rule(history))
    return [text for record in history.records for text in rule(history, record)]


@by_name
def test_a_rule_notices_what_breaks_it(case: Case) -> None:
    """It complains, and of just that."""
    assert case.complaint in "\n".join(complaints(case.rule, case.bad))


@by_name
def test_the_invariants_let_the_sound_twin_pass(case: Case) -> None:
    """A rule that complained of everything would be worth as little as one that never does."""
    assert invariants.check(case.good.history) == []


def test_no_rule_is_left_untried() -> None:
    """Each validator is asked by `check`, and has a history here that breaks it."""
    rules = [rule for name, rule in vars(invariants).items() if _returns_complaints(rule) and not name.startswith("_")]
    asked = (*invariants.OF_A_SUBSCRIPTION, *invariants.OF_A_CLIENT)
    assert sorted(rule.__name__ for rule in rules) == sorted(rule.__name__ for rule in asked)
    assert set(rules) == {case.rule for case in CASES}


def _returns_complaints(thing: object) -> bool:
    return getattr(thing, "__annotations__", {}).get("return") == "Complaints"
