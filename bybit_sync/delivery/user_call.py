"""Calls of a user's callback, whose errors do not end its stream."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from bybit_sync.config.arguments import check_ran
from bybit_sync.delivery.counts import Counts
from bybit_sync.delivery.repeated_errors import LOG_INTERVAL, RepeatedErrors
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

    What it raises is counted and handed to `on_error`. The first exception of a kind
    is logged with its traceback, further ones as a number.
    """

    def __init__(self, function: Callable[[Event[T]], object], owner: CallOwner, receiver: CallReceiver) -> None:
        self.busy_since: float | None = None
        """The monotonic time at which the running call began; None between calls."""
        self._function = function
        self._owner = owner
        self._receiver = receiver
        self._errors = RepeatedErrors()
        self._stream = ""

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
        log, now, self._stream = self._owner.log, time.monotonic(), event.stream.value
        if self._errors.is_first(error, now):
            level = log.error if isinstance(error, Exception) else log.critical
            level("the callback of %s raised; the next event is delivered all the same", self._stream, exc_info=error)
        self._log_repeated(now, LOG_INTERVAL)
        self._owner.report_error(error, event, self._receiver)

    def finish(self) -> None:
        """Log the numbers that are not due yet: no call follows."""
        self._log_repeated(time.monotonic(), 0.0)

    def _log_repeated(self, now: float, interval: float) -> None:
        for text in self._errors.due(now, interval):
            self._owner.log.error("the callback of %s raised again: %s", self._stream, text)
