"""The tables of one account: its orders, positions, prices, executions and balances.

Pure: no socket, no thread, no clock.
"""

from __future__ import annotations

import itertools
from collections import ChainMap
from collections.abc import Callable, Mapping
from decimal import Decimal

import attrs

from bybit_sync.simulator.books.history import History, Table
from bybit_sync.simulator.books.instruments import rounded
from bybit_sync.simulator.books.orders import ZERO, Execution, Order
from bybit_sync.simulator.books.positions import LEVERAGE, Position

__all__ = ["Books", "Coin", "legs_of_mode"]

MAINTENANCE = Decimal("0.005")
FIRST_SEQ = 140_612_148_849_382
# The number of final orders that are kept: a busy account makes more without end.
FINAL_KEPT = 10_000
# The number of executions that are kept.
EXECUTIONS_KEPT = 120_000
# The tables that `Books.as_of` copies.
_TABLES = ("balances", "realised", "_live", "_finished", "positions", "marks", "last_prices", "_executions")


@attrs.frozen(kw_only=True)
class Coin:
    """The balance of one coin.

    *name* is the coin's, *wallet* its balance, *realised* what trading ever gained and
    paid, *unrealised* the gain of open positions. *position_margin*,
    *maintenance_margin* and *order_margin* are reserved.
    """

    name: str
    wallet: Decimal
    realised: Decimal
    unrealised: Decimal
    position_margin: Decimal
    maintenance_margin: Decimal
    order_margin: Decimal

    @property
    def equity(self) -> Decimal:
        """The balance plus the unrealised gain of open positions."""
        return self.wallet + self.unrealised

    @property
    def free(self) -> Decimal:
        """The amount that is free for new orders; never negative."""
        return max(ZERO, self.wallet - self.position_margin - self.order_margin)


