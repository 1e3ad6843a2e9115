"""The account of a command: the user's, or a simulated one."""

from __future__ import annotations

import argparse
import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

from bybit_sync.cli.keys import Key, find_key
from bybit_sync.client import Client
from bybit_sync.config.environments import Environment
from bybit_sync.errors import ConfigurationError
from bybit_sync.model.events import Stream
from bybit_sync.recovery.options import recovery_at
from bybit_sync.session.dialects import DIALECTS
from bybit_sync.subscription import Subscription

if TYPE_CHECKING:
    from bybit_sync.simulator import Exchange

__all__ = ["SUBSCRIBE", "Target", "open_target"]

SUBSCRIBE: Final[Mapping[Stream, Callable[..., Subscription[Any]]]] = {
    Stream.POSITIONS: Client.subscribe_positions,
    Stream.ORDERS: Client.subscribe_orders,
    Stream.USER_TRADES: Client.subscribe_user_trades,
    Stream.BALANCES: Client.subscribe_balances,
}
_DEMO: Final = Key("DEMO-KEY", "DEMO-SECRET")
_PATIENCE: Final = 0.5


@attrs.frozen
class Target:
    """An account to connect to: environment, dialect, categories, proxy, key."""

    environment: Environment
    dialect: str
    categories: tuple[str, ...] | None
    proxy: str | None
    key: Key = attrs.field(repr=False)
    keyless: str = ""
    """The reason why there is no key, "" when there is one."""
    begin: Callable[[], object] = attrs.field(default=lambda: None, repr=False)
    """A function that starts the simulated account; does nothing for a real one."""
    end: Callable[[], bool] = attrs.field(default=lambda: False, repr=False)
    """A function that stops it, and returns whether there was one."""
    rest_url: str | None = None
    """The base URL of the REST host; None for the environment's."""
    ssl_context: ssl.SSLContext | None = attrs.field(default=None, repr=False)
    """The certificates that are trusted; None for the system's."""

    @property
    def title(self) -> str:
        """The name that a screen shows."""
        host, name = self.environment.host, self.environment.name
        return f"{name} {self.dialect}" if host in name else f"{name} ({host}) {self.dialect}"

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams that its categories have."""
        return tuple(stream for stream in SUBSCRIBE if DIALECTS[self.dialect].channels(stream, self.categories))

    def client(self, **options: Any) -> Client:
        """Return a client of the account. Raises `ConfigurationError`."""
        if self.keyless:
            raise ConfigurationError(self.keyless)
        if options.get("recover") and self.rest_url is not None:
            options["recover"] = recovery_at(self.rest_url, options["recover"])
        return Client(
            *self.key,
            environment=self.environment,
            dialect=self.dialect,
            categories=self.categories,
            proxy=self.proxy,
            ssl_context=self.ssl_context,
            **{"name": "bybit-sync", **options},
        )


@contextlib.contextmanager
def open_target(arguments: argparse.Namespace, *, without_key: bool = False) -> Iterator[Target]:
    """Yield the target of *arguments*; a simulated one ends with the context.

    Raises `ConfigurationError`, before a prompt for a key; with *without_key*, a target
    without a key is yielded too.
    """
    options = arguments.dialect, arguments.categories, arguments.proxy
    if arguments.simulate:
        with _simulated(arguments) as simulated:
            exchange = simulated.exchange
            yield Target(
                Environment.find(exchange.url),
                *options,
                key=simulated.key,
                begin=simulated.begin,
                end=simulated.end,
                rest_url=exchange.rest_url,
                ssl_context=exchange.ssl_context,
            )
        return
    rest_url = getattr(arguments, "rest_url", None)
    target = Target(Environment.find(arguments.environment), *options, key=_DEMO, rest_url=rest_url)
    # Made only for the checks of its arguments.
    target.client()
    try:
        target = attrs.evolve(target, key=find_key(arguments.key_file))
    except ConfigurationError as error:
        # A file that was named and cannot be used is a mistake: say so before any step.
        if not without_key or arguments.key_file is not None:
            raise
        target = attrs.evolve(target, keyless=str(error))
    yield target


@attrs.frozen
class _Simulated:
    """A simulated exchange, its account, and functions that start and stop it."""

    exchange: Exchange
    key: Key
    begin: Callable[[], object]
    end: Callable[[], bool]


@contextlib.contextmanager
def _simulated(arguments: argparse.Namespace) -> Iterator[_Simulated]:
    """Yield the simulated exchange of *arguments*.

    Raises `ConfigurationError` when it cannot be as they say.
    """
    from bybit_sync.simulator import Exchange, ScriptError  # noqa: PLC0415 - comes with an extra
    from bybit_sync.simulator.scheduling import on_time  # noqa: PLC0415
    from bybit_sync.simulator.server_command import plan  # noqa: PLC0415

    stop = threading.Event()

    def end() -> bool:
        stop.set()
        # Bounded: a step may wait for a client.
        player.join(_PATIENCE)
        return True

    where = {name: getattr(arguments, name) for name in ("host", "port", "tls", "names") if hasattr(arguments, name)}
    with contextlib.ExitStack() as stack:
        try:
            exchange = stack.enter_context(Exchange(**where))
            accounts, steps = plan(exchange, arguments.scenario, getattr(arguments, "rate", None))
        except (OSError, ScriptError) as error:
            raise ConfigurationError(str(error)) from None
        player = threading.Thread(target=lambda: on_time(steps, stop), name="exchange-scenario", daemon=True)
        try:
            yield _Simulated(exchange, Key(accounts[0].key, accounts[0].secret), player.start, end)
        finally:
            if player.ident is not None:
                end()
