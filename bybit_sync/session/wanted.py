"""The streams and topics that a session wants, and the state of each."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, Final

from attrs import Factory, define

from bybit_sync.clock import Moment
from bybit_sync.errors import ProtocolError
from bybit_sync.model.events import Event, Stream
from bybit_sync.session.config import SessionConfig
from bybit_sync.session.dialects import Channel
from bybit_sync.session.events import AllConfirmed, SessionEvent, StreamConfirmed
from bybit_sync.session.messages import Answer

__all__ = ["Topic", "TopicState", "WantedStream", "WantedTopics"]

# More pushes than this before a confirmation are not a race at the start: the exchange
# did not send its answer.
HELD_LIMIT: Final = 100_000


class TopicState(Enum):
    """The state of a topic."""

    WANTED = "to be asked for after the login"
    LEAVING = "to be asked for after the answer to its unsubscribe"
    ASKED = "asked for, not answered"
    CONFIRMED = "subscribed"
    WAITING = "refused once, to be asked for again"
    DOUBTED = "refused for want of a login, which was accepted"
    REFUSED = "refused for good"


@define(eq=False)
class WantedStream:
    """One stream that is wanted."""

    stream: Stream
    resubscribing: bool
    """True if an earlier login had subscribed to it: a first refusal is then retried.
    """
    topics: list[Topic] = Factory(list)
    asked: Moment | None = None
    """The time when the first request for one of its topics was sent."""
    confirmed: bool = False
    held_events: list[Event[Any]] = Factory(list)
    """The events that arrived before the confirmation; they are delivered right after
    it.
    """
    refuted: bool = False
    """True when the exchange refused one of its topics after confirming it; it may
    never have pushed.
    """

    @property
    def uncovered(self) -> Moment | None:
        """Return since when pushes lack a gap if the stream ends now.

        Returns None when none do.
        """
        return self.asked if self.held_events or self.refuted else None


@define(eq=False)
class Topic:
    """One topic that is wanted."""

    channel: Channel
    wanted: WantedStream
    state: TopicState = TopicState.WANTED
    due: float | None = None
    """The time when the answer is overdue, or when the topic is requested again."""
    asked: int = 0
    refusals: int = 0
    req_id: str = ""
    """The req_id of the latest subscribe."""
    text: str = ""
    """The text of a refusal that may be wrong."""

    @property
    def name(self) -> str:
        """Return the name of the topic as the exchange writes it."""
        return self.channel.topic


class WantedTopics:
    """The wanted streams and topics of one session, and their confirmations."""

    def __init__(self, config: SessionConfig) -> None:
        self.streams: dict[Stream, WantedStream] = {}
        self.topics: dict[str, Topic] = {}
        """The topics of the wanted streams, by name."""
        self.confirmed_channels: dict[str, Channel] = {}
        """The channels, by topic, of the streams whose topics are all confirmed."""
        self.is_open: bool = False
        """True once the login is accepted."""
        self.tells_gaps: bool = False
        """True once gaps may be sent: their windows need the exchange's time, which the
        first pong of the connection has.
        """
        self._config = config
        # The streams to be confirmed before this login counts as LIVE; None after that.
        self._before_live: set[Stream] | None = set()

    # --- the collection ---

    def add(self, stream: Stream, *, resubscribing: bool, fast: bool = False) -> WantedStream:
        """Add *stream* with its topics, those of lower latency if *fast*."""
        wanted = self.streams[stream] = WantedStream(stream, resubscribing)
        channels = self._config.dialect.channels(stream, self._config.categories, fast=fast)
        wanted.topics = [Topic(channel, wanted) for channel in channels]
        self.topics.update((topic.name, topic) for topic in wanted.topics)
        if not self.is_open:
            assert self._before_live is not None  # LIVE comes after the login
            self._before_live.add(stream)
        return wanted

    def adopt(self, channel: Channel, *, resubscribing: bool) -> Topic:
        """Return the topic of *channel*, which a recorded client subscribed to.

        Adds the topic if it is new.
        """
        wanted = self.streams.setdefault(channel.stream, WantedStream(channel.stream, resubscribing))
        if channel.topic not in self.topics:
            self.topics[channel.topic] = Topic(channel, wanted)
            wanted.topics.append(self.topics[channel.topic])
        return self.topics[channel.topic]

    def remove(self, stream: Stream) -> Sequence[Topic]:
        """Remove *stream*, if it is there; return its topics."""
        wanted = self.streams.pop(stream, None)
        topics = wanted.topics if wanted is not None else []
        for topic in topics:
            del self.topics[topic.name]
            self.confirmed_channels.pop(topic.name, None)
        return topics

    def find(self, name: str) -> Topic | None:
        """Return the topic that is called *name*.

        Returns None when it is not wanted, or when a push may be its predecessor's.
        """
        topic = self.topics.get(name)
        return None if topic is None or topic.state is TopicState.LEAVING else topic

    def topic_of(self, answer: Answer) -> Topic | None:
        """Return the topic that *answer* is about.

        The answer has the req_id of the latest request for it, or its name and no
        req_id.
        """
        if answer.req_id is None:
            return self.topics.get(answer.topic or "")
        return next((topic for topic in self.topics.values() if topic.req_id == answer.req_id), None)

    def in_state(self, state: TopicState) -> list[Topic]:
        """Return the topics in *state*."""
        return [topic for topic in self.topics.values() if topic.state is state]

    def is_confirmed(self, stream: Stream) -> bool:
        """Return whether every topic of *stream* is subscribed."""
        return stream in self.streams and self.streams[stream].confirmed

    def uncovered(self) -> dict[Stream, Moment]:
        """Return when each stream began to miss pushes, if the session ends now.

        See `WantedStream.uncovered`.
        """
        return {wanted.stream: wanted.uncovered for wanted in self.streams.values() if wanted.uncovered is not None}

    # --- confirmations ---

    def tell_gaps(self, now: Moment) -> list[SessionEvent]:
        """Confirm from now on also the streams that return from an outage.

        The exchange's time is known, or will not be known any better.
        """
        self.tells_gaps = True
        return [event for wanted in tuple(self.streams.values()) for event in self.complete(wanted, now)]

    def complete(self, wanted: WantedStream, now: Moment) -> list[SessionEvent]:
        """Confirm *wanted* if every topic of it is subscribed.

        Returns the confirmation and the held events.
        """
        if wanted.confirmed or any(t.state is not TopicState.CONFIRMED for t in wanted.topics):
            return []
        if wanted.resubscribing and not self.tells_gaps:
            return []
        wanted.confirmed = True
        self.confirmed_channels.update((topic.name, topic.channel) for topic in wanted.topics)
        held, wanted.held_events = wanted.held_events, []
        return [StreamConfirmed(wanted.stream, wanted.asked or now), *held, *self.settle(wanted.stream)]

    def hold_unconfirmed(self, wanted: WantedStream, events: Sequence[Event[Any]]) -> Sequence[Event[Any]]:
        """Return *events* if *wanted* is confirmed; hold them otherwise."""
        if wanted.confirmed:
            return events
        if len(wanted.held_events) >= HELD_LIMIT:
            who = self._config.environment
            raise ProtocolError(f"{who} pushed {HELD_LIMIT} messages of {wanted.stream.value} without confirming it")
        wanted.held_events += events
        return ()

    # --- LIVE ---

    @property
    def is_live(self) -> bool:
        """Return whether every topic that was wanted at login is confirmed."""
        return self._before_live is None

    def settle(self, stream: Stream) -> list[SessionEvent]:
        """Stop waiting for *stream*, which is confirmed or removed.

        Returns `AllConfirmed` if it was the last.
        """
        if self._before_live is None:
            return []
        self._before_live.discard(stream)
        return self.become_live()

    def become_live(self) -> list[SessionEvent]:
        """Return `AllConfirmed`, once, after the login and all confirmations."""
        if not self.is_open or self._before_live is None or self._before_live:
            return []
        self._before_live = None
        return [AllConfirmed()]
