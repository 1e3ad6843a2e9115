"""The account view of a whole client, against the simulated exchange, whose books say what is right."""

from __future__ import annotations

import copy
import os
import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest

from bybit_sync import (
    AccountView,
    AuthenticationError,
    Client,
    ClientClosed,
    ConfigurationError,
    GapReason,
    State,
    SubscriptionClosed,
    SubscriptionRejected,
)
from bybit_sync.simulator import Account, Exchange
from tests.account.conftest import CONFIRMED, TIMEOUT, Harness, booked, shown, until
from tests.conftest import FAST, FastClient, evolved, threads_of
from tests.faults.rows import row
from tests.recovery.conftest import Recovering
from tests.recovery.reading import buy, sell

# --- the account ---


def test_it_begins_with_what_is_open_now(harness: Harness) -> None:
    """Which was there before the client."""
    buy(harness.account)
    harness.account.place_order("BTCUSDT", "Buy", qty="0.1", price="10000")
    view = harness.view()
    assert shown(view) == booked(harness.account, skip=1)
    assert view.balance is not None
    assert view.coin("ETH") == view.balance.coin("ETH")


def test_it_follows_the_account(harness: Harness) -> None:
    """A position that is flat, an order that ended and a coin that is zero are gone."""
    view, account = harness.view(), harness.account
    buy(account)
    first = account.place_order("BTCUSD", "Buy", qty="100", price="20000")
    buy(account, "ETHUSDT", price="2000")
    account.cancel(first)
    sell(account)
    until(lambda: shown(view) == booked(account))
    assert (view.position("BTCUSDT"), first.order_id in view.orders) == (None, False)
    assert [str(row.symbol) for row in view.positions.values()] == ["ETHUSDT"]


def test_both_legs_of_hedge_mode_are_there(harness: Harness) -> None:
    """The symbol alone is ambiguous."""
    view, account = harness.view(), harness.account
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.2", price="20000", position_idx=1))
    account.fill(account.place_order("BTCUSDT", "Sell", qty="0.1", price="20000", position_idx=2))
    until(lambda: len(view.positions) == 2)
    assert view.position("BTCUSDT", position_idx=2).size == account.position("BTCUSDT", 2).size  # type: ignore[union-attr]
    with pytest.raises(LookupError, match="position_idx=1"):
        view.position("BTCUSDT")


def test_several_views_do_not_share_anything(harness: Harness) -> None:
    """Closing one leaves the other."""
    first, second = harness.view(), harness.view()
    assert first.close()
    buy(harness.account)
    until(lambda: shown(second) == booked(harness.account))
    assert (first.positions, first.is_current, second.is_current) == ({}, False, True)


# --- outages ---


def test_an_outage_makes_it_uncertain_until_it_is_mended(harness: Harness) -> None:
    """Then it has what happened meanwhile."""
    view, account = harness.view(), harness.account
    buy(account, qty="0.3")
    order = account.place_order("BTCUSDT", "Buy", qty="0.1", price="10000")
    until(lambda: shown(view) == booked(account))
    harness.exchange.stop_listening()
    until(lambda: not view.is_current)
    assert "an outage being mended" in repr(view)
    before = view.as_of
    sell(account, qty="0.1")
    account.cancel(order)
    assert view.as_of == before
    harness.exchange.listen()
    assert view.wait_current(TIMEOUT)
    until(lambda: shown(view) == booked(account))


def test_it_is_uncertain_as_long_as_rest_is_down(exchange: Exchange, account: Account, recovering: Recovering) -> None:
    """Though the stream flows again; it does not count as current until its event is there."""
    harness = Harness(exchange, account, recovering(hold=0.1, confirm_after=CONFIRMED))
    view = harness.view()
    exchange.rest.stop_listening()
    harness.miss(lambda: buy(account))
    until(lambda: harness.client.state == State.LIVE and "a gap being mended" in repr(view))
    buy(account)
    assert not view.wait_current(0.2)
    exchange.rest.listen()
    assert view.wait_current(TIMEOUT)
    until(lambda: shown(view) == booked(account))


def test_a_refused_stream_makes_it_uncertain_and_says_why(harness: Harness) -> None:
    """It is mended with the next outage."""
    view = harness.view()
    harness.exchange.rest.refuse(10005, "execution/list")
    harness.miss(lambda: buy(harness.account))
    until(lambda: view.waits_for and view.waits_for[0].startswith("user_trades: a gap not mended"))
    assert "execution/list" in view.waits_for[0]
    harness.exchange.rest.heal()
    harness.miss()
    assert view.wait_current(TIMEOUT)
    until(lambda: shown(view) == booked(harness.account))


