"""Read all streams of two accounts from one queue. Keys: environment, or --simulate."""

import os
import queue
import sys
import threading

from bybit_sync import AnyEvent, Client


def work(inbox: queue.Queue[AnyEvent]) -> None:
    """Print events. Two workers may finish them out of order."""
    while event := inbox.get():
        print(f"{event.client} {event.stream} {event.gap or [update.key for update in event]}\n", end="")


if "--simulate" in sys.argv:
    from bybit_sync.simulator import demo_client

    clients = [demo_client(name="main"), demo_client(name="hedge")]
else:
    clients = [Client.from_env(name="main"), Client(os.environ["KEY_2"], os.environ["SECRET_2"], name="hedge")]
events: queue.Queue[AnyEvent] = queue.Queue()
for c in clients:
    threading.Thread(target=work, args=(events,), daemon=True).start()
    for subscribe in (c.subscribe_orders, c.subscribe_user_trades, c.subscribe_positions, c.subscribe_balances):
        subscribe(events)
while not all(client.wait(timeout=1.0) for client in clients):
    print("the main loop does what it always did")
