"""What decoding costs: bytes to update, against `json.loads` on the same bytes.

    python -m tests.benchmarks.decoding

Every row differs from the one before it, as in a busy market: another of twenty contracts, and each number that can move has
moved, so that hardly a text comes twice. One run interleaves all candidates over several rounds and shows their medians of CPU
time; the best of `json.loads` and of a candidate would come from different moments of a shared machine.
"""

# ruff: noqa: T201 - printing is its job
from __future__ import annotations

import json
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from bybit_sync import V5, PositionUpdate, Stream
from bybit_sync.dialects import DECODER, Channel
from bybit_sync.parsing import PARSERS

ROWS = 4_000
ROUNDS = 15
BOUND = 2.5  # of the 33-key position row, on the default install

Frames = list[bytes]


class Market:
    """Rows of V5 as an exchange in motion would write them."""

    def __init__(self) -> None:
        self._random = random.Random(20260301)  # the same rows in every run
        self._prices = {f"{coin}USDT": self._random.uniform(0.5, 60_000) for coin in "ABCDEFGHIJKLMNOPQRST"}
        self._now = 1_741_000_000_000
        self._seq = 140_700_000_000_000

    def _move(self) -> tuple[str, float, float]:
        """Let time pass and a price move; return the contract, its price and a size."""
        symbol = self._random.choice(list(self._prices))
        self._prices[symbol] *= self._random.uniform(0.999, 1.001)
        self._now += self._random.randrange(1, 2_000)
        self._seq += self._random.randrange(1, 500)
        return symbol, self._prices[symbol], self._random.randrange(1, 100_000) / 1_000

    def position(self) -> dict[str, Any]:
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

    def order(self) -> dict[str, Any]:
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

    def trade(self) -> dict[str, Any]:
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

    def account(self) -> dict[str, Any]:
        """Return a wallet row of a unified account with three coins."""
        rates = ("accountIMRate", "accountMMRate", "accountIMRateByMp", "accountMMRateByMp")
        totals = ("totalEquity", "totalWalletBalance", "totalMarginBalance", "totalAvailableBalance", "totalInitialMargin")
        return {
            "accountType": "UNIFIED",
            **{key: f"{self._random.uniform(0, 1):.4f}" for key in rates},
            **{key: f"{self._random.uniform(9_000, 11_000):.8f}" for key in totals},
            "totalPerpUPL": "0",
            "accountLTV": "0",
            "coin": [self._coin(name) for name in ("USDT", "BTC", "ETH")],
        }

    def _coin(self, name: str) -> dict[str, Any]:
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


def frames(row: Callable[[], dict[str, Any]]) -> Frames:
    """Return that many rows as JSON."""
    return [json.dumps(row(), separators=(",", ":")).encode() for _ in range(ROWS)]


def pushes(row: Callable[[], dict[str, Any]], topic: str) -> Frames:
    """Return that many whole pushes of one row."""
    return frames(lambda: {"topic": topic, "id": "1_2_3", "creationTime": 1_741_000_000_000, "data": [row()]})


def row_reader(parse: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Return bytes of one position row to update, and nothing else."""
    read = DECODER.reader(PositionUpdate)
    return lambda frame: read(parse(frame))


def push_reader(parse: Callable[[bytes], Any], channel: Channel) -> Callable[[bytes], Any]:
    """Return bytes of one push to what its channel makes of it."""
    return lambda frame: channel.decode(parse(frame)["data"])


def channel(stream: Stream) -> Channel:
    """Return V5's channel for *stream*."""
    return V5.channels(stream, ("linear",))[0]


def cost(work: Callable[[bytes], Any], what: Frames) -> float:
    """Return the CPU time of *work* for one of *what*, in microseconds."""
    started = time.process_time()
    for frame in what:
        work(frame)
    return (time.process_time() - started) / len(what) * 1e6


def measure() -> dict[str, dict[str, float]]:
    """Return the median cost of each candidate for each kind of input, and its ratio to `json.loads`."""
    market = Market()
    inputs: dict[str, tuple[Frames, dict[str, Callable[[bytes], Any]]]] = {
        "position row, 33 keys": (frames(market.position), {name: row_reader(parse) for name, parse in PARSERS.items()})
    }
    rows = {
        Stream.POSITIONS: market.position,
        Stream.ORDERS: market.order,
        Stream.USER_TRADES: market.trade,
        Stream.BALANCES: market.account,
    }
    for stream, row in rows.items():
        way = channel(stream)
        readers = {name: push_reader(parse, way) for name, parse in PARSERS.items()}
        inputs[f"push of {stream}"] = (pushes(row, way.topic), readers)
    return {name: _medians({"json.loads": json.loads, **work}, what) for name, (what, work) in inputs.items()}


def _medians(work: dict[str, Callable[[bytes], Any]], what: Frames) -> dict[str, float]:
    for candidate in work.values():
        cost(candidate, what)
    rounds = [{name: cost(candidate, what) for name, candidate in work.items()} for _ in range(ROUNDS)]
    return {name: statistics.median(costs[name] for costs in rounds) for name in work}


def main() -> int:
    """Print the table; return 1 when the bound is not held."""
    print(f"CPython {platform.python_version()} on {platform.machine()}, {ROWS} different rows, median of {ROUNDS} rounds, CPU")
    results = measure()
    for name, costs in results.items():
        base = costs["json.loads"]
        shown = "   ".join(f"{candidate} {spent:6.2f} us ({spent / base:4.2f})" for candidate, spent in costs.items())
        print(f"{name:24s} {shown}")
    row = results["position row, 33 keys"]
    ratio = row["json"] / row["json.loads"]
    print(f"bytes to update of a position row: {ratio:.2f} times json.loads; the bound is {BOUND}")
    return int(ratio > BOUND)


if __name__ == "__main__":
    sys.exit(main())