def test_what_was_refused_is_read_again_when_it_is_asked_for(harness: Harness) -> None:
    """Once the key may read it."""
    view = harness.view()
    harness.exchange.rest.refuse(10005, "execution/list", "position/list")
    harness.miss(lambda: buy(harness.account))
    until(lambda: len([text for text in view.waits_for if "not mended" in text]) == 2)
    harness.exchange.rest.heal()
    view.refresh()
    assert view.wait_current(TIMEOUT)
    until(lambda: shown(view) == booked(harness.account))


def test_what_cannot_be_decoded_is_mended(harness: Harness) -> None:
    """One row that cannot be read is read from REST at once."""
    gaps: queue.Queue[Any] = queue.Queue()
    view = harness.view(lambda _view, event: event.gap and gaps.put(event.gap))
    order = harness.account.place_order("BTCUSDT", "Buy", qty="0.2", price="20000")
    until(lambda: shown(view) == booked(harness.account))
    harness.exchange.rewrite("positions", {"size": "1_000"})
    harness.account.fill(order)
    harness.exchange.leave_pushes_alone()
    assert gaps.get(timeout=TIMEOUT).reason is GapReason.UNDECODABLE
    assert view.wait_current(TIMEOUT)
    until(lambda: shown(view) == booked(harness.account))


@row(180, kills="an order that REST shows nowhere counts as cancelled")
def test_an_order_that_is_nowhere_makes_it_uncertain(harness: Harness) -> None:
    """REST lags: it is told later that it was cancelled."""
    view = harness.view()
    order = harness.account.place_order("BTCUSDT", "Buy", qty="0.1", price="10000")
    until(lambda: order.order_id in view.orders)
    harness.exchange.rest.lag(3_600.0)
    harness.miss(lambda: harness.account.cancel(order))
    until(lambda: "1 unresolved" in repr(view))
    assert (order.order_id in view.orders, view.is_current) == (True, False)
    harness.exchange.rest.heal()
    assert view.wait_current(TIMEOUT)
    assert dict(view.orders) == {}


# --- the time up to which it holds ---


def test_as_of_advances_with_each_pong(harness: Harness) -> None:
    """And stands still once it is closed."""
    view = harness.view()
    first = view.as_of
    assert first is not None
    until(lambda: view.as_of is not None and view.as_of > first)
    harness.client.subscribe_orders()
    view.close()
    last = view.as_of
    assert last is not None
    until(lambda: (harness.client.health().fresh_as_of or last) > last)
    assert view.as_of == last


def test_before_the_first_snapshots_it_has_no_time(harness: Harness) -> None:
    """And is not current."""
    harness.exchange.rest.stop_listening()
    view = harness.client.account_view()
    assert (view.as_of, view.is_current) == (None, False)
    assert "positions: the first snapshot" in view.waits_for
    assert "not begun" in repr(view)


# --- threads ---


@pytest.mark.usefixtures("hasty_threads")
def test_it_can_be_read_from_many_threads_while_it_changes(harness: Harness) -> None:
    """No part of it is ever between two states: each buy of one contract makes one order, fill and position."""
    view, stop, wrong = harness.view(), threading.Event(), list[Any]()

    def read() -> None:
        last = -1
        while not stop.is_set():
            state = view.snapshot()
            sizes = [row.size for row in state.positions.values()]
            if len(sizes) > 1 or len(state.trades) < last or len({row.exec_id for row in state.trades}) != len(state.trades):
                wrong.append(state)
            last = len(state.trades)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for number in range(30):
            buy(harness.account, qty="0.01")
            if number == 15:
                harness.exchange.drop()
        until(lambda: view.is_current and shown(view) == booked(harness.account))
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert wrong == []


def test_on_change_sees_each_event_applied(harness: Harness) -> None:
    """In order, on one thread, with the view as it is then or later."""
    seen: queue.Queue[tuple[int, str, int]] = queue.Queue()
    view = harness.view(lambda view, event: seen.put((event.index, threading.current_thread().name, len(view.trades))))
    buy(harness.account)
    until(lambda: view.trades and seen.queue[-1][2] == 1)
    assert [index for index, _, _ in seen.queue] == list(range(1, len(seen.queue) + 1))
    assert {name.rpartition("-")[0] for _, name, _ in seen.queue} == {f"{harness.client.name}-account"}


