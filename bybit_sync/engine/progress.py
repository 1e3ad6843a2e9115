"""The progress of a client over its logins: confirmations, failures, LIVE times."""

from __future__ import annotations

from datetime import datetime

from bybit_sync.clock import Moment
from bybit_sync.delivery.registry import Ended, SubscriptionRegistry
from bybit_sync.engine.client_config import ClientConfig
from bybit_sync.engine.downtime import Downtime
from bybit_sync.engine.error_texts import add_notice
from bybit_sync.engine.outage_log import OutageLog
from bybit_sync.engine.pause import Pause
from bybit_sync.engine.retrying import RetrySchedule
from bybit_sync.engine.state import ClientState
from bybit_sync.engine.status_reporter import StatusReporter
from bybit_sync.logs import ClientLog
from bybit_sync.session.events import LoggedIn, SessionEvent, StreamConfirmed, StreamRejected
from bybit_sync.session.session import Session
from bybit_sync.status import State

__all__ = ["Progress"]


class Progress:
    """The history of a client over its logins: the `Observer` of its dispatcher.

    Only the connection thread changes it; any thread may read it.
    """

    def __init__(
        self, config: ClientConfig, log: ClientLog, registry: SubscriptionRegistry, state: ClientState, status: StatusReporter
    ) -> None:
        self.epoch: int = 0
        """The number of accepted logins."""
        self.reconnects: int = 0
        """The number of returns to LIVE."""
        self.connected_at: datetime | None = None
        """Our UTC time of the last login; None while there is no connection."""
        self.last_error: BaseException | None = None
        """Why the last attempt or connection ended; None before the first failure."""
        self.obstacle: BaseException | None = None
        """Why the client is not logged in; None when nothing keeps it from that."""
        self.ever_confirmed: bool = False
        """True once a subscription was confirmed since the client was last IDLE."""
        self.stays_connected: bool = False
        """True when a call returned a confirmed subscription: the client then stays
        connected without subscriptions.
        """
        self.retries: RetrySchedule = RetrySchedule(config.backoff, config.timings)
        self.outage: OutageLog = OutageLog(log, config.timings)
        self.downtime: Downtime = Downtime()
        """The outages since the client was LIVE first."""
        self.pause: Pause | None = None
        """The pause before the next attempt; None while there is none."""
        self._log = log
        self._notice = config.session_config.notice
        self._proven = config.timings.proven
        self._registry = registry
        self._state = state
        self._status = status
        self._live_since: float | None = None
        self._was_live = False

    def before(self, event: SessionEvent, session: Session, now: Moment) -> None:
        """Note *event*, which brings no data, before subscriptions receive it."""
        if isinstance(event, LoggedIn):
            self._logged_in(session, now)
        elif isinstance(event, StreamRejected):
            add_notice(event.error, self._notice)
        else:
            # Set LIVE before waking subscribers: a caller of `subscribe_*` must find
            # the client LIVE.
            self._check_live(session, now)
        if isinstance(event, StreamConfirmed):
            self._log.info("subscribed to %s", event.stream.value)
            self.confirmed(stays=self._registry.is_given(event.stream))
            self.ever_confirmed = True

    def confirmed(self, *, stays: bool) -> None:
        """Note that a subscription is confirmed; *stays* if no call waits for it."""
        self._state.clear_error()
        self.stays_connected = self.stays_connected or stays

    def ended(self, ended: Ended) -> None:
        """Report that a subscription ended by itself."""
        # A failure of the client is reported once, not for each subscription. An error
        # that `subscribe_*` raises is not reported here.
        if ended.in_band and self._state.state is not State.FAILED:
            if not self._registry.is_established():
                self._state.set_error(ended.error)
            self._status.subscription_ended(ended)

    def live_ended(self, now: float) -> bool:
        """Note that the client is not LIVE any more.

        Returns whether it was LIVE long enough to forget earlier failures.
        """
        since, self._live_since = self._live_since, None
        self.connected_at = None
        self.outage.begin(now)
        if since is not None:
            self.downtime.begin(now)
        return since is not None and now - since >= self._proven

    def begin_pause(self, pause: Pause) -> None:
        """Note that the client pauses."""
        self.pause = pause
        self.refuse_hopeless()

    def refuse_hopeless(self) -> None:
        """End each subscription whose `subscribe_*` cannot be confirmed any more.

        Its time ends before the next attempt, and the pause is for a reason that a
        retry cannot help: `subscribe_*` raises that at once.
        """
        pause = self.pause
        if pause is None or pause.hopeless is None:
            return
        for receiver in tuple(self._registry):
            if receiver.gives_up_before(pause.ends):
                self.ended(self._registry.end(receiver, pause.hopeless, Moment.now(), self.epoch))

    def left_of_pause(self, now: float) -> float:
        """Return the seconds that the pause still lasts at *now*."""
        return self.pause.ends - now if self.pause is not None else 0.0

    def end(self, now: float) -> None:
        """Note that the connection thread ends at *now*, in monotonic seconds."""
        self.connected_at = None
        self.downtime.end(now)

    def reset(self) -> None:
        """Note that the client is IDLE: the next failure is that of a new client."""
        self.outage.forget()
        self.obstacle = None
        self.ever_confirmed = False

    def _logged_in(self, session: Session, now: Moment) -> None:
        self.epoch = session.epoch
        self.connected_at = now.utc
        self.obstacle = None
        self.retries.accepted()
        self._log.info("logged in (login %d)", session.epoch)

    def _check_live(self, session: Session, now: Moment) -> None:
        # When the only subscription is refused, the client has nothing to be LIVE for.
        if session.is_live and (self.stays_connected or self._registry) and self._state.state is not State.LIVE:
            self._became_live(now)

    def _became_live(self, now: Moment) -> None:
        self._live_since = now.seconds
        downtime = self.outage.end(now.seconds)
        self.downtime.end(now.seconds)
        if self._was_live:
            self.reconnects += 1
        else:
            self._was_live, downtime = True, None
        self._status.change(State.LIVE, downtime=downtime)
