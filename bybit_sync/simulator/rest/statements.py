"""The small answers: clock, account, permissions, coins, contracts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from bybit_sync.simulator.books.instruments import Instrument
from bybit_sync.simulator.books.tables import Books
from bybit_sync.simulator.rest.refusals import RestRefusal

__all__ = ["account_info", "coins", "instruments", "key_info", "market_time"]

Row = Mapping[str, Any]
_TRADED: Final = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BTCPERP", "ETHPERP", "BTCUSD", "ETHUSD", "XRPUSD")
# ``unifiedMarginStatus``.
_CLASSIC: Final = 1
_UNIFIED: Final = 6
_PERMISSIONS: Final[Row] = {
    "ContractTrade": ["Order", "Position"],
    "Spot": ["SpotTrade"],
    "Wallet": ["AccountTransfer"],
    "Options": ["OptionsTrade"],
    "Derivatives": ["DerivativesTrade"],
    "Exchange": [],
}


def market_time(now_ns: int) -> Row:
    """Return the clock's answer; *now_ns* is the exchange's clock in nanoseconds."""
    return {"timeSecond": str(now_ns // 10**9), "timeNano": str(now_ns)}


def account_info(kind: str) -> Row:
    """Return the margin mode and the kind of the account."""
    return {
        "unifiedMarginStatus": _UNIFIED if kind == "UNIFIED" else _CLASSIC,
        "marginMode": "REGULAR_MARGIN",
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
        "updatedTime": "1700000000000",
        "dcpStatus": "OFF",
        "timeWindow": 10,
        "smpGroup": 0,
    }


def key_info(key: str, uid: str, kind: str) -> Row:
    """Return the permissions of a key.

    The answer names the key and the account, as the exchange's does.
    """
    return {
        "id": uid,
        "note": "simulated",
        "apiKey": key,
        "readOnly": 0,
        "secret": "",
        "permissions": _PERMISSIONS,
        "ips": ["*"],
        "type": 1,
        "deadlineDay": 90,
        "expiredAt": "2100-01-01T00:00:00Z",
        "createdAt": "2023-01-01T00:00:00Z",
        "unified": 0,
        "uta": int(kind == "UNIFIED"),
        "userID": int(uid),
        "isMaster": True,
    }


def coins(books: Books) -> Row:
    """Return the coins of the account, as the list of coins that can be deposited."""
    names = dict.fromkeys((*books.balances, "USDT", "USDC", "BTC", "ETH"))
    return {"rows": [{"name": name, "coin": name, "remainAmount": "100000", "chains": []} for name in names]}


def instruments(ordered: Iterable[str], parameters: Mapping[str, Any]) -> Row:
    """Return the contracts of a category: the usual ones and *ordered* ones.

    *ordered* are the symbols of the accounts' orders.
    """
    category = parameters.get("category")
    if category not in ("linear", "inverse", "option", "spot"):
        raise RestRefusal(10001, "params error: category invalid")
    named = [Instrument.named(symbol) for symbol in dict.fromkeys((*_TRADED, *ordered))]
    asked = parameters.get("symbol")
    found = [i for i in named if i.category == category and asked in (None, "", i.symbol)]
    rows = [] if parameters.get("status") == "PreLaunch" or parameters.get("cursor") else list(map(_instrument_row, found))
    return {"category": category, "list": rows, "nextPageCursor": ""}


def _instrument_row(instrument: Instrument) -> Row:
    step = "1" if instrument.is_inverse else "0.001"
    quote = "USD" if instrument.is_inverse else instrument.settle_coin
    return {
        "symbol": instrument.symbol,
        "contractType": "InversePerpetual" if instrument.is_inverse else "LinearPerpetual",
        "status": "Trading",
        "baseCoin": instrument.base_coin,
        "quoteCoin": quote,
        "settleCoin": instrument.settle_coin,
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": "2",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
        "lotSizeFilter": {"maxOrderQty": "1000000", "minOrderQty": step, "qtyStep": step, "minNotionalValue": "5"},
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
    }
