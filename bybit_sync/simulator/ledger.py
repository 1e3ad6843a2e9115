"""The arithmetic of one account: orders, fills, positions and balances that add up.

Pure: no socket, no thread, no clock. Every amount of money is rounded when it arises, so that the sums of what was told are
exact: executions to the position, fees and gains to the balance. What a position cost is kept unrounded besides, so that its
average price is the right one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

import attrs

from bybit_sync.simulator.instruments import Instrument, rounded

__all__ = ["Coin", "Execution", "Ledger", "Order", "Position"]

ZERO = Decimal(0)
TAKER_FEE = Decimal("0.00055")
MAKER_FEE = Decimal("0.0002")
MAINTENANCE = Decimal("0.005")
LEVERAGE = Decimal(10)
# How far from the mark a market order may fill.
MARKET_BOUND = Decimal("0.01")
FIRST_SEQ = 140_612_148_849_382
OPPOSITE: Mapping[str, str] = {"Buy": "Sell", "Sell": "Buy"}
# The sides that each leg may hold.
LEGS: Mapping[int, tuple[str, ...]] = {0: ("Buy", "Sell"), 1: ("Buy",), 2: ("Sell",)}
OPEN = ("New", "PartiallyFilled")


@attrs.frozen(kw_only=True)
class Order:
    """An order as it stands now. Numbers are exact; *updated* and *created* are ms."""

    order_id: str
    order_link_id: str = ""
    instrument: Instrument
    side: str
    order_type: str
    qty: Decimal
    price: Decimal
    time_in_force: str
    reduce_only: bool = False
    position_idx: int = 0
    status: str = "New"
    cum_qty: Decimal = ZERO
    cum_value: Decimal = ZERO
    cum_worth: Fraction = Fraction(0)
    cum_fee: Decimal = ZERO
    closed_pnl: Decimal = ZERO
    last_qty: Decimal = ZERO
    last_price: Decimal = ZERO
    mark_on_created: Decimal = ZERO
    cancel_type: str = "UNKNOWN"
    reject_reason: str = "EC_NoError"
    created: int
    updated: int
    seq: int

    @property
    def symbol(self) -> str:
        """The contract's name."""
        return self.instrument.symbol

    @property
    def is_open(self) -> bool:
        """Whether it can still be filled."""
        return self.status in OPEN

    @property
    def leaves_qty(self) -> Decimal:
        """What can still be filled: nothing once it is cancelled."""
        return self.qty - self.cum_qty if self.is_open else ZERO

    @property
    def leaves_value(self) -> Decimal:
        """What that is worth at the order's price."""
        return self.instrument.value(self.leaves_qty, self.price) if self.leaves_qty and self.price else ZERO

    @property
    def average_price(self) -> Decimal:
        """The average price of what was filled; 0 when nothing was."""
        return self.instrument.price(self.cum_qty, self.cum_worth)

    def filled(self, qty: Decimal, price: Decimal, *, value: Decimal, fee: Decimal, gain: Decimal, now: int, seq: int) -> Order:
        """Return it after a fill."""
        return attrs.evolve(
            self,
            status="Filled" if qty == self.leaves_qty else "PartiallyFilled",
            cum_qty=self.cum_qty + qty,
            cum_value=self.cum_value + value,
            cum_worth=self.cum_worth + self.instrument.worth(qty, price),
            cum_fee=self.cum_fee + fee,
            closed_pnl=self.closed_pnl + gain,
            last_qty=qty,
            last_price=price,
            updated=now,
            seq=seq,
        )


@attrs.frozen(kw_only=True)
class Execution:
    """One fill, with *order* as it stands after it. *gain* is what the closed part gained, without fees."""

    exec_id: str
    order: Order
    qty: Decimal
    price: Decimal
    value: Decimal
    fee: Decimal
    fee_rate: Decimal
    closed_size: Decimal
    gain: Decimal
    is_maker: bool
    time: int
    seq: int
    mark_price: Decimal


