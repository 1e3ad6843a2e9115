"""The actions on one account: order, fill, cancel, fund, liquidate.

Pure: no socket, no thread, no clock. Every amount of money is rounded when it arises,
so that the sums of what was pushed are exact: of executions to the position, of fees
and gains to the balance. The cost of a position is also kept unrounded, for its average
price.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs

from bybit_sync.simulator.books.checks import check_amendment, check_fill, check_order
from bybit_sync.simulator.books.instruments import Instrument, rounded
from bybit_sync.simulator.books.orders import FALL, OPPOSITE, POSITION_STOPS, RISE, ZERO, Execution, Order
from bybit_sync.simulator.books.positions import Position
from bybit_sync.simulator.books.tables import Books, legs_of_mode

__all__ = ["TAKER_FEE", "Ledger"]

TAKER_FEE = Decimal("0.00055")
MAKER_FEE = Decimal("0.0002")
# How far from the mark a market order may fill.
MARKET_BOUND = Decimal("0.01")
# The reject reasons that the exchange gives for cancelled orders.
CANCEL_REASONS: Mapping[str, str] = {"CancelByUser": "EC_PerCancelRequest"}


class Ledger(Books):
    """The books of one account, and the actions that change them."""

    # --- orders ---

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
        trigger_price: Decimal | None = None,
        trigger_direction: int | None = None,
        take_profit: Decimal | None = None,
        stop_loss: Decimal | None = None,
    ) -> Order:
        """Accept an order; `trigger` triggers it and `fill` fills it."""
        instrument = Instrument.named(symbol)
        check_order(side, qty, order_type, price, position_idx)
        if price is not None:
            # Before the first trade it is the best known price.
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
            take_profit=take_profit or ZERO,
            stop_loss=stop_loss or ZERO,
            mark_on_created=self.mark(symbol),
            created=now,
            updated=now,
            seq=next(self._seqs),
        )
        self._open_position(instrument, position_idx, now)
        return self._keep(order if trigger_price is None else self._waiting(order, trigger_price, trigger_direction))

    def trigger(self, order_id: str, *, now: int) -> tuple[Order, Order]:
        """Trigger a conditional order; return it as Triggered and as New."""
        order = self.order(order_id)
        if not order.is_waiting:
            raise ValueError(f"order: it is {order.status}, and waits for no trigger")
        triggered = attrs.evolve(order, status="Triggered", updated=now, seq=next(self._seqs))
        price = self._bound(order.symbol, order.side) if order.order_type == "Market" else order.price
        self._forget_stop(order)
        return triggered, self._keep(attrs.evolve(triggered, status="New", price=price))

    def fill(
        self, order_id: str, fills: Sequence[tuple[Decimal, Decimal]], *, is_maker: bool, now: int, kind: str = "Trade"
    ) -> list[Execution]:
        """Fill an order with one match, completely or not at all.

        The parts (quantity, price) share a sequence number.
        """
        order = self._open_order(order_id)
        check_fill(order, self.positions[order.symbol, order.position_idx], fills)
        match: dict[str, Any] = {"is_maker": is_maker, "now": now, "seq": next(self._seqs), "kind": kind}
        return [self._fill(self._open_order(order_id), qty, price, **match) for qty, price in fills]

    def amend(
        self, order_id: str, *, qty: Decimal | None, price: Decimal | None, now: int, trigger_price: Decimal | None = None
    ) -> Order:
        """Change the quantity, the price or the trigger price of an order."""
        order = self._unfinished(order_id)
        changes: dict[str, Any] = {"qty": qty, "price": price, "trigger_price": trigger_price}
        changes = {name: value for name, value in changes.items() if value is not None}
        check_amendment(order, changes)
        return self._keep(attrs.evolve(order, **changes, updated=now, seq=next(self._seqs)))

    def cancel(self, order_id: str, *, cancel_type: str, now: int) -> Order:
        """Cancel an order; its fills stay."""
        order = self._unfinished(order_id)
        self._forget_stop(order)
        status = "Deactivated" if order.is_waiting else "Cancelled"
        return self._end(order, status, cancel_type, CANCEL_REASONS.get(cancel_type, "EC_NoError"), now)

    def cancel_too_late(self, order_id: str) -> Order:
        """Note a cancel that came after the last fill; nothing else changes."""
        order = self.order(order_id)
        if order.status != "Filled":
            raise ValueError(f"order: it is {order.status}, and not too late to cancel")
        return self._keep(attrs.evolve(order, cancel_type="CancelByUser", reject_reason="EC_OrigClOrdIDDoesNotExist"))

    def reject(self, order_id: str, *, reason: str, now: int) -> Order:
        """Reject an order."""
        return self._end(self._open_order(order_id), "Rejected", "UNKNOWN", reason, now)

    # --- positions ---

    def set_stops(self, symbol: str, position_idx: int, *, now: int, **prices: Decimal) -> list[Order]:
        """Set the take profit and stop loss of a position.

        *prices* are ``take_profit`` and ``stop_loss``, 0 for none. Returns the changed
        orders.
        """
        changes: dict[str, Any] = {**prices, "updated": now}
        self.positions[symbol, position_idx] = attrs.evolve(self.held(symbol, position_idx), **changes)
        return self.follow_up(symbol, position_idx, now=now)

    def follow_up(self, symbol: str, position_idx: int, *, now: int) -> list[Order]:
        """Adjust the orders of a position after it changed; return the changed ones.

        Its take profit and stop loss follow its size and end with it; a reduce-only
        order that has nothing to close is cancelled.
        """
        position = self.positions[symbol, position_idx]
        useless = [
            self.cancel(order.order_id, cancel_type="CancelByReduceOnly", now=now)
            for order in self._unfinished_on(position)
            if order.is_open and order.reduce_only and not position.closable(order.side, order.leaves_qty)
        ]
        return useless + [order for kind in POSITION_STOPS for order in self._follow_up_stop(position, kind, now)]

    def fund(self, symbol: str, rate: Decimal, *, now: int) -> list[Execution]:
        """Settle funding for every position on *symbol*.

        With a *rate* above 0 a long position pays.
        """
        held = [position for position in self.positions.values() if position.symbol == symbol and position.size]
        if not held:
            raise ValueError(f"symbol: no position on {symbol} is open")
        return [self._fund(position, rate, now) for position in held]

    def start_liquidation(self, symbol: str, position_idx: int, *, now: int) -> Position:
        """Mark a position as taken over."""
        position = attrs.evolve(self.held(symbol, position_idx), status="Liq", updated=now)
        self.positions[symbol, position_idx] = position
        return position

    def take_over(self, position: Position, price: Decimal, *, now: int) -> list[Execution]:
        """Close *position* at *price* with an order of the exchange's own."""
        order = self._own_order(position, price=price, create_type="CreateByLiq", now=now)
        return self.fill(order.order_id, [(order.qty, price)], is_maker=False, now=now, kind="BustTrade")

    def transfer(self, coin: str, amount: Decimal) -> None:
        """Move *amount* of a coin into the account or, negative, out of it."""
        self.balances[coin] = self.balances.get(coin, ZERO) + amount

    # --- one fill ---

    def _fill(self, order: Order, qty: Decimal, price: Decimal, *, is_maker: bool, now: int, seq: int, kind: str) -> Execution:
        position = self.positions[order.symbol, order.position_idx]
        closes = position.closable(order.side, qty)
        instrument, rate = order.instrument, MAKER_FEE if is_maker else TAKER_FEE
        value = instrument.value(qty, price)
        fee = rounded(value * rate)
        self.last_prices[order.symbol] = price
        left, gain = position.closed(closes, price)
        whole = _with_stops_of(order, left.opened(order.side, qty - closes, price, now)).booked(-fee)
        self.positions[order.symbol, order.position_idx] = attrs.evolve(whole, updated=now, seq=seq)
        self._settle(instrument.settle_coin, gain - fee)
        execution = Execution(
            exec_id=self._new_id(),
            order=self._keep(order.filled(qty, price, value=value, fee=fee, gain=gain, now=now, seq=seq)),
            kind=kind,
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
        return self._executed(execution)

    def _fund(self, position: Position, rate: Decimal, now: int) -> Execution:
        mark, seq = self.mark(position.symbol), next(self._seqs)
        value = position.instrument.value(position.size, mark)
        fee = rounded(value * rate) * (1 if position.side == "Buy" else -1)
        paid = attrs.evolve(position.booked(-fee), updated=now, seq=seq)
        self.positions[position.symbol, position.position_idx] = paid
        self._settle(position.instrument.settle_coin, -fee)
        execution = Execution(
            exec_id=self._new_id(),
            order=_funding_order(position, now, seq),
            kind="Funding",
            qty=position.size,
            price=mark,
            value=value,
            fee=fee,
            fee_rate=rate,
            closed_size=None,
            gain=ZERO,
            is_maker=False,
            time=now,
            seq=seq,
            mark_price=mark,
        )
        return self._executed(execution)

    # --- one order ---

    def _waiting(self, order: Order, trigger_price: Decimal, direction: int | None) -> Order:
        if trigger_price <= 0 or direction not in (None, RISE, FALL):
            raise ValueError("trigger_price and trigger_direction: more than 0, and 1 (rise) or 2 (fall)")
        mark = self.mark(order.symbol)
        if direction is None and not mark:
            raise ValueError(f"trigger_direction: {order.symbol} has no price yet to come from; say 1 (rise) or 2 (fall)")
        return attrs.evolve(
            order,
            status="Untriggered",
            stop_type="Stop",
            trigger_price=trigger_price,
            trigger_direction=direction or (RISE if trigger_price > mark else FALL),
        )

    def _follow_up_stop(self, position: Position, kind: str, now: int) -> Iterator[Order]:
        """Change, make or end the order of a position's stop of *kind*."""
        price: Decimal = getattr(position, POSITION_STOPS[kind])
        there = [o for o in self._unfinished_on(position) if o.stop_type == kind and o.is_waiting]
        for order in there:
            if not price or order.side == position.side:
                yield self._end(order, "Deactivated", "CancelByTpSlTsClear", "EC_NoError", now)
            elif (order.qty, order.trigger_price) != (position.size, price):
                changed = attrs.evolve(order, qty=position.size, trigger_price=price, updated=now, seq=next(self._seqs))
                yield self._keep(changed)
        if price and not any(order.side != position.side for order in there):
            order = self._own_order(position, price=ZERO, create_type=f"CreateBy{kind}", now=now)
            rises = (kind == "TakeProfit") == (position.side == "Buy")
            waiting = self._waiting(order, price, RISE if rises else FALL)
            yield self._keep(attrs.evolve(waiting, stop_type=kind))

    def _own_order(self, position: Position, *, price: Decimal, create_type: str, now: int) -> Order:
        """Accept an order of the exchange's own that closes a whole position."""
        order = self.place(
            position.symbol,
            OPPOSITE[position.side],
            qty=position.size,
            price=None,
            order_type="Market",
            time_in_force="IOC",
            reduce_only=True,
            position_idx=position.position_idx,
            order_link_id="",
            now=now,
        )
        return self._keep(attrs.evolve(order, price=price, create_type=create_type))

    def _forget_stop(self, order: Order) -> None:
        """Remove the price of a triggered or cancelled stop from its position."""
        if order.is_position_stop and order.is_waiting:
            where = order.symbol, order.position_idx
            nothing: dict[str, Any] = {POSITION_STOPS[order.stop_type]: ZERO}
            self.positions[where] = attrs.evolve(self.positions[where], **nothing)

    def _end(self, order: Order, status: str, cancel_type: str, reason: str, now: int) -> Order:
        seq = next(self._seqs)
        return self._keep(order.ended(status, cancel_type=cancel_type, reject_reason=reason, now=now, seq=seq))

    # --- one position ---

    def _open_position(self, instrument: Instrument, position_idx: int, now: int) -> None:
        """Create the flat position; in hedge mode both legs."""
        for leg in legs_of_mode(position_idx):
            flat = Position(instrument=instrument, position_idx=leg, created=now, updated=now)
            self.positions.setdefault((instrument.symbol, leg), flat)

    def _bound(self, symbol: str, side: str) -> Decimal:
        """Return the worst price of a market order, with the price's own digits."""
        mark = self.mark(symbol)
        return (mark * (1 + MARKET_BOUND if side == "Buy" else 1 - MARKET_BOUND)).quantize(mark)


def _with_stops_of(order: Order, position: Position) -> Position:
    """Return *position* with the stops of *order*, if both have the same side."""
    if order.side != position.side:
        return position
    return attrs.evolve(
        position,
        take_profit=order.take_profit or position.take_profit,
        stop_loss=order.stop_loss or position.stop_loss,
    )


def _funding_order(position: Position, now: int, seq: int) -> Order:
    """Return the order that a funding row names; it is in no table."""
    return Order(
        order_id=f"{now // 1000}-{position.symbol}-{seq}-{position.side}",
        instrument=position.instrument,
        side=position.side,
        order_type="UNKNOWN",
        qty=ZERO,
        price=ZERO,
        time_in_force="",
        position_idx=position.position_idx,
        create_type="",
        created=now,
        updated=now,
        seq=seq,
    )
