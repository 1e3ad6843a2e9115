"""The port of an exchange that listens no more: it stays the exchange's own."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.sync.server import Server

from bybit_sync.simulator import Exchange
from bybit_sync.simulator.rest.server import _Server


def port_of(url: str) -> int:
    """Return the port in *url*."""
    return urlsplit(url).port or 0


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="this system binds no second socket")
@pytest.mark.parametrize(
    ("server", "end", "where"),
    [
        (Server, "shutdown", lambda exchange: (exchange, exchange.url)),
        (_Server, "end", lambda exchange: (exchange.rest, exchange.rest_url)),
    ],
    ids=["websocket", "rest"],
)
def test_nobody_can_take_the_port_of_what_falls_silent(
    server: type, end: str, where: Callable[[Exchange], tuple[Any, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even between the end of the socket that listened and the one that holds the port."""
    taken: list[int | None] = []

    def ended(self: object) -> None:
        real(self)
        with socket.socket() as other:
            taken.append(_bind(other, port))

    with Exchange() as exchange:
        silenced, url = where(exchange)
        port, real = port_of(url), getattr(server, end)
        monkeypatch.setattr(server, end, ended)
        silenced.stop_listening()
        assert taken == [errno.EADDRINUSE]


def _bind(sock: socket.socket, port: int) -> int | None:
    try:
        sock.bind(("127.0.0.1", port))
    except OSError as error:
        return error.errno
    return None


def test_two_exchanges_cannot_have_one_port() -> None:
    """The second one is refused, also when the first one was silent before."""
    with Exchange() as exchange:
        exchange.stop_listening()
        exchange.listen()
        with pytest.raises(OSError, match="in use"):
            Exchange(port=port_of(exchange.url)).start()