@attrs.frozen(kw_only=True)
class Position:
    """What an account holds of one contract (of one leg in hedge mode).

    *cost* is what it was worth on entry, exactly. *realised* is everything gained and paid on the contract, *current* what was
    since the position was opened; both after fees. *seq* is None before the first fill.
    """

    instrument: Instrument
    position_idx: int
    side: str = ""
    size: Decimal = ZERO
    cost: Fraction = Fraction(0)
    realised: Decimal = ZERO
    current: Decimal = ZERO
    leverage: Decimal = LEVERAGE
    open_since: int = 0
    created: int
    updated: int
    seq: int | None = None

    @property
    def symbol(self) -> str:
        """The contract's name."""
        return self.instrument.symbol

    @property
    def value(self) -> Decimal:
        """What it was worth on entry, as the exchange keeps it."""
        return rounded(self.cost)

    @property
    def entry_price(self) -> Decimal:
        """The average entry price; 0 when flat."""
        return self.instrument.price(self.size, self.cost)

    def closable(self, side: str, qty: Decimal) -> Decimal:
        """Return how much of *qty* on *side* would close it; the rest would open."""
        return min(qty, self.size) if side != self.side else ZERO

    def unrealised(self, mark: Decimal) -> Decimal:
        """Return what closing it at *mark* would gain, without fees."""
        return self._gain(self.size, self.value, mark) if self.size else ZERO

    def closed(self, size: Decimal, price: Decimal) -> tuple[Position, Decimal]:
        """Return what is left when *size* of it is closed at *price*, and what that gained."""
        if not size:
            return self, ZERO
        share = Fraction(self.size - size) / Fraction(self.size)
        left = attrs.evolve(self, size=self.size - size, cost=self.cost * share, side=self.side if share else "")
        gain = self._gain(size, self.value - left.value, price)
        return left.booked(gain), gain

    def opened(self, side: str, size: Decimal, price: Decimal, now: int) -> Position:
        """Return it with *size* more, bought or sold at *price*."""
        if not size:
            return self
        more = attrs.evolve(self, side=side, size=self.size + size, cost=self.cost + self.instrument.worth(size, price))
        return more if self.size else attrs.evolve(more, open_since=now, current=ZERO)

    def booked(self, amount: Decimal) -> Position:
        """Return it after *amount* was gained or, negative, paid."""
        return attrs.evolve(self, realised=self.realised + amount, current=self.current + amount)

    def _gain(self, size: Decimal, value: Decimal, price: Decimal) -> Decimal:
        return (self.instrument.value(size, price) - value) * self.instrument.direction(self.side)


@attrs.frozen(kw_only=True)
class Coin:
    """What an account has of one coin."""

    name: str
    wallet: Decimal
    realised: Decimal
    unrealised: Decimal
    position_margin: Decimal
    maintenance_margin: Decimal
    order_margin: Decimal

    @property
    def equity(self) -> Decimal:
        """The balance, and what open positions would add to it."""
        return self.wallet + self.unrealised

    @property
    def free(self) -> Decimal:
        """What may be put into new orders; never negative."""
        return max(ZERO, self.wallet - self.position_margin - self.order_margin)


