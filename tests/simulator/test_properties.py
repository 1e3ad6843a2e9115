"""Whatever an account does, what it tells adds up: a random life, and invariants over the rows that were pushed."""

from __future__ import annotations

import contextlib
import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bybit_sync.simulator import Account, Order
from bybit_sync.simulator.push_faults import PushFaults
from tests.searching import examples

D = Decimal
START = {"USDT": D(10000), "BTC": D(1)}
# Each is held in one way only, as on the exchange: in one-way mode, or in hedge mode's two legs.
LEGS = {"BTCUSDT": (0,), "ETHUSDT": (1, 2), "BTCUSD": (0,)}
COINS = {"BTCUSDT": "USDT", "ETHUSDT": "USDT", "BTCUSD": "BTC"}
FINAL = {"Filled", "Cancelled", "Rejected", "Deactivated"}
# What may follow what in the rows of one order.
NEXT = {
    # An order of the exchange's own, to liquidate, is told when it is done.
    None: {"New", "Untriggered", "Filled"},
    "Untriggered": {"Untriggered", "Triggered", "Deactivated"},
    "Triggered": {"New"},
    "New": {"New", "PartiallyFilled", *FINAL} - {"Deactivated"},
    "PartiallyFilled": {"PartiallyFilled", "Filled", "Cancelled"},
    **dict.fromkeys(FINAL, frozenset()),
}


