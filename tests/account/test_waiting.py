"""Waiting for one order: by the stream or by REST, whichever tells it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from bybit_sync import ConfigurationError, SubscriptionClosed
from bybit_sync.account.watch import OrderWatch
from tests.account.conftest import TIMEOUT, Harness, until
from tests.recovery import rows


def place(harness: Harness, **options: Any) -> Any:
    """Place an order."""
    return harness.account.place_order("BTCUSDT", "Buy", **{"qty": "0.4", "price": "20000", **options})


def test_an_order_is_waited_for_until_it_ends(harness: Harness) -> None:
    """By the stream."""
    view, order = harness.view(), place(harness)
    threading.Timer(0.1, lambda: harness.account.fill(order)).start()
    row = harness.client.wait_for_order(order.order_id, view=view, timeout=TIMEOUT)
    assert (row.order_id, row.order_status) == (order.order_id, "Filled")


def test_an_order_that_has_ended_is_found_at_once(harness: Harness) -> None:
    """Its last row came before the call."""
    view, order = harness.view(), place(harness, order_link_id="mine")
    until(lambda: order.order_id in view.orders)
    harness.account.cancel(order)
    until(lambda: order.order_id not in view.orders)
    found = harness.client.wait_for_order(order_link_id="mine", view=view, timeout=0)
    assert found.order_status == "Cancelled"


def test_an_order_that_ends_in_an_outage_is_told_by_rest(harness: Harness) -> None:
    """With its final row."""
    view, order = harness.view(), place(harness)
    until(lambda: order.order_id in view.orders)
    harness.miss(lambda: harness.account.fill(order))
    assert harness.client.wait_for_order(order.order_id, view=view, timeout=TIMEOUT).order_status == "Filled"


def test_every_row_is_tried() -> None:
    """Also one that is followed by another before the waiting thread looks."""
    watch = OrderWatch("a", None, lambda row: row.order_status == "PartiallyFilled")
    watch.see(rows.push(rows.order("a", "PartiallyFilled")))
    watch.see(rows.push(rows.order("a", "Filled")))
    assert (watch.check(), watch.found) == (True, rows.order("a", "PartiallyFilled"))


def test_rows_are_tried_on_the_thread_that_waits(harness: Harness) -> None:
    """So that what `until` does delays nobody else."""
    view, order, threads = harness.view(), place(harness), set()

    def half(row: Any) -> bool:
        threads.add(threading.current_thread())
        return bool(row.cum_exec_qty) and row.order_status == "PartiallyFilled"

    def fill() -> None:
        harness.account.fill(order, qty="0.1")
        harness.account.fill(order, qty="0.3")

    threading.Timer(0.1, fill).start()
    row = harness.client.wait_for_order(order.order_id, view=view, until=half, timeout=TIMEOUT)
    assert (str(row.cum_exec_qty), threads) == ("0.1", {threading.current_thread()})


def test_an_order_that_ends_otherwise_is_not_waited_for_any_longer(harness: Harness) -> None:
    """Though no time is set."""
    view, order = harness.view(), place(harness)
    harness.account.cancel(order)
    with pytest.raises(TimeoutError, match="is Cancelled"):
        harness.client.wait_for_order(order.order_id, view=view, until=lambda row: row.order_status == "Filled")


@pytest.mark.parametrize("known", [True, False])
def test_an_order_that_stays_open_times_out(harness: Harness, known: bool) -> None:  # noqa: FBT001 - a table
    """The error says what is known of it."""
    view, name = harness.view(), place(harness).order_id if known else "nothing"
    until(lambda: view.orders or not known)
    with pytest.raises(TimeoutError, match="is New" if known else "nothing was heard of order nothing"):
        harness.client.wait_for_order(name, view=view, timeout=0.1)


def test_a_close_ends_the_wait(harness: Harness) -> None:
    """At once."""
    view = harness.view()
    threading.Timer(0.1, view.close).start()
    with pytest.raises(SubscriptionClosed):
        harness.client.wait_for_order("x", view=view)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "either order_id or order_link_id"),
        ({"order_id": "a", "order_link_id": "b"}, "either order_id or order_link_id"),
        ({"order_id": "a", "until": "Filled"}, "until='Filled'"),
        ({"order_id": "a", "timeout": -1}, "timeout=-1"),
        ({"order_id": "a", "view": None}, "view=None"),
    ],
)
def test_arguments_that_cannot_work_are_refused(harness: Harness, arguments: dict[str, Any], says: str) -> None:
    """Before it waits."""
    with pytest.raises(ConfigurationError, match=says):
        harness.client.wait_for_order(**{"view": harness.view(), **arguments})


def test_a_view_of_another_client_is_refused(harness: Harness, recovering: Any) -> None:
    """Its orders are of another account."""
    with pytest.raises(ConfigurationError, match="of this client"):
        recovering().wait_for_order("a", view=harness.view())
