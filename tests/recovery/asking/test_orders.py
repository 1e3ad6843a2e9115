"""The orders: those that ended in a window with their final rows, then the open ones; none is taken for cancelled."""

from __future__ import annotations

from typing import Any

import pytest

from bybit_sync.errors import RestProtocolError, RestRefused
from bybit_sync.model.events import Stream
from bybit_sync.recovery.asking.times import instant
from bybit_sync.recovery.wants import Answered, Known
from bybit_sync.simulator import Account, Exchange
from bybit_sync.simulator.books.orders import Order
from tests.faults.rows import row
from tests.recovery.asking.conftest import Asker

ORDERS = Stream.ORDERS
DAY = 86_400.0


def place(account: Account, symbol: str = "BTCUSDT", **more: Any) -> Order:
    """Place an order."""
    return account.place_order(symbol, "Buy", **{"qty": "10" if symbol == "BTCUSD" else "0.5", "price": "20000", **more})


def known(*orders: Order) -> tuple[Known, ...]:
    """Return *orders* as they are known."""
    return tuple(Known(o.instrument.category, o.symbol, o.order_id, instant(o.created)) for o in orders)


def states(answer: Answered) -> list[tuple[str, str]]:
    """Return the ids and the states of the orders in *answer*, in order."""
    return [(row.order_id, str(row.order_status)) for row in answer.rows]


def asked_by_id(exchange: Exchange) -> list[str]:
    """Return the ids that were asked for."""
    return [call.parameters["orderId"] for call in exchange.rest.calls if "orderId" in call.parameters]


# --- what is listed ---


def test_open_orders_of_every_scope_are_listed(asker: Asker, exchange: Exchange, account: Account) -> None:
    """As they were created; without a window nothing else is asked for."""
    orders = []
    for seconds, symbol in enumerate(("BTCUSDT", "ETHPERP", "BTCUSD")):
        exchange.set_clock(seconds - 10.0)
        orders.append(place(account, symbol))
    exchange.set_clock(0.0)
    answer = asker.ask(ORDERS)
    assert states(answer) == [(order.order_id, "New") for order in orders]
    assert set(asker.asked()) == {"order/realtime"}


@row(180, kills="orders are listed without orderFilter=StopOrder only")
def test_conditional_orders_are_asked_for(asker: Asker, exchange: Exchange, account: Account) -> None:
    """A list without a filter may lack them."""
    order = place(account, trigger_price="19000")
    exchange.rest.hide_conditional_orders()
    assert states(asker.ask(ORDERS)) == [(order.order_id, "Untriggered")]


def test_what_ended_comes_before_what_is_open(asker: Asker, exchange: Exchange, account: Account) -> None:
    """Each with its last row."""
    placed = []
    for seconds in range(4):
        exchange.set_clock(seconds - 10.0)
        placed.append(place(account))
    exchange.set_clock(0.0)
    opened, filled, cancelled, partly = placed
    account.fill(filled)
    account.cancel(cancelled)
    account.cancel(account.fill(partly, qty="0.2"))
    assert states(asker.ask(ORDERS, since=asker.ago(seconds=60))) == [
        (filled.order_id, "Filled"),
        (cancelled.order_id, "Cancelled"),
        (partly.order_id, "Cancelled"),
        (opened.order_id, "New"),
    ]


def test_what_ended_before_the_window_is_no_news(asker: Asker, exchange: Exchange, account: Account) -> None:
    """Unless it was known as open."""
    exchange.set_clock(-600.0)
    early, missed = account.fill(place(account)), account.fill(place(account))
    exchange.set_clock(0.0)
    answer = asker.ask(ORDERS, since=asker.ago(seconds=60), known=known(missed))
    assert states(answer) == [(missed.order_id, "Filled")]
    assert early.order_id not in [row.order_id for row in answer.rows]


def test_orders_of_every_page_are_listed(asker: Asker, account: Account) -> None:
    """Open ones and ended ones, over 50 each."""
    opened = {place(account).order_id for _ in range(60)}
    ended = {account.cancel(place(account)).order_id for _ in range(60)}
    rows = asker.ask(ORDERS, since=asker.ago(seconds=60)).rows
    assert len(rows) == 120
    assert {row.order_id for row in rows[:60]} == ended
    assert {row.order_id for row in rows[60:]} == opened


def test_the_list_of_the_latest_is_not_read_to_its_end(asker: Asker, exchange: Exchange, account: Account) -> None:
    """A page that brings nothing new ends it, when every known order was found."""
    for _ in range(120):
        account.cancel(place(account))
    asker.ask(ORDERS, since=asker.ago(seconds=60))
    latest = [
        c for c in exchange.rest.calls if c.parameters.get("openOnly") == "1" and c.parameters.get("settleCoin") == "USDT"
    ]
    assert len(latest) == 1


