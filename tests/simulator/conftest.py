"""What these tests share: listeners to all streams of the account."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bybit_sync.simulator import Account, Exchange
from tests.conftest import KEY, SECRET
from tests.simulator.peers import PATHS, STREAMS, Listener, Peer


@pytest.fixture
def v5(exchange: Exchange, account: Account) -> Iterator[Listener]:
    """A listener on V5's all-in-one topics."""
    with Peer(exchange) as peer:
        yield Listener(peer)


@pytest.fixture
def v3(exchange: Exchange, account: Account) -> Iterator[Listener]:
    """A listener on V3's topics."""
    with Peer(exchange, PATHS["v3"]) as peer:
        yield Listener(peer, KEY, SECRET, *(f"user.{stream}.contractAccount" for stream in STREAMS))
