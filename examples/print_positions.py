"""Print every change of a position, through a callback.

Keys come from BYBIT_API_KEY and BYBIT_API_SECRET, or --simulate.
"""

from __future__ import annotations

import sys

from bybit_sync import Client, Event, PositionUpdate


def on_positions(event: Event[PositionUpdate]) -> None:
    """Print what changed. Runs on a thread of its own, one event at a time."""
    if event.gap:
        print("updates may be missing:", event.gap)
    for position in event:
        print(position.symbol, position.side or "flat", position.size, position.entry_price, position.unrealised_pnl)


if "--simulate" in sys.argv:
    from bybit_sync.simulator import demo_client as connect
else:
    connect = Client.from_env

with connect() as client:
    client.subscribe_positions(on_positions)
    client.wait()
