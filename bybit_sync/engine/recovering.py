"""The recovery of one client: its decisions, and the thread that reads REST.

The connection thread makes the decisions.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from bybit_sync.clock import Moment
from bybit_sync.delivery.dispatcher import Dispatcher
from bybit_sync.delivery.receiver import Receiver
from bybit_sync.delivery.registry import SubscriptionRegistry
from bybit_sync.delivery.sink import EventSink
from bybit_sync.engine.client_config import ClientConfig
from bybit_sync.errors import BybitSyncError
from bybit_sync.logs import ClientLog
from bybit_sync.model.events import Stream
from bybit_sync.recovery.balances import BalanceMemory
from bybit_sync.recovery.coordinator import Coordinator, Failed
from bybit_sync.recovery.memory import Memory
from bybit_sync.recovery.mender import Mender
from bybit_sync.recovery.options import Recovery
from bybit_sync.recovery.precedence import ORDERS, POSITIONS
from bybit_sync.recovery.reading import make_reader
from bybit_sync.recovery.sink import RecoveringSink
from bybit_sync.recovery.states import StateMemory
from bybit_sync.recovery.trades import TradeMemory
from bybit_sync.recovery.wants import Answered, Want
from bybit_sync.recovery.worker import RecoveryWorker
from bybit_sync.session.session import Session
from bybit_sync.status import RecoveryHealth, SubscriptionState

__all__ = ["ClientRecovery"]

_REFRESHED: Final = (SubscriptionState.LIVE, SubscriptionState.STALE)


class ClientRecovery:
    """Makes the sinks that mend gaps, and has their reads done.

    *leave* runs a call on the connection thread, if there is one; *session* returns
    the one of the current connection, None without one; *epoch* returns the number of
    the last login.
    """

    def __init__(
        self,
        config: ClientConfig,
        options: Recovery,
        log: ClientLog,
        registry: SubscriptionRegistry,
        *,
        leave: Callable[[Callable[[], None]], object],
        dispatcher: Dispatcher,
        session: Callable[[], Session | None],
        epoch: Callable[[], int],
    ) -> None:
        self._options = options
        self._timings = config.timings
        self._client = config.name
        self._registry = registry
        self._leave = leave
        self._dispatcher = dispatcher
        self._session = session
        self._epoch = epoch
        reader = make_reader(
            options,
            config.environment,
            config.credentials,
            name=config.name,
            external_signer=config.external_signer,
            now=self._now,
            timings=config.timings,
            proxy=config.proxy,
            ssl_context=config.ssl_context,
            log=log,
        )
        self._worker = RecoveryWorker(
            reader,
            self._read,
            name=config.name,
            categories=config.session_config.categories,
            now=self._now,
            hold=options.hold,
            log=log,
            lags=config.timings.rest_lags,
        )
        self._coordinator = Coordinator(self._worker.ask, log, chance=random.random, retries=config.timings.rest_retries)

    # --- any thread ---

    def sink(self, inner: EventSink[Any], stream: Stream, since: datetime | None) -> EventSink[Any]:
        """Return a sink of *stream* in front of *inner*; fills begin at *since*."""
        mender = Mender(
            inner,
            stream,
            _MEMORIES[stream](since),
            self._options,
            client=self._client,
            on_change=self._coordinator.changed,
            contradicts=self._timings.rest_contradicts,
        )
        return RecoveringSink(inner, mender)

    def health(self) -> RecoveryHealth:
        """Return the pending gaps and the counts of reads at this moment."""
        worker = self._worker
        return RecoveryHealth(
            pending=self._coordinator.pending(),
            requests=worker.requests,
            last_error=worker.last_error,
            last_success=worker.last_success,
        )

    def close(self) -> None:
        """Read nothing more. Does not wait; safe in a signal handler."""
        self._worker.close()

    def wait_ended(self, deadline: float) -> bool:
        """Wait until no read runs; return False when *deadline* passes first."""
        return self._worker.wait_ended(deadline)

    def _now(self) -> datetime:
        return self._registry.clock.at(Moment.now())

    # --- the thread that reads ---

    def _read(self, want: Want, outcome: Answered | BybitSyncError) -> None:
        self._leave(lambda: self._take(want, outcome))

    # --- the connection thread ---

    def due(self) -> float:
        """Return when `tick` is due, in monotonic seconds."""
        return self._coordinator.due

    def tick(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        if now >= self._coordinator.due:
            self._end_all(self._coordinator.tick(now))

    def refresh(self, receiver: Receiver[Any]) -> None:
        """Have the missing updates of *receiver* read, if it is open and confirmed."""
        if isinstance(receiver.sink, RecoveringSink) and receiver.state in _REFRESHED:
            receiver.sink.mender.refresh()

    def reset(self) -> None:
        """Forget every subscription, because the connection thread starts again."""
        self._coordinator.reset()

    def _take(self, want: Want, outcome: Answered | BybitSyncError) -> None:
        self._end_all(self._coordinator.answered(want, outcome, Moment.now(), self._epoch()))

    def _end_all(self, failed: list[Failed]) -> None:
        for mender, error in failed:
            for receiver in tuple(self._registry):
                if isinstance(receiver.sink, RecoveringSink) and receiver.sink.mender is mender:
                    self._dispatcher.end(receiver, error, self._session(), Moment.now(), self._epoch())


_MEMORIES: Final[Mapping[Stream, Callable[[datetime | None], Memory]]] = {
    Stream.USER_TRADES: TradeMemory,
    Stream.POSITIONS: lambda _since: StateMemory(POSITIONS),
    Stream.ORDERS: lambda _since: StateMemory(ORDERS),
    Stream.BALANCES: lambda _since: BalanceMemory(),
}
