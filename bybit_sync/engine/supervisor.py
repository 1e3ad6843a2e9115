"""The thread that keeps a session going: connect, converse, back off, come back.

One thread owns the socket, the session and the roster. Others leave a command and wake it by the waker.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, Final

from bybit_sync.clock import ExchangeClock, Moment
from bybit_sync.config.arguments import check_ran
from bybit_sync.delivery.callback import CallbackThread
from bybit_sync.delivery.dispatcher import Dispatcher
from bybit_sync.delivery.receiver import Receiver
from bybit_sync.delivery.registry import Ended, Roster
from bybit_sync.engine.login_signer import Clerk
from bybit_sync.engine.notifier import Notifier, StatusChange
from bybit_sync.engine.outage_log import Outage
from bybit_sync.engine.rate_limit import ConnectLimit, Turnstile, turnstile
from bybit_sync.engine.retrying import Patience, judge
from bybit_sync.engine.settings import Settings
from bybit_sync.engine.state import Situation
from bybit_sync.errors import (
    ClientClosed,
    ConfigurationError,
    ConnectionFailed,
    ConnectionLost,
    ProtocolError,
    Refused,
    fresh_copy,
)
from bybit_sync.logs import ClientLog
from bybit_sync.model.events import Event
from bybit_sync.network.websocket import Transport, open_websocket
from bybit_sync.network.wire import reason_of, strip_traceback
from bybit_sync.session.events import LoggedIn, SessionEvent, StreamConfirmed, StreamRejected
from bybit_sync.session.session import Session
from bybit_sync.status import Health, State
from bybit_sync.subscription import Subscription
from bybit_sync.threads.fair_lock import FairLock
from bybit_sync.threads.forks import in_child
from bybit_sync.threads.waiting import SignalSafeEvent, join, start_thread, wait_for
from bybit_sync.threads.waker import Waker

__all__ = ["Connection"]


# What ends an attempt or a connection. Anything else is a bug of ours and ends the client.
ENDINGS: Final = (ConnectionFailed, Refused, ProtocolError, ConfigurationError)


# The connections that have a thread.
_running: Final[set[Connection]] = set()
# One connection of a process reads at a time: more could only take turns, and hundreds would do little else.
_read_lock: Final = FairLock(patience=0.1)


class _Stop(Exception):
    """Nothing is left to connect for."""


def kept_waiting(seconds: float, before: BaseException | None) -> ConnectionFailed:
    """Return the error that says that the connect limit lets nothing through for so many *seconds*, after failure *before*."""
    text = (
        f"the connect limit lets the next attempt through in {seconds:.1f} s. Raise connect_limit= if nothing else connects "
        "from this address: Bybit allows an address 500 connections in 5 minutes"
    )
    error = ConnectionFailed(text if before is None else f"{text}; the failure before: {before}")
    error.__cause__ = before
    return error


class Connection:
    """Everything of a client that is not its front door."""

    def __init__(self, settings: Settings, log: ClientLog) -> None:
        self.name: str = settings.name
        self.log = log
        self.situation: Situation = Situation(Moment.now().utc)
        self.last_error: BaseException | None = None
        self.obstacle: BaseException | None = None
        """What keeps it from being logged in at present; None when nothing does."""
        self._settings = settings
        self._times = settings.timings
        self._recorder = settings.recorder
        self._process = os.getpid()
        # Held to start the thread and by the thread to end: a command is never left to a thread that is just ending.
        # Reentrant, so that a signal handler may subscribe while the code that it interrupts does.
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        # The same, also after it has ended.
        self._last_thread: threading.Thread | None = None
        self._ended = SignalSafeEvent()
        self._ended.set()
        self._waker: Waker | None = None
        self._commands: deque[Callable[[], None]] = deque()
        self._closing = False
        self._notifier = Notifier(settings.on_status, self._start_helper, log) if settings.on_status else None
        # From here on: only the connection thread; others may look.
        self._clock = ExchangeClock()
        self.roster: Roster = Roster(self._clock)
        self._dispatcher = Dispatcher(self.roster, self)
        self._clerk = Clerk(settings.credentials, name=settings.name, patient=settings.patient_signer)
        self._patience = Patience(settings.backoff, settings.timings)
        self._session: Session | None = None
        self._transport: Transport | None = None
        self._epoch = 0
        # What a session leaves to the next.
        self._doubted: frozenset[str] = frozenset()
        self._reconnects = 0
        # Whether anything was confirmed, and whether somebody got a subscription that is: the connection then stays.
        self._ever_confirmed = False
        self._kept = False
        self._connected_at: datetime | None = None
        self._live_since: float | None = None
        self._was_live = False
        self._outage = Outage(log, settings.timings)
        self._drop_wanted = False
        self._is_listening = False
        self._asleep_ns = 0
        self._glance_at = 0.0

    # --- any thread ---

    def check_process(self) -> None:
        """Raise `ClientClosed` in a process that was forked from the client's."""
        if os.getpid() != self._process:
            raise ClientClosed(f"{self.name} belongs to the process that forked this one: make clients after the fork")

    def admit(self, subscription: Receiver[Any]) -> None:
        """Have *subscription* served. Raises `ClientClosed`, and what the client failed with."""
        with self._lock:
            self.check_open()
            if self._thread is None:
                self._start()
            if not subscription.confirm_awaited:
                self.situation.hope()
            self._commands.append(lambda: self._enter(subscription))
        self._wake()

    def keep(self) -> None:
        """Stay connected until `close`: somebody got a subscription that is confirmed."""
        self._kept = True

    def release(self, subscription: Receiver[Any]) -> None:
        """Deliver nothing more to *subscription*. Takes no lock."""
        self._command(lambda: self._release(subscription))

    def reconnect(self) -> None:
        """Drop the connection, if there is one, and dial again."""
        self.check_open()
        self._command(self._drop)

    def close(self) -> None:
        """End the thread soon, and with it everything. Waits for nothing; safe in a signal handler."""
        self._closing = True
        self._wake()
        if self._thread is None:
            self._change(State.CLOSED)

    def wait_ended(self, deadline: float) -> bool:
        """Wait until the thread has ended and what it recorded is written; False when *deadline* passes first."""
        if self.is_inside():
            return True
        thread, ended = self._last_thread, wait_for(self._ended, deadline)
        if ended:
            join(thread, deadline)
        return ended and (self._recorder is None or self._recorder.wait_written(deadline))

    def wait_closed(self, deadline: float) -> bool:
        """Wait as `wait_ended`, for a thread that reads only a moment; False when *deadline* passes first.

        Call it when every subscription is done: one long message of the exchange may take a second to decode, and nothing of
        it can be delivered any more. The thread ends by itself afterwards.
        """
        if self.is_inside():
            return True
        soon = min(deadline, time.monotonic() + self._times.last_read)
        if wait_for(self._ended, soon) or self._recorder is not None or not self._is_listening:
            return self.wait_ended(deadline)
        self._change(State.CLOSED)
        return True

    def wait_told(self, deadline: float) -> bool:
        """Wait until `on_status` has heard everything; False when *deadline* passes first."""
        if self._notifier is None:
            return True
        self._notifier.catch_up()
        return self.is_inside() or wait_for(self._notifier.idle, deadline)

    def delivering(self) -> set[Receiver[Any]]:
        """Return the subscriptions that are open, and those that have ended and whose callback's thread has not."""
        mine = [t.receiver for t in threading.enumerate() if isinstance(t, CallbackThread) and t.owner is self]
        return {*self.roster, *self.roster.debtors(), *filter(None, mine)}

    def wait_cancelled(self, deadline: float) -> None:
        """Wait until every command so far is obeyed, and until the thread has ended if it has nothing left to do."""
        obeyed, idle = SignalSafeEvent(), SignalSafeEvent()

        def look() -> None:
            if not self._kept and not self.roster:
                idle.set()
            obeyed.set()

        with self._lock:
            ending = self._thread is None
            self._command(look)
        if ending or (wait_for(obeyed, deadline) and idle.is_set()):
            self.wait_ended(deadline)

    def is_own_thread(self) -> bool:
        """Say whether this is the thread that would have to read the exchange's answer."""
        return threading.current_thread() is self._thread

    def is_inside(self) -> bool:
        """Say whether this is a thread that runs a user's code for this client."""
        return getattr(threading.current_thread(), "owner", None) is self or self.is_own_thread()

    @property
    def is_open(self) -> bool:
        """Say whether a thread runs that nobody asked to end."""
        return self._thread is not None and not self._closing and os.getpid() == self._process

    @property
    def is_closing(self) -> bool:
        """Say whether `close` was called."""
        return self._closing

    def abandon(self) -> None:
        """In a forked child: give the waker back; connection and threads are the parent's."""
        waker = self._waker
        if waker is not None:  # pragma: no branch - a fork in the middle of _retire
            waker.close()

    def report_error(self, error: BaseException, event: Event[Any], receiver: Receiver[Any]) -> None:
        """Hand what a callback raised to the user, on the callback's thread."""
        if self._settings.on_error is not None:
            try:
                check_ran(self._settings.on_error(error, event, receiver.handle))
            except BaseException as raised:
                self.log.error("on_error raised", exc_info=raised)  # noqa: TRY400 - its log never raises, `exception` may

    def health(self) -> Health:
        """Return the state at this moment."""
        transport, session, clock = self._transport, self._session, self._clock
        last_data_ns = transport.last_data_ns if transport else None
        # Read after what it is compared with: no age is negative.
        now = Moment.now()
        return Health(
            state=self.situation.state,
            since=self.situation.since,
            connected_at=self._connected_at,
            epoch=self._epoch,
            reconnects=self._reconnects,
            last_error=self.last_error,
            last_frame_age=(now.ns - last_data_ns) * 1e-9 if last_data_ns is not None else None,
            ping_rtt=session.ping_rtt if session else None,
            clock_offset=clock.offset,
            fresh_as_of=session.fresh_as_of if session else None,
            subscriptions=tuple(s.health(clock, now) for s in self.roster),
        )

    def check_open(self) -> None:
        """Raise `ClientClosed` when it is closed or not ours, and what it failed with when it failed."""
        self.check_process()
        if self._closing:
            raise ClientClosed(f"{self.name} is closed: make a new client")
        if self.situation.state is State.FAILED and self.situation.error is not None:
            raise fresh_copy(self.situation.error)

    def _command(self, command: Callable[[], None]) -> None:
        # Without a thread there is nothing to be told; it would wait here until there is one again.
        if self._thread is not None:
            self._commands.append(command)
            self._wake()

    def _wake(self) -> None:
        waker = self._waker
        if waker is not None:
            waker.wake()

    def _start(self) -> None:
        # Under the lock. The waker first: it must exist before the thread looks for commands.
        try:
            waker = Waker()
        except OSError as error:
            raise ConnectionFailed(f"no connection can be begun: {reason_of(error)}") from error
        try:
            self._waker = waker
            _running.add(self)
            self._ended.clear()
            self._thread = threading.Thread(target=self._run, args=(waker,), name=f"{self.name}-connection", daemon=True)
            self._last_thread = self._thread
            start_thread(self._thread)
        except BaseException:
            self._retire(waker)
            raise

    def _start_helper(self, target: Callable[[], None], what: str) -> None:
        start_thread(CallbackThread(self, f"{self.name}-{what}", target))

    # --- the thread ---

    def _run(self, waker: Waker) -> None:
        # Ctrl-C while it was started: nobody knows of this thread, and its waker is gone.
        with self._lock:
            if self._waker is not waker:
                return
        # Whatever goes wrong here is told: never a silently dead thread.
        try:
            self._work(waker)
        except BaseException as bug:  # noqa: BLE001 - as said
            self._fail(bug, bug=True)
        finally:
            if self._waker is waker:
                self._retire(waker)

    def _work(self, waker: Waker) -> None:
        limited = self._limited_turnstile()
        if limited is not None:
            limited.join(self, self._settings.connect_limit or ConnectLimit(), waker.wake)
        self._serve_until_nothing_is_left(waker)

    def _serve_until_nothing_is_left(self, waker: Waker) -> None:
        while True:
            try:
                self._serve(waker)
            except BaseException as bug:  # noqa: BLE001 - a bug ends the client, and the thread stays to tell it
                self._fail(bug, bug=True)
            self._linger(waker)
            # Under the lock, or a command left between the look and the end would wait for ever.
            with self._lock:
                if self._commands and not self._closing:
                    continue
                self._finish()
                self._retire(waker)
                return

    def _retire(self, waker: Waker) -> None:
        limited = self._limited_turnstile()
        if limited is not None:
            limited.leave(self)
        self._thread = self._waker = None
        _running.discard(self)
        waker.close()
        if self._recorder is not None:
            self._recorder.finish()
        # After the thread is gone from view: `close` looks at it after it asked, so one of us says so.
        if self._closing:
            self._change(State.CLOSED)
        self._ended.set()

    def _serve(self, waker: Waker) -> None:
        while self._has_reason():
            error = self._attempt(waker)
            if error is not None and not self._closing:
                self._recover(error, waker)
        if self.situation.state is State.FAILED and self.last_error is not None:
            # Who was admitted in the moment of failing is told, too.
            self._end_all(self.last_error)

    def _has_reason(self) -> bool:
        self._obey()
        return not self._closing and self.situation.state is not State.FAILED and (self._kept or bool(self.roster))

    def _attempt(self, waker: Waker) -> Exception | None:
        """Connect and converse; return what ended it, None when there was no reason to go on."""
        try:
            self._change(State.CONNECTING)
            with self._turn(waker) as on_reached:
                if self._recorder is not None:
                    self._recorder.begin(self._stop_without_reason)
                self._transport = self._open(waker, on_reached)
            try:
                self._converse(self._transport, waker)
            finally:
                transport, self._transport = self._transport, None
                transport.close()
        except _Stop:
            return None
        except ENDINGS as error:
            self._redact(error)
            # Kept for as long as anybody keeps a gap; its frames would keep the whole connection.
            return strip_traceback(error)
        raise AssertionError("a conversation ends by an exception")

    def _open(self, waker: Waker, on_reached: Callable[[], None]) -> Transport:
        settings = self._settings
        return open_websocket(
            settings.environment,
            settings.session_config.dialect.path,
            deadline=time.monotonic() + self._times.connect_timeout,
            waker=waker,
            on_wake=self._stop_without_reason,
            on_reached=on_reached,
            proxy=settings.proxy,
            ssl_context=settings.ssl_context,
            max_message_bytes=settings.max_message_bytes,
            write_seconds=self._times.write,
            log=self.log,
        )

    def _stop_without_reason(self) -> None:
        if not self._has_reason():
            raise _Stop

    def _limited_turnstile(self) -> Turnstile | None:
        environment = self._settings.environment
        if environment.is_loopback and self._settings.connect_limit is None:
            return None
        return turnstile(environment.host, time.monotonic)

    @contextlib.contextmanager
    def _turn(self, waker: Waker) -> Iterator[Callable[[], None]]:
        """Wait until the connect limit lets an attempt through, and yield what tells it that the host was reached.

        An attempt that ends before that does not count, whatever ends it.
        """
        limited = self._limited_turnstile()
        if limited is None:
            yield lambda: None
            return
        try:
            self._wait_for_turn(limited, waker)
            yield partial(limited.reached, self)
        finally:
            limited.give_back(self)

    def _wait_for_turn(self, limited: Turnstile, waker: Waker) -> None:
        wait = limited.turn(self)
        if not wait:
            return
        self.log.info("waiting %.1f s for the connect limit", wait)
        before = self.obstacle
        self.obstacle = kept_waiting(wait, before)
        self._rest(lambda _: limited.turn(self), waker)
        self._stop_without_reason()
        self.obstacle = before

    def _converse(self, transport: Transport, waker: Waker) -> None:
        # What was wished for until now belongs to this login.
        self._stop_without_reason()
        now = Moment.now()
        self._drop_wanted = False
        self._asleep_ns = now.asleep_ns
        session = Session.begin(
            self._settings.session_config,
            epoch=self._epoch + 1,
            clock=self._clock,
            wanted=self.roster.wanted(),
            now=now,
            doubted=self._doubted,
        )
        self._session = session
        try:
            self._take_turns(session, transport, waker)
        except ENDINGS as error:
            reason = session.ending(error)
            self._redact(reason)
            self.roster.lose(reason)
            if self._recorder is not None:
                self._recorder.lost(str(reason))
            raise reason from reason.__cause__
        finally:
            self._session, self._doubted = None, session.doubted
            if self._recorder is not None:
                self._recorder.closed_by_client()

    def _take_turns(self, session: Session, transport: Transport, waker: Waker) -> None:
        """Send, wait, listen and look at the time, over and over; only an exception ends that."""
        try:
            while True:
                self._send(session, transport, waker)
                due_at = self._next_due(session, transport)
                if transport.wait(due_at - time.monotonic()):
                    waker.drain()
                # Obeyed before listening: who subscribes receives all that is read after the call.
                self._stop_without_reason()
                self._listen(session, transport)
                if self._drop_wanted:
                    raise ConnectionLost("reconnect() was called")
                # After listening: what lies ready is read before anything is judged, however long this thread was held up.
                if time.monotonic() >= due_at:
                    self._check_time(session, transport)
        finally:
            # What is not delivered by now never will be.
            for stream, asked in session.uncovered().items():
                self.roster.uncover(stream, asked)

    def _send(self, session: Session, transport: Transport, waker: Waker) -> None:
        for request in session.requests():
            began = Moment.now()
            deadline = began.seconds + self._times.request_timeout
            try:
                transport.send(self._clerk.write(request, deadline=deadline, waker=waker, on_wake=self._stop_without_reason))
            except ConnectionLost:
                # What the exchange had sent before is still delivered; this raises the same when there is no more.
                self._listen(session, transport)
                raise  # pragma: no cover - as said
            # An answer has its time from now on, as signing took some. What it tells of the exchange's time is no older than
            # the beginning: it may have come before we knew that the request is out.
            session.sent(request, Moment.now(), began=began)
            if self._recorder is not None:
                self._recorder.sent(request, began)

    def _listen(self, session: Session, transport: Transport) -> None:
        # A queue that blocks, or a log handler, keeps the other clients of this process waiting for a moment only.
        self._is_listening = True
        has_lock = _read_lock.acquire()
        try:
            self._listen_now(session, transport)
        finally:
            self._is_listening = False
            if has_lock:
                _read_lock.release()

    def _listen_now(self, session: Session, transport: Transport) -> None:
        recorder = self._recorder
        for frame in transport.receive():
            # Of this frame: passing on the one before it may have taken long.
            now = transport.read_at
            if recorder is not None:
                recorder.received(frame, now)
            self._dispatcher.dispatch(session.receive(frame, now), session, now)
        session.data_received(transport.last_data_ns)

    def _next_due(self, session: Session, transport: Transport) -> float:
        due_at = min(session.next_deadline(), self._glance_at)
        if transport.frame_since is not None:
            due_at = min(due_at, transport.frame_since + self._times.frame)
        if not self.roster.settle_debts():
            due_at = min(due_at, time.monotonic() + self._times.offer_again)
        return due_at

    def _check_time(self, session: Session, transport: Transport) -> None:
        now = Moment.now()
        self._glance_at = now.seconds + self._times.glance
        if self._notifier is not None:
            self._notifier.catch_up()
        began = transport.frame_since
        if began is not None and now.seconds - began > self._times.frame:
            raise ConnectionLost(f"the exchange stalled inside a frame for {now.seconds - began:.0f} s")
        slept, self._asleep_ns = (now.asleep_ns - self._asleep_ns) * 1e-9, now.asleep_ns
        if slept > self._times.asleep:
            self.log.info("this machine was suspended for %.0f s: asking whether the connection still lives", slept)
            session.probe_now(now)
        self._dispatcher.dispatch(session.tick(now), session, now)
        for subscription in self.roster:
            subscription.warn_if_slow(now.seconds, self._times)

    # --- what the session says ---

    def before(self, event: SessionEvent, session: Session, now: Moment) -> None:
        """Take note of *event*, which brings no data, before any subscription is told of it."""
        if isinstance(event, LoggedIn):
            self._epoch = session.epoch
            self._connected_at = now.utc
            self.obstacle = None
            self._patience.accepted()
        elif isinstance(event, StreamRejected):
            self.explain(event.error)
        else:
            # Set before subscribers are woken: they must find the client LIVE.
            self._check_live(session, now)
        if isinstance(event, StreamConfirmed):
            self._ever_confirmed = True
            self.situation.hope()
            self._kept = self._kept or self.roster.is_given(event.stream)

    def _check_live(self, session: Session, now: Moment) -> None:
        # With the only subscription refused there is nothing to be LIVE for.
        if session.is_live and (self._kept or self.roster) and self.situation.state is not State.LIVE:
            self._became_live(now)

    def _became_live(self, now: Moment) -> None:
        self._live_since = now.seconds
        downtime = self._outage.end(now.seconds)
        if self._was_live:
            self._reconnects += 1
        else:
            self._was_live, downtime = True, None
        self._change(State.LIVE, downtime=downtime)

    def ended(self, ended: Ended) -> None:
        """Tell that a subscription ended by itself."""
        # The failure of the client is told once, as its own; what is not told in band is raised where it is waited for.
        if ended.in_band and self.situation.state is not State.FAILED:
            if not self.roster.is_established():
                self.situation.tell(ended.error)
            self.log.error("the subscription to %s has ended: %s", ended.receiver.stream.value, ended.error)
            self._tell(self.situation.state, self.situation.state, error=ended.error, subscription=ended.receiver.handle)

    # --- commands ---

    def _obey(self) -> None:
        while self._commands:
            self._commands.popleft()()

    def _enter(self, subscription: Receiver[Any]) -> None:
        # In the roster before anything else: whatever goes wrong from here on, it is told.
        if not subscription.is_closed:
            self.roster.add(subscription)
            self._admit(subscription)

    def _admit(self, subscription: Receiver[Any]) -> None:
        session, now = self._session, Moment.now()
        if session is None:
            return
        if session.is_confirmed(subscription.stream):
            self._kept = self._kept or not subscription.confirm_awaited
            self.situation.hope()
            self._dispatcher.confirm(subscription, session, now)
        else:
            session.subscribe(subscription.stream, now)

    def _release(self, subscription: Receiver[Any]) -> None:
        self.roster.release(subscription)
        if self._session is not None:
            self._dispatcher.unsubscribe_unused(subscription.stream, self._session, Moment.now())

    def _drop(self) -> None:
        self._drop_wanted = True

    # --- after a failure ---

    def _recover(self, error: Exception, waker: Waker) -> None:
        self.explain(error)
        self.last_error = self.obstacle = error
        proven = self._end_of_live(time.monotonic())
        failure = judge(error, self._times)
        if failure.hopeless and not self._ever_confirmed:
            self._dismiss(error)
            return
        chance = random.random()  # noqa: S311 - it spreads clients, it keeps no secret
        pause = self._patience.after(error, chance, proven=proven)
        if pause is None:
            self._fail(error, bug=False)
            return
        self._outage.failed(error, pause, loud=failure.loud and (failure.last or self._patience.is_news(error)))
        self._change(State.BACKING_OFF, error=error)
        self._back_off(pause, self._patience.least, waker)

    def _end_of_live(self, now: float) -> bool:
        """Take note that the client is not LIVE, and say whether it was for long enough to forgive earlier failures."""
        since, self._live_since = self._live_since, None
        self._connected_at = None
        self._outage.begin(now)
        return since is not None and now - since >= self._times.proven

    def _back_off(self, seconds: float, least: float, waker: Waker) -> None:
        """Wait *seconds*; `reconnect` cuts that short, but not below *least*."""
        began = time.monotonic()
        self._drop_wanted = False
        self._rest(lambda now: began + (least if self._drop_wanted else seconds) - now, waker)

    def _rest(self, remaining: Callable[[float], float], waker: Waker) -> None:
        """Wait while *remaining*, the seconds left at a moment, is above 0, unless there is no reason any more."""
        while self._has_reason():
            now = time.monotonic()
            left = remaining(now)
            if left <= 0:
                return
            self._outage.remind(now, self.last_error)
            left = min(left, self._outage.next_reminder() - now)
            waker.wait(left if self.roster.settle_debts() else min(left, self._times.offer_again))

    def _dismiss(self, error: Exception) -> None:
        """End everything that waits on a client that never was LIVE, so that it is IDLE again."""
        self._outage.forget()
        self._end_all(error)

    def _fail(self, error: BaseException, *, bug: bool) -> None:
        """End the client for good, and tell it everywhere."""
        self.last_error = error
        self._session = None
        level = self.log.critical if bug else self.log.error
        level("the client has failed and ended: %s", error, exc_info=error if bug else None)
        strip_traceback(error)
        self.situation.tell(error)
        self._change(State.FAILED, error=error)
        self._obey_guarded()
        self._end_all(error)

    def _obey_guarded(self) -> None:
        while self._commands:
            try:
                self._obey()
            except BaseException as bug:  # pragma: no cover - no command raises; the next one that is written may
                self.log.critical("a command failed", exc_info=bug)

    def _end_all(self, error: BaseException) -> None:
        now = Moment.now()
        for subscription in tuple(self.roster):
            try:
                self.ended(self.roster.end(subscription, error, now, self._epoch))
            except BaseException as bug:
                self.log.critical("%s could not be told its end", subscription.stream.value, exc_info=bug)
                subscription.error = error
                subscription.stop_accepting()

    def _linger(self, waker: Waker) -> None:
        """Stay until every queue took its last gap, unless there is something better to do.

        When closing, until whoever closes discards what does not fit in time.
        """
        while not self.roster.settle_debts() and (self._closing or not self._commands):
            waker.wait(self._times.offer_again)

    def _finish(self) -> None:
        """Close what is open, or say that nothing is."""
        self._obey()
        if self._closing:
            for subscription in tuple(self.roster):
                subscription.stop_accepting()
                self.roster.remove(subscription)
            self._change(State.CLOSED)
        else:
            self._outage.forget()
            self.obstacle = None
            self._ever_confirmed = False
            self._change(State.IDLE, error=self.last_error)
        self._connected_at = None

    def _redact(self, error: Exception) -> None:
        """Take our key and signatures out of *error*: an exchange may echo them anywhere, even in its goodbye."""
        redact = self._settings.session_config.redact
        error.args = (redact(str(error)),)
        vars(error).update({name: redact(value) for name, value in vars(error).items() if isinstance(value, str)})

    def explain(self, error: Exception) -> None:
        """Add to *error* what an old dialect's user must know."""
        notice = self._settings.session_config.notice
        if notice and notice not in str(error):
            error.args = (f"{str(error).rstrip('.')}. {notice}",)
            if isinstance(error, Refused):
                error.remedy = f"{error.remedy} {notice}"

    # --- telling ---

    def _change(self, state: State, *, error: BaseException | None = None, downtime: float | None = None) -> None:
        previous = self.situation.change(state, Moment.now().utc)
        if previous is not None:
            self.log.debug("%s -> %s", previous.value, state.value)
            self._tell(previous, state, error=error, downtime=downtime)

    def _tell(
        self,
        previous: State,
        state: State,
        *,
        error: BaseException | None = None,
        downtime: float | None = None,
        subscription: Subscription[Any] | None = None,
    ) -> None:
        if self._notifier is not None:
            at = Moment.now().utc
            self._notifier.post(
                StatusChange(previous=previous, state=state, at=at, error=error, downtime=downtime, subscription=subscription)
            )


# --- the ends of the process ---

# A script that ends without closing still says goodbye, if that takes no longer than this.
_GOODBYE: Final = 1.0


def _say_goodbye() -> None:
    deadline = time.monotonic() + _GOODBYE
    connections = [connection for connection in tuple(_running) if connection.is_open]
    for connection in connections:
        connection.close()
    for connection in connections:
        connection.wait_ended(deadline)
        connection.wait_told(deadline)


@in_child
def _leave_to_the_parent() -> None:
    _read_lock.reset_after_fork()
    for connection in tuple(_running):
        connection.abandon()
    _running.clear()


atexit.register(_say_goodbye)
