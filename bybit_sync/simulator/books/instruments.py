"""What is traded: how a contract is valued and what it is settled in."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import attrs

__all__ = ["Instrument", "rounded"]

# The exchange keeps eight decimals of a coin.
_COIN_STEP = Decimal("1e-8")
_QUOTES = {"USDT": "USDT", "USDC": "USDC", "PERP": "USDC"}


def rounded(amount: Decimal | Fraction) -> Decimal:
    """Return *amount* to the eight decimals that the exchange keeps."""
    number = Decimal(amount.numerator) / Decimal(amount.denominator) if isinstance(amount, Fraction) else amount
    return number.quantize(_COIN_STEP, rounding=ROUND_HALF_EVEN)


@attrs.frozen
class Instrument:
    """One contract.

    A linear one is worth size times price of the quote coin, an inverse one size (USD) divided by price of the base coin.
    """

    symbol: str
    category: str
    settle_coin: str

    @classmethod
    def named(cls, symbol: str) -> Instrument:
        """Return the contract that *symbol* names: BTCUSDT and BTCPERP are linear, BTCUSD and BTCUSDZ25 inverse."""
        for ending, coin in _QUOTES.items():
            if symbol.endswith(ending):
                return cls(symbol, "linear", coin)
        base, usd, _expiry = symbol.partition("USD")
        if not base or not usd:
            raise ValueError(f"symbol: {symbol!r} names no contract; it should look like BTCUSDT, BTCPERP or BTCUSD")
        return cls(symbol, "inverse", base)

    @property
    def base_coin(self) -> str:
        """The coin whose price it follows: BTC for BTCUSDT, BTCPERP and BTCUSD."""
        return self.settle_coin if self.is_inverse else next(self.symbol[: -len(e)] for e in _QUOTES if self.symbol.endswith(e))

    @property
    def is_inverse(self) -> bool:
        """Whether size is USD and value is coin."""
        return self.category == "inverse"

    def worth(self, size: Decimal, price: Decimal) -> Fraction:
        """Return what *size* is worth at *price* in the settle coin, exactly; nothing is worth nothing."""
        if not size:
            return Fraction(0)
        return Fraction(size) / Fraction(price) if self.is_inverse else Fraction(size) * Fraction(price)

    def value(self, size: Decimal, price: Decimal) -> Decimal:
        """Return what *size* is worth at *price* as the exchange keeps it."""
        return rounded(self.worth(size, price))

    def price(self, size: Decimal, worth: Fraction) -> Decimal:
        """Return the price at which *size* is worth so much; 0 for nothing."""
        if not size or not worth:
            return Decimal(0)
        return rounded(Fraction(size) / worth if self.is_inverse else worth / Fraction(size))

    def direction(self, side: str) -> int:
        """Return 1 when *side* gains as the value rises, else -1: an inverse contract is worth less coin as its price rises."""
        return 1 if (side == "Buy") != self.is_inverse else -1
