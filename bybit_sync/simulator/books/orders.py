"""An order in its current state, and the executions that fill it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

import attrs

from bybit_sync.simulator.books.instruments import Instrument

__all__ = ["FALL", "OPPOSITE", "POSITION_STOPS", "RISE", "ZERO", "Execution", "Order"]

ZERO = Decimal(0)
OPPOSITE: Mapping[str, str] = {"Buy": "Sell", "Sell": "Buy"}
OPEN = ("New", "PartiallyFilled")
FINAL = ("Filled", "Cancelled", "Rejected", "Deactivated")
RISE, FALL = 1, 2
# The stops of a position, which follow its size, and the position's attribute of their
# price.
POSITION_STOPS: Mapping[str, str] = {"TakeProfit": "take_profit", "StopLoss": "stop_loss"}


@attrs.frozen(kw_only=True)
class Order:
    """An order in its current state.

    Numbers are exact, a price of 0 is none; *updated* and *created* are ms.

    A conditional order (*stop_type* is not empty) waits, ``Untriggered``, until the
    price has risen (*trigger_direction* 1) or fallen (2) to *trigger_price*.
    *take_profit* and *stop_loss* become the position's when it fills. The others have
    V5's names: *order_id*, *order_link_id*, *side*, *order_type*, *qty*, *price*,
    *time_in_force*, *reduce_only*, *position_idx*, *create_type*, *status*,
    *cancel_type*, *reject_reason*, *seq*.

    Of its fills: *cum_qty*, *cum_value*, *cum_fee*, *closed_pnl*, *last_qty*,
    *last_price*; *cum_worth* is the value before it was rounded. *instrument* is what
    is traded, *mark_on_created* the price when it was placed.
    """

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
    stop_type: str = ""
    trigger_price: Decimal = ZERO
    trigger_direction: int = 0
    take_profit: Decimal = ZERO
    stop_loss: Decimal = ZERO
    create_type: str = "CreateByUser"
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
        """True while it can be filled."""
        return self.status in OPEN

    @property
    def is_waiting(self) -> bool:
        """True until it is triggered."""
        return self.status == "Untriggered"

    @property
    def is_final(self) -> bool:
        """True when it cannot change any more."""
        return self.status in FINAL

    @property
    def is_position_stop(self) -> bool:
        """True for the take profit or stop loss of a whole position."""
        return self.stop_type in POSITION_STOPS

    @property
    def leaves_qty(self) -> Decimal:
        """The quantity that can still be filled; 0 when it is final."""
        return ZERO if self.is_final else self.qty - self.cum_qty

    @property
    def leaves_value(self) -> Decimal:
        """The value of that quantity at the order's price."""
        return self.instrument.value(self.leaves_qty, self.price) if self.leaves_qty and self.price else ZERO

    @property
    def average_price(self) -> Decimal:
        """The average price of its fills; 0 without any."""
        return self.instrument.price(self.cum_qty, self.cum_worth)

    def is_reached(self, price: Decimal) -> bool:
        """Return whether it waits for a price that *price* has reached."""
        reached = price >= self.trigger_price if self.trigger_direction == RISE else price <= self.trigger_price
        return self.is_waiting and reached

    def filled(self, qty: Decimal, price: Decimal, *, value: Decimal, fee: Decimal, gain: Decimal, now: int, seq: int) -> Order:
        """Return the order after a fill."""
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

    def ended(self, status: str, *, cancel_type: str, reject_reason: str, now: int, seq: int) -> Order:
        """Return the order after its end: cancelled, rejected or deactivated.

        Its fills stay.
        """
        return attrs.evolve(
            self,
            status=status,
            cancel_type=cancel_type,
            reject_reason=reject_reason,
            # V3 pushes the unfilled quantity here.
            last_qty=self.leaves_qty,
            last_price=ZERO,
            updated=now,
            seq=seq,
        )


@attrs.frozen(kw_only=True)
class Execution:
    """One fill, or one funding payment.

    *order* is the order after the fill; a funding payment has one that is in no table.

    *kind* is the exchange's execType; *gain* is what the closed part gained, without
    fees; *closed_size* is None for funding.
    """

    exec_id: str
    order: Order
    kind: str = "Trade"
    qty: Decimal
    price: Decimal
    value: Decimal
    fee: Decimal
    fee_rate: Decimal
    closed_size: Decimal | None
    gain: Decimal
    is_maker: bool
    time: int
    seq: int
    mark_price: Decimal
