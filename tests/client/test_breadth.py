"""What a client may subscribe to besides the usual: spot, and executions of lower latency."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bybit_sync import AuthenticationError, Client, ConfigurationError, Environment, Gap, Stream, UserTradeUpdate, replay
from bybit_sync.simulator import Account, Exchange
from tests.recovery.conftest import Recovering, recovering  # noqa: F401 - a fixture

MakeClient = Callable[..., Client]
FULL, FAST = ("execution.linear", "execution.inverse"), ("execution.fast.linear", "execution.fast.inverse")


def fill(account: Account) -> None:
    """Have an order filled."""
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))


# --- spot ---


def test_spot_has_orders_and_user_trades(account: Account, make_client: MakeClient) -> None:
    """The rows arrive on its own topics."""
    client = make_client(categories=("spot", "linear"))
    orders, trades = client.subscribe_orders(), client.subscribe_user_trades()
    account.push("orders", [{"category": "spot", "orderId": "19"}])
    assert (orders.topics, trades.topics) == (("order.linear", "order.spot"), ("execution.linear", "execution.spot"))
    assert orders.get(timeout=5)[0].category == "spot"


def test_positions_leave_spot_out(account: Account, make_client: MakeClient) -> None:
    """There are none of it: the exchange has no such topic."""
    assert make_client(categories=("spot", "linear")).subscribe_positions().topics == ("position.linear",)


def test_positions_of_nothing_but_spot_are_refused(make_client: MakeClient) -> None:
    """Before anything is dialled, with the categories that have positions."""
    client = make_client(categories=("spot",))
    with pytest.raises(ConfigurationError, match="positions are of linear, inverse and option"):
        client.subscribe_positions()
    assert client.state == "IDLE"


def test_a_view_of_nothing_but_spot_has_three_streams(account: Account, recovering: Recovering) -> None:  # noqa: F811
    """It is current without positions."""
    client = recovering(client={"categories": ("spot",)})
    with client.account_view() as view:
        assert view.wait_current(timeout=20)
        assert {subscription.stream for subscription in client.health().subscriptions} == set(Stream) - {Stream.POSITIONS}


# --- fast executions ---


def test_fast_trades_are_trades_with_fewer_keys(account: Account, client: Client) -> None:
    """Same class; an attribute that is not sent is None."""
    trades = client.subscribe_user_trades(fast=True)
    fill(account)
    event = trades.get(timeout=5)
    (row,) = event
    assert (trades.topics, event.topic, type(row)) == (FAST, "execution.fast.linear", UserTradeUpdate)
    assert (row.category, row.symbol, str(row.exec_qty), row.side) == ("linear", "BTCUSDT", "0.5", "Buy")
    assert (row.exec_fee, row.exec_type, row.leaves_qty) == (None, None, None)


def test_fast_trades_stay_fast_after_an_outage(exchange: Exchange, account: Account, client: Client) -> None:
    """The next login asks for the same topics."""
    trades = client.subscribe_user_trades(fast=True)
    exchange.drop()
    assert trades.get(timeout=10).gap
    assert exchange.connections[0].topics == FAST


def test_recovered_rows_are_full(exchange: Exchange, account: Account, recovering: Recovering) -> None:  # noqa: F811
    """REST has every key; each fill comes once, whichever brought it."""
    trades = recovering().subscribe_user_trades(fast=True)
    fill(account)
    assert trades.get(timeout=5)[0].exec_fee is None
    exchange.stop_listening()
    fill(account)
    exchange.listen()
    event = trades.get(timeout=20)
    assert isinstance(event.recovered, Gap)
    assert [row.exec_type for row in event] == ["Trade"]


@pytest.mark.parametrize("first", [False, True])
def test_the_other_kind_is_refused_while_one_is_open(*, first: bool, account: Account, client: Client) -> None:
    """At once, also without waiting; when the first is closed, the other may be had."""
    trades = client.subscribe_user_trades(fast=first)
    for wait in (True, False):
        with pytest.raises(ConfigurationError, match=rf"fast={not first} cannot work: .* with fast={first}"):
            client.subscribe_user_trades(fast=not first, wait=wait)
    trades.close()
    assert client.subscribe_user_trades(fast=not first).topics == (FULL if first else FAST)


def test_the_other_kind_is_on_the_wire_after_the_first(exchange: Exchange, account: Account, client: Client) -> None:
    """Though the first is closed in a moment when its command was not run yet."""
    for fast in (False, True, False, True):
        trades = client.subscribe_user_trades(fast=fast)
        fill(account)
        assert trades.get(timeout=5).topic == (FAST if fast else FULL)[0]
        assert exchange.connections[0].topics == (FAST if fast else FULL)
        trades._receiver.stop_accepting()  # as `close` does first


def test_of_two_kinds_at_once_one_is_refused(account: Account, make_client: MakeClient) -> None:
    """Whichever thread comes second."""
    for _ in range(20):
        with make_client() as client:
            results = at_once(lambda fast, client=client: client.subscribe_user_trades(fast=fast))
            assert sorted(type(result).__name__ for result in results) == ["ConfigurationError", "Subscription"]


def at_once(call: Callable[[bool], object]) -> list[object]:
    """Return what *call* returned or raised for True and for False, on two threads that begin together."""
    results: list[object] = []
    barrier = threading.Barrier(2)

    def run(*, fast: bool) -> None:
        barrier.wait()
        try:
            results.append(call(fast))
        except ConfigurationError as error:
            results.append(error)

    threads = [threading.Thread(target=run, kwargs={"fast": fast}) for fast in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_refused_kind_leaves_the_other_free(exchange: Exchange, account: Account, client: Client) -> None:
    """An account for which the exchange refuses the fast topics can have the full ones."""
    exchange.refuse_topic("execution.fast.linear", text="not supported")
    with pytest.raises(Exception, match="not supported"):
        client.subscribe_user_trades(fast=True)
    assert client.subscribe_user_trades().topics == FULL


def test_v3_has_no_fast_trades(make_client: MakeClient) -> None:
    """The error names the dialect that has them."""
    with pytest.raises(ConfigurationError, match='use dialect="v5"'):
        make_client(dialect="v3").subscribe_user_trades(fast=True)


def test_fast_trades_are_replayed(tmp_path: Path, account: Account, make_client: MakeClient) -> None:
    """A recording of them gives the same events."""
    client = make_client(record=tmp_path / "fast.jsonl")
    trades = client.subscribe_user_trades(fast=True)
    fill(account)
    received = trades.get(timeout=5)
    client.close()
    (event,) = replay(tmp_path / "fast.jsonl")
    assert (event.topic, event.data) == (received.topic, received.data)


# --- the regions whose host is doubtful ---


@pytest.mark.parametrize("region", ["eu", "ae"])
def test_a_login_refused_in_a_doubtful_region_names_mainnet_first(region: str, exchange: Exchange, account: Account) -> None:
    """Public clients disagree about the host of these two."""
    client = Client("WRONG", account.secret, environment=Environment(region, exchange.url))
    with client, pytest.raises(AuthenticationError, match=f'Try environment="mainnet" next: .* for {region}') as caught:
        client.subscribe_orders()
    assert 'environment="mainnet"' in caught.value.remedy


def test_a_login_refused_elsewhere_names_no_environment_first(exchange: Exchange, account: Account) -> None:
    """The others are documented."""
    client = Client("WRONG", account.secret, environment=Environment("jp", exchange.url))
    with client, pytest.raises(AuthenticationError) as caught:
        client.subscribe_orders()
    assert "next" not in caught.value.remedy
