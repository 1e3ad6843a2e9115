"""A conversation with a session: plain calls, and a clock that is moved by hand."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from bybit_sync.clock import ExchangeClock, Moment
from bybit_sync.config.timings import Timings
from bybit_sync.model.events import Event, Stream
from bybit_sync.session.config import SessionConfig
from bybit_sync.session.dialects import V5, Dialect
from bybit_sync.session.events import SessionEvent
from bybit_sync.session.messages import Request
from bybit_sync.session.session import Session

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def at(seconds: float, *, wall: float = 0.0) -> Moment:
    """Return the moment *seconds* after noon, on a wall clock that is *wall* seconds ahead."""
    return Moment(round((1000 + seconds) * 1e9), NOON + timedelta(seconds=seconds + wall))


def milliseconds(when: datetime) -> int:
    """Return *when* as the exchange writes it."""
    return round(when.timestamp() * 1000)


class Talk:
    """A session, and what the exchange says to it. The exchange's clock shows noon at 0 s, ours *wall* seconds more."""

    def __init__(
        self,
        *wanted: Stream,
        resubscribing: bool = False,
        categories: tuple[str, ...] | None = None,
        dialect: Dialect = V5,
        times: Timings | None = None,
        wall: float = 0.0,
        key: str = "KEY",
        starts: float = 0.0,
        clock: ExchangeClock | None = None,
        doubted: Collection[str] = (),
    ) -> None:
        self.seconds = starts
        self.wall = wall
        self.clock = clock or ExchangeClock()
        config = SessionConfig(
            dialect=dialect,
            categories=categories,
            timings=times or Timings(),
            client="test",
            environment="the exchange",
            log=logging.getLogger("bybit_sync"),
            redact=lambda text: text.replace(key, "***"),
        )
        wishes = dict.fromkeys(wanted, resubscribing)
        self.session = Session.begin(config, epoch=1, clock=self.clock, wanted=wishes, now=self.now, doubted=doubted)
        self._sent: list[Request] = []
        self.ping: str | None = None
        """The number of the latest ping, None when that was answered."""

    @property
    def now(self) -> Moment:
        """This moment."""
        return at(self.seconds, wall=self.wall)

    def wait(self, seconds: float) -> Sequence[SessionEvent]:
        """Let *seconds* pass, then have done what is due; return what follows."""
        self.seconds += seconds
        news = self.session.tick(self.now)
        self.send()
        return news

    def send(self) -> None:
        """Send what the session has to send, at once."""
        for request in self.session.requests():
            self.session.sent(request, self.now)
            self._sent.append(request)
            self.ping = request.req_id if request.op == "ping" else self.ping

    def live_on(self, seconds: float) -> None:
        """Let *seconds* pass while the exchange answers every ping."""
        for _ in range(round(seconds)):
            self.wait(1)
            self.pong()

    def asked(self, op: str | None = None) -> list[Request]:
        """Take what the session has to send, of one kind or all."""
        self.send()
        sent, self._sent = self._sent, []
        return [request for request in sent if op in (None, request.op)]

    def topics_asked(self) -> list[object]:
        """Take what the session has to send, and return the topics of the subscribes."""
        return [request.argument for request in self.asked("subscribe")]

    def hear(self, **message: Any) -> Sequence[SessionEvent]:
        """Have the exchange say *message*; return what it means."""
        return self.hear_frame(json.dumps(message).encode())

    def hear_frame(self, frame: bytes) -> Sequence[SessionEvent]:
        """Have the exchange say exactly *frame*; return what it means."""
        news = self.session.receive(frame, self.now)
        self.session.data_received(self.now.ns)
        return news

    def answer(self, request: Request, *, success: bool = True, text: str = "", with_id: bool = True) -> Sequence[SessionEvent]:
        """Have the exchange answer *request*."""
        number = {"req_id": request.req_id} if with_id else {}
        return self.hear(success=success, ret_msg=text, op=request.op, conn_id="c", **number)

    def refuse(self, request: Request, text: str) -> Sequence[SessionEvent]:
        """Have the exchange refuse *request* with *text*."""
        return self.answer(request, success=False, text=text)

    def pong(self, skew: float = 0.0) -> Sequence[SessionEvent]:
        """Have the exchange answer the latest ping, or one of another connection; its clock is *skew* seconds ahead."""
        number, self.ping = self.ping or "another's", None
        return self.pong_to(number, skew)

    def pong_to(self, number: str | None, skew: float = 0.0) -> Sequence[SessionEvent]:
        """Have the exchange answer the ping *number*, without one where that is None."""
        told = milliseconds(NOON + timedelta(seconds=self.seconds + skew))
        return self.hear(op="pong", args=[str(told)], conn_id="c", **({"req_id": number} if number else {}))

    def push(self, topic: str, *rows: dict[str, Any]) -> Sequence[SessionEvent]:
        """Have the exchange push *rows* of *topic*."""
        return self.hear(topic=topic, id="i", creationTime=milliseconds(NOON), data=list(rows))

    def log_in(self) -> list[Request]:
        """Have the login accepted and its ping answered; return what is asked for then, pings apart."""
        [login] = self.asked("auth")
        self.answer(login)
        self.send()
        self.pong()
        return [request for request in self.asked() if request.op != "ping"]

    def go_live(self) -> None:
        """Have the login and every subscription accepted."""
        for request in self.log_in():
            self.answer(request)


def order(name: str) -> dict[str, Any]:
    """Return the row of an order."""
    return {"category": "linear", "orderId": name}


def names(news: Sequence[SessionEvent]) -> list[str]:
    """Return the orders that were delivered, a gap as its reason, and other news as its class, in order."""
    return [name for item in news for name in _names(item)]


def _names(item: SessionEvent) -> list[str]:
    if not isinstance(item, Event):
        return [type(item).__name__]
    return [item.gap.reason.value] if item.gap else [row.order_id for row in item]
