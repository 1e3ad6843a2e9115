"""``bybit-sync account``: what is printed, and what the exit code says of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bybit_sync.simulator import Account, Exchange
from tests.commands import ENVIRONMENT, call
from tests.conftest import KEY, SECRET
from tests.recovery.reading import buy

WITH_KEY = {**ENVIRONMENT, "BYBIT_API_KEY": KEY, "BYBIT_API_SECRET": SECRET}


def printed(exchange: Exchange, *arguments: str) -> tuple[int, str, str]:
    """Return the exit code and what was printed of the account."""
    return call("account", "--environment", exchange.url, "--rest-url", exchange.rest_url, *arguments, env=WITH_KEY)


def test_positions_orders_and_balances_are_tables(exchange: Exchange, account: Account) -> None:
    """With 0, because all of it is current."""
    buy(account, qty="0.5")
    account.place_order("ETHUSDT", "Buy", qty="1", price="1500")
    code, out, err = printed(exchange)
    assert (code, err) == (0, "")
    first, *lines = out.splitlines()
    assert first.startswith("current, as of 20")
    assert [line.split()[:3] for line in lines if line.startswith(("positions", "BTCUSDT", "orders", "ETHUSDT"))] == [
        ["positions", "side", "size"],
        ["BTCUSDT", "Buy", "0.5"],
        ["orders", "side", "qty"],
        ["ETHUSDT", "Buy", "1"],
    ]
    assert [line.split()[0] for line in lines[-4:]] == ["UNIFIED", "BTC", "ETH", "USDT"]


def test_an_account_without_anything_open_says_so(exchange: Exchange, account: Account) -> None:
    """It is no error."""
    code, out, _ = printed(exchange)
    assert (code, "positions: none" in out, "orders: none" in out) == (0, True, True)


def test_it_is_one_json_object(exchange: Exchange, account: Account) -> None:
    """For programs: numbers are texts."""
    buy(account, qty="0.5")
    code, out, _ = printed(exchange, "--json")
    told: dict[str, Any] = json.loads(out)
    assert (code, told["is_current"], told["waits_for"], told["orders"]) == (0, True, [], [])
    assert [(row["symbol"], row["size"]) for row in told["positions"]] == [("BTCUSDT", "0.5")]
    assert {coin["coin"] for coin in told["balance"]["coins"]} == {"BTC", "ETH", "USDT"}


@pytest.mark.usefixtures("account")
def test_what_cannot_be_read_is_named(exchange: Exchange) -> None:
    """With 6: the rest is printed."""
    exchange.rest.refuse(10005, "position/list")
    code, out, err = printed(exchange, "--seconds", "3")
    assert (code, out.startswith("NOT CURRENT, as of ")) == (6, True)
    assert "bybit-sync: not current: positions: a gap not mended" in err
    assert "position/list" in err
    assert "positions: none known" in out


def test_a_simulated_account_is_shown() -> None:
    """Without a key."""
    code, out, _ = call("account", "--simulate", env=ENVIRONMENT)
    assert (code, out.startswith("current")) == (0, True)


def test_without_a_rest_host_it_cannot_be_shown(exchange: Exchange) -> None:
    """It would not know what is there."""
    code, _, err = call("account", "--environment", exchange.url, env=WITH_KEY)
    assert (code, "--rest-url" in err) == (2, True)
