"""The topics that are wanted: each is asked for after the login, until it is confirmed or refused for good."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from bybit_sync.clock import Moment
from bybit_sync.errors import ConnectionLost, ProtocolError, SubscriptionRejected
from bybit_sync.model.events import Event, Stream
from bybit_sync.session.config import SessionConfig
from bybit_sync.session.dialects import Channel
from bybit_sync.session.events import AllConfirmed, SessionEvent, StreamConfirmed, StreamRejected
from bybit_sync.session.messages import Answer, Request
from bybit_sync.session.refusals import misses_login
from bybit_sync.session.requests import PendingRequests
from bybit_sync.session.wanted import Topic, TopicState, WantedStream
from bybit_sync.text import printable

__all__ = ["Topics"]

# More pushes than this before a subscription is confirmed are no start-up race: the exchange forgot its answer.
HELD_LIMIT: Final = 100_000


class Topics:
    """The wanted topics of one session."""

    def __init__(
        self, config: SessionConfig, requests: PendingRequests, wanted: Mapping[Stream, bool], doubted: Collection[str] = ()
    ) -> None:
        self._config = config
        self._requests = requests
        self._wanted: dict[Stream, WantedStream] = {}
        self._topics: dict[str, Topic] = {}
        self.confirmed_channels: dict[str, Channel] = {}
        """The channels, by topic, of the streams whose topics are all confirmed."""
        # The topic of each subscribe, by req_id. An answer about a stream that was unsubscribed from meanwhile is dropped.
        self._asked: dict[str, Topic] = {}
        # The topics that were unsubscribed from, and whether the exchange said yes to that.
        self._left: dict[str, bool] = {}
        self._open = False
        self.tells_gaps: bool = False
        """True once gaps may be sent: their windows are in the exchange's time, which the connection's first pong tells."""
        # Topics whose refusal contradicted the exchange's own word, here and on the login before: one new login may mend
        # that, and then it is believed. "" stands for a refusal that names none.
        self._contradicted: set[str] = set()
        self._believed = frozenset(doubted)
        # Streams still to be confirmed before this login counts as LIVE; None once it did.
        self._before_live: set[Stream] | None = set(wanted)
        for stream, resubscribing in wanted.items():
            self._add(stream, resubscribing=resubscribing)

    # --- asked ---

    def find(self, name: str) -> Topic | None:
        """Return the topic that is called *name*, None when it is not wanted or what arrives may be its predecessor's."""
        topic = self._topics.get(name)
        return None if topic is None or topic.state is TopicState.LEAVING else topic

    def was_left(self, name: str) -> bool:
        """Return whether *name* was unsubscribed from in this session."""
        return name in self._left

    @property
    def is_live(self) -> bool:
        """Return whether every topic that was wanted at login is confirmed."""
        return self._before_live is None

    def is_confirmed(self, stream: Stream) -> bool:
        """Return whether every topic of *stream* is subscribed."""
        return stream in self._wanted and self._wanted[stream].confirmed

    @property
    def doubted(self) -> frozenset[str]:
        """Return the topics of which the next login accepts a refusal that contradicts the exchange."""
        if not self._open:
            return self._believed
        return frozenset(self._contradicted.union(topic.name for topic in self._all(TopicState.DOUBTED)))

    def uncovered(self) -> dict[Stream, Moment]:
        """Return when each stream began to miss pushes, were the session to end now: see `WantedStream.uncovered`."""
        return {wanted.stream: wanted.uncovered for wanted in self._wanted.values() if wanted.uncovered is not None}

    def due(self) -> Iterator[float]:
        """Yield the deadlines, in seconds on the monotonic clock, at which `resend_overdue` has something to do."""
        if self._all(TopicState.DOUBTED) and not self._all(TopicState.ASKED):
            yield 0.0
        for topic in self._topics.values():
            if topic.due is not None:
                yield topic.due

    def _all(self, state: TopicState) -> list[Topic]:
        return [topic for topic in self._topics.values() if topic.state is state]

    # --- wishes ---

    def subscribe(self, stream: Stream, now: Moment, *, resubscribing: bool) -> None:
        """Subscribe to *stream*, now or as soon as the login is accepted."""
        if stream in self._wanted:
            return
        wanted = self._add(stream, resubscribing=resubscribing)
        if self._open:
            self._ask_for(wanted, now)
        else:
            assert self._before_live is not None  # LIVE comes after the login
            self._before_live.add(stream)

    def unsubscribe(self, stream: Stream) -> list[SessionEvent]:
        """Unsubscribe from *stream*, if it is wanted."""
        wanted = self._wanted.pop(stream, None)
        if wanted is None:
            return []
        for topic in wanted.topics:
            del self._topics[topic.name]
            self.confirmed_channels.pop(topic.name, None)
            if topic.state in (TopicState.ASKED, TopicState.CONFIRMED):
                self._left[topic.name] = False
                self._requests.send("unsubscribe", topic.name)
        return self._settle(stream)

    def open(self, now: Moment) -> list[SessionEvent]:
        """Subscribe to all wanted streams: the login was accepted."""
        self._open = True
        for wanted in self._wanted.values():
            self._ask_for(wanted, now)
        return self._live()

    def _add(self, stream: Stream, *, resubscribing: bool) -> WantedStream:
        wanted = self._wanted[stream] = WantedStream(stream, resubscribing)
        channels = self._config.dialect.channels(stream, self._config.categories)
        wanted.topics = [Topic(channel, wanted) for channel in channels]
        self._topics.update((topic.name, topic) for topic in wanted.topics)
        return wanted

    def _ask_for(self, wanted: WantedStream, now: Moment) -> None:
        for topic in wanted.topics:
            self._ask(topic, now)

    def _ask(self, topic: Topic, now: Moment) -> None:
        topic.due = now.seconds + self._config.timings.request_timeout
        if self._requests.is_pending("unsubscribe", topic.name):
            # The exchange may carry it out after the subscribe, or push for the old subscription until it does.
            topic.state = TopicState.LEAVING
            return
        # One topic a request: a refusal then names its topic, and cannot take others with it.
        self._set_asked(topic, self._requests.send("subscribe", topic.name))

    def _set_asked(self, topic: Topic, req_id: str) -> None:
        topic.state, topic.req_id = TopicState.ASKED, req_id
        topic.asked += 1
        self._asked[req_id] = topic

    def adopt(self, channel: Channel, req_id: str, *, resubscribing: bool) -> None:
        """Count *channel* as asked for by request *req_id*, which a recorded client sent; "" when the request is unknown."""
        wanted = self._wanted.setdefault(channel.stream, WantedStream(channel.stream, resubscribing))
        if channel.topic not in self._topics:
            self._topics[channel.topic] = Topic(channel, wanted)
            wanted.topics.append(self._topics[channel.topic])
        self._set_asked(self._topics[channel.topic], req_id)

    # --- what becomes of them ---

    def sent(self, request: Request, now: Moment) -> None:
        """Record that *request*, a subscribe, went out."""
        topic = self._asked.get(str(request.req_id))
        if topic is not None and topic.state is TopicState.ASKED:  # pragma: no branch - nothing is heard in between
            topic.due = now.seconds + self._config.timings.request_timeout
            topic.wanted.asked = topic.wanted.asked or now

    def answered(self, request: Request, answer: Answer, now: Moment) -> list[SessionEvent]:
        """Take *answer* to *request*, a subscribe."""
        topic = self._asked.pop(str(request.req_id))
        if self._topics.get(topic.name) is not topic:
            self._check_login(topic.name, answer)
            return []
        if answer.success or self._is_subscribed_already(topic, answer):
            return self._confirm(topic, now)
        return self._refuse(topic, answer, now)

    def unasked(self, answer: Answer, now: Moment) -> Sequence[SessionEvent]:
        """Take *answer*, which belongs to no request: a no may mean that what counts as subscribed is not."""
        if answer.success or "already subscribed" in answer.text.lower():
            return ()
        topic = self._meant(answer)
        if topic is not None and topic.state is TopicState.CONFIRMED and answer.op != "unsubscribe":
            return self._refuse(topic, answer, now)
        if answer.req_id is None:
            is_about_any = answer.topic is None and answer.op != "unsubscribe"
            for wanted in self._wanted.values() if is_about_any else ():
                wanted.refuted = wanted.confirmed
            self._check_login(answer.topic or "", answer)
            if is_about_any:
                self._contradict("", f"refuses what nobody asks for: {printable(answer.text)}")
        return ()

    def _meant(self, answer: Answer) -> Topic | None:
        """Return the topic that *answer* is about: it has the number of the latest request for it, or none and the name."""
        if answer.req_id is None:
            return self._topics.get(answer.topic or "")
        return next((topic for topic in self._topics.values() if topic.req_id == answer.req_id), None)

    def _check_login(self, name: str, answer: Answer) -> None:
        """Raise `ProtocolError` when *answer*, about the topic *name*, says that nobody is logged in."""
        if not answer.success and misses_login(answer.text) and name not in self._believed - {""}:
            self._contradicted.add(name)
            raise self._config.breach(f"takes the login for missing: {printable(answer.text)}")

    def _contradict(self, name: str, what: str) -> None:
        """Raise `ProtocolError` for *what*, unless the login before ended with the same."""
        if name not in self._believed:
            self._contradicted.add(name)
            raise self._config.breach(what)
        self._config.log.warning("%s %s", self._config.environment, what)

    def _refuse(self, topic: Topic, answer: Answer, now: Moment) -> list[SessionEvent]:
        if topic.wanted.confirmed:
            # The gap before the confirmation was told. What is missed since only the end or a new login can tell.
            topic.wanted.refuted = True
            said = printable(answer.text)
            self._contradict(topic.name, f"refused {topic.name}, which counted as subscribed: {said}")
            return self._reject(topic, answer.text)
        if not misses_login(answer.text):
            return self._refuse_plainly(topic, answer.text, now)
        topic.state = TopicState.DOUBTED
        topic.text = answer.text
        topic.due = now.seconds + self._config.timings.request_timeout
        return self._believe(now)

    def _believe(self, now: Moment) -> list[SessionEvent]:
        """Refuse what was refused for want of a login on two logins in a row, of which the second serves another topic."""
        if not self._all(TopicState.CONFIRMED):
            return []
        news: list[SessionEvent] = []
        for topic in self._all(TopicState.DOUBTED):
            # Unless it went with another topic of its stream.
            if topic.name in self._believed and topic.name in self._topics:
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
        """Take *answer* to *request*, an unsubscribe: who wanted the topic meanwhile can now ask for it."""
        name = str(request.argument)
        self._check_login(name, answer)
        self._left[name] = answer.success
        topic = self._topics.get(name)
        if topic is not None and topic.state is TopicState.LEAVING:
            self._ask(topic, now)

    def _is_subscribed_already(self, topic: Topic, answer: Answer) -> bool:
        if "already subscribed" not in answer.text.lower() or answer.topic not in (None, topic.name):
            return False
        if topic.asked == 1 and self._left.get(topic.name):
            # It may yet carry the unsubscribe out, and would push nothing then.
            raise ProtocolError(f"{self._config.environment} still holds the subscription to {topic.name} that it had ended")
        return True

    def confirm_by_push(self, topic: Topic, now: Moment) -> list[SessionEvent]:
        """Confirm *topic* because a push arrived for it: the answer to the subscribe may be lost."""
        return [] if topic.state is TopicState.CONFIRMED else self._confirm(topic, now)

    def resend_overdue(self, now: Moment) -> None:
        """Ask again for what was not answered, or refused once. Raises `ConnectionLost` when it was not answered twice.

        An unsubscribe is not repeated: what the exchange has made of it only a new login can tell. Raises `ProtocolError`
        when the exchange answers topics as if there were no login, and the others were answered or had the time for it.
        """
        doubted = self._all(TopicState.DOUBTED)
        if doubted and now.seconds >= min(self.due()):
            names = ", ".join(topic.name for topic in doubted)
            raise self._config.breach(f"takes the login for missing, asked for {names}: {printable(doubted[0].text)}")
        for topic in self._topics.values():
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
        # Another topic's refusal may be waiting for this proof that the login is good.
        return [*self._complete(topic.wanted, now), *self._believe(now)]

    def tell_gaps(self, now: Moment) -> list[SessionEvent]:
        """Confirm from here on what returns from an outage, too: the exchange's time is as well known as it will be."""
        self.tells_gaps = True
        return [news for wanted in tuple(self._wanted.values()) for news in self._complete(wanted, now)]

    def _complete(self, wanted: WantedStream, now: Moment) -> list[SessionEvent]:
        if wanted.confirmed or any(t.state is not TopicState.CONFIRMED for t in wanted.topics):
            return []
        if wanted.resubscribing and not self.tells_gaps:
            return []
        wanted.confirmed = True
        self.confirmed_channels.update((topic.name, topic.channel) for topic in wanted.topics)
        held, wanted.held_events = wanted.held_events, []
        return [StreamConfirmed(wanted.stream, wanted.asked or now), *held, *self._settle(wanted.stream)]

    def _reject(self, topic: Topic, text: str) -> list[SessionEvent]:
        topic.state = TopicState.REFUSED
        remedy = "Check the key's permissions, the account's kind, categories= and dialect=."
        said = printable(text).rstrip(".") or "it gives no reason"
        message = f"{self._config.environment} refused {topic.name}: {said}. {remedy}"
        error = SubscriptionRejected(message, text=text, remedy=remedy, topic=topic.name)
        return [StreamRejected(topic.wanted.stream, error, topic.wanted.uncovered), *self.unsubscribe(topic.wanted.stream)]

    def _settle(self, stream: Stream) -> list[SessionEvent]:
        if self._before_live is None:
            return []
        self._before_live.discard(stream)
        return self._live()

    def _live(self) -> list[SessionEvent]:
        if not self._open or self._before_live is None or self._before_live:
            return []
        self._before_live = None
        return [AllConfirmed()]

    # --- what arrives for them ---

    def pass_on(self, wanted: WantedStream, events: Sequence[Event[Any]]) -> Sequence[Event[Any]]:
        """Return those of *events* that can be delivered now; the others are held until *wanted* is confirmed."""
        if wanted.confirmed:
            return events
        if len(wanted.held_events) >= HELD_LIMIT:
            who = self._config.environment
            raise ProtocolError(f"{who} pushed {HELD_LIMIT} messages of {wanted.stream.value} without confirming it")
        wanted.held_events += events
        return ()

    def wanted_streams(self) -> Iterator[WantedStream]:
        """Return an iterator over the wanted streams."""
        return iter(self._wanted.values())
