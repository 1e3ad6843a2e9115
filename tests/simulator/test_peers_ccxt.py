"""ccxt.pro on the simulated exchange, unmodified except for the URL. Needs the extra ``peers``.

What it would read by REST before it subscribes (its markets, the kind of account) is handed to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bybit_sync.simulator import Account, Exchange
from tests.conftest import KEY, SECRET

MARKET = {
    "id": "BTCUSDT",
    "symbol": "BTC/USDT:USDT",
    "base": "BTC",
    "quote": "USDT",
    "settle": "USDT",
    "baseId": "BTC",
    "quoteId": "USDT",
    "settleId": "USDT",
    "type": "swap",
    "swap": True,
    "contract": True,
    "linear": True,
    "inverse": False,
    "contractSize": 1,
    "precision": {"amount": 0.001, "price": 0.1},
    "active": True,
}
OPTIONS = {
    "enableUnifiedMargin": False,
    "enableUnifiedAccount": True,
    "defaultType": "swap",
    "watchPositions": {"fetchPositionsSnapshot": False, "awaitPositionsSnapshot": False},
}


def ccxt() -> Any:
    """Return ccxt.pro, a second to import: by the worker that needs it, not by each that collects."""
    return pytest.importorskip("ccxt.pro")


async def heard(url: str, watch: str, act: Callable[[], Awaitable[None]], secret: str = SECRET) -> Any:
    """Return what ccxt's method *watch* returns when *act* happens after it has subscribed."""
    client = ccxt().bybit({"apiKey": KEY, "secret": secret, "options": OPTIONS})
    client.set_markets([client.safe_market_structure(MARKET)])
    client.urls["api"]["ws"]["private"]["contract"] = f"{url}/v5/private"
    try:
        watching = asyncio.ensure_future(getattr(client, watch)())
        acting = asyncio.ensure_future(act())
        return await asyncio.wait_for(watching, 15)
    finally:
        await acting
        await client.close()


async def nothing() -> None:
    """Let nothing happen."""


def told(exchange: Exchange, account: Account, watch: str, topic: str) -> Any:
    """Return what *watch* tells of a fill that comes once *topic* is subscribed: one push on each stream."""
    order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")

    def fill() -> None:
        exchange.wait_for(lambda: topic in exchange.connections[0].topics, 10)
        account.fill(order)

    return asyncio.run(heard(exchange.url, watch, lambda: asyncio.to_thread(fill)))


@pytest.mark.parametrize(
    ("watch", "topic", "says"),
    [
        ("watch_orders", "order", {"side": "buy", "status": "closed", "filled": 0.5, "average": 20000}),
        ("watch_my_trades", "execution", {"side": "buy", "amount": 0.5, "price": 20000, "takerOrMaker": "maker"}),
        ("watch_positions", "position", {"side": "long", "contracts": 0.5, "entryPrice": 20000}),
    ],
)
def test_ccxt_is_told_of_a_fill(exchange: Exchange, account: Account, watch: str, topic: str, says: dict[str, Any]) -> None:
    """Each stream reaches its method, in ccxt's own words."""
    (row,) = told(exchange, account, watch, topic)
    assert row["symbol"] == "BTC/USDT:USDT"
    assert {key: row[key] for key in says} == says


def test_ccxt_is_told_the_balance(exchange: Exchange, account: Account) -> None:
    """Total is what the account has after the fee."""
    assert told(exchange, account, "watch_balance", "wallet")["USDT"]["total"] == account.balance("USDT").wallet == 9998


def test_ccxt_understands_that_it_is_refused(exchange: Exchange, account: Account) -> None:
    """The text of the refusal is in its error."""
    with pytest.raises(ccxt().ExchangeError, match="Error sign"):
        asyncio.run(heard(exchange.url, "watch_orders", nothing, secret="WRONG"))
