"""A position, and how opening, closing and payments change it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs

from bybit_sync.simulator.books.instruments import Instrument, rounded
from bybit_sync.simulator.books.orders import ZERO

__all__ = ["LEVERAGE", "Position"]

LEVERAGE = Decimal(10)
# The attributes of a position that was closed.
_FLAT: dict[str, Any] = {"side": "", "take_profit": ZERO, "stop_loss": ZERO, "status": "Normal"}


@attrs.frozen(kw_only=True)
class Position:
    """The position in one contract (of one leg in hedge mode).

    *cost* is its exact value on entry. *realised* is everything gained and paid on the
    contract, *current* the same since the position was opened; both after fees and
    funding. *seq* is None before the first fill.

    *side* is "Buy", "Sell" or, when *size* is 0, "". *open_since*, *created* and
    *updated* are ms. *instrument* is the contract; *position_idx*, *leverage*,
    *take_profit*, *stop_loss* and *status* have V5's names.
    """

    instrument: Instrument
    position_idx: int
    side: str = ""
    size: Decimal = ZERO
    cost: Fraction = Fraction(0)
    realised: Decimal = ZERO
    current: Decimal = ZERO
    leverage: Decimal = LEVERAGE
    take_profit: Decimal = ZERO
    stop_loss: Decimal = ZERO
    status: str = "Normal"
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
        """The value on entry, rounded as the exchange does."""
        return rounded(self.cost)

    @property
    def entry_price(self) -> Decimal:
        """The average entry price; 0 when flat."""
        return self.instrument.price(self.size, self.cost)

    def closable(self, side: str, qty: Decimal) -> Decimal:
        """Return the part of *qty* on *side* that would close it."""
        return min(qty, self.size) if side != self.side else ZERO

    def unrealised(self, mark: Decimal) -> Decimal:
        """Return the gain of closing it at *mark*, without fees."""
        return self._gain(self.size, self.value, mark) if self.size else ZERO

    def price_where(self, lost: Decimal, *, rate: Decimal) -> Decimal:
        """Return the price at which closing it gains *rate* of its value less *lost*.

        The value is the one at that price; 0 means that there is no such price.

        With 0 lost and no rate that is the entry price.
        """
        # direction * (value there - entry value) = rate * value there - lost
        direction = self.instrument.direction(self.side)
        value = (direction * self.value - lost) / (direction - rate)
        return self.instrument.price(self.size, Fraction(value)) if value > 0 else ZERO

    def closed(self, size: Decimal, price: Decimal) -> tuple[Position, Decimal]:
        """Return the position after closing *size* at *price*, and the gain."""
        if not size:
            return self, ZERO
        share = Fraction(self.size - size) / Fraction(self.size)
        left = attrs.evolve(self, size=self.size - size, cost=self.cost * share)
        gain = self._gain(size, self.value - left.value, price)
        flat = {} if share else _FLAT
        return attrs.evolve(left, **flat).booked(gain), gain

    def opened(self, side: str, size: Decimal, price: Decimal, now: int) -> Position:
        """Return the position with *size* more, bought or sold at *price*."""
        if not size:
            return self
        more = attrs.evolve(self, side=side, size=self.size + size, cost=self.cost + self.instrument.worth(size, price))
        return more if self.size else attrs.evolve(more, open_since=now, current=ZERO)

    def booked(self, amount: Decimal) -> Position:
        """Return the position after a gain of *amount* or, negative, a payment."""
        return attrs.evolve(self, realised=self.realised + amount, current=self.current + amount)

    def _gain(self, size: Decimal, value: Decimal, price: Decimal) -> Decimal:
        return (self.instrument.value(size, price) - value) * self.instrument.direction(self.side)
