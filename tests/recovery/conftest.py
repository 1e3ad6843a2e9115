"""What these tests share: clients that recover from the simulated exchange, and readers of what they deliver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bybit_sync import Client
from bybit_sync.recovery.options import Recovery
from bybit_sync.simulator import Account, Exchange
from tests.rest.conftest import ask_often, make_reader, reader  # noqa: F401 - fixtures

Recovering = Callable[..., Client]


@pytest.fixture
def recovering(
    exchange: Exchange, account: Account, make_client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> Recovering:
    """Make clients of the account that recover, by default without further reads."""
    ask_often(monkeypatch)

    def make(*, client: dict[str, Any] | None = None, **options: Any) -> Client:
        given: dict[str, Any] = {"base_url": exchange.rest_url, "rate": 1_000.0, "confirm_after": (), **options}
        return make_client(recover=Recovery(**given), **(client or {}))

    return make
