"""Consumers that are killed: ``python -m tests.integrations.consuming URL PREFIX KILLS EVENTS``.

Each child reads as a consumer of one group, prints the index of an event as soon as it has it, and kills itself before it asks
for another one: after the first, the second or the third. The last child reads to the end.
"""

from __future__ import annotations

import os
import random
import signal
import sys

from bybit_sync.integrations.redis_streams import consume


def main(url: str, prefix: str, kills: int, events: int) -> None:
    """Fork one child after the other, called a and b in turns."""
    chance = random.Random(kills)
    for life in range(kills + 1):
        left = chance.randrange(1, 4) if life < kills else events
        child = os.fork()
        if child == 0:
            read(url, prefix, "ab"[life % 2], left, events)
        os.waitpid(child, 0)


def read(url: str, prefix: str, name: str, left: int, events: int) -> None:
    """Read *left* events and die."""
    for event in consume(url, "main", "orders", prefix=prefix, group="risk", consumer=name, claim_idle=0.01, timeout=30.0):
        os.write(1, b"%d\n" % event.index)
        left -= 1
        if not left or event.index == events:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
