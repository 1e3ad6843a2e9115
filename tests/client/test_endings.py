"""How waiting and subscriptions end when something ends them, and what must not be asked of them."""

from __future__ import annotations

import queue
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trustme

from bybit_sync import (
    V3,
    AuthenticationError,
    Client,
    ClientClosed,
    ConfigurationError,
    Event,
    State,
    Subscription,
    SubscriptionState,
)
from bybit_sync.simulator import Account, Exchange
from tests.client.test_subscribing import in_background
from tests.faults.exchange import Exchange as Script
from tests.faults.exchange import Message, Talk, answer, serve
from tests.network.test_proxy import relay
from tests.peers import Line, Peer


class DiskFull(Exception):
    """What a user's queue may raise."""


class RefusesGaps:
    """A queue of a user's that can hold orders and no gaps."""

    def __init__(self) -> None:
        self.events: queue.Queue[Event[Any]] = queue.Queue()

    def put_nowait(self, event: Event[Any], /) -> None:
        """Take *event*, unless it is a gap."""
        if event.gap is not None:
            raise DiskFull
        self.events.put(event)


def test_wait_live_ends_when_the_client_is_closed_meanwhile(
    exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """It raises `ClientClosed`: LIVE is what it will never be again."""
    exchange.hold_acks("subscribe")
    client = make_client()
    client.subscribe_orders(wait=False)
    outcome = in_background(client.wait_live)
    exchange.wait_for(lambda: exchange.connections and exchange.connections[0].received)
    client.close()
    assert isinstance(outcome.get(timeout=10), ClientClosed)


def test_a_queue_that_refuses_the_gap_of_an_outage_costs_its_own_subscription(
    exchange: Exchange, account: Account, client: Client
) -> None:
    """It ends with what the queue raised; others to the same stream are told, and the client is LIVE again."""
    refusing = client.subscribe_orders(RefusesGaps())
    orders = client.subscribe_orders()
    exchange.drop()
    assert orders.get(timeout=10).gap is not None
    assert (refusing.state, type(refusing.error)) == (SubscriptionState.CLOSED, DiskFull)
    assert client.wait_live(timeout=10)
    assert client.state is State.LIVE


def test_a_dialect_may_be_given_as_it_is_or_by_name(
    exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """`V3` and "v3" mean the same."""
    for number, dialect in enumerate([V3, "v3"]):
        client = make_client(dialect=dialect)
        client.subscribe_orders()
        assert exchange.connections[number].topics == ("user.order.contractAccount",)


@pytest.mark.parametrize("ask", [Subscription.get, Subscription.__next__], ids=["get", "iteration"])
def test_what_a_callback_gets_cannot_be_taken_otherwise(ask: Callable[[Any], object], account: Account, client: Client) -> None:
    """An event has one way out; the error says which."""
    orders = client.subscribe_orders(lambda event: None)
    with pytest.raises(ConfigurationError, match="without one to use get"):
        ask(orders)


def test_a_v3_login_that_bybit_refuses_says_that_v3_was_switched_off() -> None:
    """The key may be right: the remedy begins with the gateway that is no more."""
    authority = trustme.CA()
    server, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("stream.bybit.com").configure_cert(server)
    authority.configure_trust(trusting)

    def refuse(line: Talk, request: Message) -> None:
        answer(line, request, success=False, text="API key is invalid.")

    with Script(lambda line: serve(line, auth=refuse), context=server) as bybit:

        def tunnel(line: Line) -> None:
            line.read_head()
            line.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            relay(line, bybit.port)

        with Peer(tunnel) as proxy:
            client = Client("k", "s", dialect="v3", proxy=f"http://127.0.0.1:{proxy.port}", ssl_context=trusting)
            with client, pytest.raises(AuthenticationError) as raised:
                client.subscribe_orders(timeout=10)
    assert "switched V3 off" in raised.value.remedy
    assert "switched V3 off" in str(raised.value)
