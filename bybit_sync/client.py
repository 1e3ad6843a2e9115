"""The public `Client`: four ``subscribe_*``, `account_view`, `close`, `health`."""

from __future__ import annotations

import os
import queue
import ssl
import sys
import time
import warnings
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timezone
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn, TextIO, TypedDict, TypeGuard, TypeVar

import attrs

from bybit_sync.account.view import AccountView
from bybit_sync.config.arguments import not_negative, plain_callable, positive, refuse, whole
from bybit_sync.config.environments import DOUBTFUL, ENVIRONMENTS, Environment
from bybit_sync.config.timings import Timings
from bybit_sync.delivery.buffer import Buffer, Overflow
from bybit_sync.delivery.callback import Callback
from bybit_sync.delivery.inline import Inline, InlineSink
from bybit_sync.delivery.queue_sink import EventQueue, QueueSink
from bybit_sync.delivery.receiver import Receiver
from bybit_sync.delivery.sink import EventSink
from bybit_sync.engine.client_config import ClientConfig
from bybit_sync.engine.engine import Engine
from bybit_sync.engine.notifier import StatusChange
from bybit_sync.engine.rate_limit import ConnectLimit
from bybit_sync.engine.retrying import Backoff
from bybit_sync.errors import ConfigurationError, ConnectTimeout, fresh_copy
from bybit_sync.logs import ClientLog
from bybit_sync.model.balances import BalanceUpdate
from bybit_sync.model.events import AnyEvent, Event, Stream
from bybit_sync.model.orders import OrderUpdate
from bybit_sync.model.positions import PositionUpdate
from bybit_sync.model.trades import UserTradeUpdate
from bybit_sync.network.proxy import Proxy
from bybit_sync.recording.recorder import Recorder
from bybit_sync.recovery.options import Recovery, check_since, recovery_options
from bybit_sync.session.config import SessionConfig
from bybit_sync.session.dialects import DIALECTS, Dialect
from bybit_sync.signing.credentials import Credentials, hmac_signer
from bybit_sync.status import Health, State
from bybit_sync.subscription import Subscription
from bybit_sync.threads.counter import Counter
from bybit_sync.threads.forks import in_child
from bybit_sync.threads.waiting import check_clock

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

__all__ = ["Client"]

T = TypeVar("T")
Sink = Callable[[Event[T]], object] | EventQueue[Event[T]] | Inline[Event[T]] | None

CATEGORIES: Final = ("linear", "inverse", "option", "spot")
# The seconds that a failed `subscribe_*` waits for the connection thread to cancel the
# subscription, so that nothing stays subscribed.
_CANCEL_TIMEOUT: Final = 1.0
_numbers: Final = Counter()
in_child(_numbers.reset_after_fork)
# The longest name of a client, in characters: it is part of every log record.
LONGEST_NAME: Final = 200
_SINKS: Final = "give a function, or a queue such as queue.Queue(); without a sink the subscription is iterated over"
_QUOTES: Final = ("'", '"', "`")


class ClientOptions(TypedDict, total=False):
    """The arguments of `Client`, for type checkers."""

    api_key: str
    api_secret: str | None
    environment: Environment | str
    dialect: Dialect | str
    categories: Collection[str] | None
    name: str | None
    signer: Callable[[str], str] | None
    on_status: Callable[[StatusChange], object] | None
    on_error: Callable[[BaseException, Event[Any], Subscription[Any]], object] | None
    connect_timeout: float
    request_timeout: float
    ping_interval: float
    pong_timeout: float
    auth_window: float
    backoff: Backoff
    connect_limit: ConnectLimit | None
    proxy: str | None
    ssl_context: ssl.SSLContext | None
    max_message_bytes: int
    record: Recorder | str | os.PathLike[str] | TextIO | None
    recover: bool | Recovery


