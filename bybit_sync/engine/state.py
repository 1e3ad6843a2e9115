"""The state of a client, which any thread may read and wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from bybit_sync.status import NEXT_STATES, State
from bybit_sync.threads.waiting import SignalSafeCondition

__all__ = ["ClientState"]


class ClientState:
    """The state of a client, to be read and waited for from any thread."""

    def __init__(self, now: datetime) -> None:
        # Reentrant: `close` in a signal handler may change the state during an
        # interrupted change.
        self.lock: threading.RLock = threading.RLock()
        """Held while the state changes, and until that is queued for ``on_status``."""
        self._condition = SignalSafeCondition()
        self.state: State = State.IDLE
        self.since: datetime = now
        self.error: BaseException | None = None
        """The error that ended the client or its last subscription; None while it may
        still work.
        """

    def change(self, state: State, at: datetime, error: BaseException | None = None) -> State | None:
        """Set *state*, with *error* if it is FAILED, and return the previous one.

        Returns None, and changes nothing, when *state* cannot follow by `NEXT_STATES`:
        it is the same, or the previous one was final.
        """
        with self.lock:
            previous = self.state
            if state not in NEXT_STATES[previous]:
                return None
            self.state, self.since = state, at
            if state is State.FAILED:
                # In the same step: before it, a late call may clear the error.
                self.error = error
        self._condition.wake()
        return previous

    def clear_error(self) -> None:
        """Clear the error of the last subscription; a failure of the client stays."""
        with self.lock:
            if self.state is not State.FAILED:
                self.error = None

    def set_error(self, error: BaseException | None) -> None:
        """Set *error* and wake the threads that wait."""
        self.error = error
        self._condition.wake()

    def wait(self, wanted: Callable[[], bool], deadline: float | None) -> bool:
        """Wait until *wanted* returns True.

        Returns False when *deadline* passes first.
        """
        return self._condition.wait(wanted, deadline)