class Told(Account):
    """An account that is listened to without a socket."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Any]] = defaultdict(list)
        clock = itertools.count(1_700_000_000_000)
        super().__init__(
            "k",
            "s",
            kind="UNIFIED",
            uid="1",
            balances=START,
            connections=lambda: (),
            now=lambda: next(clock),
            push_faults=PushFaults(),
        )

    def push(self, stream: str, rows: Sequence[Any], **_envelope: Any) -> None:
        """Keep what is told."""
        self.rows[stream] += rows


class Life(RuleBasedStateMachine):
    """One account's life. What the exchange would refuse is refused, and changes nothing."""

    @initialize()
    def open_account(self) -> None:
        """Start with what every account starts with."""
        self.account = Told()
        self.moved: dict[str, Decimal] = defaultdict(Decimal)

    def some(self, choice: int, wanted: Callable[[Order], bool]) -> Order:
        """Return one of the orders that are not final."""
        orders = [order for order in self.account.orders() if wanted(order)]
        assume(orders)
        return orders[choice % len(orders)]

    @rule(
        symbol=st.sampled_from(sorted(LEGS)),
        side=st.sampled_from(("Buy", "Sell")),
        size=st.integers(1, 3000),
        cents=st.integers(500_00, 70_000_00),
        leg=st.integers(0, 1),
        reduce_only=st.sampled_from((False, False, True)),
        stops=st.sampled_from(
            ({}, {"take_profit": "90000"}, {"stop_loss": "100"}, {"take_profit": "90000", "stop_loss": "100"})
        ),
        trigger=st.sampled_from((None, None, "20000")),
        has_price=st.booleans(),
    )
    def place(
        self,
        symbol: str,
        side: str,
        size: int,
        cents: int,
        leg: int,
        reduce_only: Any,
        stops: Any,
        trigger: Any,
        has_price: Any,
    ) -> None:
        """Place an order of any kind."""
        self.account.place_order(
            symbol,
            side,
            qty=D(size) if symbol == "BTCUSD" else D(size) / 1000,
            price=D(cents) / 100 if has_price else None,
            position_idx=LEGS[symbol][leg % len(LEGS[symbol])],
            reduce_only=reduce_only,
            trigger_price=trigger,
            trigger_direction=trigger and 1,
            **stops,
        )

    @rule(
        choice=st.integers(0, 20),
        shares=st.lists(st.integers(1, 100), min_size=1, max_size=3),
        cents=st.integers(500_00, 70_000_00),
    )
    def fill(self, choice: int, shares: list[int], cents: int) -> None:
        """Fill a part, in one match of up to three."""
        order = self.some(choice, lambda order: order.is_open)
        step = D(1) if order.symbol == "BTCUSD" else D("0.001")
        parts = [(max(step, (order.leaves_qty * share / 100).quantize(step)), D(cents + share) / 100) for share in shares]
        with contextlib.suppress(ValueError):
            self.account.sweep(order, parts)

    @rule(choice=st.integers(0, 20))
    def fill_whole(self, choice: int) -> None:
        """Fill the rest."""
        with contextlib.suppress(ValueError):
            self.account.fill(self.some(choice, lambda order: order.is_open), price="20000")

    @rule(choice=st.integers(0, 20))
    def cancel(self, choice: int) -> None:
        """Cancel an order, open or waiting."""
        self.account.cancel(self.some(choice, lambda order: True))

    @rule(choice=st.integers(0, 20))
    def reject(self, choice: int) -> None:
        """Turn an untouched order down."""
        self.account.reject(self.some(choice, lambda order: order.status == "New"))

    @rule(choice=st.integers(0, 20), qty=st.integers(1, 3000))
    def amend(self, choice: int, qty: int) -> None:
        """Change a quantity."""
        order = self.some(choice, lambda order: not order.is_position_stop)
        with contextlib.suppress(ValueError):
            self.account.amend(order, qty=D(qty) if order.symbol == "BTCUSD" else D(qty) / 1000)

    @rule(symbol=st.sampled_from(sorted(LEGS)), price=st.integers(50, 100_000))
    def move(self, symbol: str, price: int) -> None:
        """Let the price move, and trigger what waits for it."""
        self.account.move(symbol, price)

    @rule(
        symbol=st.sampled_from(sorted(LEGS)),
        leg=st.integers(0, 1),
        stops=st.sampled_from((("80000", "0"), ("0", "200"), ("0", "0"))),
    )
    def set_stops(self, symbol: str, leg: int, stops: tuple[str, str]) -> None:
        """Set a position's stops."""
        with contextlib.suppress(ValueError):
            idx = LEGS[symbol][leg % len(LEGS[symbol])]
            self.account.set_trading_stop(symbol, take_profit=stops[0], stop_loss=stops[1], position_idx=idx)

    @rule(symbol=st.sampled_from(sorted(LEGS)), rate=st.sampled_from(("0.0001", "-0.00025")))
    def fund(self, symbol: str, rate: str) -> None:
        """Settle funding."""
        with contextlib.suppress(ValueError):
            self.account.fund(symbol, rate)

    @rule(symbol=st.sampled_from(sorted(LEGS)), leg=st.integers(0, 1))
    def liquidate(self, symbol: str, leg: int) -> None:
        """Take a position over, at a price that may ruin."""
        with contextlib.suppress(ValueError, KeyError):
            idx = LEGS[symbol][leg % len(LEGS[symbol])]
            was = self.account.position(symbol, idx)
            assert self.account.liquidate(symbol, position_idx=idx, price="15000").cum_qty == was.size > 0

    @rule(amount=st.integers(-50, 50))
    def transfer(self, amount: int) -> None:
        """Bring money, or take it."""
        self.account.transfer("USDT", amount)
        self.moved["USDT"] += amount

    @invariant()
    def executions_sum_to_the_position(self) -> None:
        """What was bought less what was sold is what is held, leg by leg."""
        held: dict[Any, Decimal] = defaultdict(Decimal)
        legs = {row["orderId"]: row["positionIdx"] for row in self.account.rows["orders"]}
        for row in self.trades():
            held[row["symbol"], legs[row["orderId"]]] += D(row["execQty"]) * (1 if row["side"] == "Buy" else -1)
        for where, row in self.last("positions", "symbol", "positionIdx").items():
            assert held[where] == D(row["size"]) * (-1 if row["side"] == "Sell" else 1)

    @invariant()
    def the_wallet_changes_by_gains_fees_and_funding(self) -> None:
        """To the last digit, and so do the counts of the positions."""
        change: dict[str, Decimal] = defaultdict(Decimal)
        for row in self.account.rows["user_trades"]:
            change[COINS[row["symbol"]]] += D(row["execPnl"]) - D(row["execFee"])
        coins = {row["coin"]: row for account in self.account.rows["balances"] for row in account["coin"]}
        for coin, row in coins.items():
            assert D(row["walletBalance"]) == START[coin] + change[coin] + self.moved[coin]
            assert D(row["cumRealisedPnl"]) == change[coin]
        positions = self.last("positions", "symbol", "positionIdx").values()
        for coin in START:
            assert sum(D(row["cumRealisedPnl"]) for row in positions if COINS[row["symbol"]] == coin) == change[coin]

    @invariant()
    def orders_sum_their_executions(self) -> None:
        """Quantities, values, fees and gains match; what is left is what was not filled, or nothing."""
        sums: dict[str, list[Decimal]] = defaultdict(lambda: [D(0)] * 4)
        for row in self.trades():
            numbers = [D(row[key]) for key in ("execQty", "execValue", "execFee", "execPnl")]
            sums[row["orderId"]] = [a + b for a, b in zip(sums[row["orderId"]], numbers, strict=True)]
        for (id_,), row in self.last("orders", "orderId").items():
            assert [D(row[key]) for key in ("cumExecQty", "cumExecValue", "cumExecFee", "closedPnl")] == sums[id_]
            left = 0 if row["orderStatus"] in FINAL else D(row["qty"]) - D(row["cumExecQty"])
            assert D(row["leavesQty"]) == left
            assert row["orderStatus"] != "Filled" or row["qty"] == row["cumExecQty"]

    @invariant()
    def an_order_s_states_follow_each_other(self) -> None:
        """Untriggered, Triggered, New, filled; nothing follows an end."""
        states: dict[str, Any] = {}
        for row in self.account.rows["orders"]:
            assert row["orderStatus"] in NEXT[states.get(row["orderId"])]
            states[row["orderId"]] = row["orderStatus"]

    @invariant()
    def a_position_s_stops_stand_for_all_of_it(self) -> None:
        """One order for each, as large as the position, at its price, on the other side; none when it is flat."""
        waiting: dict[Any, list[Any]] = defaultdict(list)
        for row in self.last("orders", "orderId").values():
            if row["orderStatus"] == "Untriggered":
                waiting[row["symbol"], row["positionIdx"], row["stopOrderType"]].append(
                    (row["side"], row["qty"], row["triggerPrice"])
                )
        for where, row in self.last("positions", "symbol", "positionIdx").items():
            side = {"Buy": "Sell", "Sell": "Buy", "": ""}[row["side"]]
            for kind, price in (("TakeProfit", row["takeProfit"]), ("StopLoss", row["stopLoss"])):
                assert waiting[(*where, kind)] == ([] if price == "0" else [(side, row["size"], price)])

    def teardown(self) -> None:
        """What is left over is cancelled, and nothing is left."""
        for order in self.account.orders():
            self.account.cancel(order)
        self.orders_sum_their_executions()
        assert {row["orderStatus"] for row in self.last("orders", "orderId").values()} <= FINAL

    def trades(self) -> list[Any]:
        """Return the executions of orders."""
        return [row for row in self.account.rows["user_trades"] if row["execType"] != "Funding"]

    def last(self, stream: str, *key: str) -> dict[tuple[Any, ...], Any]:
        """Return the last row of each key."""
        return {tuple(row[part] for part in key): row for row in self.account.rows[stream]}


Life.TestCase.settings = settings(
    examples(10),
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestLife = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")(Life.TestCase)