class Client:
    """A client of one account's private contract streams.

    Constructing it checks the arguments and does nothing else. The first
    ``subscribe_*`` connects; once something was confirmed, the connection is kept and
    renewed until `close`. Every method may be called from any thread, callbacks
    included. It is a context manager that closes itself.

    Its threads are daemons, named after *name*: one for the connection, one for each
    callback, one for *on_status*, one for *record*, one for the reads of *recover*, and
    throw-away ones for looking names up and for *signer*. Open subscriptions keep it
    alive, whether or not you keep it.

    After a failure the client pauses, and connects again at
    ``health().next_attempt_at``. `reconnect` ends a pause of the first row at once, the
    others not before their first number. The last number repeats, unless the client
    ends with FAILED. "At first", until a subscription was confirmed, ``subscribe_*``
    waits for the next attempts or raises the failure:

        failure                                  pause in seconds       ends    at first
        no connection, lost, no answer, HTTP 5xx 0.25 to 5, doubling    never   waits
        login refused for now, close code 1013   5                      never   waits
        HTTP 429 that names no time              30                     never   waits
        login refused: key, permission, address  5, 30, 60              FAILED  raises
        certificate, HTTP 3xx, 401, 404, 451     30                     never   raises
        HTTP 403                                 60, 120, 240, 480, 600 never   raises

    Example:
        >>> with Client("KEY", "SECRET", environment=exchange.url, name="main") as client:  # a simulated exchange
        ...     orders = client.subscribe_orders()
        ...     print(client.state, orders)
        LIVE <Subscription orders of main: LIVE, 0 delivered, 0 queued, 0 dropped>

    Args:
        api_key: The key, made on Bybit's site.
        api_secret: Its secret, for HMAC; None only together with *signer*.
        environment: A name (mainnet, testnet, demo, tr, kz, ge, id, jp, eu, ae), or a
            base URL ``wss://host[:port]``; ``ws://`` for loopback addresses.
        dialect: "v5", or "v3" for recordings, gateways and the simulator (Bybit
            switched V3 off in January 2025).
        categories: Out of linear, inverse, option and spot (orders and user trades
            only), each a topic of its own; None for the all-in-one topics, which also
            have spread rows. V5 only; the wallet has none.
        name: Appears in events, thread names, logs and `repr`; "bybit-1", "bybit-2", …
            by default.
        signer: Called on a thread of its own with the text to sign, returns the
            signature as text.
        on_status: Called with every `StatusChange`, in order, on a thread of its own.
        on_error: Called with the exception of a callback, its event and its
            subscription, on the callback's thread.
        connect_timeout: Seconds for one attempt: names, proxy, TCP, TLS, upgrade.
        request_timeout: Seconds for an answer to a login or a subscribe.
        ping_interval: Seconds between pings.
        pong_timeout: Seconds of silence beyond *ping_interval* after which the
            connection is dead.
        auth_window: Seconds that a login's expiry lies ahead of our clock.
        backoff: How the pauses between attempts grow.
        connect_limit: How often this process connects to the host, over all clients;
            the strictest holds. By default 100 times at once and 300 times more in 300
            seconds (Bybit allows an address 500); loopback addresses are then exempt.
        proxy: "http://user:password@host:port", "socks5h://…", "env" for the
            environment variables; None for none.
        ssl_context: Instead of the system's certificates.
        max_message_bytes: The most bytes of a message; a longer one ends the
            connection.
        record: The path of a file, a text file that is open, or a `Recorder`, to which
            every frame is written, for `replay`: without key and signature, the
            account's ids replaced. A disk that fails ends the recording, never the
            streams.
        recover: True, or a `Recovery` with its options: the updates that an outage hid
            are read over REST and delivered in place of the gap; positions, orders and
            balances begin with a snapshot. Needs the extra ``rest``.

    Raises:
        ConfigurationError: an argument cannot work; the text names it and the remedy.

    https://bybit-exchange.github.io/docs/v5/ws/connect

    """

    # Tests scale these; they are not part of the public contract.
    _timings: ClassVar[Timings] = Timings()

    def __init__(
        self,
        api_key: str,
        api_secret: str | None = None,
        *,
        environment: Environment | str = "mainnet",
        dialect: Dialect | str = "v5",
        categories: Collection[str] | None = ("linear", "inverse"),
        name: str | None = None,
        signer: Callable[[str], str] | None = None,
        on_status: Callable[[StatusChange], object] | None = None,
        on_error: Callable[[BaseException, Event[Any], Subscription[Any]], object] | None = None,
        connect_timeout: float = 10.0,
        request_timeout: float = 10.0,
        ping_interval: float = 5.0,
        pong_timeout: float = 5.0,
        auth_window: float = 10.0,
        backoff: Backoff = Backoff(),  # noqa: B008 - frozen
        connect_limit: ConnectLimit | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        max_message_bytes: int = 4 * 2**20,
        record: Recorder | str | os.PathLike[str] | TextIO | None = None,
        recover: bool | Recovery = False,
    ) -> None:
        times = {
            "connect_timeout": connect_timeout,
            "request_timeout": request_timeout,
            "ping_interval": ping_interval,
            "pong_timeout": pong_timeout,
            "auth_window": auth_window,
        }
        for argument, value in times.items():
            positive(self, argument, value)
        whole(self, "max_message_bytes", max_message_bytes)
        credentials = _credentials(api_key, api_secret, plain_callable("signer", signer))
        if isinstance(credentials, ConfigurationError):
            raise credentials
        place = Environment.find(environment)
        spoken = _dialect(dialect)
        called = _name(name)
        self._log = ClientLog(called)
        timings = attrs.evolve(self._timings, **times)  # type: ignore[arg-type]  # all of these are floats
        session_config = SessionConfig(
            dialect=spoken,
            categories=_categories(categories),
            timings=timings,
            client=called,
            environment=_place_text(place),
            log=self._log,
            redact=credentials.redact,
            hint=_other_environments(place),
            notice=spoken.notice if place.name in ENVIRONMENTS else "",
        )
        config = ClientConfig(
            name=called,
            environment=place,
            session_config=session_config,
            timings=timings,
            credentials=credentials,
            external_signer=signer is not None,
            on_status=plain_callable("on_status", on_status),
            on_error=plain_callable("on_error", on_error),
            backoff=_instance("backoff", backoff, Backoff),
            connect_limit=_instance("connect_limit", connect_limit, ConnectLimit, type(None)),
            proxy=Proxy.parse(proxy),
            ssl_context=_instance("ssl_context", ssl_context, ssl.SSLContext, type(None)),
            max_message_bytes=max_message_bytes,
            recorder=Recorder.find(record),
            recovery=recovery_options(recover, place, spoken),
        )
        if config.recorder is not None:
            config.recorder.attach(session_config)
        self._config = config
        self._engine = Engine(config, self._log)
        self._thread_numbers = Counter()

    @classmethod
    def from_env(cls, **overrides: Unpack[ClientOptions]) -> Client:
        """Return a client made from environment variables; *overrides* take precedence.

        Reads BYBIT_API_KEY, BYBIT_API_SECRET, BYBIT_ENVIRONMENT and BYBIT_NAME; an
        empty variable is none. *overrides* are arguments of `Client`.

        Example:
            >>> os.environ.update(BYBIT_API_KEY="KEY", BYBIT_API_SECRET="SECRET", BYBIT_ENVIRONMENT="testnet")
            >>> Client.from_env(name="main")
            <Client main: testnet v5, IDLE, no stream>

        Raises:
            ConfigurationError: BYBIT_API_KEY is not set, or an argument cannot work.

        """
        if not os.environ.get("BYBIT_API_KEY") and "api_key" not in overrides:
            raise ConfigurationError("BYBIT_API_KEY is not set: export it, or call Client(api_key, api_secret)")
        # Keep the secret out of this frame's locals: a traceback of the constructor
        # shows them.
        return cls(**_with_environment(overrides))  # type: ignore[arg-type]  # it is emptied

    # --- the streams ---

    def subscribe_balances(
        self,
        sink: Callable[[Event[BalanceUpdate]], object]
        | EventQueue[Event[BalanceUpdate]]
        | Inline[Event[BalanceUpdate]]
        | None = None,
        *,
        maxsize: int = 10_000,
        overflow: str | None = None,
        timeout: float | None = 30.0,
        wait: bool = True,
    ) -> Subscription[BalanceUpdate]:
        """Subscribe to the account's balances: a row per account, with changed coins.

        Pushed when an order, fill, transfer, funding or loan changes a balance; a
        change of unrealised PnL alone is not.

        Arguments, threads and errors: `subscribe_positions`.

        Example:
            >>> balances = client.subscribe_balances()
            >>> account.transfer("USDT", "250.5")
            >>> balances.get(timeout=5).data[0].coin("USDT").wallet_balance
            Decimal('10250.5')

        https://bybit-exchange.github.io/docs/v5/websocket/private/wallet
        """
        return self._subscribe(Stream.BALANCES, sink, _Wishes(maxsize, overflow, timeout, wait))

    def subscribe_orders(
        self,
        sink: Callable[[Event[OrderUpdate]], object]
        | EventQueue[Event[OrderUpdate]]
        | Inline[Event[OrderUpdate]]
        | None = None,
        *,
        maxsize: int = 10_000,
        overflow: str | None = None,
        timeout: float | None = 30.0,
        wait: bool = True,
    ) -> Subscription[OrderUpdate]:
        """Subscribe to the account's orders: a full row for every change of one.

        Arguments, threads and errors: `subscribe_positions`.

        Example:
            >>> inbox = queue.Queue()  # your own; it may serve other streams and clients too
            >>> orders = client.subscribe_orders(inbox)
            >>> order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
            >>> event = inbox.get(timeout=5)
            >>> event.stream, event.data[0].order_status
            (Stream('orders'), OrderStatus('New'))

        https://bybit-exchange.github.io/docs/v5/websocket/private/order
        """
        return self._subscribe(Stream.ORDERS, sink, _Wishes(maxsize, overflow, timeout, wait))

    def subscribe_positions(
        self,
        sink: Callable[[Event[PositionUpdate]], object]
        | EventQueue[Event[PositionUpdate]]
        | Inline[Event[PositionUpdate]]
        | None = None,
        *,
        maxsize: int = 10_000,
        overflow: str | None = None,
        timeout: float | None = 30.0,
        wait: bool = True,
    ) -> Subscription[PositionUpdate]:
        """Subscribe to the account's positions: a full row for every change of one.

        Every order action on its symbol also pushes the row.

        Returns when the exchange has confirmed it. Until then temporary failures (no
        name, no connection, 5xx, 429, no answer) are retried. After an error nothing
        stays subscribed. Without ``recover`` no snapshot is sent: read REST once
        afterwards.

        Example:
            >>> positions = client.subscribe_positions()
            >>> filled = account.fill(account.place_order("BTCUSDT", "Sell", qty="0.5", price="20000"))
            >>> ordered, held = positions.get(timeout=5), positions.get(timeout=5)
            >>> [(row.symbol, row.side, row.size) for row in held]
            [('BTCUSDT', Side('Sell'), Decimal('0.5'))]

        Args:
            sink: A callable gets one event at a time on a thread of its own; a queue is
                put to on the connection thread (anything with ``put_nowait``); without
                one, use ``get()`` or iterate; an `Inline` runs its callback on the
                connection thread. An object that is both, such as a
                ``unittest.mock.Mock``, is called; only a ``queue.Queue`` and its kind
                stay queues. Coroutine functions are refused, and a coroutine that a
                callable returns counts as an exception.
            maxsize: The most events that our buffer holds for a slow consumer; does not
                apply to your queue.
            overflow: "drop_oldest" (our default), "drop_newest" (your queue's default)
                or "fail".
            timeout: Seconds to wait for the confirmation; None for as long as it takes.
            wait: False returns at once: the subscription is made later, and a refusal
                comes in band, as a gap with the reason ENDED.

        Raises:
            ConnectTimeout: not confirmed within *timeout*; chained to the last failure.
            AuthenticationError: the login is refused.
            SubscriptionRejected: a topic is refused.
            TLSError: the server cannot prove its identity.
            HandshakeRejected: the server answers the upgrade with 3xx, 401, 403, 404 or
                451.
            ConfigurationError: an argument cannot work.
            ClientClosed: the client is closed, or belongs to the process that forked
                this one.

        https://bybit-exchange.github.io/docs/v5/websocket/private/position

        """
        return self._subscribe(Stream.POSITIONS, sink, _Wishes(maxsize, overflow, timeout, wait))

    def subscribe_user_trades(
        self,
        sink: Callable[[Event[UserTradeUpdate]], object]
        | EventQueue[Event[UserTradeUpdate]]
        | Inline[Event[UserTradeUpdate]]
        | None = None,
        *,
        maxsize: int = 10_000,
        overflow: str | None = None,
        timeout: float | None = 30.0,
        wait: bool = True,
        since: datetime | None = None,
        fast: bool = False,
    ) -> Subscription[UserTradeUpdate]:
        """Subscribe to the account's executions: a row for each.

        They are fills, funding, settlements and liquidations. With ``recover`` an
        outage loses none, and the executions from *since* on (an aware datetime,
        inclusive) come first, the oldest first, in events of at most 1,000.

        *fast* subscribes to Bybit's ``execution.fast`` instead: some milliseconds
        earlier, trades only, and most attributes None. Rows that ``recover`` reads are
        full and of every ``exec_type``: funding, too, which is not pushed then. V5
        only. All subscriptions of a client have the same *fast*.

        Arguments, threads and errors: `subscribe_positions`.

        Example:
            >>> seen = queue.Queue()
            >>> def on_user_trades(event):  # runs on a thread of its own
            ...     for trade in event:
            ...         seen.put(trade.exec_price)
            >>> trades = client.subscribe_user_trades(on_user_trades)
            >>> order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
            >>> filled = account.fill(order, price="19999.5")
            >>> seen.get(timeout=5)
            Decimal('19999.5')

        https://bybit-exchange.github.io/docs/v5/websocket/private/execution,
        https://bybit-exchange.github.io/docs/v5/websocket/private/fast-execution
        """
        check_since(since, self._config.recovery, datetime.now(timezone.utc))
        return self._subscribe(Stream.USER_TRADES, sink, _Wishes(maxsize, overflow, timeout, wait, since, fast))

    def _subscribe(self, stream: Stream, sink: Sink[T], wishes: _Wishes) -> Subscription[T]:
        self._engine.check_process()
        subscription, receiver = self._make(stream, sink, wishes)
        self._begin([receiver], stream.value, wishes)
        return subscription

    def _begin(self, receivers: Sequence[Receiver[Any]], called: str, wishes: _Wishes) -> None:
        """Subscribe *receivers*, all or none; *called* names the callbacks' threads."""
        check_clock()
        deadline = None if wishes.timeout is None else time.monotonic() + wishes.timeout
        if wishes.wait and self._engine.is_own_thread():
            raise ConfigurationError("wait=True on the client's own thread, which has to read the answer: give wait=False")
        for receiver in receivers:
            receiver.confirm_awaited, receiver.confirm_deadline = wishes.wait, deadline
        try:
            for receiver in receivers:
                receiver.start(f"{self.name}-{called}-{self._thread_numbers.take()}")
                self._engine.admit(receiver)
            if wishes.wait:
                for receiver in receivers:
                    self._wait_settled(receiver, deadline, wishes)
                self._engine.stay_connected()
        except BaseException as error:
            # After any exception, Ctrl-C included, nothing stays half-subscribed.
            for receiver in receivers:
                receiver.cancel(error)
            soon = time.monotonic() + _CANCEL_TIMEOUT
            self._engine.wait_cancelled(soon)
            for receiver in receivers:
                receiver.remainder.wait_done(soon)
            raise
        for receiver in receivers:
            receiver.confirm_awaited = False

    def _make(self, stream: Stream, sink: Sink[T], wishes: _Wishes) -> tuple[Subscription[T], Receiver[T]]:
        if _is_queue(sink):
            receiver = self._receiver(stream, _queue_sink(sink, wishes.policy(Overflow.DROP_NEWEST)), wishes)
            return Subscription(receiver, None), receiver
        policy = wishes.policy(Overflow.DROP_OLDEST)
        if isinstance(sink, Inline):
            inline = InlineSink[T](sink)
            receiver = self._receiver(stream, inline, wishes, callback=inline)
            return Subscription(receiver, None), receiver
        buffer = Buffer[T](wishes.maxsize, policy, self._engine.registry.wake_round)
        function = plain_callable("sink", sink, _SINKS)
        callback = None if function is None else Callback(function, buffer)
        receiver = self._receiver(stream, buffer, wishes, callback=callback)
        return Subscription(receiver, buffer if callback is None else None), receiver

    def _receiver(self, stream: Stream, sink: EventSink[T], wishes: _Wishes, **options: Any) -> Receiver[T]:
        """Return a receiver that delivers to *sink*, mending if the client recovers."""
        recovery = self._engine.recovery
        topics = self._topics(stream, fast=wishes.fast)
        if not topics:
            raise self._no_topics(stream)
        if recovery is not None:
            sink = recovery.sink(sink, stream, wishes.since)
        options |= {"fast": wishes.fast, "keep_alive": self, "tells_start": recovery is not None}
        return Receiver(self._engine, stream, topics, sink, **options)

    def _topics(self, stream: Stream, *, fast: bool = False) -> tuple[str, ...]:
        config = self._config.session_config
        return tuple(channel.topic for channel in config.dialect.channels(stream, config.categories, fast=fast))

    def _no_topics(self, stream: Stream) -> ConfigurationError:
        config = self._config.session_config
        if not self._topics(stream):
            return refuse("categories", config.categories, f"{stream.value} are of linear, inverse and option; add one of them")
        return refuse("fast", True, f'the dialect {config.dialect.name} has no such topics; use dialect="v5", or fast=False')

    def _wait_settled(self, receiver: Receiver[Any], deadline: float | None, wishes: _Wishes) -> None:
        if not receiver.wait_settled(deadline):
            raise self._timed_out(receiver.stream, wishes.timeout)
        if receiver.failed_before_confirm and receiver.error is not None:
            raise fresh_copy(receiver.error)
        if receiver.is_closed and receiver.error is None:
            self._engine.check_open()

    def _timed_out(self, stream: Stream, timeout: float | None) -> ConnectTimeout:
        obstacle = self._engine.obstacle
        why = f"; the last failure: {obstacle}" if obstacle is not None else ": call again, or give a longer timeout="
        text = f"{self._config.session_config.environment} did not confirm {stream.value} within {timeout:g} s{why}"
        error = ConnectTimeout(text)
        error.__cause__ = obstacle
        self._engine.explain(error)
        return error

    # --- the account ---

    def account_view(
        self,
        on_change: Callable[[AccountView, AnyEvent], object] | None = None,
        *,
        trades: int = 1_000,
        timeout: float | None = 30.0,
        wait: bool = True,
    ) -> AccountView:
        """Subscribe to all four streams, and keep what they say: the account as it is.

        Without positions where the client's categories have none.

        Returns when the exchange has confirmed them; `AccountView.wait_current` waits
        for the first snapshots. Errors, *timeout* and *wait*: `subscribe_positions`.
        Needs ``recover``.

        Example:
            >>> client = Client("KEY", "SECRET", environment=exchange.url, recover=Recovery(base_url=exchange.rest_url))
            >>> with client, client.account_view() as view:
            ...     print(view.wait_current(timeout=10), dict(view.positions), view.coin("USDT").wallet_balance)
            True {} 10000

        Args:
            on_change: Called with the view and each event, gaps included, after it was
                applied, on one thread of its own. While it runs, the view goes on.
            trades: The number of executions that are kept.
            timeout: Seconds to wait for the confirmations; None for as long as it
                takes.
            wait: False returns at once.

        Raises:
            ConfigurationError: the client has no ``recover``, or an argument cannot
                work.

        """
        self._engine.check_process()
        if self._engine.recovery is None:
            raise ConfigurationError("account_view() reads over REST what an outage hid: make the client with recover=True")
        wishes = _Wishes(1, None, timeout, wait)
        view = AccountView(self._engine, filter(self._topics, Stream), on_change, trades=trades)
        receivers = view._receiver.connect(lambda feed, **options: self._receiver(feed.stream, feed, wishes, **options))  # noqa: SLF001 - it shows users nothing else
        self._begin(receivers, "account", wishes)
        return view

    def wait_for_order(
        self,
        order_id: str | None = None,
        *,
        order_link_id: str | None = None,
        view: AccountView,
        until: Callable[[OrderUpdate], object] | str = "final",
        timeout: float | None = None,
    ) -> OrderUpdate:
        """Wait until an order has ended, and return its last row.

        It counts whichever says so: the stream, or REST after an outage. An order that
        ended lately, before the call, is found too.

        Example:
            >>> client = Client("KEY", "SECRET", environment=exchange.url, recover=Recovery(base_url=exchange.rest_url))
            >>> with client, client.account_view() as view:
            ...     order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000", order_link_id="mine-7")
            ...     filled = account.fill(order)
            ...     client.wait_for_order(order_link_id="mine-7", view=view, timeout=10).order_status
            OrderStatus('Filled')

        Args:
            order_id: The exchange's name of it.
            order_link_id: Your own name of it, instead.
            view: A view of this client.
            until: "final" for its end, or a function that is called with each row of
                it, on this thread; the first row for which it is true is returned.
            timeout: Seconds to wait; None for as long as it takes.

        Raises:
            TimeoutError: *timeout* passed, or the order ended without *until*.
            ConfigurationError: an argument cannot work.
            BybitSyncError: as `AccountView.wait_current`.

        """
        receiver = view._receiver if isinstance(view, AccountView) else None  # noqa: SLF001 - as above
        if receiver is None or receiver.owner is not self._engine:
            raise refuse("view", view, "give an account_view() of this client")
        return receiver.wait_for_order(order_id, order_link_id, until, timeout)

    # --- the client as a whole ---

    @property
    def name(self) -> str:
        """Return the name in events, thread names and logs."""
        return self._config.name

    @property
    def state(self) -> State:
        """Return the state of the client at this moment."""
        return self._engine.client_state.state

    def health(self) -> Health:
        """Return the state of connection and subscriptions at this moment.

        It does not wait.

        Example:
            >>> orders = client.subscribe_orders()
            >>> health = client.health()
            >>> health.state, health.epoch, [subscription.queued for subscription in health.subscriptions]
            (State('LIVE'), 1, [0])

        Raises:
            ClientClosed: this process was forked from the client's.

        """
        self._engine.check_process()
        return self._engine.health()

    def reconnect(self) -> datetime:
        """Drop the connection and dial again; every open subscription gets a gap.

        Returns at once, with the time of the next attempt (UTC, our clock): now, or for
        some failures later (the table in `Client`).

        Example:
            >>> orders = client.subscribe_orders()
            >>> client.reconnect().tzinfo
            datetime.timezone.utc
            >>> orders.get(timeout=5).gap.reason
            GapReason('DISCONNECTED')

        Raises:
            ClientClosed: the client is closed, or belongs to the process that forked
                this one.
            BybitSyncError: the error that ended the client.

        """
        return self._engine.reconnect()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the client is closed.

        Return False when *timeout* (in seconds, None: no limit) passes first.

        Threads are daemons: this call keeps a script alive that has only callbacks.
        Ctrl-C interrupts it.

        Example:
            >>> client.wait(timeout=0)
            False
            >>> client.close()
            True
            >>> client.wait()
            True

        Raises:
            BybitSyncError: the error that ended the client or its last subscription.
            ConfigurationError: *timeout* is no number from 0 up.
            ClientClosed: this process was forked from the client's.

        """
        seen = self._wait_for((State.CLOSED,), timeout)
        return seen is State.CLOSED

    def wait_live(self, timeout: float | None = None) -> bool:
        """Wait until the client is LIVE.

        Return False when *timeout* (in seconds, None: no limit) passes first.

        Example:
            >>> orders = client.subscribe_orders(wait=False)
            >>> client.wait_live(timeout=5)
            True

        Raises:
            BybitSyncError: the error that ended the client or its last subscription.
            ConfigurationError: *timeout* is no number from 0 up.
            ClientClosed: the client is closed, or belongs to the process that forked
                this one.

        """
        seen = self._wait_for((State.LIVE, State.CLOSED), timeout)
        if seen is State.CLOSED:
            self._engine.check_open()
        return seen is State.LIVE

    def _wait_for(self, wanted: tuple[State, ...], timeout: float | None) -> State | None:
        """Return which of the *wanted* states came, None when *timeout* passed first.

        Raises the error that it ended with.
        """
        if timeout is not None:
            not_negative(self, "timeout", timeout)
        self._engine.check_process()
        situation = self._engine.client_state
        seen: list[State | BaseException] = []

        def look() -> bool:
            # Keep both values: they may change again before the waiting thread runs.
            state, error = situation.state, situation.error
            seen[:] = [state] if state in wanted else [error] if error is not None else []
            return bool(seen)

        situation.wait(look, None if timeout is None else time.monotonic() + timeout)
        found = seen[0] if seen else None
        if isinstance(found, BaseException):
            raise fresh_copy(found)
        return found

    def close(self, timeout: float = 5.0) -> bool:
        """End every subscription and the connection within *timeout* seconds.

        0 never waits, as signal handlers need it.

        The buffered events are delivered first. Returns False if a callback still ran
        at the end: undelivered events are then discarded, and no further call starts.
        Inside a callback of this client it does not wait. Idempotent. Never hold a lock
        that your callback takes.

        Example:
            >>> orders = client.subscribe_orders()
            >>> client.close()
            True
            >>> client.state, orders.state
            (State('CLOSED'), SubscriptionState('CLOSED'))

        Raises:
            ConfigurationError: *timeout* is no number from 0 up.
            ClientClosed: this process was forked from the client's.

        """
        not_negative(self, "timeout", timeout)
        self._engine.check_process()
        deadline = time.monotonic() + timeout
        receivers = self._engine.delivering()
        self._engine.close()
        for receiver in receivers:
            receiver.stop_accepting()
        # Wait for every one of them, also after one was late. Wait for them before the
        # thread: it retries gaps that full queues had no room for, and ends when none
        # is left.
        done = [receiver.remainder.wait_done(deadline) for receiver in receivers]
        ended = self._engine.wait_closed(deadline)
        return self._engine.wait_told(deadline) and ended and all(done)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        engine = getattr(self, "_engine", None)
        if engine is not None and engine.is_open:
            engine.close()
            if not sys.is_finalizing():
                warnings.warn(
                    f"unclosed {self!r}: call close(), or use it in a with statement",
                    ResourceWarning,
                    source=self,
                    stacklevel=2,
                )

    def __repr__(self) -> str:
        # A debugger may show a client in a traceback that begins in the constructor.
        if not hasattr(self, "_engine"):
            return "<Client that could not be made>"
        streams = ", ".join(sorted({s.stream.value for s in self._engine.registry.open()})) or "no stream"
        place, dialect = self._config.environment.name, self._config.session_config.dialect.name
        return f"<Client {self.name}: {place} {dialect}, {self.state.value}, {streams}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Client cannot be pickled or copied: it owns a connection and threads of this process")


# --- checks of arguments ---


@attrs.frozen
class _Wishes:
    """The options of one `subscribe_*`."""

    maxsize: int = attrs.field(validator=whole)
    overflow: str | None
    timeout: float | None = attrs.field(validator=attrs.validators.optional(not_negative))
    wait: bool
    since: datetime | None = None
    fast: bool = attrs.field(default=False, converter=bool)

    def policy(self, default: Overflow) -> Overflow:
        if self.overflow is None:
            return default
        try:
            return Overflow(self.overflow)
        except ValueError:
            raise refuse("overflow", self.overflow, f"use one of {', '.join(o.value for o in Overflow)}") from None


# Errors about secrets are returned, not raised: a traceback keeps the locals of each
# frame that an exception passes.


def _credentials(api_key: object, api_secret: object, signer: Callable[[str], str] | None) -> Credentials | ConfigurationError:
    if signer is None and api_secret is None:
        return ConfigurationError("api_secret is missing: give the key's secret, or signer= for another kind of key")
    if signer is not None and api_secret is not None:
        return ConfigurationError("api_secret and signer are both given: give the one that the key was made with")
    wrong = _wrong("api_key", api_key) or (_wrong("api_secret", api_secret) if signer is None else None)
    if wrong is not None:
        return ConfigurationError(wrong)
    return Credentials(str(api_key), signer or hmac_signer(str(api_secret)))


def _wrong(argument: str, value: object) -> str | None:
    """Return an error text about *value*, a key or a secret; None if it is valid.

    The text contains no part of the value.
    """
    if not isinstance(value, str) or not value:
        return f"{argument} is empty or no text: copy it from Bybit's site"
    if "-----BEGIN" in value:
        return f"{argument} is a key in PEM form: give signer=bybit_sync.rsa_signer(pem), and no api_secret"
    if value.strip()[:1] in _QUOTES or value.strip()[-1:] in _QUOTES:
        return f"{argument} has quotes around it, as some readers of .env files leave them: take them off"
    if not value.isascii() or not value.isprintable() or " " in value:
        return f"{argument} holds a space, a line break or another character that no key has: copy it again"
    return None


def _dialect(value: object) -> Dialect:
    if isinstance(value, Dialect):
        return value
    if not isinstance(value, str) or value not in DIALECTS:
        raise refuse("dialect", value, f"use one of {', '.join(DIALECTS)}")
    return DIALECTS[value]


def _categories(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    remedy = f"give a collection out of {', '.join(CATEGORIES)}, or None for the all-in-one topics"
    if isinstance(value, str) or not isinstance(value, Collection) or not value:
        raise refuse("categories", value, remedy)
    if any(c not in CATEGORIES for c in value):
        raise refuse("categories", value, remedy)
    return tuple(c for c in CATEGORIES if c in value)


def _name(value: object) -> str:
    if value is None:
        return f"bybit-{_numbers.take()}"
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME or not value.isprintable():
        shown = value[:LONGEST_NAME] if isinstance(value, str) else value
        raise refuse("name", shown, f"give a printable text of up to {LONGEST_NAME} characters, or None")
    return value


def _instance(argument: str, value: T, *kinds: type) -> T:
    if not isinstance(value, kinds):
        raise refuse(argument, value, f"give a {kinds[0].__name__}")
    return value


def _is_queue(sink: Sink[T]) -> TypeGuard[EventQueue[Event[T]]]:
    if sink is None or not hasattr(sink, "put_nowait"):
        return False
    if isinstance(sink, type):
        raise refuse("sink", sink, "this is a class; give a queue that was made from it")
    if any(kind.__module__ == "asyncio.queues" for kind in type(sink).__mro__):
        raise refuse("sink", sink, "an asyncio queue is not made for threads; use queue.Queue")
    # A mock has every attribute, `put_nowait` too. No queue of the standard library is
    # callable.
    if isinstance(sink, (queue.Queue, queue.SimpleQueue)) or not callable(sink):
        plain_callable("sink.put_nowait", sink.put_nowait)
        return True
    return False


def _queue_sink(sink: EventQueue[Event[T]], policy: Overflow) -> QueueSink[T]:
    if policy is Overflow.DROP_OLDEST:
        raise refuse("overflow", policy.value, "nothing can be taken back out of your queue; use 'drop_newest' or 'fail'")
    return QueueSink(sink, policy)


def _with_environment(overrides: dict[str, Any]) -> dict[str, Any]:
    """Return arguments from environment variables, updated by *overrides*.

    *overrides* is cleared.
    """
    names = {
        "api_key": "BYBIT_API_KEY",
        "api_secret": "BYBIT_API_SECRET",
        "environment": "BYBIT_ENVIRONMENT",
        "name": "BYBIT_NAME",
    }
    found = {argument: os.environ[variable] for argument, variable in names.items() if os.environ.get(variable)}
    arguments = {**found, **overrides}
    overrides.clear()
    return arguments


def _place_text(place: Environment) -> str:
    return f"{place.name} ({place.host})" if place.name in ENVIRONMENTS else place.name


def _other_environments(place: Environment) -> str:
    others = ", ".join(name for name in ENVIRONMENTS if name != place.name)
    known = f"The key may belong to another environment: {others}."
    if place.name not in DOUBTFUL:
        return known
    return f'Try environment="mainnet" next: Bybit names no host of private streams for {place.name}. {known}'
