"""Clients of the simulated exchange that are not ours."""

from __future__ import annotations

import json
from typing import Any

from websockets.sync.client import ClientConnection, connect

from bybit_sync.simulator import Exchange
from bybit_sync.simulator.server.conversation import sign
from tests.conftest import KEY, SECRET

PATHS = {"v5": "/v5/private", "v3": "/contract/private/v3"}
STREAMS = ("execution", "order", "position", "wallet")


class Peer:
    """A client that says exactly what it is told to."""

    def __init__(self, exchange: Exchange, path: str = "/v5/private") -> None:
        self.socket: ClientConnection = connect(exchange.url + path, compression=None, ping_interval=None, close_timeout=1)
        self.exchange = exchange

    def __enter__(self) -> Peer:
        self.socket.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.socket.__exit__(*exc_info)

    def say(self, **request: Any) -> None:
        """Send *request*."""
        self.socket.send(json.dumps(request))

    def hear(self, timeout: float = 5.0) -> Any:
        """Return the next message."""
        return json.loads(self.socket.recv(timeout))

    def ask(self, **request: Any) -> Any:
        """Send *request* and return the next message."""
        self.say(**request)
        return self.hear()

    def log_in(self, key: str = KEY, secret: str = SECRET, *, ahead: int = 10_000) -> Any:
        """Log in until *ahead* ms from now on the exchange's clock."""
        expires = self.exchange.now() + ahead
        return self.ask(op="auth", args=[key, expires, sign(secret, expires)])

    def subscribe(self, *topics: str) -> Any:
        """Subscribe *topics* in one request."""
        return self.ask(op="subscribe", args=list(topics))

    def hears_nothing(self) -> bool:
        """Return whether the next thing that arrives is the answer to a ping that is sent now."""
        return bool(self.ask(op="ping")["op"] == "pong")


class Listener:
    """A peer that is subscribed to all four streams."""

    def __init__(self, peer: Peer, key: str = KEY, secret: str = SECRET, *topics: str) -> None:
        peer.log_in(key, secret)
        peer.subscribe(*(topics or STREAMS))
        self.peer = peer

    def heard(self) -> list[Any]:
        """Return every push so far."""
        pushes = []
        self.peer.say(op="ping")
        while "topic" in (message := self.peer.hear()):
            pushes.append(message)
        return pushes

    def rows(self) -> dict[str, Any]:
        """Return the last row of each topic so far."""
        return {push["topic"]: push["data"][-1] for push in self.heard()}


def topics(pushes: list[Any]) -> list[str]:
    """Return which topics *pushes* came on."""
    return [push["topic"] for push in pushes]
