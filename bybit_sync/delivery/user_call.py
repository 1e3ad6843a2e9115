"""Calls of a user's callback, whose errors do not end its stream."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from bybit_sync.config.arguments import check_ran
from bybit_sync.delivery.counts import Counts
from bybit_sync.logs import ClientLog
from bybit_sync.model.events import Event

__all__ = ["CallOwner", "CallReceiver", "UserCall"]


T = TypeVar("T")


class CallOwner(Protocol):
    """The client, as far as the calls of a callback need it."""

    log: ClientLog

    def report_error(self, error: BaseException, event: Event[Any], receiver: Any) -> None:
        """Pass an exception of the callback of *receiver* to the user."""


class CallReceiver(Protocol):
    """The receiver of the events, as far as the calls of a callback need it."""

    @property
    def counts(self) -> Counts:
        """Return the counters of the subscription."""


class UserCall(Generic[T]):
    """Calls *function* for *receiver* of *owner*, one event at a time.

    What it raises is logged, counted and handed to `on_error`.
    """

    def __init__(self, function: Callable[[Event[T]], object], owner: CallOwner, receiver: CallReceiver) -> None:
        self.busy_since: float | None = None
        """The monotonic time at which the running call began; None between calls."""
        self._function = function
        self._owner = owner
        self._receiver = receiver

    def run(self, event: Event[T]) -> None:
        """Call the function with *event*. Never raises."""
        self.busy_since = time.monotonic()
        try:
            check_ran(self._function(event))
        except BaseException as error:  # noqa: BLE001 - an error of a callback must not end its stream
            self._report(error, event)
        self.busy_since = None

    def _report(self, error: BaseException, event: Event[T]) -> None:
        self._receiver.counts.handler_errors += 1
        log = self._owner.log
        level = log.error if isinstance(error, Exception) else log.critical
        level("the callback of %s raised; the next event is delivered all the same", event.stream.value, exc_info=error)
        self._owner.report_error(error, event, self._receiver)
