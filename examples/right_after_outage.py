"""Keep the open orders and positions right, from the start and after every outage.

With ``recover=True`` each stream begins with a snapshot, and one follows each outage:
what is not in it is gone. Keys come from BYBIT_API_KEY and BYBIT_API_SECRET, or
--simulate.
"""

import sys

from bybit_sync import AnyEvent, Client, Stream

FINAL = {"Filled", "Cancelled", "PartiallyFilledCanceled", "Rejected", "Deactivated"}
tables = {Stream.ORDERS: {}, Stream.POSITIONS: {}}


def apply(event: AnyEvent) -> None:
    """Apply an event to its table."""
    table = tables[event.stream]
    if event.snapshot:
        table.clear()
    for row in event:
        is_open = row.order_status not in FINAL if event.stream == Stream.ORDERS else row.size
        table.update({row.key: row}) if is_open else table.pop(row.key, None)
    told = event.gap or ("recovered" if event.recovered else "all there is" if event.snapshot else "pushed")
    # One write: the two threads of the callbacks must not mix their lines.
    sys.stdout.write(f"{event.stream}: {len(table)} open ({told})\n")
    sys.stdout.flush()


if "--simulate" in sys.argv:
    from bybit_sync.simulator import demo_client

    client = demo_client(steps=16, drop_at=2, recover=True)
else:
    client = Client.from_env(recover=True)
with client:
    client.subscribe_orders(apply)
    client.subscribe_positions(apply)
    client.wait()
