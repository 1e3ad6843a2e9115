"""From the connection thread to the consumers: nobody who waits is forgotten, however a round of reading ends."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest

from bybit_sync import Client, Event, Inline
from bybit_sync.network.websocket import Transport
from bybit_sync.simulator import Account, Exchange
from tests.conftest import push


class Hold:
    """Keeps the connection thread of *client* in an inline callback, until `go` is set."""

    def __init__(self, account: Account, client: Client) -> None:
        self.entered, self.go = threading.Event(), threading.Event()
        client.subscribe_positions(Inline(self._wait))
        account.push("positions", [{"category": "linear", "symbol": "BTCUSDT"}])
        assert self.entered.wait(10)

    def _wait(self, _: Event[Any]) -> None:
        self.entered.set()
        assert self.go.wait(30)


def test_an_event_is_handed_over_before_the_next_wait(account: Account, make_client: Callable[..., Client]) -> None:
    """No ping is due for a minute, and nothing else comes."""
    seen: queue.Queue[Event[Any]] = queue.Queue()
    make_client(ping_interval=60.0).subscribe_orders(seen.put)
    for name in ("one", "two"):
        push(account, name)
        assert seen.get(timeout=10).data[0].order_id == name


@pytest.mark.parametrize("form", ["callback", "iterator"])
def test_what_came_with_the_end_of_a_connection_is_handed_over(
    form: str, exchange: Exchange, account: Account, client: Client
) -> None:
    """The round raises; the exchange stays away, so that nothing else wakes the consumer."""
    seen: queue.Queue[Event[Any]] = queue.Queue()
    if form == "callback":
        client.subscribe_orders(seen.put)
    else:
        orders = client.subscribe_orders()
        threading.Thread(target=lambda: [seen.put(event) for event in orders], daemon=True).start()
    hold = Hold(account, client)
    exchange.refuse_upgrade(503)
    push(account, "one")
    exchange.drop(code=1001)
    hold.go.set()
    assert seen.get(timeout=10).data[0].order_id == "one"


def test_a_write_that_waits_holds_up_no_event(account: Account, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before it has been handed over."""
    seen: queue.Queue[Event[Any]] = queue.Queue()
    handed_over = threading.Event()
    client.subscribe_orders(lambda event: (seen.put(event), handed_over.set()))
    hold = Hold(account, client)
    send: Callable[[Transport, str], None] = Transport.send

    def slow(transport: Transport, text: str) -> None:
        assert handed_over.wait(30)
        send(transport, text)

    monkeypatch.setattr(Transport, "send", slow)
    push(account, "one")
    balances = client.subscribe_balances(wait=False)
    hold.go.set()
    assert seen.get(timeout=10).data[0].order_id == "one"
    assert balances.close()
