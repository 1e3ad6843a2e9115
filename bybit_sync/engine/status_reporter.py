"""Reports a change of state to the log, to waiting threads and to ``on_status``."""

from __future__ import annotations

from bybit_sync.clock import Moment
from bybit_sync.delivery.registry import Ended
from bybit_sync.engine.notifier import Notifier, StatusChange
from bybit_sync.engine.state import ClientState
from bybit_sync.logs import ClientLog
from bybit_sync.status import State
from bybit_sync.threads.waiting import wait_for

__all__ = ["StatusReporter"]


class StatusReporter:
    """Changes the state of a client and reports each change. Any thread."""

    def __init__(self, state: ClientState, notifier: Notifier | None, log: ClientLog) -> None:
        self._state = state
        self._notifier = notifier
        self._log = log

    def change(self, state: State, *, error: BaseException | None = None, downtime: float | None = None) -> None:
        """Set *state* and report the change.

        Does nothing when the state is the same or the previous one was final.
        """
        now = Moment.now().utc
        # The lock keeps the order: a change that another thread queued behind CLOSED
        # would keep the notifier's thread waiting for ever.
        with self._state.lock:
            previous = self._state.change(state, now, error)
            if previous is None:
                return
            self._add(StatusChange(previous=previous, state=state, at=now, error=error, downtime=downtime))
        self._log.debug("%s -> %s", previous.value, state.value)
        if state is State.CLOSED:
            self._log.info("closed")
        self.catch_up()

    def subscription_ended(self, ended: Ended) -> None:
        """Report that a subscription ended by itself; the state of the client stays."""
        self._log.error("the subscription to %s has ended: %s", ended.receiver.stream.value, ended.error)
        now = Moment.now().utc
        with self._state.lock:
            state = self._state.state
            self._add(StatusChange(previous=state, state=state, at=now, error=ended.error, subscription=ended.receiver.handle))
        self.catch_up()

    def catch_up(self) -> None:
        """Report the changes that wait, also because no thread could be started."""
        if self._notifier is not None:
            self._notifier.catch_up()

    def wait_idle(self, deadline: float) -> bool:
        """Wait until `on_status` was called with every change.

        Returns False when *deadline* passes first.
        """
        return self._notifier is None or wait_for(self._notifier.idle, deadline)

    def _add(self, change: StatusChange) -> None:
        if self._notifier is not None:
            self._notifier.add(change)
