"""Book every fill of an account into fills.db, once: kill this, and start it again.

Keys: BYBIT_API_KEY and BYBIT_API_SECRET, or --simulate: an account that makes the same
fills at each start, so that those of an earlier start are not booked again.
"""

import sys

from bybit_sync import Client, Event, UserTradeUpdate
from bybit_sync.integrations.sqlite_journal import Journal

if "--simulate" in sys.argv:
    from bybit_sync.simulator import demo_client

    client = demo_client(steps=16, drop_at=1, recover=True)
else:
    client = Client.from_env(recover=True)


def book(event: Event[UserTradeUpdate]) -> None:
    """Book an event: it is on the disk when the journal returns."""
    journal(event)
    print(event.source, "recovered" if event.recovered else "", len(event.data), "booked", flush=True)


with Journal("fills.db") as journal, client:
    client.subscribe_user_trades(book, since=journal.complete_until)
    client.wait()
print("open gaps:", journal.gaps())
for trade in journal.trades():
    print(trade.exec_time, trade.symbol, trade.side, trade.exec_qty, "at", trade.exec_price)