class Ledger:
    """One account's books.

    *balances* is what it starts with, coin by coin; *new_id* names orders and executions.
    """

    def __init__(self, balances: Mapping[str, Decimal], new_id: Callable[[], str]) -> None:
        self.balances = dict(balances)
        self.realised: dict[str, Decimal] = dict.fromkeys(balances, ZERO)
        self.orders: dict[str, Order] = {}
        self.positions: dict[tuple[str, int], Position] = {}
        self.marks: dict[str, Decimal] = {}
        self.last_prices: dict[str, Decimal] = {}
        self._new_id = new_id
        self._seqs = itertools.count(FIRST_SEQ)

    def place(
        self,
        symbol: str,
        side: str,
        *,
        qty: Decimal,
        price: Decimal | None,
        order_type: str,
        time_in_force: str,
        reduce_only: bool,
        position_idx: int,
        order_link_id: str,
        now: int,
    ) -> Order:
        """Take an order in; it fills when `fill` says so."""
        instrument = Instrument.named(symbol)
        _check_order(side, qty, order_type, price, position_idx)
        if price is not None:
            # Before the first trade that is the best there is to tell.
            self.last_prices.setdefault(symbol, price)
        order = Order(
            order_id=self._new_id(),
            order_link_id=order_link_id,
            instrument=instrument,
            side=side,
            order_type=order_type,
            qty=qty,
            price=price if price is not None else self._bound(symbol, side),
            time_in_force=time_in_force,
            reduce_only=reduce_only,
            position_idx=position_idx,
            mark_on_created=self.mark(symbol),
            created=now,
            updated=now,
            seq=next(self._seqs),
        )
        self._open_position(instrument, position_idx, now)
        return self._keep(order)

    def fill(self, order_id: str, fills: Sequence[tuple[Decimal, Decimal]], *, is_maker: bool, now: int) -> list[Execution]:
        """Fill an order with one match, all of it or nothing: parts of (quantity, price) that share a sequence number."""
        order = self._open_order(order_id)
        _check_fill(order, self.positions[order.symbol, order.position_idx], fills)
        seq = next(self._seqs)
        return [self._fill(self._open_order(order_id), qty, price, is_maker=is_maker, now=now, seq=seq) for qty, price in fills]

    def amend(self, order_id: str, *, qty: Decimal | None, price: Decimal | None, now: int) -> Order:
        """Change what is left of an order."""
        order = self._open_order(order_id)
        new_qty = order.qty if qty is None else qty
        if new_qty <= order.cum_qty:
            raise ValueError(f"qty: {new_qty} is not more than the {order.cum_qty} that were filled")
        new_price = order.price if price is None else price
        return self._keep(attrs.evolve(order, qty=new_qty, price=new_price, updated=now, seq=next(self._seqs)))

    def cancel(self, order_id: str, *, cancel_type: str, now: int) -> Order:
        """End an order; what was filled stays."""
        order = self._open_order(order_id)
        reason = "EC_PerCancelRequest" if cancel_type == "CancelByUser" else "EC_NoError"
        left = order.leaves_qty
        return self._keep(
            attrs.evolve(
                order,
                status="Cancelled",
                cancel_type=cancel_type,
                reject_reason=reason,
                # V3 tells there what stayed unfilled.
                last_qty=left,
                last_price=ZERO,
                updated=now,
                seq=next(self._seqs),
            )
        )

    # --- what there is ---

    def legs(self, symbol: str, position_idx: int) -> list[Position]:
        """Return the position of *symbol*, in hedge mode with the other leg."""
        return [self.positions[symbol, leg] for leg in _mode(position_idx)]

    def mark(self, symbol: str) -> Decimal:
        """Return the mark price of *symbol*: what was set, else what it last traded at, else 0."""
        return self.marks.get(symbol) or self.last_prices.get(symbol, ZERO)

    def margin(self, position: Position) -> Decimal:
        """Return the initial margin of *position*, at the mark price."""
        return rounded(self._marked_value(position) / position.leverage)

    def maintenance(self, position: Position) -> Decimal:
        """Return the maintenance margin of *position*."""
        return rounded(self._marked_value(position) * MAINTENANCE)

    def coin(self, name: str) -> Coin:
        """Return what there is of a coin."""
        positions = [position for position in self.positions.values() if position.instrument.settle_coin == name]
        orders = [order for order in self.orders.values() if order.instrument.settle_coin == name and not order.reduce_only]
        return Coin(
            name=name,
            wallet=self.balances.get(name, ZERO),
            realised=self.realised.get(name, ZERO),
            unrealised=sum((position.unrealised(self.mark(position.symbol)) for position in positions), ZERO),
            position_margin=sum(map(self.margin, positions), ZERO),
            maintenance_margin=sum(map(self.maintenance, positions), ZERO),
            order_margin=sum((rounded(order.leaves_value / LEVERAGE) for order in orders), ZERO),
        )

    # --- one fill ---

    def _fill(self, order: Order, qty: Decimal, price: Decimal, *, is_maker: bool, now: int, seq: int) -> Execution:
        position = self.positions[order.symbol, order.position_idx]
        closes = position.closable(order.side, qty)
        instrument, rate = order.instrument, MAKER_FEE if is_maker else TAKER_FEE
        value = instrument.value(qty, price)
        fee = rounded(value * rate)
        self.last_prices[order.symbol] = price
        left, gain = position.closed(closes, price)
        whole = left.opened(order.side, qty - closes, price, now).booked(-fee)
        self.positions[order.symbol, order.position_idx] = attrs.evolve(whole, updated=now, seq=seq)
        self._settle(instrument.settle_coin, gain - fee)
        return Execution(
            exec_id=self._new_id(),
            order=self._keep(order.filled(qty, price, value=value, fee=fee, gain=gain, now=now, seq=seq)),
            qty=qty,
            price=price,
            value=value,
            fee=fee,
            fee_rate=rate,
            closed_size=closes,
            gain=gain,
            is_maker=is_maker,
            time=now,
            seq=seq,
            mark_price=self.mark(order.symbol),
        )

    def _settle(self, coin: str, amount: Decimal) -> None:
        self.balances[coin] = self.balances.get(coin, ZERO) + amount
        self.realised[coin] = self.realised.get(coin, ZERO) + amount

    def _keep(self, order: Order) -> Order:
        self.orders[order.order_id] = order
        return order

    def _open_order(self, order_id: str) -> Order:
        order = self.orders[order_id]
        if not order.is_open:
            raise ValueError(f"order: it is {order.status} already")
        return order

    def _open_position(self, instrument: Instrument, position_idx: int, now: int) -> None:
        """Let there be a position before there is anything in it; in hedge mode both legs."""
        for leg in _mode(position_idx):
            flat = Position(instrument=instrument, position_idx=leg, created=now, updated=now)
            self.positions.setdefault((instrument.symbol, leg), flat)

    def _bound(self, symbol: str, side: str) -> Decimal:
        """Return the worst price that a market order takes; like the exchange's, it has the price's own digits."""
        mark = self.mark(symbol)
        return (mark * (1 + MARKET_BOUND if side == "Buy" else 1 - MARKET_BOUND)).quantize(mark)

    def _marked_value(self, position: Position) -> Decimal:
        mark = self.mark(position.symbol)
        return position.instrument.value(position.size, mark) if position.size else ZERO


