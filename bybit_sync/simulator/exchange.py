"""The exchange: its accounts, its connections, and its faults."""

from __future__ import annotations

import contextlib
import logging
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qs, urlsplit

from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection

from bybit_sync.simulator.books.account import KINDS, Account
from bybit_sync.simulator.books.numbers import Number
from bybit_sync.simulator.dialects import DIALECTS
from bybit_sync.simulator.playing import Player
from bybit_sync.simulator.rest.faults import RestFaults
from bybit_sync.simulator.rest.host import RestHost
from bybit_sync.simulator.rest.plans import Plans
from bybit_sync.simulator.rest.server import RestServer
from bybit_sync.simulator.server.connection import Connection, Wire
from bybit_sync.simulator.server.conversation import Conversation
from bybit_sync.simulator.server.listener import Listener
from bybit_sync.simulator.server.tls import Authority

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["EVERY_ADDRESS", "Exchange"]

T = TypeVar("T")
_STARTING_BALANCES: Mapping[str, Number] = MappingProxyType({"USDT": "10000", "BTC": "1", "ETH": "10"})
_LOOK_AGAIN = 0.02

EVERY_ADDRESS: Mapping[str, str] = MappingProxyType({"0.0.0.0": "127.0.0.1", "::": "::1"})  # noqa: S104 - it binds nothing
"""The addresses that stand for every address, and how this machine reaches them."""

_log = logging.getLogger("bybit_sync.simulator")


