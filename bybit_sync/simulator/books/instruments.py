"""The contracts: how they are valued, and the coin that they settle in."""

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

    A linear one is worth size times price of the quote coin, an inverse one size (USD)
    divided by price of the base coin.
    """

    symbol: str
    category: str
    settle_coin: str

    @classmethod
    def named(cls, symbol: str) -> Instrument:
        """Return the contract named *symbol*.

        BTCUSDT and BTCPERP are linear, BTCUSD and BTCUSDZ25 inverse.
        """
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
        """True when the size is in USD and the value in the base coin."""
        return self.category == "inverse"

    def worth(self, size: Decimal, price: Decimal) -> Fraction:
        """Return the exact value of *size* at *price* in the settle coin.

        The value of a size of 0 is 0.
        """
        if not size:
            return Fraction(0)
        return Fraction(size) / Fraction(price) if self.is_inverse else Fraction(size) * Fraction(price)

    def value(self, size: Decimal, price: Decimal) -> Decimal:
        """Return the value of *size* at *price*, rounded as the exchange does."""
        return rounded(self.worth(size, price))

    def price(self, size: Decimal, worth: Fraction) -> Decimal:
        """Return the price at which *size* has the value *worth*; 0 for a size of 0."""
        if not size or not worth:
            return Decimal(0)
        return rounded(Fraction(size) / worth if self.is_inverse else worth / Fraction(size))

    def direction(self, side: str) -> int:
        """Return 1 when *side* gains as the value rises, else -1.

        The value of an inverse contract, in coin, falls as its price rises.
        """
        return 1 if (side == "Buy") != self.is_inverse else -1