def test_a_known_order_is_looked_for_in_the_whole_list(asker: Asker, exchange: Exchange, account: Account) -> None:
    """It was created before all others; so no order is asked for by its id."""
    exchange.set_clock(-3600.0)
    old = place(account)
    exchange.set_clock(0.0)
    for _ in range(60):
        account.cancel(place(account))
    account.cancel(old)
    answer = asker.ask(ORDERS, since=asker.ago(seconds=60), known=known(old))
    assert states(answer)[0] == (old.order_id, "Cancelled")
    assert asked_by_id(exchange) == []


def test_a_window_of_weeks_is_read_in_parts(asker: Asker, exchange: Exchange, account: Account) -> None:
    """Filled orders are kept for long."""
    filled = []
    for days in (20, 9, 1):
        exchange.set_clock(-days * DAY)
        filled.append(account.fill(place(account)))
    exchange.set_clock(0.0)
    assert states(asker.ask(ORDERS, since=asker.ago(days=21))) == [(order.order_id, "Filled") for order in filled]


def test_a_history_in_a_circle_is_read_in_smaller_windows(asker: Asker, exchange: Exchange, account: Account) -> None:
    """Until they come whole: more than two pages, and those that are asked for by their ids."""
    for seconds in range(130, 0, -1):
        exchange.set_clock(-float(seconds))
        account.fill(place(account))
    exchange.set_clock(0.0)
    exchange.rest.cursors("stuck", "order/history")
    exchange.rest.forget_closed_orders(exchange.now() + 1)
    assert len(asker.ask(ORDERS, since=asker.ago(seconds=200)).rows) == 130


def test_open_orders_in_a_circle_are_an_error(asker: Asker, exchange: Exchange, account: Account) -> None:
    """They cannot be divided, and what is missing would count as not open."""
    for _ in range(100):
        place(account)
    exchange.rest.cursors("stuck", "order/realtime")
    with pytest.raises(RestProtocolError, match="order/realtime: its pages lead in a circle"):
        asker.ask(ORDERS)


# --- by id ---


def test_a_known_order_that_no_list_has_is_asked_for_by_its_id(asker: Asker, exchange: Exchange, account: Account) -> None:
    """It was created before the window, and the service has forgotten that it ended."""
    exchange.set_clock(-3 * DAY)
    order = place(account)
    exchange.set_clock(0.0)
    account.fill(order)
    exchange.rest.forget_closed_orders(exchange.now() + 1)
    answer = asker.ask(ORDERS, since=asker.ago(seconds=60), known=known(order))
    assert (states(answer), answer.unresolved) == ([(order.order_id, "Filled")], ())


def test_an_old_order_is_looked_for_where_it_was_created(asker: Asker, exchange: Exchange, account: Account) -> None:
    """The history of an id reaches back for seven days only, unless it is told when."""
    exchange.set_clock(-30 * DAY)
    order = place(account)
    exchange.set_clock(0.0)
    account.fill(order)
    exchange.rest.forget_closed_orders(exchange.now() + 1)
    answer = asker.ask(ORDERS, since=asker.ago(seconds=60), known=known(order))
    assert (states(answer), answer.unresolved) == ([(order.order_id, "Filled")], ())


@row(180, kills="an order that is nowhere is not told as unresolved")
def test_an_order_that_is_nowhere_is_not_taken_for_cancelled(asker: Asker, exchange: Exchange, account: Account) -> None:
    """It was cancelled without a fill, over a day ago."""
    exchange.set_clock(-3 * DAY)
    order = account.cancel(place(account))
    exchange.set_clock(0.0)
    exchange.rest.forget_closed_orders(exchange.now() + 1)
    answer = asker.ask(ORDERS, since=asker.ago(days=2), known=known(order), waits=(1.0, 2.0))
    assert (answer.rows, answer.unresolved, asker.pauses) == ((), known(order), [1.0, 2.0])
    assert len(asked_by_id(exchange)) == 3 * 4


@row(169, kills="an order that no list has is not asked for by its id")
def test_an_order_in_neither_list_is_waited_for(asker: Asker, exchange: Exchange, account: Account) -> None:
    """REST lags: it appears in a pause."""
    order = account.cancel(place(account))
    exchange.rest.lag(5.0)
    asker.on_pause = exchange.rest.heal
    answer = asker.ask(ORDERS, since=asker.ago(seconds=60), known=known(order), waits=(1.0, 2.0))
    assert (states(answer), answer.unresolved, asker.pauses) == ([(order.order_id, "Cancelled")], (), [1.0])


