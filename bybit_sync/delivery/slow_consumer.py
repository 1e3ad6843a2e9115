"""The warning about a consumer that does not take its events."""

from __future__ import annotations

from typing import Any

from bybit_sync.config.timings import Timings, due
from bybit_sync.delivery.callback import Consumer
from bybit_sync.delivery.sink import EventSink
from bybit_sync.logs import ClientLog
from bybit_sync.model.events import Stream

__all__ = ["SlowConsumerWarning"]


class SlowConsumerWarning:
    """A repeated warning about a callback that runs long, or about untaken events.

    Only the connection thread.
    """

    def __init__(self, log: ClientLog, stream: Stream, sink: EventSink[Any], callback: Consumer | None) -> None:
        self._log = log
        self._stream = stream
        self._sink = sink
        self._callback = callback
        # The number of warnings about the delay that began at `_warned_of`.
        self._warnings = 0
        self._warned_of: float | None = None
        # The number of taken events at the last check, and since when it is the same.
        self._taken = 0
        self._untouched: float | None = None

    def warn_if_slow(self, now: float, times: Timings) -> None:
        """Log a warning when one is due; *now* is the monotonic time in seconds."""
        if self._callback is not None:
            text, since = "the callback of %s has been running for %.0f s", self._callback.busy_since
        else:
            text, since = "no event of %s has been taken for %.0f s", self._unread_since(now)
        schedule = times.callback_reminders if self._callback is not None else times.reader_reminders
        if since != self._warned_of:
            self._warned_of, self._warnings = since, 0
        if since is not None and now - since >= due(self._warnings, schedule):
            self._warnings += 1
            self._log.warning(text, self._stream.value, now - since)

    def _unread_since(self, now: float) -> float | None:
        """Return since when events wait and none is taken, as the checks saw."""
        taken = self._sink.counts.delivered
        if taken != self._taken or not self._sink.size:
            self._taken, self._untouched = taken, None
        elif self._untouched is None:
            self._untouched = now
        return self._untouched
