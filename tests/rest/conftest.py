"""What these tests share: readers of the simulated exchange."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bybit_sync.config.environments import Environment
from bybit_sync.rest.hosts import rest_host
from bybit_sync.rest.limits import HostLimits
from bybit_sync.rest.reader import RestReader
from bybit_sync.rest.signing import RestSigner
from bybit_sync.signing.credentials import hmac_signer
from bybit_sync.simulator import Account, Exchange
from tests.conftest import KEY, SECRET

MAINNET = Environment.find("mainnet")


def ask_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask a host nearly as often as an address may, 120 times a second, instead of half as often."""
    monkeypatch.setattr("bybit_sync.rest.limits.HOST_RATE", 110.0)


@pytest.fixture
def make_reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., RestReader]]:
    """Make readers of a base URL, that are closed at the end."""
    ask_often(monkeypatch)
    made: list[RestReader] = []

    def make(base_url: str, *, key: str = KEY, secret: str = SECRET, **options: Any) -> RestReader:
        sign = options.pop("sign", hmac_signer(secret))
        given: dict[str, Any] = {"now": lambda: int(time.time() * 1000), "limits": HostLimits(), "rate": 1_000.0, **options}
        made.append(RestReader(rest_host(MAINNET, base_url), RestSigner(key, sign), **given))
        return made[-1]

    yield make
    for reader in made:
        reader.close()


@pytest.fixture
def reader(exchange: Exchange, account: Account, make_reader: Callable[..., RestReader]) -> RestReader:
    """A reader of the account."""
    return make_reader(exchange.rest_url)
