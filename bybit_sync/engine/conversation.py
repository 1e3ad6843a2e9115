"""One connection to the exchange: a socket and its session, from login to loss."""

from __future__ import annotations

import time
from typing import Final

from attrs import define, field

from bybit_sync.clock import Moment
from bybit_sync.delivery.dispatcher import Dispatcher
from bybit_sync.delivery.registry import SubscriptionRegistry
from bybit_sync.engine.client_config import ClientConfig
from bybit_sync.engine.error_texts import redact_error
from bybit_sync.engine.login_signer import LoginSigner
from bybit_sync.engine.status_reporter import StatusReporter
from bybit_sync.errors import ConfigurationError, ConnectionFailed, ConnectionLost, ProtocolError, Refused
from bybit_sync.logs import ClientLog
from bybit_sync.network.websocket import Transport
from bybit_sync.session.messages import Request
from bybit_sync.session.session import Session
from bybit_sync.threads.fair_lock import FairLock
from bybit_sync.threads.forks import in_child
from bybit_sync.threads.waker import Interrupt

__all__ = ["ENDINGS", "Conversation"]


# These errors end an attempt or a connection. Any other error is a bug of the library
# and ends the client.
ENDINGS: Final = (ConnectionFailed, Refused, ProtocolError, ConfigurationError)

# Only one connection of a process reads at a time. Under the GIL more would only take
# turns, and hundreds would do little else.
_read_lock: Final = FairLock(patience=0.1)
in_child(_read_lock.reset_after_fork)


@define(kw_only=True, eq=False)
class Conversation:
    """One login on one socket.

    It sends, waits, receives and checks deadlines until an error ends it. Only the
    connection thread calls it; other threads may read its attributes.
    """

    config: ClientConfig
    log: ClientLog
    transport: Transport
    session: Session
    registry: SubscriptionRegistry
    dispatcher: Dispatcher
    status: StatusReporter
    signer: LoginSigner
    interrupt: Interrupt
    """Runs the commands of other threads; raises when there is no reason to go on."""
    drop_wanted: bool = field(default=False, init=False)
    """Set by `Client.reconnect`."""
    is_receiving: bool = field(default=False, init=False)
    """True while the thread reads, decodes and delivers."""
    _asleep_ns: int = field(init=False)
    _check_at: float = field(default=0.0, init=False)

    def run(self) -> None:
        """Talk to the exchange until an error ends it, and raise that error.

        Every subscription is STALE then.
        """
        recorder = self.config.recorder
        self._asleep_ns = Moment.now().asleep_ns
        try:
            self._take_turns()
        except ENDINGS as error:
            reason = self.session.ending(error)
            redact_error(reason, self.config.session_config.redact)
            self.registry.mark_stale(reason)
            if recorder is not None:
                recorder.lost(str(reason))
            raise reason from reason.__cause__
        finally:
            if recorder is not None:
                recorder.closed_by_client()

    def _take_turns(self) -> None:
        """Send, wait, receive and check the time until an exception ends the loop."""
        try:
            while True:
                self._send()
                due_at = self._next_due()
                timeout = due_at - time.monotonic()
                # Immediately before the wait, which frees the GIL for the woken.
                self.registry.wake_round.end()
                if self.transport.wait(timeout):
                    self.interrupt.waker.drain()
                # Before receiving: a new subscription gets every event that is read
                # after the call.
                self.interrupt.on_wake()
                self._receive()
                if self.drop_wanted:
                    raise ConnectionLost("reconnect() was called")
                # After receiving: read the buffered bytes before judging a deadline,
                # because the thread may have been delayed.
                if time.monotonic() >= due_at:
                    self._check_time()
        finally:
            self.registry.wake_round.end()
            # Pushes that are not delivered by now never will be: the next gap starts
            # before them.
            for stream, asked in self.session.uncovered().items():
                self.registry.uncover(stream, asked)

    def _send(self) -> None:
        recorder = self.config.recorder
        for request in self.session.requests():
            # Signing and writing may take seconds.
            self.registry.wake_round.end()
            began = Moment.now()
            self._write(request, deadline=began.seconds + self.config.timings.request_timeout)
            # The timeout of the answer starts now, because signing took some time. The
            # exchange's time in the answer is bounded by `began`, because the answer
            # may have come before the write returned.
            self.session.sent(request, Moment.now(), began=began)
            if recorder is not None:
                recorder.sent(request, began)

    def _write(self, request: Request, *, deadline: float) -> None:
        try:
            # In one expression: no frame of this class may hold the text of a login,
            # which contains key and signature.
            self.transport.send(self.signer.write(request, deadline=deadline, interrupt=self.interrupt))
        except ConnectionLost:
            # Deliver what the exchange sent before. `_receive` raises the same error
            # when there is no more.
            self._receive()
            raise  # pragma: no cover - `_receive` raises

    def _receive(self) -> None:
        # Bound the wait for the lock: a blocking queue or log handler of one client
        # must not stop the other clients of the process.
        self.is_receiving = True
        turn = _read_lock.acquire()
        try:
            # Only now: waiting for the lock takes its time.
            self.registry.wake_round.begin()
            self._receive_now()
        finally:
            self.is_receiving = False
            _read_lock.release(turn)

    def _receive_now(self) -> None:
        transport, session, recorder = self.transport, self.session, self.config.recorder
        for frame in transport.receive():
            # The time of this frame; delivering the previous one may have taken long.
            now = transport.read_at
            if recorder is not None:
                recorder.received(frame, now)
            self.dispatcher.dispatch(session.receive(frame, now), session, now)
        session.data_received(transport.last_data_ns)

    def _next_due(self) -> float:
        due_at = min(self.session.next_deadline(), self._check_at)
        if self.transport.frame_since is not None:
            due_at = min(due_at, self.transport.frame_since + self.config.timings.frame)
        if not self.registry.flush():
            due_at = min(due_at, time.monotonic() + self.config.timings.offer_again)
        return min(due_at, self.interrupt.due())

    def _check_time(self) -> None:
        now, times = Moment.now(), self.config.timings
        self._check_at = now.seconds + times.glance
        self.status.catch_up()
        self._check_frame(now)
        self._check_suspension(now)
        self.dispatcher.dispatch(self.session.tick(now), self.session, now)
        for subscription in self.registry:
            subscription.warn_if_slow(now.seconds, times)

    def _check_frame(self, now: Moment) -> None:
        began = self.transport.frame_since
        if began is not None and now.seconds - began > self.config.timings.frame:
            raise ConnectionLost(f"the exchange stalled inside a frame for {now.seconds - began:.0f} s")

    def _check_suspension(self, now: Moment) -> None:
        slept, self._asleep_ns = (now.asleep_ns - self._asleep_ns) * 1e-9, now.asleep_ns
        if slept > self.config.timings.asleep:
            self.log.info("this machine was suspended for %.0f s: checking the connection", slept)
            self.session.probe_now(now)
