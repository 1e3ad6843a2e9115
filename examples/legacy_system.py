"""Add Bybit to a threaded system with a main loop, an inbox and desks.

Keys come from BYBIT_API_KEY and BYBIT_API_SECRET, or --simulate.
"""

from __future__ import annotations

import logging
import queue
import signal
import sys
import threading
import time

from bybit_sync import AccountView, AnyEvent, Client, StatusChange

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

    def take(self, _account: AccountView, event: AnyEvent) -> None:
        """Pass an event on. A thread of its own.

        While the inbox is full this thread waits; the account and the connection do
        not.
        """
        if event.recovered:
            self.system.inbox.put((event.stream, f"outage from {event.recovered.since} to {event.recovered.until} mended"))
        for row in event:
            self.system.inbox.put((event.stream, row))

    def tell(self, change: StatusChange) -> None:
        """Stop the system when the client has ended."""
        if change.state in ("CLOSED", "FAILED"):
            self.system.stop()

    def mind_risk(self, account: AccountView) -> None:
        """Ask again and again what the position is. Any number of threads."""
        while self.system.running:
            position = account.position("BTCUSDT")
            held = f"{position.side} {position.size}" if position else "flat"
            log.info("BTCUSDT is %s%s", held, "" if account.is_current else ", or was: an outage is not mended yet")
            time.sleep(0.2)


logging.basicConfig(level=logging.INFO, format="%(threadName)s: %(message)s", stream=sys.stdout)
system = LegacySystem()
feed = BybitFeed(system)
signal.signal(signal.SIGTERM, system.stop)
if "--simulate" in sys.argv:
    from bybit_sync.simulator import demo_client

    client = demo_client(drop_at=2, recover=True, on_status=feed.tell)
else:
    client = Client.from_env(recover=True, on_status=feed.tell)
with client, client.account_view(feed.take) as account:
    for desk in ("risk desk", "other risk desk"):
        threading.Thread(target=feed.mind_risk, args=(account,), name=desk, daemon=True).start()
    system.run()
