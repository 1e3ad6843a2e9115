"""The streams and topics that a session wants, and the state of each."""

from __future__ import annotations

from enum import Enum
from typing import Any

from attrs import Factory, define

from bybit_sync.clock import Moment
from bybit_sync.model.events import Event, Stream
from bybit_sync.session.dialects import Channel

__all__ = ["Topic", "TopicState", "WantedStream"]


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
    """True if an earlier login had subscribed to it; the first refusal is then retried.
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
