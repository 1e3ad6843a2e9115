"""Authentication of requests: key, signature and timestamp.

https://bybit-exchange.github.io/docs/v5/guide
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from bybit_sync.simulator.rest.refusals import RestRefusal
from bybit_sync.simulator.rest.requests import RestRequest

__all__ = ["check"]

DEFAULT_WINDOW: Final = "5000"
# How far a timestamp may be ahead of the exchange's clock, in ms, with any window.
AHEAD: Final = 1_000


def check(request: RestRequest, secret_of: Callable[[str], str | None], now: int) -> str:
    """Return the key that signed *request*; *now* is the exchange's clock in ms.

    Raises `RestRefusal`: HTTP 401 without the headers, 10002, 10003, 10004.
    """
    key = request.headers.get("x-bapi-api-key", "")
    timestamp = request.headers.get("x-bapi-timestamp", "")
    signature = request.headers.get("x-bapi-sign", "")
    if not (key and timestamp and signature):
        raise RestRefusal(10003, "", status=401)
    secret = secret_of(key)
    if secret is None:
        raise RestRefusal(10003)
    window = request.headers.get("x-bapi-recv-window") or DEFAULT_WINDOW
    _check_time(timestamp, window, now)
    signed = timestamp + key + request.headers.get("x-bapi-recv-window", "") + request.signed_text
    expected = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        # The exchange's refusal contains the signed text, the key included.
        raise RestRefusal(10004, f"error sign! origin_string[{signed}]")
    return key


def _check_time(timestamp: str, window: str, now: int) -> None:
    try:
        sent, allowed = int(timestamp), int(window)
    except ValueError:
        raise RestRefusal(10001, "timestamp or recv_window is not a number") from None
    if not now - allowed <= sent < now + AHEAD:
        told = f"req_timestamp[{sent}],server_timestamp[{now}],recv_window[{allowed}]"
        raise RestRefusal(10002, f"invalid request, please check your server timestamp or recv_window param. {told}")
