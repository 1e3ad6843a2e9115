"""The pytest plugin: ``bybit_exchange``, ``bybit_account`` and ``bybit_recovery``.

pytest imports it at every start, with or without the extra ``simulator``: the imports
of the fixtures happen when a test requests one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bybit_sync.recovery.options import Recovery
    from bybit_sync.simulator import Account, Exchange

__all__ = ["bybit_account", "bybit_exchange", "bybit_recovery"]


@pytest.fixture
def bybit_exchange() -> Iterator[Exchange]:
    """A simulated Bybit private stream on loopback, for this test alone.

    ``bybit_exchange.url`` is a client's environment.
    """
    try:
        from bybit_sync.simulator import Exchange  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        pytest.fail(f"bybit_exchange: {error}", pytrace=False)
    with Exchange() as exchange:
        yield exchange


@pytest.fixture
def bybit_account(bybit_exchange: Exchange) -> Account:
    """An account of ``bybit_exchange``: 10,000 USDT, 1 BTC and 10 ETH.

    ``.key`` and ``.secret`` log in.
    """
    return bybit_exchange.account("KEY", "SECRET")


@pytest.fixture
def bybit_recovery(bybit_exchange: Exchange) -> Recovery:
    """The argument ``recover`` of a client of ``bybit_exchange``.

    It knows the exchange's REST host.
    """
    from bybit_sync.recovery.options import Recovery  # noqa: PLC0415 - see above

    return Recovery(base_url=bybit_exchange.rest_url)
