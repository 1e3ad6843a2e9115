"""Add Bybit to a threaded system with a main loop, an inbox and desks.

Keys come from BYBIT_API_KEY and BYBIT_API_SECRET, or --simulate.
"""

from __future__ import annotations

import logging
import queue
import signal
import sys
import threading

from bybit_sync import AnyEvent, Client, StatusChange

log = logging.getLogger("legacy")
Inbox = queue.Queue[tuple[str, object]]


class LegacySystem:
    """The system as it was. It knows nothing of Bybit and did not change."""

    def __init__(self) -> None:
        self.inbox: Inbox = queue.Queue(maxsize=1_000)
        self.desks: dict[str, Inbox] = {desk: queue.Queue() for desk in ("orders", "positions", "user_trades", "balances")}
        self.running = True

    def run(self) -> None:
        """Pass messages to the desks; without one, do the chores. The main thread."""
        for desk, messages in self.desks.items():
            threading.Thread(target=self.work, args=(messages,), name=f"{desk} desk", daemon=True).start()
        while self.running or not self.inbox.empty():
            try:
                message = self.inbox.get(timeout=1.0)
            except queue.Empty:
                log.info("chores")
            else:
                self.desks[message[0]].put(message)
        for messages in self.desks.values():
            messages.join()

    def work(self, messages: Inbox) -> None:
        """Handle the messages of one desk in order. A thread of its own."""
        while True:
            log.info("%s", messages.get()[1])
            messages.task_done()

    def stop(self, *_: object) -> None:
        """Let the main loop end. Any thread, and signal handlers."""
        self.running = False


class BybitFeed:
    """The new part: it turns events into messages of the system."""

    def __init__(self, system: LegacySystem) -> None:
        self.system = system

    def take(self, event: AnyEvent) -> None:
        """Pass an event on. The stream's own thread.

        While the inbox is full this thread waits, and the connection does not.
        """
        if event.gap:
            self.system.inbox.put((event.stream, f"read by REST what happened from {event.gap.since} to {event.gap.until}"))
        for row in event:
            self.system.inbox.put((event.stream, row))

    def tell(self, change: StatusChange) -> None:
        """Stop the system when the client has ended."""
        if change.state in ("CLOSED", "FAILED"):
            self.system.stop()


logging.basicConfig(level=logging.INFO, format="%(threadName)s: %(message)s", stream=sys.stdout)
system = LegacySystem()
feed = BybitFeed(system)
signal.signal(signal.SIGTERM, system.stop)
if "--simulate" in sys.argv:
    from bybit_sync.simulator import demo_client

    client = demo_client(drop_at=2, on_status=feed.tell)
else:
    client = Client.from_env(on_status=feed.tell)
with client:
    for subscribe in (
        client.subscribe_orders,
        client.subscribe_positions,
        client.subscribe_user_trades,
        client.subscribe_balances,
    ):
        subscribe(feed.take)
    system.run()