class Books:
    """The tables of one account, and the margins and balances that follow.

    *balances* are the initial balances of the account by coin; *new_id* names orders
    and executions; *clock* returns monotonic seconds, for `as_of` only.
    """

    def __init__(
        self, balances: Mapping[str, Decimal], new_id: Callable[[], str], clock: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._history = history = History(clock)
        self.balances: dict[str, Decimal] = Table(history, balances)
        self.realised: dict[str, Decimal] = Table(history, dict.fromkeys(balances, ZERO))
        self._live: dict[str, Order] = Table(history)
        self._finished: dict[str, Order] = Table(history)
        self.positions: dict[tuple[str, int], Position] = Table(history)
        self.marks: dict[str, Decimal] = Table(history)
        self.last_prices: dict[str, Decimal] = Table(history)
        self._executions: dict[str, Execution] = Table(history)
        self._new_id = new_id
        self._seqs = itertools.count(FIRST_SEQ)

    # --- orders and executions ---

    @property
    def orders(self) -> Mapping[str, Order]:
        """Every order by its id: the unfinished ones, and the last that are final."""
        return ChainMap(self._live, self._finished)

    def as_of(self, seconds: float) -> Books:
        """Return a copy as of *seconds* ago, at most 60, to be read only."""
        then = Books({}, self._new_id)
        tables = self._history.as_of(seconds, [getattr(self, name) for name in _TABLES])
        for name, table in zip(_TABLES, tables, strict=True):
            setattr(then, name, table)
        return then

    @property
    def executions(self) -> tuple[Execution, ...]:
        """The latest executions, oldest first."""
        return tuple(self._executions.values())

    def order(self, order_id: str) -> Order:
        """Return the order with *order_id* in its current state."""
        return self.orders[order_id]

    def unfinished(self, symbol: str | None = None) -> tuple[Order, ...]:
        """Return the orders (on *symbol*) that are not final, oldest first."""
        return tuple(order for order in self._live.values() if symbol in (None, order.symbol))

    def legs(self, symbol: str, position_idx: int) -> list[Position]:
        """Return the position of *symbol*, in hedge mode with the other leg."""
        return [self.positions[symbol, leg] for leg in legs_of_mode(position_idx)]

    def mark(self, symbol: str) -> Decimal:
        """Return the mark price of *symbol*.

        It is the one that was set, else the last trade's, else 0.
        """
        return self.marks.get(symbol) or self.last_prices.get(symbol, ZERO)

    def margin(self, position: Position) -> Decimal:
        """Return the initial margin of *position*, at the mark price."""
        return rounded(self._marked_value(position) / position.leverage)

    def maintenance(self, position: Position) -> Decimal:
        """Return the maintenance margin of *position*."""
        return rounded(self._marked_value(position) * MAINTENANCE)

    def liquidation_price(self, position: Position, maintenance: Decimal = MAINTENANCE) -> Decimal:
        """Return the price at which *position* is liquidated; 0 when there is none.

        There the equity of the coin equals its *maintenance* margin.

        An estimate, as the exchange's own: other positions in the coin stay at their
        mark prices.
        """
        if not position.size:
            return ZERO
        coin, mark = self.coin(position.instrument.settle_coin), self.mark(position.symbol)
        others = coin.equity - coin.maintenance_margin - position.unrealised(mark) + self.maintenance(position)
        return position.price_where(others, rate=maintenance)

    def coin(self, name: str) -> Coin:
        """Return the balance of the coin *name*."""
        positions = [position for position in self.positions.values() if position.instrument.settle_coin == name]
        orders = [order for order in self._live.values() if order.instrument.settle_coin == name and order.is_open]
        return Coin(
            name=name,
            wallet=self.balances.get(name, ZERO),
            realised=self.realised.get(name, ZERO),
            unrealised=sum((position.unrealised(self.mark(position.symbol)) for position in positions), ZERO),
            position_margin=sum(map(self.margin, positions), ZERO),
            maintenance_margin=sum(map(self.maintenance, positions), ZERO),
            order_margin=sum((rounded(o.leaves_value / LEVERAGE) for o in orders if not o.reduce_only), ZERO),
        )

    def held(self, symbol: str, position_idx: int) -> Position:
        """Return an open position. Raises ``ValueError`` when it is flat."""
        position = self.positions.get((symbol, position_idx))
        if position is None or not position.size:
            raise ValueError(f"symbol: no position on {symbol} is open (position_idx {position_idx})")
        return position

    def _marked_value(self, position: Position) -> Decimal:
        mark = self.mark(position.symbol)
        return position.instrument.value(position.size, mark) if position.size else ZERO

    # --- changes ---

    def _executed(self, execution: Execution) -> Execution:
        self._executions[execution.exec_id] = execution
        if len(self._executions) > EXECUTIONS_KEPT:
            del self._executions[next(iter(self._executions))]
        return execution

    def _settle(self, coin: str, amount: Decimal) -> None:
        self.balances[coin] = self.balances.get(coin, ZERO) + amount
        self.realised[coin] = self.realised.get(coin, ZERO) + amount

    def _keep(self, order: Order) -> Order:
        if order.is_final:
            self._live.pop(order.order_id, None)
            self._finished[order.order_id] = order
            if len(self._finished) > FINAL_KEPT:
                del self._finished[next(iter(self._finished))]
        else:
            self._live[order.order_id] = order
        return order

    def _open_order(self, order_id: str) -> Order:
        order = self._unfinished(order_id)
        if not order.is_open:
            raise ValueError(f"order: it is {order.status}; trigger it first")
        return order

    def _unfinished(self, order_id: str) -> Order:
        order = self.order(order_id)
        if order.is_final:
            raise ValueError(f"order: it is {order.status} already")
        return order

    def _unfinished_on(self, position: Position) -> list[Order]:
        return [o for o in self.unfinished(position.symbol) if o.position_idx == position.position_idx]


def legs_of_mode(position_idx: int) -> tuple[int, ...]:
    """Return the legs of the mode of *position_idx*: hedge mode has two."""
    return (1, 2) if position_idx else (0,)
