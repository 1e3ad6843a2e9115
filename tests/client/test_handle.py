"""The handle that `subscribe_*` returns: what a user sees of it."""

from __future__ import annotations

import pydoc
import queue
from typing import Any

import pytest

from bybit_sync import Client, Subscription
from bybit_sync.simulator import Account, Exchange

DOCUMENTED = {"close", "delivered", "dropped", "error", "get", "queued", "refresh", "state", "stream", "topics"}
SPECIAL = {"__enter__", "__exit__", "__init__", "__iter__", "__next__", "__reduce__", "__repr__"}


def test_a_handle_shows_what_is_documented_and_nothing_else(client: Client) -> None:
    """In `dir`, as an editor completes ``subscription.``."""
    assert {name for name in dir(client.subscribe_orders()) if not name.startswith("_")} == DOCUMENTED


def test_help_shows_no_internal_method() -> None:
    """What has a private name is not shown, and all else is meant for users."""
    members = [(name, kind) for name, kind, home, _ in pydoc.classify_class_attrs(Subscription) if home is Subscription]
    shown = {name for name, kind in members if "method" in kind and pydoc.visiblename(name)}
    assert shown - SPECIAL == {"close", "get", "refresh"}


@pytest.mark.parametrize("name", sorted(DOCUMENTED - {"get", "close", "refresh"}))
def test_an_attribute_cannot_be_set(name: str, client: Client) -> None:
    """It tells the state of a subscription, and does not change it."""
    with pytest.raises(AttributeError):
        setattr(client.subscribe_orders(), name, None)


def test_the_counters_are_those_of_the_repr(client: Client, exchange: Exchange, account: Account) -> None:
    """One event was taken, one waits, one was dropped."""
    orders = client.subscribe_orders(maxsize=1, overflow="drop_newest")
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    orders.get(timeout=5)
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    exchange.wait_for(lambda: orders.dropped)
    assert (orders.delivered, orders.queued, orders.dropped) == (1, 1, 1)
    assert repr(orders).endswith("LIVE, 1 delivered, 1 queued, 1 dropped>")


def test_with_a_queue_what_is_queued_is_a_gap_without_room(client: Client, exchange: Exchange, account: Account) -> None:
    """The events in the queue itself count as delivered."""
    inbox: queue.Queue[Any] = queue.Queue(1)
    orders = client.subscribe_orders(inbox)
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    exchange.wait_for(lambda: orders.dropped)
    assert (orders.delivered, orders.queued, orders.dropped) == (1, 1, 1)
    inbox.get()  # so that the gap fits, and closing need not wait for that
