"""The refusals of the REST host: codes and texts.

https://bybit-exchange.github.io/docs/v5/error
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["TEXTS", "RestRefusal"]

TEXTS: Mapping[int, str] = MappingProxyType(
    {
        10000: "Server Timeout",
        10001: "params error",
        10002: "invalid request, please check your server timestamp or recv_window param",
        10003: "API key is invalid.",
        10004: "error sign! origin_string[]",
        10005: "Permission denied, please check your API key permissions.",
        10006: "Too many visits. Exceeded the API Rate Limit.",
        10007: "User authentication failed.",
        10008: "Common banned, please check your account mode",
        10009: "IP has been banned.",
        10010: "Unmatched IP, please check your API key's bound IP addresses.",
        10016: "Internal server error.",
        10017: "Route not found.",
        10018: "Exceeded the IP Rate Limit.",
        10024: "The product or service you are seeking to access is not available to you due to regulatory restrictions.",
        10027: "Transactions are banned.",
        10028: "The API can only be accessed by unified account users.",
        10029: "The requested symbol is invalid, please check symbol whitelist",
        33004: "Your api key has expired.",
        110001: "order not exists or too late to cancel",
        110072: "OrderLinkedID is duplicate",
        181017: "OrderStatus must be final status",
    }
)


class RestRefusal(Exception):
    """A refusal: a ``retCode`` other than 0, or an HTTP *status* other than 200."""

    def __init__(self, code: int, text: str | None = None, *, status: int = 200) -> None:
        super().__init__(code, text)
        self.code: int = code
        self.text: str = TEXTS.get(code, "") if text is None else text
        self.status: int = status