def test_a_slow_on_change_delays_neither_the_view_nor_the_client(harness: Harness) -> None:
    """It may wait for anything."""
    blocked, go_on = threading.Event(), threading.Event()
    view = harness.view(lambda *_: (blocked.set(), go_on.wait(TIMEOUT)))
    assert blocked.wait(TIMEOUT)
    buy(harness.account)
    until(lambda: shown(view) == booked(harness.account))
    assert view.is_current
    go_on.set()


@pytest.fixture
def gives_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pause less between refused logins."""
    monkeypatch.setattr(FastClient, "_timings", evolved(FAST, refused=(0.05, 0.05)))


@pytest.mark.usefixtures("gives_up_soon")
def test_a_slow_on_change_is_told_the_end_of_every_stream(harness: Harness) -> None:
    """With the outage before it: no gap of one stream hides that of another."""
    blocked, go_on, told = threading.Event(), threading.Event(), queue.Queue[tuple[str, str]]()

    def change(_view: AccountView, event: Any) -> None:
        blocked.set()
        go_on.wait(TIMEOUT)
        if event.gap is not None:
            told.put((str(event.stream), str(event.gap.reason)))

    view = harness.client.account_view(change)
    assert view.wait_current(TIMEOUT)
    assert blocked.wait(TIMEOUT)
    harness.exchange.refuse_login()
    harness.exchange.drop()
    until(lambda: harness.client.state == State.FAILED)
    go_on.set()
    until(lambda: len(told.queue) >= 4)
    assert sorted(told.queue) == [(name, "ENDED") for name in ("balances", "orders", "positions", "user_trades")]


def test_an_on_change_that_is_far_too_slow_gets_a_gap_for_each_stream(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The view itself misses nothing."""
    monkeypatch.setattr("bybit_sync.account.receiver._CHANGES", 3)
    blocked, go_on, told = threading.Event(), threading.Event(), queue.Queue[tuple[str, str]]()

    def change(_view: AccountView, event: Any) -> None:
        blocked.set()
        go_on.wait(TIMEOUT)
        if event.gap is not None:
            told.put((str(event.stream), str(event.gap.reason)))

    view = harness.view(change)
    assert blocked.wait(TIMEOUT)
    for _ in range(5):
        buy(harness.account)
    until(lambda: shown(view) == booked(harness.account))
    assert view.is_current
    go_on.set()
    until(lambda: len(told.queue) >= 4)
    assert sorted(told.queue) == [(name, "OVERFLOW") for name in ("balances", "orders", "positions", "user_trades")]


def test_what_on_change_raises_is_reported_and_ends_nothing(
    exchange: Exchange, account: Account, recovering: Recovering
) -> None:
    """As for any callback."""
    errors: queue.Queue[str] = queue.Queue()
    client = recovering(client={"on_error": lambda error, event, _: errors.put(f"{error} {event.index}")})
    calls: queue.Queue[int] = queue.Queue()

    def change(_view: AccountView, event: Any) -> None:
        calls.put(event.index)
        raise ValueError("mine")

    view = client.account_view(change)
    assert view.wait_current(TIMEOUT)
    buy(account)
    until(lambda: view.trades and len(errors.queue) >= 6)
    assert list(errors.queue)[:2] == ["mine 1", "mine 2"]


def test_it_can_be_closed_and_waited_for_inside_on_change(harness: Harness) -> None:
    """Neither waits for itself."""
    done: queue.Queue[object] = queue.Queue()

    def change(view: AccountView, _event: object) -> None:
        if done.empty():
            done.put(view.wait_current(TIMEOUT))
            done.put(view.close())

    view = harness.client.account_view(change)
    assert done.get(timeout=TIMEOUT) is True
    assert isinstance(done.get(timeout=TIMEOUT), bool)
    assert not view.is_current


def test_nobody_waits_on_the_client_s_own_thread(harness: Harness) -> None:
    """It would have to read what it waits for."""
    view, said = harness.view(), queue.Queue[str]()

    class Sink:
        def put_nowait(self, _event: object) -> None:
            try:
                view.wait_current()
            except ConfigurationError as error:
                said.put(str(error))

    harness.client.subscribe_orders(Sink())
    assert "own thread" in said.get(timeout=TIMEOUT)


# --- the end ---


