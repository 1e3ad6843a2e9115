"""What these tests share: somebody who asks."""

from __future__ import annotations

import pytest

from bybit_sync.simulator import Account, Exchange
from tests.simulator.rest.asker import Asker


@pytest.fixture
def asker(exchange: Exchange, account: Account) -> Asker:
    """Somebody who asks with the account's key."""
    return Asker(exchange)
