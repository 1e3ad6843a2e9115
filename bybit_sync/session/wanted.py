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
    """True if an earlier login had subscribed to it: the first refusal is then retried."""
    topics: list[Topic] = Factory(list)
    asked: Moment | None = None
    """When the first request for one of its topics went out."""
    confirmed: bool = False
    held_events: list[Event[Any]] = Factory(list)
    """The events that arrived before the confirmation; they are delivered right after it."""
    refuted: bool = False
    """The exchange refused one of its topics after it had confirmed it: perhaps it never pushed."""

    @property
    def uncovered(self) -> Moment | None:
        """Return since when pushes would be missing without a gap if the stream ended now; None when none would."""
        return self.asked if self.held_events or self.refuted else None


@define(eq=False)
class Topic:
    """One topic that is wanted."""

    channel: Channel
    wanted: WantedStream
    state: TopicState = TopicState.WANTED
    due: float | None = None
    """When the answer is overdue, or when it is asked for again."""
    asked: int = 0
    refusals: int = 0
    req_id: str = ""
    """Of the latest subscribe."""
    text: str = ""
    """The exchange's words, when they are doubted."""

    @property
    def name(self) -> str:
        """Return the name of the topic as the exchange writes it."""
        return self.channel.topic
