"""Who plays the scenes of `tests.faults.contest`: this library, and pybit, unmodified but for the URL."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from typing import Any, Protocol

from bybit_sync import Client, Event, State, StatusChange, SubscriptionRejected
from tests.conftest import KEY, SECRET

__all__ = ["CONTESTANTS", "PING", "Contestant", "Ours", "Pybit", "version"]

PING = {"ping_interval": 2, "ping_timeout": 1}
"""Both ping so often, in seconds, and wait so long for an answer; everything else is as it comes."""

Take = Callable[[list[str]], None]


class Contestant(Protocol):
    """A client of the orders' stream; what its caller learns of without looking into a log stands in `notices`."""

    notices: list[str]

    def start(self, url: str, take: Take) -> None:
        """Log in and subscribe; *take* is the user's callback, and gets the names of orders. May raise."""

    def subscribe_balances(self, take: Take) -> None:
        """Subscribe to a second stream. May raise."""

    def says(self) -> str:
        """Return what it says of itself when it is asked."""


class Ours:
    """bybit_sync."""

    package = "bybit_sync"

    def __init__(self) -> None:
        self.notices: list[str] = []
        self._client: Client | None = None

    def start(self, url: str, take: Take) -> None:
        """Log in and subscribe; a gap and a state that is not LIVE are notices."""

        def callback(event: Event[Any]) -> None:
            if event.gap is not None:
                self.notices.append(f"a gap: {event.gap.reason.value}")
            take([order.order_id for order in event])

        times = {"ping_interval": float(PING["ping_interval"]), "pong_timeout": float(PING["ping_timeout"])}
        self._client = Client(KEY, SECRET, environment=url, categories=None, on_status=self._note, **times)  # type: ignore[arg-type]
        self._client.subscribe_orders(callback, timeout=10)

    def _note(self, change: StatusChange) -> None:
        if change.state is State.FAILED:
            self.notices.append(f"FAILED: {change.error}")

    def subscribe_balances(self, take: Take) -> None:
        """Subscribe to a second stream."""
        assert self._client is not None
        try:
            self._client.subscribe_balances(lambda event: None, timeout=10)
        except SubscriptionRejected as error:
            self.notices.append(str(error))

    def says(self) -> str:
        """Return its state."""
        return self._client.state.value if self._client else "not made"


class Pybit:
    """pybit."""

    package = "pybit"

    def __init__(self) -> None:
        self.notices: list[str] = []
        self._client: Any = None

    def start(self, url: str, take: Take) -> None:
        """Log in and subscribe. It has no callback for anything but pushes."""
        # Where it is installed is not known to the type checker.
        unified_trading: Any = importlib.import_module("pybit.unified_trading")
        unified_trading.PRIVATE_WSS = f"{url}/v5/private"
        arguments = {"testnet": False, "api_key": KEY, "api_secret": SECRET, "private_auth_expire": 10, **PING}
        self._client = unified_trading.WebSocket("private", **arguments)
        self._client.order_stream(lambda push: take([row.get("orderId", "") for row in push["data"]]))

    def subscribe_balances(self, take: Take) -> None:
        """Subscribe to a second stream."""
        self._client.wallet_stream(lambda push: None)

    def says(self) -> str:
        """Return whether it is connected."""
        if self._client is None:
            return "not made"
        alive = "its thread runs" if self._client.wst.is_alive() else "its thread is dead"
        return f"{'connected' if self._client.is_connected() else 'not connected'}, {alive}"


CONTESTANTS: dict[str, type[Ours | Pybit]] = {"bybit_sync": Ours, "pybit": Pybit}


def version(name: str) -> str | None:
    """Return which version of the contestant *name* is installed; None if none is."""
    if importlib.util.find_spec(CONTESTANTS[name].package) is None:
        return None
    return importlib.metadata.version(name.replace("_", "-"))
