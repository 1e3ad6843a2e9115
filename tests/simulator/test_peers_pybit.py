"""pybit on the simulated exchange, unmodified except for the URL and one race. Needs the extra ``peers``."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bybit_sync.simulator import Account, Exchange
from tests.conftest import KEY, SECRET

unified_trading = pytest.importorskip("pybit.unified_trading")

STREAMS = ("order", "execution", "position", "wallet")


class Subscriptions(dict[str, str]):
    """What pybit subscribed to, by request; a look-up waits for it.

    pybit sends a request before it notes it here: an answer that is faster is a KeyError,
    which ends pybit's thread, and its next subscribe waits for ever.
    """

    def __init__(self) -> None:
        super().__init__()
        self._noted = threading.Condition()

    def __setitem__(self, request: str, message: str) -> None:
        with self._noted:
            super().__setitem__(request, message)
            self._noted.notify_all()

    def __getitem__(self, request: str) -> str:
        with self._noted:
            self._noted.wait_for(lambda: request in self, 30)
            return super().__getitem__(request)


def connected(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a client of pybit that is connected to *exchange*."""
    monkeypatch.setattr(unified_trading, "PRIVATE_WSS", f"{exchange.url}/v5/private")
    client = unified_trading.WebSocket("private", testnet=False, api_key=KEY, api_secret=SECRET, private_auth_expire=10)
    client.subscriptions = Subscriptions()
    return client


@pytest.fixture
def inbox() -> queue.Queue[Any]:
    """What pybit's callbacks were given."""
    return queue.Queue()


@pytest.fixture
def pybit(exchange: Exchange, account: Account, inbox: queue.Queue[Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """pybit, logged in and subscribed to all four streams."""
    client = connected(exchange, monkeypatch)
    for stream in STREAMS:
        getattr(client, f"{stream}_stream")(inbox.put)
    exchange.wait_for(lambda: set(exchange.connections[0].topics) == set(STREAMS), 30)
    yield client
    end(client, exchange)


def end(client: Any, exchange: Exchange) -> None:
    """End *client* from the exchange's side: by itself it takes ten seconds, or dials once more."""
    client.handle_error = False
    exchange.stop_listening()
    client.wst.join(30)
    assert not client.wst.is_alive()
    client.exit()


def test_pybit_is_told_a_fill_on_all_four_streams(pybit: Any, account: Account, inbox: queue.Queue[Any]) -> None:
    """What it hands to its callbacks is what the account says of itself."""
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
    pushes = [inbox.get(timeout=5) for _ in range(7)]
    assert [push["topic"] for push in pushes] == ["order", "position", "wallet", "execution", "order", "position", "wallet"]
    _, _, _, execution, order, position, wallet = (push["data"][0] for push in pushes)
    assert (execution["execQty"], order["orderStatus"], position["size"]) == ("0.5", "Filled", "0.5")
    assert Decimal(wallet["coin"][0]["walletBalance"]) == account.balance("USDT").wallet


def test_pybit_pings_and_is_answered(pybit: Any, exchange: Exchange) -> None:
    """Its ping counts, and the pong is not taken for a push."""
    pybit._send_custom_ping()
    exchange.wait_for(lambda: any(request["op"] == "ping" for request in exchange.connections[0].received))
    assert pybit.is_connected()


def test_pybit_comes_back_after_a_drop(pybit: Any, account: Account, exchange: Exchange, inbox: queue.Queue[Any]) -> None:
    """It logs in and subscribes again by itself, and the next push arrives."""
    exchange.drop()
    exchange.wait_for(lambda: [c for c in account.connections if c.epoch == 2 and len(c.topics) == len(STREAMS)], 15)
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    assert inbox.get(timeout=5)["topic"] == "order"


def test_pybit_is_served_over_tls(inbox: queue.Queue[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It only has to be told whom to trust, as any client of websocket-client can be."""
    pytest.importorskip("trustme")
    with Exchange(tls=True) as exchange:
        account = exchange.account(KEY, SECRET)
        (tmp_path / "authority.pem").write_bytes(exchange.authority_pem or b"")
        monkeypatch.setenv("WEBSOCKET_CLIENT_CA_BUNDLE", str(tmp_path / "authority.pem"))
        client = connected(exchange, monkeypatch)
        client.order_stream(inbox.put)
        exchange.wait_for_topics(["order"], timeout=5)
        account.flood(1000)
        assert [inbox.get(timeout=5)["data"][0]["orderId"] for _ in range(1000)][-1] == "flood-1000"
        end(client, exchange)


def test_pybit_unsubscribes(pybit: Any, exchange: Exchange) -> None:
    """The rest of its topics stay."""
    pybit.unsubscribe("wallet")
    exchange.wait_for(lambda: set(exchange.connections[0].topics) == set(STREAMS) - {"wallet"})
