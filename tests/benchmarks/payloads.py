"""What the benchmarks send: pushes of V5, every one another.

Every row differs from the one before it, as in a busy market: another of twenty contracts, and each number that can move has
moved, so that hardly a text comes twice. Every run renders the same ones.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Row = dict[str, Any]

CONTRACTS = tuple(f"{coin}USDT" for coin in "ABCDEFGHIJKLMNOPQRST")
HUNDRED = 100
STAMP = b"0" * 19
"""Where a stamped push has no id yet: as wide as `time.monotonic_ns` can become."""


class Market:
    """Rows of V5 as an exchange in motion would write them."""

    def __init__(self) -> None:
        self._random = random.Random(20260301)  # the same rows in every run
        self._prices = {symbol: self._random.uniform(0.5, 60_000) for symbol in CONTRACTS}
        self._now = 1_741_000_000_000
        self._seq = 140_700_000_000_000

    @property
    def now(self) -> int:
        """The time of the last change, in milliseconds."""
        return self._now

    def _move(self) -> tuple[str, float, float]:
        """Let time pass and a price move; return the contract, its price and a size."""
        symbol = self._random.choice(list(self._prices))
        self._prices[symbol] *= self._random.uniform(0.999, 1.001)
        self._now += self._random.randrange(1, 2_000)
        self._seq += self._random.randrange(1, 500)
        return symbol, self._prices[symbol], self._random.randrange(1, 100_000) / 1_000

    def position(self) -> Row:
        """Return a position row of 33 keys."""
        symbol, price, size = self._move()
        pnl = self._random.uniform(-500, 500)
        return {
            "positionIdx": 0,
            "tradeMode": 0,
            "riskId": 1,
            "riskLimitValue": "2000000",
            "symbol": symbol,
            "side": self._random.choice(("Buy", "Sell")),
            "size": f"{size:.3f}",
            "entryPrice": f"{price * 0.99:.4f}",
            "leverage": "10",
            "positionValue": f"{price * size:.8f}",
            "positionBalance": "0",
            "markPrice": f"{price:.2f}",
            "positionIM": f"{price * size / 10:.8f}",
            "positionMM": f"{price * size / 200:.8f}",
            "takeProfit": "0",
            "stopLoss": "0",
            "trailingStop": "0",
            "unrealisedPnl": f"{pnl:.8f}",
            "cumRealisedPnl": f"{pnl * 7:.8f}",
            "curRealisedPnl": f"{pnl / 7:.8f}",
            "sessionAvgPrice": "",
            "createdTime": str(self._now - 86_400_000),
            "updatedTime": str(self._now),
            "tpslMode": "Full",
            "liqPrice": f"{price / 2:.2f}",
            "bustPrice": "",
            "category": "linear",
            "positionStatus": "Normal",
            "adlRankIndicator": 2,
            "autoAddMargin": 0,
            "leverageSysUpdatedTime": "",
            "seq": self._seq,
            "isReduceOnly": False,
        }

    def order(self) -> Row:
        """Return an order row of 52 keys."""
        symbol, price, size = self._move()
        empty = (
            "blockTradeId",
            "stopOrderType",
            "feeCurrency",
            "isLeverage",
            "marketUnit",
            "orderIv",
            "placeType",
            "smpOrderId",
        )
        unset = ("triggerPrice", "triggerBy", "tpTriggerBy", "slTriggerBy", "takeProfit", "stopLoss", "parentOrderLinkId")
        return dict.fromkeys(empty + unset, "") | {
            "category": "linear",
            "symbol": symbol,
            "orderId": f"{self._random.getrandbits(128):032x}",
            "orderLinkId": f"mine-{self._seq}",
            "side": self._random.choice(("Buy", "Sell")),
            "positionIdx": 0,
            "orderStatus": self._random.choice(("New", "PartiallyFilled", "Filled", "Cancelled")),
            "createType": "CreateByUser",
            "cancelType": "UNKNOWN",
            "rejectReason": "EC_NoError",
            "timeInForce": "GTC",
            "orderType": "Limit",
            "price": f"{price:.2f}",
            "qty": f"{size:.3f}",
            "avgPrice": f"{price:.4f}",
            "leavesQty": f"{size / 2:.3f}",
            "leavesValue": f"{price * size / 2:.6f}",
            "cumExecQty": f"{size / 2:.3f}",
            "cumExecValue": f"{price * size / 2:.6f}",
            "cumExecFee": f"{price * size / 4_000:.8f}",
            "cumFeeDetail": {"USDT": f"{price * size / 4_000:.8f}"},
            "closedPnl": "0",
            "triggerDirection": 0,
            "tpLimitPrice": "0",
            "slLimitPrice": "0",
            "tpslMode": "UNKNOWN",
            "lastPriceOnCreated": f"{price * 1.0001:.2f}",
            "slippageToleranceType": "UNKNOWN",
            "slippageTolerance": "0",
            "reduceOnly": False,
            "closeOnTrigger": False,
            "smpType": "None",
            "smpGroup": 0,
            "rpiTakerAccess": False,
            "rpiMatchedQty": "0",
            "createdTime": str(self._now - 5_000),
            "updatedTime": str(self._now),
        }

    def trade(self) -> Row:
        """Return an execution row of 34 keys."""
        symbol, price, size = self._move()
        empty = ("tradeIv", "markIv", "blockTradeId", "indexPrice", "underlyingPrice", "orderLinkId", "marketUnit", "extraFees")
        return dict.fromkeys(empty, "") | {
            "category": "linear",
            "symbol": symbol,
            "closedSize": "0",
            "execFee": f"{price * size / 2_000:.8f}",
            "execId": f"{self._random.getrandbits(128):032x}",
            "execPrice": f"{price:.2f}",
            "execQty": f"{size:.3f}",
            "execType": "Trade",
            "execValue": f"{price * size:.6f}",
            "feeRate": "0.00055",
            "feeCurrency": "USDT",
            "markPrice": f"{price * 1.0001:.2f}",
            "leavesQty": f"{size / 3:.3f}",
            "orderId": f"{self._random.getrandbits(128):032x}",
            "orderPrice": f"{price * 1.01:.2f}",
            "orderQty": f"{size * 2:.3f}",
            "orderType": "Limit",
            "stopOrderType": "UNKNOWN",
            "side": self._random.choice(("Buy", "Sell")),
            "execTime": str(self._now),
            "isLeverage": "0",
            "isMaker": True,
            "seq": self._seq,
            "execPnl": "0",
            "createType": "CreateByUser",
        }

    def account(self) -> Row:
        """Return a wallet row of a unified account with three coins."""
        rates = ("accountIMRate", "accountMMRate", "accountIMRateByMp", "accountMMRateByMp")
        self._move()
        totals = ("totalEquity", "totalWalletBalance", "totalMarginBalance", "totalAvailableBalance")
        margins = ("totalInitialMargin", "totalInitialMarginByMp", "totalMaintenanceMargin", "totalMaintenanceMarginByMp")
        return {
            "accountType": "UNIFIED",
            **{key: f"{self._random.uniform(0, 1):.4f}" for key in rates},
            **{key: f"{self._random.uniform(9_000, 11_000):.8f}" for key in totals + margins},
            "totalPerpUPL": "0",
            "accountLTV": "0",
            "coin": [self._coin(name) for name in ("USDT", "BTC", "ETH")],
        }

    def _coin(self, name: str) -> Row:
        moving = ("equity", "usdValue", "walletBalance", "totalOrderIM", "totalPositionIM", "totalPositionMM", "unrealisedPnl")
        still = ("borrowAmount", "accruedInterest", "bonus", "locked", "spotHedgingQty", "spotBorrow", "cumRealisedPnl")
        return {
            "coin": name,
            **{key: f"{self._random.uniform(0, 5_000):.8f}" for key in moving},
            **dict.fromkeys(still, "0"),
            "availableToWithdraw": "",
            "availableToBorrow": "",
            "collateralSwitch": True,
            "marginCollateral": True,
        }


class Kind(NamedTuple):
    """One kind of push: the stream that it comes on, its rows, the key of a row that no other row shares, and its envelope."""

    stream: str
    rows: Callable[[Market], list[Row]]
    mark: str
    is_topic_first: bool = False
    is_stamped: bool = False
    is_unusual: bool = False


def _two_fills(market: Market) -> list[Row]:
    """Return two fills of one order."""
    first, second = market.trade(), market.trade()
    return [first, second | {key: first[key] for key in ("symbol", "side", "orderId", "orderPrice", "orderQty")}]


KINDS = {
    "position": Kind("position", lambda market: [market.position()], "seq"),
    "order": Kind("order", lambda market: [market.order()], "orderLinkId", is_topic_first=True),
    "execution": Kind("execution", _two_fills, "seq", is_topic_first=True),
    "wallet": Kind("wallet", lambda market: [market.account()], "totalEquity"),
    "unusual": Kind("position", lambda market: [market.position()], "seq", is_unusual=True),
    "paced": Kind("position", lambda market: [market.position()], "seq"),
    "slow": Kind("position", lambda market: [market.position()], "seq"),
    "hundred": Kind("position", lambda market: [market.position() for _ in range(HUNDRED)], "seq"),
    "stamped": Kind("position", lambda market: [market.position()], "seq", is_stamped=True),
}
"""What there is to send. Unusual pushes have their rows in front; paced and slow ones come one by one; a stamped one has room
for the time of its sending where others have their id."""

STREAMS = ("position", "order", "execution", "wallet")


def pushes(kind: Kind) -> Iterator[bytes]:
    """Yield pushes of *kind* without end, the same ones at every call."""
    market = Market()
    ids = random.Random(20260302)
    while True:
        rows = kind.rows(market)
        name = STAMP.decode() if kind.is_stamped else f"{ids.getrandbits(64):x}_{kind.stream}_{ids.getrandbits(48)}"
        named = {"id": name}
        topic = {"topic": kind.stream}
        front = topic | named if kind.is_topic_first else named | topic
        behind = {"creationTime": market.now}
        yield compact({"data": rows} | front | behind if kind.is_unusual else front | behind | {"data": rows})


def compact(value: object) -> bytes:
    """Return *value* as JSON without spaces."""
    return json.dumps(value, separators=(",", ":")).encode()


def renamed(push: bytes, stream: str, topic: str) -> bytes:
    """Return *push* as a subscriber of *topic* gets it."""
    return push.replace(b'"topic":"%s"' % stream.encode(), b'"topic":"%s"' % topic.encode(), 1)


def mark_of(kind: Kind, push: bytes) -> str:
    """Return what tells *push* from every other one of its *kind*."""
    return str(json.loads(push)["data"][-1][kind.mark])
