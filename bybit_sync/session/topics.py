"""The requests for wanted topics, repeated until confirmed or finally refused."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from bybit_sync.clock import Moment
from bybit_sync.errors import ConnectionLost, ProtocolError, SubscriptionRejected
from bybit_sync.model.events import Stream
from bybit_sync.session.config import SessionConfig
from bybit_sync.session.contradictions import Contradictions
from bybit_sync.session.dialects import Channel
from bybit_sync.session.events import SessionEvent, StreamRejected
from bybit_sync.session.messages import Answer, Request
from bybit_sync.session.refusals import misses_login
from bybit_sync.session.requests import PendingRequests
from bybit_sync.session.wanted import Topic, TopicState, WantedStream, WantedTopics
from bybit_sync.text import printable

__all__ = ["Topics"]


class Topics:
    """Asks for the wanted topics of one session, and handles the answers."""

    def __init__(
        self,
        config: SessionConfig,
        requests: PendingRequests,
        wanted: Mapping[Stream, bool],
        doubted: Collection[str] = (),
        fast: Collection[Stream] = (),
    ) -> None:
        self._config = config
        self._requests = requests
        self.wanted: WantedTopics = WantedTopics(config)
        self._contradictions = Contradictions(config, doubted)
        # The topic of each subscribe, by req_id. An answer about a stream that was
        # unsubscribed from meanwhile is dropped.
        self._asked: dict[str, Topic] = {}
        # The topics that were unsubscribed from, and whether the exchange confirmed it.
        self._left: dict[str, bool] = {}
        for stream, resubscribing in wanted.items():
            self.wanted.add(stream, resubscribing=resubscribing, fast=stream in fast)

    # --- state ---

    def was_left(self, name: str) -> bool:
        """Return whether *name* was unsubscribed from in this session."""
        return name in self._left

    @property
    def doubted(self) -> frozenset[str]:
        """Return the topics whose contradicting refusal the next login accepts."""
        if not self.wanted.is_open:
            return self._contradictions.accepted
        doubted = self.wanted.in_state(TopicState.DOUBTED)
        return frozenset(self._contradictions.found.union(topic.name for topic in doubted))

    def due(self) -> Iterator[float]:
        """Yield the times at which `resend_overdue` is due (monotonic clock)."""
        if self.wanted.in_state(TopicState.DOUBTED) and not self.wanted.in_state(TopicState.ASKED):
            yield 0.0
        for topic in self.wanted.topics.values():
            if topic.due is not None:
                yield topic.due

    # --- requests ---

    def subscribe(self, stream: Stream, now: Moment, *, resubscribing: bool, fast: bool) -> None:
        """Subscribe to *stream*, now or as soon as the login is accepted."""
        if stream in self.wanted.streams:
            return
        wanted = self.wanted.add(stream, resubscribing=resubscribing, fast=fast)
        if self.wanted.is_open:
            self._ask_for(wanted, now)

    def unsubscribe(self, stream: Stream) -> list[SessionEvent]:
        """Unsubscribe from *stream*, if it is wanted."""
        for topic in self.wanted.remove(stream):
            if topic.state in (TopicState.ASKED, TopicState.CONFIRMED):
                self._left[topic.name] = False
                self._requests.send("unsubscribe", topic.name)
        return self.wanted.settle(stream)

    def open(self, now: Moment) -> list[SessionEvent]:
        """Subscribe to all wanted streams: the login was accepted."""
        self.wanted.is_open = True
        for wanted in self.wanted.streams.values():
            self._ask_for(wanted, now)
        return self.wanted.become_live()

    def _ask_for(self, wanted: WantedStream, now: Moment) -> None:
        for topic in wanted.topics:
            self._ask(topic, now)

    def _ask(self, topic: Topic, now: Moment) -> None:
        topic.due = now.seconds + self._config.timings.request_timeout
        if self._requests.is_pending("unsubscribe", topic.name):
            # The exchange may carry it out after the subscribe, or push for the old
            # subscription until it does.
            topic.state = TopicState.LEAVING
            return
        # One topic per request: a refusal then is about this topic only.
        self._set_asked(topic, self._requests.send("subscribe", topic.name))

    def _set_asked(self, topic: Topic, req_id: str) -> None:
        topic.state, topic.req_id = TopicState.ASKED, req_id
        topic.asked += 1
        self._asked[req_id] = topic

    def adopt(self, channel: Channel, req_id: str, *, resubscribing: bool) -> None:
        """Count *channel* as requested with *req_id*, which a recorded client sent.

        *req_id* is "" when the request is unknown.
        """
        self._set_asked(self.wanted.adopt(channel, resubscribing=resubscribing), req_id)

    # --- answers ---

    def sent(self, request: Request, now: Moment) -> None:
        """Record that *request*, a subscribe, was sent."""
        topic = self._asked.get(str(request.req_id))
        if topic is not None and topic.state is TopicState.ASKED:  # pragma: no branch - nothing is received in between
            topic.due = now.seconds + self._config.timings.request_timeout
            topic.wanted.asked = topic.wanted.asked or now

    def answered(self, request: Request, answer: Answer, now: Moment) -> list[SessionEvent]:
        """Handle *answer* to *request*, a subscribe."""
        topic = self._asked.pop(str(request.req_id))
        if self.wanted.topics.get(topic.name) is not topic:
            self._contradictions.check_login(topic.name, answer)
            return []
        if answer.success or self._is_subscribed_already(topic, answer):
            return self._confirm(topic, now)
        return self._refuse(topic, answer, now)

    def unasked(self, answer: Answer, now: Moment) -> Sequence[SessionEvent]:
        """Handle *answer*, which belongs to no request.

        A refusal may mean that a topic is not subscribed which counts as subscribed.
        """
        if answer.success or "already subscribed" in answer.text.lower():
            return ()
        topic = self.wanted.topic_of(answer)
        if topic is not None and topic.state is TopicState.CONFIRMED and answer.op != "unsubscribe":
            return self._refuse(topic, answer, now)
        if answer.req_id is None:
            is_about_any = answer.topic is None and answer.op != "unsubscribe"
            for wanted in self.wanted.streams.values() if is_about_any else ():
                wanted.refuted = wanted.confirmed
            self._contradictions.check_login(answer.topic or "", answer)
            if is_about_any:
                self._contradictions.record("", f"refuses without a request: {printable(answer.text)}")
        return ()

    def _refuse(self, topic: Topic, answer: Answer, now: Moment) -> list[SessionEvent]:
        if topic.wanted.confirmed:
            # The gap before the confirmation was delivered. Only the end, or a gap
            # after a new login, can cover the pushes that are missing since.
            topic.wanted.refuted = True
            said = printable(answer.text)
            self._contradictions.record(topic.name, f"refused {topic.name}, which counted as subscribed: {said}")
            return self._reject(topic, answer.text)
        if not misses_login(answer.text):
            return self._refuse_plainly(topic, answer.text, now)
        topic.state = TopicState.DOUBTED
        topic.text = answer.text
        topic.due = now.seconds + self._config.timings.request_timeout
        return self._believe(now)

    def _believe(self, now: Moment) -> list[SessionEvent]:
        """Reject the topics that the exchange refused as if there were no login, twice.

        That is in two logins in a row. Only when this login serves another topic.
        """
        if not self.wanted.in_state(TopicState.CONFIRMED):
            return []
        news: list[SessionEvent] = []
        for topic in self.wanted.in_state(TopicState.DOUBTED):
            # A topic is gone when another one of its stream was rejected.
            if topic.name in self._contradictions.accepted and topic.name in self.wanted.topics:
                news += self._refuse_plainly(topic, topic.text, now)
        return news

    def _refuse_plainly(self, topic: Topic, text: str, now: Moment) -> list[SessionEvent]:
        topic.refusals += 1
        if topic.wanted.resubscribing and topic.refusals == 1:
            self._config.log.warning("%s is refused (%s); asking once more", topic.name, printable(text))
            topic.state = TopicState.WAITING
            topic.due = now.seconds + self._config.timings.ask_again
            return []
        return self._reject(topic, text)

    def left(self, request: Request, answer: Answer, now: Moment) -> None:
        """Handle *answer* to *request*, an unsubscribe.

        Subscribes again if the topic is wanted by now.
        """
        name = str(request.argument)
        self._contradictions.check_login(name, answer)
        self._left[name] = answer.success
        topic = self.wanted.topics.get(name)
        if topic is not None and topic.state is TopicState.LEAVING:
            self._ask(topic, now)

    def _is_subscribed_already(self, topic: Topic, answer: Answer) -> bool:
        if "already subscribed" not in answer.text.lower() or answer.topic not in (None, topic.name):
            return False
        if topic.asked == 1 and self._left.get(topic.name):
            # The exchange may still unsubscribe, and would push nothing then.
            raise ProtocolError(f"{self._config.environment} still holds the subscription to {topic.name} that it had ended")
        return True

    def confirm_by_push(self, topic: Topic, now: Moment) -> list[SessionEvent]:
        """Confirm *topic* because a push arrived for it: the answer may be lost."""
        return [] if topic.state is TopicState.CONFIRMED else self._confirm(topic, now)

    def resend_overdue(self, now: Moment) -> None:
        """Subscribe again to topics without an answer, or refused once.

        Raises `ConnectionLost` when two subscribes or one unsubscribe got no answer:
        only a new login shows whether the exchange carried it out. Raises
        `ProtocolError` when the exchange answers topics as if there were no login, and
        the other topics were answered or had the time for it.
        """
        doubted = self.wanted.in_state(TopicState.DOUBTED)
        if doubted and now.seconds >= min(self.due()):
            names = ", ".join(topic.name for topic in doubted)
            raise self._config.breach(f"takes the login for missing, asked for {names}: {printable(doubted[0].text)}")
        for topic in self.wanted.topics.values():
            if topic.due is not None and now.seconds >= topic.due:
                if topic.state is TopicState.LEAVING:
                    raise ConnectionLost(f"{self._config.environment}: no answer to the unsubscribe from {topic.name}")
                if topic.state is TopicState.ASKED and topic.asked > 1:
                    who = self._config.environment
                    raise ConnectionLost(f"{who}: no answer to the subscription to {topic.name}, asked for twice")
                self._ask(topic, now)

    def _confirm(self, topic: Topic, now: Moment) -> list[SessionEvent]:
        topic.state = TopicState.CONFIRMED
        topic.due = None
        # This proves that the login is good, for which another topic's refusal may
        # wait.
        return [*self.wanted.complete(topic.wanted, now), *self._believe(now)]

    def _reject(self, topic: Topic, text: str) -> list[SessionEvent]:
        topic.state = TopicState.REFUSED
        remedy = "Check the key's permissions, the account's kind, categories= and dialect=."
        said = printable(text).rstrip(".") or "it gives no reason"
        message = f"{self._config.environment} refused {topic.name}: {said}. {remedy}"
        error = SubscriptionRejected(message, text=text, remedy=remedy, topic=topic.name)
        return [StreamRejected(topic.wanted.stream, error, topic.wanted.uncovered), *self.unsubscribe(topic.wanted.stream)]
