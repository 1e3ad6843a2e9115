"""The endpoints as a table: path, page size, and the class of a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

from bybit_sync.model.balances import BalanceUpdate
from bybit_sync.model.orders import OrderUpdate
from bybit_sync.model.positions import PositionUpdate
from bybit_sync.model.trades import UserTradeUpdate

__all__ = [
    "ACCOUNT_INFO",
    "EXECUTIONS",
    "KEY_INFO",
    "OPEN_ORDERS",
    "ORDER_HISTORY",
    "POSITIONS",
    "SERVER_TIME",
    "WALLET",
    "Endpoint",
]

Row = Mapping[str, Any]


def _no_key(_row: Row) -> object:
    return None


@frozen
class Endpoint:
    """One endpoint: *name* is its path without ``/v5/``, *source* its documentation.

    *row* is the class of its rows; *page_size* is the most rows of a page, 0 for an
    answer without pages; *key* identifies a row in a listing. *is_public*: nothing is
    signed.
    """

    name: str
    source: str
    row: type[Any] | None = None
    page_size: int = 0
    key: Callable[[Row], object] = _no_key
    is_public: bool = False

    @property
    def path(self) -> str:
        """The path of the URL."""
        return f"/v5/{self.name}"


def _position_key(row: Row) -> object:
    return row.get("symbol"), row.get("positionIdx")


def _order_key(row: Row) -> object:
    return row.get("orderId")


def _execution_key(row: Row) -> object:
    return row.get("execId")


_DOCS: Final = "https://bybit-exchange.github.io/docs/v5"

POSITIONS: Final = Endpoint("position/list", f"{_DOCS}/position", PositionUpdate, 200, _position_key)
OPEN_ORDERS: Final = Endpoint("order/realtime", f"{_DOCS}/order/open-order", OrderUpdate, 50, _order_key)
ORDER_HISTORY: Final = Endpoint("order/history", f"{_DOCS}/order/order-list", OrderUpdate, 50, _order_key)
EXECUTIONS: Final = Endpoint("execution/list", f"{_DOCS}/order/execution", UserTradeUpdate, 100, _execution_key)
WALLET: Final = Endpoint("account/wallet-balance", f"{_DOCS}/account/wallet-balance", BalanceUpdate)
ACCOUNT_INFO: Final = Endpoint("account/info", f"{_DOCS}/account/account-info")
KEY_INFO: Final = Endpoint("user/query-api", f"{_DOCS}/user/apikey-info")
SERVER_TIME: Final = Endpoint("market/time", f"{_DOCS}/market/time", is_public=True)