class Exchange(Player):
    """A simulated Bybit private stream on loopback, in both dialects, with faults.

    It runs from ``with`` (or `start`) to the end of it (or `close`), on daemon threads
    of its own. Every method may be called from any thread.

    Example:
        >>> with Exchange() as exchange:
        ...     account = exchange.account("KEY", "SECRET")
        ...     with Client("KEY", "SECRET", environment=exchange.url) as client:
        ...         orders = client.subscribe_orders()
        ...         exchange.drop()
        ...         order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")  # not pushed: no connection
        ...         print(orders.get(timeout=5).gap.reason, account.orders()[0].status)
        DISCONNECTED New

    Its accounts are read and traded over REST, too, at `rest_url`; `rest` has its
    faults.

    * *host*, *port*: where it listens; port 0 takes a free one; "0.0.0.0" listens on
      every address;
    * *tls*: whether it speaks TLS, with a certificate of a throw-away authority that
      clients trust with `ssl_context`; clients of other machines need it;
    * *names*: host names or addresses under which clients of other machines reach it:
      the certificate is for all of them, and the first is in `url` and `rest_url`;
    * *clock_offset*: seconds by which the exchange's clock is ahead of this machine's;
      may be set at any time;
    * *idle_limit*: seconds after which a connection without pings and pushes is cut;
      ``?max_active_time=`` overrules it;
    * *login_limit*: seconds after which a connection is cut when no client has logged
      in (a guess: Bybit documents none).
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: bool = False,
        names: Sequence[str] = (),
        clock_offset: float = 0.0,
        idle_limit: float = 600.0,
        login_limit: float = 30.0,
    ) -> None:
        super().__init__(clock_offset)
        self._address = (host, port)
        self._names = _checked(names)
        self._authority = Authority((host, *self._names)) if tls else None
        self._idle_limit = idle_limit
        self._login_limit = login_limit
        self._connections: list[Connection] = []
        self._changed = threading.Condition()
        self._listener: Listener | None = None
        self._listening = threading.RLock()
        self._healer: threading.Timer | None = None
        plans = Plans()
        self._rest_faults = RestFaults(plans, self._answer_rest)
        self._rest_host = RestHost(self._accounts, self.now, plans)
        self._rest_server: RestServer | None = None

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def __repr__(self) -> str:
        """Return the address and the number of connections."""
        where = self.url if self._listener else "not started"
        return f"<Exchange {where}, {len(self.connections)} connections>"

    # --- start and end ---

    def start(self) -> Self:
        """Bind the port, listen, and return the exchange itself."""
        self._closing.clear()
        with self._listening:
            if self._listener is None:
                tls = self._authority.server_context if self._authority else None
                self._listener = Listener(*self._address, tls=tls, admit=self._admit, converse=self._converse)
            self._listener.listen()
        return self

    def close(self) -> None:
        """Close every connection and the port; no thread and no socket is left."""
        self._closing.set()
        self._call_healer_off()
        with self._listening:
            if self._listener is not None:
                self._listener.close()
                self._listener = None
            if self._rest_server is not None:
                self._rest_server.close()
                self._rest_server = None

    @property
    def url(self) -> str:
        """The base URL, without a path: the environment of a client."""
        listener = self._running()
        return f"{'wss' if self._authority else 'ws'}://{self._host}:{listener.port}"

    @property
    def rest_url(self) -> str:
        """The base URL of the REST host, on a port of its own.

        It begins with ``http://`` or, with *tls*, with ``https://``.

        It listens from the first read of this property on: an exchange without REST
        needs no thread for it.

        Example:
            >>> from urllib.request import urlopen
            >>> with urlopen(f"{exchange.rest_url}/v5/market/time") as answer:
            ...     answer.status
            200

        """
        with self._listening:
            self._running()
            if self._rest_server is None:
                tls = self._authority.server_context if self._authority else None
                self._rest_server = RestServer(self._address[0], tls=tls, answer=self._rest_host.answer)
                self._rest_server.listen()
            return f"{'https' if self._authority else 'http'}://{self._host}:{self._rest_server.port}"

    @property
    def rest(self) -> RestFaults:
        """The faults of the REST host, and the requests that it received."""
        return self._rest_faults

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """The ``ssl_context`` of a client that trusts it; None without TLS."""
        return self._authority.client_context() if self._authority else None

    @property
    def authority_pem(self) -> bytes | None:
        """The authority's certificate (PEM), for other clients; None without TLS."""
        return self._authority.pem if self._authority else None

    @property
    def accepted(self) -> int:
        """The number of TCP connections that were accepted since the start."""
        return self._running().accepted

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The live connections, in the order in which they came."""
        with self._changed:
            return tuple(connection for connection in self._connections if connection.is_open)

    def now(self) -> int:
        """Return the time of the exchange's clock, in ms."""
        return int((time.time() + self.clock_offset) * 1000)

    def account(
        self, key: str, secret: str, *, kind: str = "UNIFIED", balances: Mapping[str, Number] = _STARTING_BALANCES
    ) -> Account:
        """Open an account that *key* and *secret* log in to.

        *balances* maps coins to amounts.

        *kind* is "UNIFIED", or "CONTRACT" for a classic account in V5; V3 shows every
        account as a classic one.

        Example:
            >>> hedge = exchange.account("KEY-2", "SECRET-2", balances={"USDT": "500"})
            >>> hedge.balance("USDT").free
            Decimal('500')

        """
        if kind not in KINDS:
            raise ValueError(f"kind: {kind!r} is none of {', '.join(KINDS)}")
        with self._changed:
            if key in self._accounts:
                raise ValueError(f"key: there is an account with it already; {self._accounts[key]}")
            uid = str(10_000_001 + len(self._accounts))
            self._accounts[key] = Account(
                key,
                secret,
                kind=kind,
                uid=uid,
                balances=balances,
                connections=lambda: self.connections,
                now=self.now,
                push_faults=self._push_faults,
            )
            return self._accounts[key]

    def wait_for(self, predicate: Callable[[], T], timeout: float = 5.0) -> T:
        """Wait until *predicate* is true and return its result.

        Raises ``TimeoutError`` after *timeout* seconds.

        Example:
            >>> orders = client.subscribe_orders()
            >>> exchange.wait_for(lambda: account.connections[0].topics)
            ('order.linear', 'order.inverse')

        *predicate* is called again whenever a connection comes or goes or a request was
        handled, and every 20 ms, so that it may test anything; it should change
        nothing. An ``IndexError``, as of ``connections[0]`` without a connection,
        counts as false.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                with contextlib.suppress(IndexError):
                    if result := predicate():
                        return result
                if time.monotonic() >= deadline:
                    raise TimeoutError(f"not within {timeout} s; connections: {list(self.connections)}")
                self._changed.wait(_LOOK_AGAIN)

    def wait_for_topics(self, topics: Sequence[str] = (), *, timeout: float = 60.0) -> None:
        """Wait until a connection has subscribed to all of *topics*.

        ``order.linear`` counts as ``order`` too. Without *topics*, any topic will do.

        Raises ``TimeoutError`` after *timeout* seconds.
        """
        self.wait_for(lambda: any(c.topics and all(map(c.has, topics)) for c in self.connections), timeout)

    # --- faults ---

    def stop_listening(self) -> None:
        """End every connection and refuse new ones (ECONNREFUSED) until `listen`.

        REST is not affected: see ``rest.stop_listening``.
        """
        self._call_healer_off()
        with self._listening:
            self._running().fall_silent()

    def listen(self) -> None:
        """Accept connections again."""
        self._call_healer_off()
        with self._listening:
            self._running().listen()

    def outage(self, seconds: float) -> None:
        """Stop listening, and listen again after *seconds*; returns at once."""
        self.stop_listening()
        with self._listening:
            self._healer = threading.Timer(seconds, self._heal)
            self._healer.daemon = True
            self._healer.start()

    def heal(self) -> None:
        """End every fault, as `Faults.heal` and `RestFaults.heal` do, and listen."""
        super().heal()
        self._rest_faults.heal()
        self.listen()

    # --- one connection ---

    def _admit(self, wire: ServerConnection, request: Request) -> Response | None:
        refusal = self._refused_upgrades.take("upgrade")
        if refusal is not None:
            status, headers, body = refusal
            response = wire.respond(status, body)
            response.headers.update(headers)
            return response
        if urlsplit(request.path).path not in DIALECTS:
            return wire.respond(404, "Not Found\n")
        return None

    def _converse(self, wire: Wire) -> None:
        assert wire.request is not None
        target = urlsplit(wire.request.path)
        conn_id = f"sim{wire.number:017d}-{wire.number:x}"
        conversation = Conversation(DIALECTS[target.path], self._secret_of, self._refused, conn_id)
        connection = Connection(
            wire,
            conversation,
            self._answers,
            self._push_faults,
            idle_limit=_idle_limit(target.query, self._idle_limit),
            login_limit=self._login_limit,
        )
        with self._changed:
            self._connections.append(connection)
            self._changed.notify_all()
        try:
            connection.converse(self._accounts.__getitem__, self.now, self._notify)
        except Exception:  # noqa: BLE001 - the thread ends here, and must not end without a report
            _log.critical("a bug in the simulated exchange", exc_info=True)
        finally:
            wire.over.set()
            with self._changed:
                self._connections.remove(connection)
                self._changed.notify_all()

    def _secret_of(self, key: str) -> str | None:
        account = self._accounts.get(key)
        return account.secret if account else None

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # --- where it listens ---

    @property
    def _host(self) -> str:
        listens_at = self._running().host
        host = self._names[0] if self._names else EVERY_ADDRESS.get(listens_at, listens_at)
        return f"[{host}]" if ":" in host else host

    def _answer_rest(self, is_listening: bool) -> None:  # noqa: FBT001 - the only argument, and a switch
        with self._listening:
            if self._rest_server is not None:
                (self._rest_server.listen if is_listening else self._rest_server.fall_silent)()

    def _running(self) -> Listener:
        if self._listener is None:
            raise RuntimeError("the exchange is not running: use it in a with statement, or call start()")
        return self._listener

    def _heal(self) -> None:
        with self._listening:
            # Race: another thread may have listened, stopped or closed after the timer
            # fired and before it took the lock. That thread has replaced the timer.
            if self._healer is threading.current_thread():
                self._running().listen()

    def _call_healer_off(self) -> None:
        with self._listening:
            healer, self._healer = self._healer, None
        # Join outside the lock: the timer's thread may be waiting for it.
        if healer is not None:
            healer.cancel()
            healer.join()


def _checked(names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str) or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"names: {names!r} is no list of host names and addresses")
    return tuple(names)


def _idle_limit(query: str, default: float) -> float:
    """Return the seconds that ``max_active_time`` asks for: ``30s``, ``1m``."""
    text = parse_qs(query).get("max_active_time", [""])[-1]
    unit = {"s": 1.0, "m": 60.0}.get(text[-1:])
    return float(text[:-1]) * unit if unit and text[:-1].isdigit() else default