def _mode(position_idx: int) -> tuple[int, ...]:
    return (1, 2) if position_idx else (0,)


def _check_order(side: str, qty: Decimal, order_type: str, price: Decimal | None, position_idx: int) -> None:
    if side not in OPPOSITE:
        raise ValueError(f"side: {side!r} is neither Buy nor Sell")
    if order_type not in ("Limit", "Market"):
        raise ValueError(f"order_type: {order_type!r} is neither Limit nor Market")
    if position_idx not in LEGS:
        raise ValueError(f"position_idx: {position_idx} is none of 0 (one-way), 1 (hedge mode, Buy), 2 (hedge mode, Sell)")
    if qty <= 0 or (price is not None and price <= 0):
        raise ValueError("qty and price: they have to be more than 0")
    if order_type == "Limit" and price is None:
        raise ValueError("price: a Limit order needs one")


def _check_fill(order: Order, position: Position, fills: Sequence[tuple[Decimal, Decimal]]) -> None:
    qty = sum((part for part, _ in fills), ZERO)
    closes = position.closable(order.side, qty)
    if not fills or any(part <= 0 or price <= 0 for part, price in fills):
        raise ValueError("qty and price: they have to be more than 0")
    if qty > order.leaves_qty:
        raise ValueError(f"qty: {qty} of an order that leaves {order.leaves_qty}")
    if order.reduce_only and closes < qty:
        raise ValueError(f"qty: {qty} of a reduce-only order, when the position has {closes} to close")
    if closes < qty and order.side not in LEGS[order.position_idx]:
        raise ValueError(f"qty: {qty} closes more than the {closes} of hedge mode's leg {order.position_idx}")
