"""The four streams, in both dialects, by each way of delivery, over a real socket."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bybit_sync import Client, Event, Stream, Subscription
from bybit_sync.simulator import Account, Exchange

ROWS: dict[str, dict[str, Any]] = {
    "balances": {"accountType": "UNIFIED", "coin": [{"coin": "USDT"}]},
    "orders": {"category": "linear", "orderId": "order-1"},
    "positions": {"category": "linear", "symbol": "BTCUSDT", "positionIdx": 0},
    "user_trades": {"category": "linear", "execId": "fill-1"},
}
TOPICS = {
    "v5": {
        "balances": ("wallet",),
        "orders": ("order.linear", "order.inverse"),
        "positions": ("position.linear", "position.inverse"),
        "user_trades": ("execution.linear", "execution.inverse"),
    },
    "v3": {
        "balances": ("user.wallet.contractAccount",),
        "orders": ("user.order.contractAccount",),
        "positions": ("user.position.contractAccount",),
        "user_trades": ("user.execution.contractAccount",),
    },
}

Taker = Callable[[], Event[Any]]


def by_callback(subscribe: Callable[..., Subscription[Any]]) -> Taker:
    """Subscribe with a callback and return how to take what it gets."""
    got: queue.Queue[Event[Any]] = queue.Queue()
    subscribe(got.put)
    return lambda: got.get(timeout=5)


def by_queue(subscribe: Callable[..., Subscription[Any]]) -> Taker:
    """Subscribe with a queue and return how to take what it gets."""
    got: queue.Queue[Event[Any]] = queue.Queue()
    subscribe(got)
    return lambda: got.get(timeout=5)


def by_get(subscribe: Callable[..., Subscription[Any]]) -> Taker:
    """Subscribe without a sink and return its `get`."""
    subscription = subscribe()
    return lambda: subscription.get(timeout=5)


def by_iteration(subscribe: Callable[..., Subscription[Any]]) -> Taker:
    """Subscribe without a sink and return its next step as an iterator."""
    events: Iterator[Event[Any]] = iter(subscribe())
    return lambda: next(events)


def subscribing(client: Client, stream: str) -> Callable[..., Subscription[Any]]:
    """Return *client*'s method for *stream*."""
    return getattr(client, f"subscribe_{stream}")  # type: ignore[no-any-return]


@pytest.mark.parametrize("way", [by_callback, by_queue, by_get, by_iteration])
@pytest.mark.parametrize("stream", list(ROWS))
def test_a_push_arrives_typed(
    stream: str, way: Callable[..., Taker], dialect: str, account: Account, make_client: Callable[..., Client]
) -> None:
    """Each stream, dialect and way of delivery brings what the exchange pushes, and nothing before it."""
    client = make_client(dialect=dialect)
    take = way(subscribing(client, stream))
    account.push(stream, [ROWS[stream]])
    event = take()
    assert event.stream is Stream(stream)
    assert event.topic in TOPICS[dialect][stream]
    assert event.index == 1
    assert (event.gap, event.client, event.epoch) == (None, client.name, 1)
    assert [type(row).__name__ for row in event] == [type(event.data[0]).__name__]


