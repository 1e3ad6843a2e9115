"""From a session to its subscriptions, for a live connection and for a replay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from bybit_sync.clock import Moment
from bybit_sync.delivery.receiver import Receiver
from bybit_sync.delivery.registry import Ended, SubscriptionRegistry
from bybit_sync.model.events import Event, Stream
from bybit_sync.session.events import SessionEvent, StreamConfirmed, StreamRejected
from bybit_sync.session.session import Session

__all__ = ["Dispatcher", "Observer"]


class Observer(Protocol):
    """The owner of a dispatcher; it updates its own state from the events."""

    def before(self, event: SessionEvent, session: Session, now: Moment) -> None:
        """Note *event*, which brings no data, before subscriptions receive it."""

    def ended(self, ended: Ended) -> None:
        """Note that a subscription ended with an error."""


class Dispatcher:
    """Passes events of a session to subscriptions, and their ends back to it.

    Only the connection thread.
    """

    def __init__(self, registry: SubscriptionRegistry, observer: Observer) -> None:
        self._registry = registry
        self._observer = observer

    def dispatch(self, events: Iterable[SessionEvent], session: Session, now: Moment) -> None:
        """Pass *events* of *session* on, and all events that they cause."""
        waiting = list(events)
        for event in waiting:  # also those that are added meanwhile
            for ended in self._handle(event, session, now):
                waiting += self._after(ended, session)

    def confirm(self, receiver: Receiver[Any], session: Session, now: Moment) -> None:
        """Confirm *receiver*, a new one, because *session* has confirmed its stream."""
        for ended in self._registry.confirm_one(receiver, session.coverage, now, now, session.epoch):
            self.dispatch(self._after(ended, session), session, now)

    def end(self, receiver: Receiver[Any], error: BaseException, session: Session | None, now: Moment, epoch: int) -> None:
        """End *receiver* with *error*; *session* is None while there is none."""
        ended = self._registry.end(receiver, error, now, epoch)
        if session is None:
            self._observer.ended(ended)
        else:
            self.dispatch(self._after(ended, session), session, now)

    def unsubscribe_unused(self, stream: Stream, session: Session, now: Moment) -> None:
        """Unsubscribe from *stream* when no subscription receives it any more."""
        self.dispatch(self._unsubscribed(stream, session), session, now)

    def _handle(self, event: SessionEvent, session: Session, now: Moment) -> Sequence[Ended]:
        """Pass *event* to its subscriptions; return those that ended by it."""
        if isinstance(event, Event):
            return self._registry.deliver(event, now)
        self._observer.before(event, session, now)
        if isinstance(event, StreamConfirmed):
            return self._registry.confirm(event.stream, session.coverage, event.asked, now, session.epoch)
        if isinstance(event, StreamRejected):
            self._registry.uncover(event.stream, event.uncovered)
            return self._registry.end_stream(event.stream, event.error, now, session.epoch)
        return ()

    def _after(self, ended: Ended, session: Session) -> Sequence[SessionEvent]:
        """Return the events in *session* that follow from *ended*."""
        events = self._unsubscribed(ended.receiver.stream, session)
        self._observer.ended(ended)
        return events

    def _unsubscribed(self, stream: Stream, session: Session) -> Sequence[SessionEvent]:
        return () if self._registry.has(stream) else session.unsubscribe(stream)
