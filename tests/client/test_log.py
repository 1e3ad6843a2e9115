"""What INFO says of a client's life: one line for each step."""

from __future__ import annotations

import logging

import pytest

from bybit_sync import Client
from bybit_sync.simulator import Account, Exchange


def infos(log: pytest.LogCaptureFixture) -> list[str]:
    """Return the texts at INFO, without the client's name."""
    return [record.getMessage().partition(": ")[2] for record in log.records if record.levelno == logging.INFO]


def test_each_step_of_a_client_is_one_line(exchange: Exchange, client: Client, log: pytest.LogCaptureFixture) -> None:
    """Connected, logged in, subscribed, closed; closing again says nothing."""
    client.subscribe_orders()
    client.subscribe_balances()
    client.close()
    client.close()
    connected = f"connected to {exchange.url}"
    lines = [text for text in infos(log) if not text.startswith("live after")]
    assert lines == [connected, "logged in (login 1)", "subscribed to orders", "subscribed to balances", "closed"]


def test_the_next_login_says_the_same_again(
    exchange: Exchange, account: Account, client: Client, log: pytest.LogCaptureFixture
) -> None:
    """With its number, so that the log shows how often it connects."""
    orders = client.subscribe_orders()
    log.clear()
    exchange.drop()
    assert orders.get(timeout=10).gap
    exchange.wait_for(lambda: client.state == "LIVE")
    assert [text for text in infos(log) if "live" not in text] == [
        f"connected to {exchange.url}",
        "logged in (login 2)",
        "subscribed to orders",
    ]


def test_a_client_that_never_connected_says_that_it_is_closed(client: Client, log: pytest.LogCaptureFixture) -> None:
    """And nothing else."""
    client.close()
    assert infos(log) == ["closed"]
