"""The endpoints as a table: method, path, rate limit, and page size."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from bybit_sync.simulator.rest.pages import PageSize

__all__ = ["ENDPOINTS", "ROUTES", "Endpoint"]


@attrs.frozen
class Endpoint:
    """One endpoint.

    *name* is its path without ``/v5/``, *limit* the requests a second for each key,
    None for a public one.

    *pages* is the size of its pages, None for an answer in one piece; *kind* is how its
    rows are spelled.
    """

    name: str
    method: str = "GET"
    limit: int | None = 50
    pages: PageSize | None = None
    kind: str = ""
    is_for_classic: bool = False

    @property
    def path(self) -> str:
        """The path of its URL."""
        return f"/v5/{self.name}"


_TABLE = (
    Endpoint("position/list", pages=PageSize(20, 200), kind="position"),
    Endpoint("order/realtime", pages=PageSize(20, 50), kind="order"),
    Endpoint("order/history", pages=PageSize(20, 50), kind="order history"),
    Endpoint("execution/list", pages=PageSize(50, 100), kind="execution"),
    Endpoint("account/wallet-balance", kind="wallet"),
    Endpoint("account/info", is_for_classic=True),
    Endpoint("user/query-api", limit=10, is_for_classic=True),
    Endpoint("asset/coin/query-info", limit=5, is_for_classic=True),
    Endpoint("market/time", limit=None),
    Endpoint("market/instruments-info", limit=None),
    Endpoint("order/create", "POST", limit=20),
    Endpoint("order/amend", "POST", limit=20),
    Endpoint("order/cancel", "POST", limit=20),
    Endpoint("order/cancel-all", "POST", limit=20),
)
ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType({endpoint.name: endpoint for endpoint in _TABLE})
ROUTES: Mapping[tuple[str, str], Endpoint] = MappingProxyType({(e.method, e.path): e for e in _TABLE})
