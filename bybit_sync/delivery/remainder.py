"""The events that a closed subscription still holds.

They are waited for until a deadline, and then discarded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bybit_sync.delivery.callback import Consumer
from bybit_sync.delivery.sink import EventSink
from bybit_sync.logs import ClientLog
from bybit_sync.model.events import Stream
from bybit_sync.threads.waiting import POLL_INTERVAL

__all__ = ["Remainder"]


class Remainder:
    """The events that a subscription holds when it is closed. Any thread.

    They are waited for until a deadline, and then discarded.
    """

    def __init__(
        self,
        log: ClientLog,
        stream: Stream,
        sink: EventSink[Any],
        callback: Consumer | None,
        *,
        is_inside: Callable[[], bool],
        retry: Callable[[], None],
    ) -> None:
        self._log = log
        self._stream = stream
        self._sink = sink
        self._callback = callback
        # Returns whether the caller's thread runs user code for this client.
        self._is_inside = is_inside
        # Makes the connection thread retry the gaps of the sink.
        self._retry = retry
        # Whether events were discarded with a warning. No number: the callback's thread
        # and one that closes may both add to it, and one of the sums would be lost.
        self._has_lost = False

    def wait_done(self, deadline: float) -> bool:
        """Wait until every event is delivered.

        Return False when something is left at *deadline*, and discard it.
        """
        callback = self._callback
        if callback is None or not callback.is_started:
            return self._wait_flushed(deadline)
        if callback.is_current:
            return self._discard()
        if self._is_inside():
            return callback.is_done
        return callback.wait_done(deadline) or self._discard()

    def count_lost(self, events: int) -> None:
        """Count *events* as discarded, and log a warning if there are any."""
        if events:
            self._has_lost = True
            self._log.warning("%s closed with %d events undelivered", self._stream.value, events)

    def _wait_flushed(self, deadline: float) -> bool:
        # A thread that runs user code for this client must not wait here: it may be the
        # connection thread, inside the `put_nowait` of this very queue.
        flushed = self._is_inside() or self._poll_flushed(deadline)
        done = (self._discard() if self._sink.unflushed else not self._has_lost) and flushed
        if not flushed:
            # Let the connection thread see at once that no gap is left to retry.
            self._retry()
        return done

    def _poll_flushed(self, deadline: float) -> bool:
        while not self._sink.wait_flushed(min(deadline, time.monotonic() + POLL_INTERVAL)):
            if time.monotonic() >= deadline:
                return False
            # Again: while it dials, the connection thread retries a gap only when a
            # command arrives.
            self._retry()
        return True

    def _discard(self) -> bool:
        """Discard the undelivered events.

        Return whether nothing was, and no call is running.
        """
        callback = self._callback
        if callback is not None:
            # Set the flag before checking `is_busy`; the callback's thread checks the
            # flag before each call, so at least one side notices.
            callback.stop()
        self.count_lost(self._sink.discard())
        return not self._has_lost and not (callback is not None and callback.is_busy)