def test_an_order_of_a_contract_that_is_gone_is_unresolved(asker: Asker, exchange: Exchange) -> None:
    """That the exchange does not know its symbol is no refusal of the category."""
    gone = Known("linear", "GONEUSDT", "an id")
    exchange.rest.refuse(10001, "order/history")
    answer = asker.ask(ORDERS, known=(gone,))
    assert (answer.unresolved, answer.refused) == ((gone,), ())


# --- executions ---


def test_an_order_that_an_execution_names_is_asked_for(asker: Asker, exchange: Exchange, account: Account) -> None:
    """The lists of orders lag behind the executions."""
    order = account.fill(place(account))
    exchange.rest.lag(5.0, "order/realtime", "order/history")
    asker.on_pause = exchange.rest.heal
    answer = asker.ask(ORDERS, since=asker.ago(seconds=60), waits=(1.0,))
    assert (states(answer), answer.lags) == ([(order.order_id, "Filled")], False)


def test_an_order_that_lags_behind_its_executions_is_told(asker: Asker, exchange: Exchange, account: Account) -> None:
    """It is not unresolved: nobody knew it."""
    account.fill(place(account))
    exchange.rest.lag(5.0, "order/realtime", "order/history")
    answer = asker.ask(ORDERS, since=asker.ago(seconds=60), waits=(1.0,))
    assert (answer.rows, answer.unresolved, answer.lags) == ((), (), True)


def test_a_row_that_says_less_than_the_executions_is_asked_for_again(
    asker: Asker, exchange: Exchange, account: Account
) -> None:
    """The sum of the fills tells."""
    account.fill(place(account), qty="0.2")
    exchange.rest.rewrite({"cumExecQty": "0"}, "order/realtime")
    asker.on_pause = exchange.rest.heal
    answer = asker.ask(ORDERS, since=asker.ago(seconds=60), waits=(1.0,))
    assert (str(answer.rows[0].cum_exec_qty), answer.lags, asker.pauses) == ("0.2", False, [1.0])


def test_an_older_row_replaces_no_newer_one(asker: Asker, exchange: Exchange, account: Account) -> None:
    """The list of the latest lags behind the history."""
    account.fill(place(account))
    exchange.rest.rewrite({"cumExecQty": "0.1"}, "order/realtime")
    (row,) = asker.ask(ORDERS, since=asker.ago(seconds=60)).rows
    assert str(row.cum_exec_qty) == "0.5"


def test_funding_is_no_order(asker: Asker, account: Account) -> None:
    """Its id is the exchange's own."""
    account.fill(place(account))
    account.fund("BTCUSDT", "0.0001")
    answer = asker.ask(ORDERS, since=asker.ago(seconds=60), waits=(1.0,))
    assert (len(answer.rows), answer.lags, asker.pauses) == (1, False, [])


@pytest.mark.parametrize(("code", "lags"), [(10005, False), (10016, True)])
def test_executions_that_cannot_be_read_leave_the_orders(
    asker: Asker,
    exchange: Exchange,
    account: Account,
    code: int,
    lags: bool,  # noqa: FBT001 - a table
) -> None:
    """What may pass leaves the comparison open."""
    place(account)
    exchange.rest.refuse(code, "execution/list")
    answer = asker.ask(ORDERS, since=asker.ago(seconds=60))
    assert (len(answer.rows), answer.lags, answer.refused) == (1, lags, ())


# --- refusals ---


def test_orders_of_a_refused_category_are_unresolved(asker: Asker, exchange: Exchange, account: Account) -> None:
    """They stay as they were; the others come."""
    order, other = place(account), place(account, "BTCUSD")
    exchange.rest.refuse(10005, "order/realtime", times=4)
    answer = asker.ask(ORDERS, known=known(order, other))
    assert states(answer) == [(other.order_id, "New")]
    assert ([error.code for error in answer.refused], answer.unresolved) == ([10005], known(order))
    assert asked_by_id(exchange) == []


def test_without_the_history_the_open_orders_come(asker: Asker, exchange: Exchange, account: Account) -> None:
    """And its refusal, once for each category."""
    order = place(account)
    exchange.rest.refuse(10005, "order/history")
    answer = asker.ask(ORDERS, since=asker.ago(seconds=60))
    assert states(answer) == [(order.order_id, "New")]
    assert [error.endpoint for error in answer.refused] == ["order/history"] * 2


def test_when_every_list_is_refused_there_is_no_answer(asker: Asker, exchange: Exchange) -> None:
    """But the first refusal."""
    exchange.rest.refuse(10005, "order/realtime", "order/history")
    with pytest.raises(RestRefused, match="order/realtime: refused with 10005"):
        asker.ask(ORDERS, since=asker.ago(seconds=60))