def test_a_closed_view_keeps_its_last_state(harness: Harness) -> None:
    """It is not current, takes no more, and cannot be waited for."""
    buy(harness.account)
    with harness.view() as view:
        size = view.position("BTCUSDT").size  # type: ignore[union-attr]
    buy(harness.account)
    assert (view.position("BTCUSDT").size, view.is_current) == (size, False)  # type: ignore[union-attr]
    assert view.waits_for == ("nothing: it is closed",)
    with pytest.raises(SubscriptionClosed, match="keeps its last state"):
        view.wait_current()
    until(lambda: harness.client.health().subscriptions == ())


def test_the_client_s_close_ends_it(harness: Harness) -> None:
    """With every event handed to on_change, and no thread left."""
    seen: queue.Queue[Any] = queue.Queue()
    view = harness.view(lambda _, event: seen.put(event))
    buy(harness.account)
    until(lambda: view.trades)
    assert harness.client.close()
    assert not view.is_current
    assert threads_of(harness.client) == []
    assert [row.exec_id for event in seen.queue if event.stream == "user_trades" for row in event] == booked(harness.account)[3]


def test_a_close_that_comes_while_it_is_waited_for_ends_the_wait(harness: Harness) -> None:
    """At once, with an error."""
    harness.exchange.rest.stop_listening()
    view = harness.client.account_view()
    threading.Timer(0.2, view.close).start()
    with pytest.raises(SubscriptionClosed):
        view.wait_current()


def test_a_stream_that_ends_makes_it_uncertain_and_is_raised(harness: Harness) -> None:
    """The rest goes on; its last state stays."""
    view = harness.view()
    harness.exchange.refuse_topic("order.linear")
    harness.exchange.drop()
    until(lambda: not view.is_current)
    with pytest.raises(SubscriptionRejected):
        view.wait_current(TIMEOUT)
    assert [text for text in view.waits_for if text.startswith("orders: ended")]
    buy(harness.account)
    until(lambda: view.trades)
    assert not view.is_current


@pytest.mark.usefixtures("gives_up_soon")
def test_a_client_that_fails_is_raised(harness: Harness) -> None:
    """For good."""
    view = harness.view()
    harness.exchange.refuse_login()
    harness.exchange.drop()
    until(lambda: not view.is_current)
    with pytest.raises(AuthenticationError):
        view.wait_current(TIMEOUT)
    assert not view.is_current


# --- making one ---


def test_without_recover_there_is_none(make_client: Callable[..., Client]) -> None:
    """It could not be right after an outage."""
    with pytest.raises(ConfigurationError, match="recover=True"):
        make_client().account_view()


def test_a_refused_topic_is_raised_and_nothing_stays(harness: Harness) -> None:
    """Of all four streams."""
    harness.exchange.refuse_topic("wallet")
    with pytest.raises(SubscriptionRejected):
        harness.client.account_view(print)
    # The thread that reads over REST may be in the middle of an answer.
    until(lambda: (harness.client.health().subscriptions, threads_of(harness.client)) == ((), []))


def test_made_without_waiting_it_is_confirmed_later(harness: Harness) -> None:
    """Also by a client that finds no exchange yet."""
    harness.exchange.stop_listening()
    view = harness.client.account_view(wait=False)
    assert (view.is_current, view.as_of) == (False, None)
    harness.exchange.listen()
    assert view.wait_current(TIMEOUT)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [({"trades": 0}, "trades=0"), ({"timeout": -1}, "timeout=-1"), ({"on_change": 3}, "on_change=3")],
)
def test_arguments_that_cannot_work_are_refused(harness: Harness, arguments: dict[str, Any], says: str) -> None:
    """Before anything is subscribed."""
    with pytest.raises(ConfigurationError, match=says):
        harness.client.account_view(**arguments)


def test_only_so_many_trades_are_kept(harness: Harness) -> None:
    """The latest."""
    view = harness.view(trades=2)
    for _ in range(3):
        buy(harness.account)
    until(lambda: [row.exec_id for row in view.trades] == booked(harness.account, skip=1)[3])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_knows_that_it_is_not_current(harness: Harness) -> None:
    """It has no connection; the last state can be read."""
    buy(harness.account)
    view = harness.view()
    if not (child := os.fork()):
        try:
            with pytest.raises(ClientClosed):
                view.wait_current(1)
            right = not view.is_current and view.position("BTCUSDT") is not None
        except BaseException:  # noqa: BLE001 - nothing of pytest may go on in the child
            right = False
        os._exit(0 if right else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert view.is_current


def test_it_cannot_be_copied(harness: Harness) -> None:
    """Its snapshot can."""
    view = harness.view()
    with pytest.raises(TypeError, match="snapshot"):
        copy.copy(view)
    assert view.snapshot().is_current
