"""The thread of recovery: it starts with a want, answers all wants, and ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from bybit_sync.clock import Moment
from bybit_sync.config.timings import Timings
from bybit_sync.errors import BybitSyncError, ClientClosed, RestProtocolError, describe
from bybit_sync.logs import ClientLog
from bybit_sync.recovery.asking import read
from bybit_sync.recovery.running import Runner
from bybit_sync.recovery.wants import Answered, Want
from bybit_sync.threads.waiting import SignalSafeEvent, join, start_thread, take, wait_for

if TYPE_CHECKING:  # it needs urllib3, an extra
    from bybit_sync.rest.reader import RestReader

__all__ = ["RecoveryWorker"]


class RecoveryWorker:
    """Reads the wants over *reader*, on a thread.

    * *answered* is called there, with each want and its outcome;
    * an outcome is an answer, or the error: only a request that exceeded the rate limit
      is retried here;
    * *categories* are the client's, *now* returns the exchange's time, *hold* is the
      seconds for which pushes are held;
    * REST may lag: *lags* are the seconds for which a read waits before it answers
      without the missing rows, never longer than pushes are held.
    """

    def __init__(
        self,
        reader: RestReader,
        answered: Callable[[Want, Answered | BybitSyncError], object],
        *,
        name: str,
        categories: Sequence[str] | None,
        now: Callable[[], datetime],
        hold: float,
        log: ClientLog,
        lags: tuple[float, ...] = Timings().rest_lags,
    ) -> None:
        self.last_error: BybitSyncError | None = None
        """The error of the last read that failed."""
        self.last_success: datetime | None = None
        """When the last read succeeded, by our clock."""
        self._reader = reader
        self._answered = answered
        self._name = name
        self._categories = categories
        self._now = now
        self._waits = tuple(wait * min(1.0, hold / 5) for wait in lags if hold)
        self._runner = Runner(reader, now, self._pause)
        self._log = log
        # Held to start the thread, and by the thread to end: no want is left to a
        # thread that is ending.
        self._lock = threading.Lock()
        self._wants: list[Want] = []
        self._thread: threading.Thread | None = None
        self._last_thread: threading.Thread | None = None
        self._has_told = categories is not None
        # Whether a read of this thread has waited.
        self._has_waited = False
        self._over = SignalSafeEvent()
        self._right_to_close: list[None] = [None]
        self._ended = SignalSafeEvent()
        self._ended.set()

    # --- any thread ---

    @property
    def requests(self) -> int:
        """The number of requests that were sent."""
        return self._reader.requests

    def ask(self, want: Want) -> bool:
        """Have *want* read in turn, but before wants that only confirm.

        Returns False when no thread can be started for it.
        """
        with self._lock:
            if self._over.is_set():
                return False
            self._wants.append(want)
            if self._thread is not None or self._start():
                return True
            self._wants.pop()
            return False

    def close(self) -> None:
        """Abort the current read, and have the thread end.

        No want is answered any more. Does not wait; safe in a signal handler, also in
        one that interrupts it. In a forked child the sockets are closed already, so
        nothing is sent on the parent's connections.
        """
        if take(self._right_to_close):
            self._over.set()
            self._reader.close()

    def wait_ended(self, deadline: float) -> bool:
        """Wait until the thread has ended.

        Return False when *deadline* (monotonic) passes first.
        """
        thread, ended = self._last_thread, wait_for(self._ended, deadline)
        if ended:
            join(thread, deadline)
        return ended

    def _start(self) -> bool:
        # Under the lock.
        if not self._has_told:
            self._has_told = True
            self._log.warning("spread trading is not recovered: after an outage read its orders and fills yourself")
        self._has_waited = False
        thread = threading.Thread(target=self._run, name=f"{self._name}-recovery", daemon=True)
        self._thread = self._last_thread = thread
        self._ended.clear()
        try:
            start_thread(thread)
        except RuntimeError:  # the system has no thread left, for the moment
            self._thread = None
            self._ended.set()
            return False
        return True

    # --- the thread ---

    def _run(self) -> None:
        while (want := self._next()) is not None:
            outcome = self._outcome(want)
            # Nothing follows a close.
            if not self._over.is_set():
                self._pass_on(want, outcome)

    def _next(self) -> Want | None:
        """Return the next want; None when there is none, and the thread ends."""
        with self._lock:
            if not self._wants or self._over.is_set():
                self._thread = None
                self._ended.set()
                return None
            # Confirming wants come last; otherwise the order of `ask` applies.
            want = min(self._wants, key=lambda want: want.confirms)
            self._wants.remove(want)
            return want

    def _outcome(self, want: Want) -> Answered | BybitSyncError:
        # The first read that waits gives REST the time that the others need as well.
        waits = () if want.confirms or self._has_waited else self._waits
        try:
            answer = self._runner.run(read(want, self._categories, self._now(), waits))
        except BybitSyncError as error:
            self.last_error = error
            return error
        except BaseException as bug:  # noqa: BLE001 - it is told like any other failure, and the thread goes on
            self._log.critical("a bug in recovery", exc_info=bug)
            self.last_error = RestProtocolError(f"what was read of {want.stream.value} made no sense: {describe(bug)}")
            return self.last_error
        self.last_success = Moment.now().utc
        return answer

    def _pass_on(self, want: Want, outcome: Answered | BybitSyncError) -> None:
        try:
            self._answered(want, outcome)
        except BaseException as bug:  # noqa: BLE001 - the thread goes on
            self._log.critical("a bug in recovery", exc_info=bug)

    def _pause(self, seconds: float) -> None:
        self._has_waited = True
        if self._over.wait(seconds):
            raise ClientClosed("the client was closed while the REST host was asked")
