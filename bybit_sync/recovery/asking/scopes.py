"""The listings that make up a stream, as tables: the scopes of each category.

https://bybit-exchange.github.io/docs/v5/position ,
https://bybit-exchange.github.io/docs/v5/order/open-order ,
https://bybit-exchange.github.io/docs/v5/order/execution
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from bybit_sync.rest.endpoints import EXECUTIONS, OPEN_ORDERS, ORDER_HISTORY, POSITIONS, Endpoint

__all__ = ["ALL", "FILTERS", "scopes"]

Parameters = Mapping[str, str]

ALL: Final = ("linear", "inverse", "option", "spot")
"""The categories of the all-in-one topics.

REST lists spread trading elsewhere.
"""

_PLAIN: Final[tuple[Parameters, ...]] = ({},)
# The settle coins of all contracts but inverse ones.
_BY_COIN: Final[tuple[Parameters, ...]] = ({"settleCoin": "USDT"}, {"settleCoin": "USDC"})
_SCOPES: Final[Mapping[Endpoint, Mapping[str, tuple[Parameters, ...]]]] = {
    # Linear is refused without a scope.
    POSITIONS: {"linear": _BY_COIN, "inverse": _PLAIN, "option": _PLAIN},
    OPEN_ORDERS: {"linear": _BY_COIN, "inverse": _PLAIN, "option": _PLAIN, "spot": _PLAIN},
    ORDER_HISTORY: dict.fromkeys(ALL, _PLAIN),
    # Options of any base coin but BTC are left out without a scope.
    EXECUTIONS: {"linear": _PLAIN, "inverse": _PLAIN, "option": _BY_COIN, "spot": _PLAIN},
}

FILTERS: Final[Mapping[str, tuple[Parameters, ...]]] = {
    "linear": ({}, {"orderFilter": "StopOrder"}),
    "inverse": ({}, {"orderFilter": "StopOrder"}),
    "option": _PLAIN,
    "spot": ({}, {"orderFilter": "StopOrder"}, {"orderFilter": "tpslOrder"}),
}
"""The filters with which orders are requested.

Without one, conditional orders may be left out.
"""


def scopes(endpoint: Endpoint, categories: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yield the parameters of the listings that have all rows of *categories*."""
    for category in categories:
        for scope in _SCOPES[endpoint].get(category, ()):
            yield {"category": category, **scope}