@pytest.mark.parametrize("stream", list(ROWS))
def test_the_topics_on_the_wire_are_the_dialects(
    stream: str, dialect: str, exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """When `subscribe_*` returns, the exchange has every topic of the stream subscribed."""
    subscription = subscribing(make_client(dialect=dialect), stream)()
    assert subscription.topics == TOPICS[dialect][stream]
    assert set(exchange.connections[0].topics) == set(TOPICS[dialect][stream])


def test_the_all_in_one_topics_are_asked_for_without_categories(
    exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """`categories=None` subscribes `position` itself, and rows of any category arrive."""
    positions = make_client(categories=None).subscribe_positions()
    account.push("positions", [{"category": "option", "symbol": "BTC-30DEC22-18000-C"}])
    assert exchange.connections[0].topics == ("position",)
    assert positions.get(timeout=5).data[0].category == "option"


def test_all_four_streams_share_one_connection(exchange: Exchange, account: Account, client: Client) -> None:
    """A client has one connection, however much it subscribes to."""
    subscriptions = [subscribing(client, stream)() for stream in ROWS]
    for stream, row in ROWS.items():
        account.push(stream, [row])
    assert [s.get(timeout=5).stream.value for s in subscriptions] == list(ROWS)
    assert len(exchange.connections) == 1


def test_a_thousand_pushes_arrive_in_order_and_once(account: Account, client: Client) -> None:
    """The order of the events is the order of the frames, and the index has no holes."""
    orders = client.subscribe_orders()
    for n in range(1000):
        account.push("orders", [{"category": "linear", "orderId": f"order-{n}"}])
    events = [orders.get(timeout=5) for _ in range(1000)]
    assert [e.data[0].order_id for e in events] == [f"order-{n}" for n in range(1000)]
    assert [e.index for e in events] == list(range(1, 1001))


def test_an_event_carries_envelope_and_frame(account: Account, client: Client) -> None:
    """Envelope id, creation time and the frame itself can be had from the event."""
    orders = client.subscribe_orders()
    account.push("orders", [{"category": "inverse", "orderId": "order-7"}], id="7_BTCUSD_42", created_at=1_700_000_000_123)
    event = orders.get(timeout=5)
    assert (event.id, event.topic) == ("7_BTCUSD_42", "order.inverse")
    assert event.created_at is not None
    assert event.created_at.isoformat() == "2023-11-14T22:13:20.123000+00:00"
    assert b'"order-7"' in event.raw


def test_a_second_subscription_starts_with_what_is_read_after_it(account: Account, client: Client) -> None:
    """A later subscription gets nothing of before, and counts its own events from 1."""
    first = client.subscribe_orders()
    account.push("orders", [{"category": "linear", "orderId": "before"}])
    assert first.get(timeout=5).data[0].order_id == "before"
    second = client.subscribe_orders()
    account.push("orders", [{"category": "linear", "orderId": "after"}])
    event, other = second.get(timeout=5), first.get(timeout=5)
    assert (event.data[0].order_id, event.index, other.index) == ("after", 1, 2)


def test_the_last_close_unsubscribes(exchange: Exchange, account: Account, client: Client) -> None:
    """The topic stays while anybody wants it, and goes with the last."""
    first, second = client.subscribe_balances(), client.subscribe_balances()
    first.close()
    account.push("balances", [ROWS["balances"]])
    assert second.get(timeout=5)
    assert exchange.connections[0].topics == ("wallet",)
    second.close()
    exchange.wait_for(lambda: exchange.connections[0].topics == ())


def test_one_queue_serves_all_streams_of_two_accounts(
    exchange: Exchange, account: Account, make_client: Callable[..., Client]
) -> None:
    """Stream and client of an event tell whose it is."""
    exchange.account("other-key", "other-secret")
    everything: queue.Queue[Any] = queue.Queue()
    clients = [make_client(name="ours"), make_client("other-key", "other-secret", name="theirs")]
    for client in clients:
        for stream in ROWS:
            subscribing(client, stream)(everything)
    account.push("positions", [ROWS["positions"]])
    event = everything.get(timeout=5)
    assert (event.client, event.stream) == ("ours", Stream.POSITIONS)
    assert everything.empty()


def test_the_heartbeat_is_a_json_ping(exchange: Exchange, account: Account, make_client: Callable[..., Client]) -> None:
    """A quiet connection is pinged, and the pong tells how fresh the streams are."""
    client = make_client(ping_interval=0.05)
    client.subscribe_orders()
    exchange.wait_for(lambda: "ping" in [request["op"] for request in exchange.connections[0].received])
    exchange.wait_for(lambda: client.health().fresh_as_of is not None)
    health = client.health()
    assert health.ping_rtt is not None
    assert health.clock_offset is not None
    assert abs(health.clock_offset) < 1
