"""pybit's HTTP and ccxt's fetches read the simulated exchange, unmodified except for the URL. Needs the extra ``peers``."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from bybit_sync.simulator import Account, Exchange
from tests.conftest import KEY, SECRET

SYMBOL = "BTC/USDT:USDT"
LINEAR = {"category": "linear", "symbol": "BTCUSDT"}


@pytest.fixture
def pybit(exchange: Exchange, account: Account) -> Iterator[Any]:
    """An HTTP session of pybit."""
    http = pytest.importorskip("pybit.unified_trading", reason="pybit is not installed").HTTP
    session = http(api_key=KEY, api_secret=SECRET)
    session.endpoint = exchange.rest_url
    yield session
    session.client.close()


@pytest.fixture
def ccxt(exchange: Exchange, account: Account) -> Iterator[Any]:
    """A client of ccxt."""
    client = pytest.importorskip("ccxt", reason="ccxt is not installed").bybit({"apiKey": KEY, "secret": SECRET})
    client.urls["api"] = dict.fromkeys(("public", "private"), exchange.rest_url)
    yield client
    client.session.close()


def test_pybit_reads_what_the_books_hold(pybit: Any, account: Account) -> None:
    """Positions, orders, executions and balances."""
    order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    account.fill(order, qty="0.2")
    (position,) = pybit.get_positions(category="linear", settleCoin="USDT")["result"]["list"]
    (open_order,) = pybit.get_open_orders(**LINEAR)["result"]["list"]
    (execution,) = pybit.get_executions(category="linear")["result"]["list"]
    (wallet,) = pybit.get_wallet_balance(accountType="UNIFIED", coin="USDT")["result"]["list"]
    assert (position["size"], open_order["leavesQty"], execution["execQty"]) == ("0.2", "0.3", "0.2")
    assert Decimal(wallet["coin"][0]["walletBalance"]) == account.balance("USDT").wallet


def test_pybit_places_amends_and_cancels(pybit: Any, account: Account) -> None:
    """A bot that trades with it can be tested from end to end."""
    name = pybit.place_order(**LINEAR, side="Buy", orderType="Limit", qty="0.5", price="20000")["result"]["orderId"]
    pybit.amend_order(**LINEAR, orderId=name, price="20001")
    assert account.order(name).price == Decimal(20001)
    pybit.cancel_order(**LINEAR, orderId=name)
    (ended,) = pybit.get_order_history(category="linear")["result"]["list"]
    assert (ended["orderId"], ended["orderStatus"]) == (name, "Cancelled")


def test_pybit_is_told_what_is_wrong(pybit: Any) -> None:
    """In its own error, with the exchange's code."""
    exceptions = pytest.importorskip("pybit.exceptions")
    with pytest.raises(exceptions.InvalidRequestError, match="110001"):
        pybit.cancel_order(**LINEAR, orderId="none")


def test_pybit_s_pages_end_with_an_empty_one(pybit: Any, account: Account) -> None:
    """It puts the cursor on the wire as it came."""
    for _ in range(45):
        account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    cursor, found = "", []
    while (page := pybit.get_open_orders(**LINEAR, cursor=cursor)["result"])["list"]:
        found += [row["orderId"] for row in page["list"]]
        cursor = page["nextPageCursor"]
    assert sorted(found) == sorted(order.order_id for order in account.orders())


def test_ccxt_reads_what_the_books_hold(ccxt: Any, account: Account) -> None:
    """Markets first, by itself."""
    order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
    account.fill(order, qty="0.2")
    assert [position["contracts"] for position in ccxt.fetch_positions()] == [0.2]
    assert [found["id"] for found in ccxt.fetch_open_orders(SYMBOL)] == [order.order_id]
    assert [trade["amount"] for trade in ccxt.fetch_my_trades(SYMBOL)] == [0.2]
    assert ccxt.fetch_balance()["USDT"]["total"] == float(account.balance("USDT").wallet)


def test_ccxt_places_and_cancels(ccxt: Any, account: Account) -> None:
    """And finds the order in what is closed."""
    name = ccxt.create_order(SYMBOL, "limit", "buy", 0.1, 18000)["id"]
    assert [order.order_id for order in account.orders()] == [name]
    ccxt.cancel_order(name, SYMBOL)
    assert account.order(name).status == "Cancelled"
    assert [order["id"] for order in ccxt.fetch_canceled_orders(SYMBOL)] == [name]
