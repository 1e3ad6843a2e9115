"""Callbacks and queues: what they raise, what they miss, and that the stream goes on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest

from bybit_sync import Client, GapReason, QueueOverflow, Subscription
from bybit_sync.simulator import Account, Exchange
from tests.conftest import push


async def awaitable() -> None:
    """Do nothing, later."""


async def asynchronous_generator() -> Any:
    """Do nothing, bit by bit."""
    yield


@pytest.mark.parametrize("make", [awaitable, asynchronous_generator, lambda: (row for row in "rows")])
def test_what_a_callback_returns_instead_of_running_is_told(
    make: Callable[[], Any], account: Account, make_client: Callable[..., Client], log: pytest.LogCaptureFixture
) -> None:
    """It counts as raised: in the log, at `on_error`, in the health."""
    told: queue.Queue[BaseException] = queue.Queue()
    client = make_client(on_error=lambda error, *_: told.put(error))
    client.subscribe_orders(lambda event: make())
    push(account, "one")
    error = told.get(timeout=5)
    assert isinstance(error, TypeError)
    assert "nothing has run" in str(error)
    assert client.health().subscriptions[0].handler_errors == 1
    assert [r.levelname for r in log.records if r.exc_info and r.exc_info[1] is error] == ["ERROR"]


def test_a_coroutine_of_on_status_or_on_error_is_told(
    account: Account, make_client: Callable[..., Client], log: pytest.LogCaptureFixture
) -> None:
    """These only have the log."""
    client = make_client(on_status=lambda change: awaitable(), on_error=lambda *_: awaitable())
    client.subscribe_orders(lambda event: awaitable())
    witness = client.subscribe_orders()
    push(account, "one")
    assert witness.get(timeout=5)
    assert client.close()
    told = {r.getMessage().removeprefix(f"{client.name}: ") for r in log.records if r.exc_info and r.exc_info[0] is TypeError}
    assert {"on_status raised", "on_error raised"} <= told


def fill_up(account: Account, client: Client, subscription: Subscription[Any], count: int) -> None:
    """Push *count* orders and wait until all of them have been read."""
    with client.subscribe_orders() as witness:
        push(account, *(str(n) for n in range(count)))
        for _ in range(count):
            witness.get(timeout=5)


def test_a_full_queue_that_breaks_ends_its_subscription_with_the_next_event(
    exchange: Exchange, account: Account, client: Client
) -> None:
    """Retrying the gap that it lacks does not end it; what cannot be delivered then does."""

    class Breaking(queue.Queue[Any]):
        broken, tried = False, threading.Event()

        def put_nowait(self, item: Any, /) -> None:
            if self.broken:
                self.tried.set()
                raise OSError("the disk is gone")
            super().put_nowait(item)

    full = Breaking(maxsize=1)
    orders = client.subscribe_orders(full)
    fill_up(account, client, orders, 3)
    full.broken = True
    assert full.tried.wait(5)
    assert orders.state == "LIVE"
    push(account, "next")
    exchange.wait_for(lambda: orders.state == "CLOSED")
    assert "disk" in str(orders.error)


def test_wait_raises_what_the_last_subscription_ended_with(account: Account, client: Client) -> None:
    """A main thread in `wait` does not sleep on when there is nothing left to wait for."""
    full: queue.Queue[Any] = queue.Queue(maxsize=1)
    client.subscribe_orders(full, overflow="fail")
    push(account, "one", "two")
    with pytest.raises(QueueOverflow):
        client.wait(timeout=5)
    assert full.get(timeout=5).data
    assert full.get(timeout=5).gap.reason is GapReason.ENDED
