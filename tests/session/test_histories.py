"""Whole conversations, made up at random and checked against what an honest exchange did."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bybit_sync.errors import ConnectionLost
from bybit_sync.model.events import Event, Stream
from bybit_sync.session.events import AllConfirmed, SessionEvent, StreamConfirmed
from bybit_sync.session.messages import Request
from tests.searching import examples
from tests.talking import Talk

TOPICS = {Stream.ORDERS: ("order.linear", "order.inverse"), Stream.BALANCES: ("wallet",)}
STREAMS = st.sampled_from(list(TOPICS))


class Story:
    """A session, an exchange that does what it is asked, and a line between them that is slow, deaf or stutters."""

    def __init__(self, wanted: set[Stream]) -> None:
        self.talk = Talk(*wanted, categories=("linear", "inverse"))
        self.wanted_at_login = set(wanted)
        self.subscribed: set[str] = set()
        self.answers: list[Request] = []
        self.given: list[Request] = []
        self.pushed = 0
        self.lives = 0
        self.confirmed: set[Stream] = set()
        # What was heard since somebody wanted it, and what was delivered of it.
        self.heard: dict[Stream, list[str]] = {stream: [] for stream in wanted}
        self.delivered: dict[Stream, list[str]] = {stream: [] for stream in wanted}

    # --- what happens ---

    def want(self, stream: Stream) -> None:
        """Want it, if nobody does."""
        if stream not in self.heard:
            self.heard[stream], self.delivered[stream] = [], []
            self.talk.session.subscribe(stream, self.talk.now)

    def leave(self, stream: Stream) -> None:
        """Want it no longer."""
        for record in (self.heard, self.delivered):
            record.pop(stream, None)
        self.confirmed.discard(stream)
        self.wanted_at_login.discard(stream)
        self.check(self.talk.session.unsubscribe(stream))

    def serve(self, _: object) -> None:
        """Have the exchange do all that it was asked for so far."""
        for request in self.talk.asked():
            if request.op == "subscribe":
                self.subscribed.add(str(request.argument))
            elif request.op == "unsubscribe":
                self.subscribed.discard(str(request.argument))
            self.answers += [] if request.op == "ping" else [request]

    def answer(self, which: int) -> None:
        """Let one of its answers through, whichever."""
        if self.answers:
            self.given.append(self.answers.pop(which % len(self.answers)))
            self.check(self.talk.answer(self.given[-1]))

    def stutter(self, which: int) -> None:
        """Let an answer through that was before."""
        if self.given:
            self.check(self.talk.answer(self.given[which % len(self.given)]))

    def lose(self, which: int) -> None:
        """Lose an answer, but not that to the login."""
        if self.answers and self.answers[which % len(self.answers)].op != "auth":
            del self.answers[which % len(self.answers)]

    def push(self, stream: Stream) -> None:
        """Have the exchange push once for every topic that it has subscribed."""
        for topic in TOPICS[stream]:
            if topic in self.subscribed:
                self.pushed += 1
                if stream in self.heard:
                    self.heard[stream].append(str(self.pushed))
                frame = {"topic": topic, "id": str(self.pushed), "data": []}
                self.check(self.talk.hear_frame(json.dumps(frame).encode()))

    def wait(self, seconds: int) -> None:
        """Let time pass, with pongs."""
        self.talk.live_on(seconds)

    # --- how it is checked ---

    def check(self, news: Sequence[SessionEvent]) -> None:
        """Compare what the session tells with what happened."""
        for item in news:
            if isinstance(item, StreamConfirmed):
                assert item.stream not in self.confirmed
                self.confirmed.add(item.stream)
            elif isinstance(item, AllConfirmed):
                self.lives += 1
                assert self.wanted_at_login <= self.confirmed
            elif isinstance(item, Event):
                assert item.stream in self.confirmed
                self.delivered[item.stream].append(str(item.id))
        for stream in self.heard:
            assert self.delivered[stream] == (self.heard[stream] if stream in self.confirmed else [])
        assert self.lives <= 1


steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["want", "leave"]), STREAMS),
        st.tuples(st.just("push"), STREAMS),
        st.tuples(st.just("serve"), st.none()),
        st.tuples(st.sampled_from(["answer", "answer", "stutter", "lose"]), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.integers(1, 4)),
    ),
    max_size=40,
)


@examples(80)
@given(st.sets(STREAMS), steps)
def test_whatever_the_line_does_all_that_was_heard_is_delivered_once_and_in_order(
    wanted: set[Stream], steps: list[tuple[str, Any]]
) -> None:
    """Nothing before its confirmation, nothing after leaving, LIVE once and not too early."""
    story = Story(wanted)
    # A line that lost too many answers is given up.
    with contextlib.suppress(ConnectionLost):
        for step, argument in [("serve", None), ("answer", 0), ("serve", None), *steps]:
            getattr(story, step)(argument)


@examples(40)
@given(st.sets(STREAMS, min_size=1), steps)
def test_a_confirmation_is_never_made_up(wanted: set[Stream], steps: list[tuple[str, Any]]) -> None:
    """Whatever answers came for earlier wishes: a stream that is confirmed is one that the exchange has subscribed."""
    story = Story(wanted)
    with contextlib.suppress(ConnectionLost):
        for step, argument in [("serve", None), ("answer", 0), *steps]:
            before = set(story.confirmed)
            getattr(story, step)(argument)
            for stream in story.confirmed - before:
                assert set(TOPICS[stream]) <= story.subscribed
