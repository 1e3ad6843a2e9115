"""The job of the connection thread: connect, and after a failure pause and repeat."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from bybit_sync.clock import Moment
from bybit_sync.delivery.dispatcher import Dispatcher
from bybit_sync.delivery.receiver import Receiver
from bybit_sync.delivery.registry import SubscriptionRegistry
from bybit_sync.engine.client_config import ClientConfig
from bybit_sync.engine.conversation import ENDINGS, Conversation
from bybit_sync.engine.error_texts import add_notice, connect_limit_reached, redact_error
from bybit_sync.engine.login_signer import LoginSigner
from bybit_sync.engine.pause import Pause
from bybit_sync.engine.progress import Progress
from bybit_sync.engine.rate_limit import ConnectLimit, RateLimiter, rate_limiter
from bybit_sync.engine.retrying import rule_for
from bybit_sync.engine.state import ClientState
from bybit_sync.engine.status_reporter import StatusReporter
from bybit_sync.engine.worker import Commands
from bybit_sync.logs import ClientLog
from bybit_sync.network.websocket import Transport, open_websocket
from bybit_sync.network.wire import strip_traceback
from bybit_sync.session.session import Session
from bybit_sync.status import State
from bybit_sync.threads.waker import Interrupt, Waker

if TYPE_CHECKING:
    from bybit_sync.engine.recovering import ClientRecovery

__all__ = ["Supervisor"]

# A program may have seeded `random` for reproducible numbers: take none of them.
_CHANCE = random.SystemRandom()


class _Stop(Exception):
    """There is nothing left to connect for."""


def _limiter(config: ClientConfig) -> RateLimiter | None:
    """Return the limiter of connects to the host.

    Returns None for a loopback address without a limit of its own.
    """
    environment = config.environment
    if environment.is_loopback and config.connect_limit is None:
        return None
    return rate_limiter(environment.host, time.monotonic)


class Supervisor:
    """The job of the connection thread.

    It connects as long as there is a reason to, and again after a failure. Only the
    connection thread calls it.
    """

    def __init__(
        self,
        config: ClientConfig,
        log: ClientLog,
        *,
        commands: Commands,
        registry: SubscriptionRegistry,
        state: ClientState,
        status: StatusReporter,
    ) -> None:
        self._config = config
        self._times = config.timings
        self._recorder = config.recorder
        self._log = log
        self._commands = commands
        self._registry = registry
        self._state = state
        self._status = status
        self.progress: Progress = Progress(config, log, registry, state, status)
        """The history of the client over its logins."""
        self.conversation: Conversation | None = None
        """The current connection; None while there is none."""
        self.recovery: ClientRecovery | None = None
        """Mends the gaps of subscriptions; None without ``recover``."""
        self.dispatcher: Dispatcher = Dispatcher(registry, self.progress)
        """Passes a session's events to subscriptions."""
        self._signer = LoginSigner(config.credentials, name=config.name, external=config.external_signer)
        # The next session accepts a refusal of these topics at once.
        self._doubted: frozenset[str] = frozenset()

    # --- the job of a worker ---

    def begin(self, waker: Waker) -> None:
        """Use *waker* from now on, and apply the connect limit of this client."""
        if self.recovery is None:
            self._interrupt = Interrupt(waker, self._stop_unless_needed)
        else:
            self.recovery.reset()
            self._interrupt = Interrupt(waker, self._stop_unless_needed, self.recovery.due)
        limiter = _limiter(self._config)
        if limiter is not None:
            limiter.add(self, self._config.connect_limit or ConnectLimit(), waker.wake)

    def serve(self) -> None:
        """Connect again and again until no reason is left or the client fails."""
        progress = self.progress
        while self.should_run():
            error = self._attempt()
            if error is not None and not self._commands.is_closing:
                self._recover(error)
        if self._state.state is State.FAILED and progress.last_error is not None:
            # Also end subscriptions that were added while the client failed.
            self._fail_waiting(progress.last_error)

    def fail(self, error: BaseException, *, bug: bool = True) -> None:
        """End the client, and report *error* everywhere."""
        self.progress.last_error = error
        level = self._log.critical if bug else self._log.error
        level("the client has failed and ended: %s", error, exc_info=error if bug else None)
        strip_traceback(error)
        if self.recovery is not None:
            self.recovery.close()
        self._status.change(State.FAILED, error=error)
        self._commands.run_guarded(self._log)
        self._fail_waiting(error)

    def flush_queues(self) -> None:
        """Wait until every queue has its last gap, unless there are commands.

        While closing it waits until the timeout of `close`, which discards the gaps
        that do not fit.
        """
        if self._commands.is_closing:
            # `flush` passes on the events that recovery holds.
            for receiver in self._registry:
                receiver.stop_accepting()
        while not self._registry.flush() and (self._commands.is_closing or not self._commands):
            self._interrupt.waker.wait(self._times.offer_again)

    def finish(self) -> None:
        """Close the subscriptions when closing, else report that the client is IDLE."""
        self._commands.run()
        if self._commands.is_closing:
            for receiver in tuple(self._registry):
                receiver.stop_accepting()
                self._registry.release(receiver)
            self._status.change(State.CLOSED)
        else:
            self.progress.reset()
            self._status.change(State.IDLE, error=self.progress.last_error)
        self.progress.end(time.monotonic())

    def release(self) -> None:
        """Remove the connect limit of this client."""
        limiter = _limiter(self._config)
        if limiter is not None:
            limiter.remove(self)

    def ended(self) -> None:
        """Finish the recording, and report CLOSED unless `finish` did."""
        if self._recorder is not None:
            self._recorder.finish()
        if self._commands.is_closing:
            self._status.change(State.CLOSED)

    # --- commands of other threads ---

    def add(self, receiver: Receiver[Any]) -> None:
        """Serve *receiver*, unless it is closed already."""
        if receiver.is_closed:
            return
        for closed in self._registry.of_other_kind(receiver):
            # Its `close` has not left its command yet, which unsubscribes.
            self.remove(closed)
        # Register it first, so that it receives every later failure.
        self._registry.add(receiver)
        self._confirm_or_subscribe(receiver)

    def _confirm_or_subscribe(self, receiver: Receiver[Any]) -> None:
        if self.conversation is None:
            self.progress.refuse_hopeless()
            return
        session, now = self.conversation.session, Moment.now()
        if session.is_confirmed(receiver.stream):
            self.progress.confirmed(stays=not receiver.confirm_awaited)
            self.dispatcher.confirm(receiver, session, now)
        else:
            session.subscribe(receiver.stream, now, fast=receiver.fast)

    def remove(self, receiver: Receiver[Any]) -> None:
        """Deliver nothing more to *receiver*.

        Unsubscribes when it was the last one of its stream.
        """
        self._registry.release(receiver)
        if self.conversation is not None:
            self.dispatcher.unsubscribe_unused(receiver.stream, self.conversation.session, Moment.now())

    def drop(self) -> None:
        """End the connection, or the pause before the next attempt."""
        if self.progress.pause is not None:
            self.progress.pause = self.progress.pause.shortened()
        if self.conversation is not None:
            self.conversation.drop_wanted = True

    # --- an attempt ---

    def should_run(self) -> bool:
        """Run the commands of other threads, and return whether to be connected."""
        self._commands.run()
        if self._commands.is_closing or self._state.state is State.FAILED:
            return False
        if self.recovery is not None:
            # Also while it dials: pushes are held no longer than they may be.
            self.recovery.tick()
        return self.progress.stays_connected or bool(self._registry)

    def _stop_unless_needed(self) -> None:
        if not self.should_run():
            raise _Stop

    def _attempt(self) -> Exception | None:
        """Connect and run a session; return the error that ended it.

        Returns None when there was no reason to go on.
        """
        try:
            self._status.change(State.CONNECTING)
            with self._turn() as on_reached:
                if self._recorder is not None:
                    self._recorder.begin(self._stop_unless_needed)
                transport = self._open(on_reached)
            self._log.info("connected to %s", self._config.session_config.environment)
            with contextlib.closing(transport):
                self._run_session(transport)
        except _Stop:
            return None
        except ENDINGS as error:
            redact_error(error, self._config.session_config.redact)
            # A gap keeps its error; frames in the traceback would keep the whole
            # connection alive.
            return strip_traceback(error)
        raise AssertionError("a conversation ends by an exception")

    @contextlib.contextmanager
    def _turn(self) -> Iterator[Callable[[], None]]:
        """Wait for the connect limit; yield the function to call at the host.

        An attempt that ends before it reaches the host does not count.
        """
        limiter = _limiter(self._config)
        if limiter is None:
            yield lambda: None
            return
        try:
            self._wait_for_turn(limiter)
            yield partial(limiter.reached, self)
        finally:
            limiter.cancel(self)

    def _wait_for_turn(self, limiter: RateLimiter) -> None:
        wait = limiter.reserve(self)
        if not wait:
            return
        self._log.info("waiting %.1f s for the connect limit", wait)
        before = self.progress.obstacle
        self.progress.obstacle = connect_limit_reached(wait, before)
        ends = time.monotonic() + wait
        self._pause(Pause(ends, earliest=ends), lambda _: limiter.reserve(self))
        self._stop_unless_needed()
        self.progress.obstacle = before

    def _open(self, on_reached: Callable[[], None]) -> Transport:
        config = self._config
        return open_websocket(
            config.environment,
            config.session_config.dialect.path,
            deadline=time.monotonic() + self._times.connect_timeout,
            interrupt=self._interrupt,
            on_reached=on_reached,
            proxy=config.proxy,
            ssl_context=config.ssl_context,
            max_message_bytes=config.max_message_bytes,
            write_seconds=self._times.write,
            log=self._log,
        )

    def _run_session(self, transport: Transport) -> None:
        # This login asks for every subscription that was made until now.
        self._stop_unless_needed()
        session = self._new_session()
        self.conversation = self._new_conversation(transport, session)
        try:
            self.conversation.run()
        finally:
            self.conversation, self._doubted = None, session.doubted

    def _new_session(self) -> Session:
        return Session.begin(
            self._config.session_config,
            epoch=self.progress.epoch + 1,
            clock=self._registry.clock,
            wanted=self._registry.wanted(),
            now=Moment.now(),
            doubted=self._doubted,
            fast=self._registry.fast(),
        )

    def _new_conversation(self, transport: Transport, session: Session) -> Conversation:
        return Conversation(
            config=self._config,
            log=self._log,
            transport=transport,
            session=session,
            registry=self._registry,
            dispatcher=self.dispatcher,
            status=self._status,
            signer=self._signer,
            interrupt=self._interrupt,
        )

    # --- after a failure ---

    def _recover(self, error: Exception) -> None:
        """Fail, or wait for the next attempt, after *error* ended one."""
        progress = self.progress
        add_notice(error, self._config.session_config.notice)
        progress.last_error = progress.obstacle = error
        proven = progress.live_ended(time.monotonic())
        rule = rule_for(error, self._times)
        if rule.fatal_on_first and not progress.ever_confirmed:
            progress.outage.forget()
            self._fail_waiting(error)
            return
        chance = _CHANCE.random()
        pause = progress.retries.after(error, chance, proven=proven)
        if pause is None:
            self.fail(error, bug=False)
            return
        log_error = rule.log_error and (rule.gives_up or progress.retries.is_first_of_kind(error))
        progress.outage.failed(error, pause, log_error=log_error)
        self._status.change(State.BACKING_OFF, error=error)
        now = time.monotonic()
        hopeless = error if rule.fatal_on_first else None
        self._pause(Pause(now + pause, now + progress.retries.least, hopeless), progress.left_of_pause)

    def _pause(self, pause: Pause, remaining: Callable[[float], float]) -> None:
        """Make *pause*, which lasts while *remaining* is above 0."""
        self.progress.begin_pause(pause)
        try:
            self._sleep_until_retry(remaining)
        finally:
            self.progress.pause = None

    def _sleep_until_retry(self, remaining: Callable[[float], float]) -> None:
        """Wait while *remaining*, the seconds left at a moment, is above 0.

        Returns early when there is no reason to connect any more.
        """
        progress = self.progress
        while self.should_run():
            now = time.monotonic()
            left = remaining(now)
            if left <= 0:
                return
            progress.outage.remind(now, progress.last_error)
            left = min(left, progress.outage.next_reminder() - now)
            if self.recovery is not None:
                left = min(left, self.recovery.due() - now)
            self._interrupt.waker.wait(left if self._registry.flush() else min(left, self._times.offer_again))

    def _fail_waiting(self, error: BaseException) -> None:
        """End every subscription with *error*."""
        now = Moment.now()
        for receiver in tuple(self._registry):
            try:
                self.progress.ended(self._registry.end(receiver, error, now, self.progress.epoch))
            except BaseException as bug:  # noqa: BLE001 - the other subscriptions still have to end
                self._log.critical("the subscription to %s could not get its last event", receiver.stream.value, exc_info=bug)
                receiver.error = error
                receiver.stop_accepting()
