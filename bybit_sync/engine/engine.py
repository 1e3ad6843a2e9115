"""The connection thread as other threads see it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bybit_sync.clock import ExchangeClock, Moment
from bybit_sync.config.arguments import check_ran
from bybit_sync.delivery.callback import CallbackThread
from bybit_sync.delivery.receiver import Receiver
from bybit_sync.delivery.registry import SubscriptionRegistry
from bybit_sync.engine.client_config import ClientConfig
from bybit_sync.engine.error_texts import add_notice
from bybit_sync.engine.notifier import Notifier
from bybit_sync.engine.one_kind import OneKind
from bybit_sync.engine.state import ClientState
from bybit_sync.engine.status_reporter import StatusReporter
from bybit_sync.engine.supervisor import Supervisor
from bybit_sync.engine.worker import Commands, Worker
from bybit_sync.errors import ClientClosed, ConfigurationError, fresh_copy
from bybit_sync.logs import ClientLog
from bybit_sync.model.events import Event
from bybit_sync.recovery.options import Recovery
from bybit_sync.status import Health, State
from bybit_sync.threads.waiting import SignalSafeEvent, start_thread, wait_for

if TYPE_CHECKING:
    from bybit_sync.engine.recovering import ClientRecovery

__all__ = ["Engine"]


class Engine:
    """Hands subscriptions to the connection thread, and waits for that thread.

    Any thread may call it.
    """

    def __init__(self, config: ClientConfig, log: ClientLog) -> None:
        self.name: str = config.name
        self.log: ClientLog = log
        self.client_state: ClientState = ClientState(Moment.now().utc)
        """The state of the client; any thread may read it and wait for it."""
        self.registry: SubscriptionRegistry = SubscriptionRegistry(ExchangeClock())
        """The open subscriptions; only the connection thread changes it."""
        self._config = config
        self._recorder = config.recorder
        self._kinds = OneKind()
        self._process = os.getpid()
        self._notifier = Notifier(config.on_status, self._start_helper, log) if config.on_status else None
        self._status = StatusReporter(self.client_state, self._notifier, log)
        self._commands = Commands()
        self._supervisor = Supervisor(
            config, log, commands=self._commands, registry=self.registry, state=self.client_state, status=self._status
        )
        self._worker = Worker(config.name, self._supervisor, self._commands, self)
        self.recovery: ClientRecovery | None = None
        """Mends the gaps of subscriptions; None without ``recover``."""
        if config.recovery is not None:
            self.recovery = self._supervisor.recovery = self._begin_recovery(config.recovery)

    def _begin_recovery(self, options: Recovery) -> ClientRecovery:
        from bybit_sync.engine.recovering import ClientRecovery  # noqa: PLC0415 - a tenth of the package, for clients that recover

        supervisor = self._supervisor
        return ClientRecovery(
            self._config,
            options,
            self.log,
            self.registry,
            leave=self._worker.leave,
            dispatcher=supervisor.dispatcher,
            session=lambda: supervisor.conversation.session if supervisor.conversation is not None else None,
            epoch=lambda: supervisor.progress.epoch,
        )

    # --- subscriptions ---

    def admit(self, receiver: Receiver[Any]) -> None:
        """Hand *receiver* to the connection thread.

        Raises `ClientClosed`, the error that the client failed with, or
        `ConfigurationError` when its stream is subscribed to in the other kind.
        """

        def check() -> None:
            self.check_open()
            self._kinds.check(receiver)

        def accepted() -> None:
            self._kinds.add(receiver)
            if not receiver.confirm_awaited:
                self.client_state.clear_error()

        self._worker.execute(lambda: self._supervisor.add(receiver), check=check, accepted=accepted)

    def stay_connected(self) -> None:
        """Stay connected until `close`: a call returned a confirmed subscription."""
        self._supervisor.progress.stays_connected = True

    def release(self, receiver: Receiver[Any]) -> None:
        """Deliver nothing more to *receiver*. Takes no lock."""
        self._worker.leave(lambda: self._supervisor.remove(receiver))

    def refresh(self, receiver: Receiver[Any]) -> None:
        """Have the missing updates of *receiver* read over REST. Takes no lock.

        Raises `ConfigurationError` without ``recover``.
        """
        recovery = self.recovery
        if recovery is None:
            raise ConfigurationError("refresh() reads over REST: make the client with recover=True")
        self._worker.leave(lambda: recovery.refresh(receiver))

    def wait_cancelled(self, deadline: float) -> None:
        """Wait until every command so far has run.

        If the thread has nothing left to do, wait until it has ended.
        """
        ran, idle = SignalSafeEvent(), SignalSafeEvent()

        def look() -> None:
            if not self._supervisor.progress.stays_connected and not self.registry:
                idle.set()
            ran.set()

        if not self._worker.leave_safely(look) or (wait_for(ran, deadline) and idle.is_set()):
            self.wait_ended(deadline)

    def delivering(self) -> set[Receiver[Any]]:
        """Return the open subscriptions, and the ended ones with undelivered events."""
        threads = [t for t in threading.enumerate() if isinstance(t, CallbackThread) and t.owner is self]
        return {*self.registry, *self.registry.unflushed(), *filter(None, (t.receiver for t in threads))}

    def report_error(self, error: BaseException, event: Event[Any], receiver: Receiver[Any]) -> None:
        """Call `on_error` with an exception of a callback.

        Runs on the callback's thread.
        """
        if self._config.on_error is not None:
            try:
                check_ran(self._config.on_error(error, event, receiver.handle))
            except BaseException as raised:
                self.log.error("on_error raised", exc_info=raised)  # noqa: TRY400 - its log never raises, `exception` may

    # --- the connection ---

    def reconnect(self) -> datetime:
        """Drop the connection, if there is one, and dial again; return when.

        Raises the errors of `check_open`.
        """
        self.check_open()
        pause, now = self._supervisor.progress.pause, Moment.now()
        self._worker.leave(self._supervisor.drop)
        return now.utc_at(max(now.seconds, pause.shortened().ends)) if pause is not None else now.utc

    def close(self) -> None:
        """Have the thread end soon, and every subscription with it.

        Does not wait; safe in a signal handler.
        """
        self._worker.close()
        if self.recovery is not None:
            self.recovery.close()
        if not self._worker.has_thread:
            self._status.change(State.CLOSED)

    def wait_ended(self, deadline: float) -> bool:
        """Wait until the thread has ended and the recording is written.

        Returns False when *deadline* passes first.
        """
        ended = self._worker.wait_ended(deadline)
        if self.recovery is not None and self._commands.is_closing:
            ended = self.recovery.wait_ended(deadline) and ended
        return ended and (self._recorder is None or self._recorder.wait_written(deadline))

    def wait_closed(self, deadline: float) -> bool:
        """Wait as `wait_ended`, but only a moment for a thread that is decoding.

        Returns False when *deadline* passes first. Call it when every subscription is
        done: a long message may take a second to decode, and nothing of it can be
        delivered any more. The thread ends by itself afterwards.
        """
        if self.is_inside():
            return True
        soon = min(deadline, time.monotonic() + self._config.timings.last_read)
        if self._worker.wait_ended(soon) or self._recorder is not None or not self._is_receiving():
            return self.wait_ended(deadline)
        self._status.change(State.CLOSED)
        return True

    def wait_told(self, deadline: float) -> bool:
        """Wait until `on_status` was called with every change.

        Returns False when *deadline* passes first.
        """
        self._status.catch_up()
        return self._notifier is None or self.is_inside() or self._status.wait_idle(deadline)

    def abandon(self) -> None:
        """Close the waker in a forked child.

        The connection and the threads are the parent's.
        """
        self._worker.abandon()

    # --- its state ---

    @property
    def obstacle(self) -> BaseException | None:
        """Return why the client is not logged in; None when nothing prevents it."""
        return self._supervisor.progress.obstacle

    @property
    def is_open(self) -> bool:
        """Return whether a thread runs and `close` was not called."""
        return self._worker.has_thread and not self._commands.is_closing and os.getpid() == self._process

    def is_own_thread(self) -> bool:
        """Return whether the calling thread is the connection thread.

        It must not wait for the exchange's answer, because it would have to read it.
        """
        return self._worker.is_own_thread()

    def is_inside(self) -> bool:
        """Return whether the calling thread runs a user's code for this client."""
        return getattr(threading.current_thread(), "owner", None) is self or self.is_own_thread()

    def check_process(self) -> None:
        """Raise `ClientClosed` in a process that was forked from the client's."""
        if os.getpid() != self._process:
            raise ClientClosed(f"{self.name} belongs to the process that forked this one: make clients after the fork")

    def check_open(self) -> None:
        """Raise when the client cannot be used.

        Raises `ClientClosed` when it is closed or belongs to another process, and the
        error that it failed with.
        """
        self.check_process()
        if self._commands.is_closing:
            raise ClientClosed(f"{self.name} is closed: make a new client")
        if self.client_state.state is State.FAILED and self.client_state.error is not None:
            raise fresh_copy(self.client_state.error)

    def explain(self, error: Exception) -> None:
        """Add to *error* the notice for users of an old dialect."""
        add_notice(error, self._config.session_config.notice)

    def health(self) -> Health:
        """Return the state of connection and subscriptions at this moment."""
        conversation, progress, clock = self._supervisor.conversation, self._supervisor.progress, self.registry.clock
        pause = progress.pause
        last_data_ns = conversation.transport.last_data_ns if conversation else None
        # Read the clock after the time of the last data, so that no age is negative.
        now = Moment.now()
        return Health(
            name=self.name,
            state=self.client_state.state,
            since=self.client_state.since,
            connected_at=progress.connected_at,
            next_attempt_at=now.utc_at(pause.ends) if pause is not None else None,
            epoch=progress.epoch,
            reconnects=progress.reconnects,
            outages=progress.downtime.outages,
            downtime=progress.downtime.seconds(now.seconds),
            last_error=progress.last_error,
            last_frame_age=(now.ns - last_data_ns) * 1e-9 if last_data_ns is not None else None,
            ping_rtt=conversation.session.heartbeat.rtt if conversation else None,
            clock_offset=clock.offset,
            fresh_as_of=conversation.session.coverage.told if conversation else None,
            subscriptions=tuple(receiver.health(clock, now) for receiver in self.registry.open()),
            totals=self.registry.totals.read(),
            recovery=self.recovery.health() if self.recovery is not None else None,
        )

    def _is_receiving(self) -> bool:
        conversation = self._supervisor.conversation
        return conversation is not None and conversation.is_receiving

    def _start_helper(self, target: Callable[[], None], what: str) -> None:
        start_thread(CallbackThread(self, f"{self.name}-{what}", target))
