"""A session that receives a recording.

The recorded client sent its requests; this session sends none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bybit_sync.clock import ExchangeClock, Moment
from bybit_sync.session.config import SessionConfig
from bybit_sync.session.dialects import Channel
from bybit_sync.session.events import SessionEvent
from bybit_sync.session.messages import Request
from bybit_sync.session.requests import PendingRequests
from bybit_sync.session.session import Session
from bybit_sync.session.topics import Topics

__all__ = ["RecordedSession"]


class RecordedSession:
    """One login of a recording.

    It is the session of a live client, with the requests and topics of the recording.
    """

    def __init__(
        self, config: SessionConfig, *, epoch: int, clock: ExchangeClock, now: Moment, doubted: frozenset[str], is_assumed: bool
    ) -> None:
        self.is_assumed = is_assumed
        """True when the recording begins after the login, so that its success is
        assumed.
        """
        self._requests = _RecordedRequests("")
        self._topics = Topics(config, self._requests, {}, doubted)
        self._topics.wanted.tells_gaps = True
        self.session: Session = Session(config, epoch=epoch, clock=clock, requests=self._requests, topics=self._topics, now=now)

    def receive(self, frame: bytes, now: Moment) -> Sequence[SessionEvent]:
        """Return the events of *frame*, after the gaps that were due before it.

        Raises the error that ends the session.
        """
        return [*self.session.time_sync.overdue_gaps(now), *self.session.receive(frame, now)]

    def has_topic(self, channel: Channel) -> bool:
        """Return whether *channel* was subscribed to."""
        return self._topics.wanted.find(channel.topic) is not None

    def expect(self, request: Request) -> None:
        """Expect the answer to *request*."""
        self._requests.expect(request)
        if request.op == "ping" and self.session.coverage.told is None:
            # The live client sent no gap before the first pong after its ping was sent.
            self._topics.wanted.tells_gaps = False

    def subscribe(self, channel: Channel, request: Request | None, *, resubscribing: bool) -> None:
        """Expect the answer to *request*, which subscribed to *channel*.

        *request* is None when it was not recorded.
        """
        self._topics.adopt(channel, str(request.req_id) if request else "", resubscribing=resubscribing)
        if request is not None:
            self.expect(request)


class _RecordedRequests(PendingRequests):
    """The requests of a recorded client.

    Requests of the session itself are dropped.
    """

    def send(self, op: Literal["auth", "subscribe", "unsubscribe"], argument: str | int) -> str:  # noqa: ARG002
        """Send nothing."""
        return ""

    def ping(self) -> None:
        """Send nothing."""
