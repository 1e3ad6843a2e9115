"""A bot that remembers how much it holds, and knows when it cannot be sure."""

from __future__ import annotations

from decimal import Decimal

from bybit_sync import Client, Event, PositionUpdate


class Bot:
    """Follows the positions of the account that *client* is logged in to."""

    def __init__(self, client: Client) -> None:
        self.held: dict[str, Decimal] = {}
        self.is_sure = True
        self.positions = client.subscribe_positions(self.on_positions)

    def on_positions(self, event: Event[PositionUpdate]) -> None:
        """Store what changed; after a gap nothing is sure until REST was read."""
        self.is_sure = self.is_sure and not event.gap
        for position in event:
            assert position.size is not None, position  # a row of a position has it
            self.held[position.symbol] = position.size if position.side == "Buy" else -position.size
