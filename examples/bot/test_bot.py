"""Tests of the bot, with the fixtures of bybit_sync[simulator].

bybit_exchange and bybit_account come through pytest's plugins.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from bot import Bot

from bybit_sync import Client
from bybit_sync.simulator import Account, Exchange


@pytest.fixture
def bot(bybit_exchange: Exchange, bybit_account: Account) -> Iterator[Bot]:
    """A bot on a simulated account."""
    with Client(bybit_account.key, bybit_account.secret, environment=bybit_exchange.url) as client:
        yield Bot(client)


def test_it_knows_what_was_filled(bot: Bot, bybit_exchange: Exchange, bybit_account: Account) -> None:
    """A part of an order is what it holds."""
    order = bybit_account.place_order("BTCUSDT", "Sell", qty="0.5", price="20000")
    bybit_account.fill(order, qty="0.2")
    bybit_exchange.wait_for(lambda: bot.held.get("BTCUSDT") == Decimal("-0.2"))


def test_it_is_not_sure_after_an_outage(bot: Bot, bybit_exchange: Exchange) -> None:
    """A gap makes it unsure."""
    assert bot.is_sure
    bybit_exchange.drop()
    bybit_exchange.wait_for(lambda: not bot.is_sure)
