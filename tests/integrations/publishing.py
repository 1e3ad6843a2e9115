"""Publishers that begin at one moment: ``python -m tests.integrations.publishing URL PREFIX TRIES EVENTS``.

At each try two children write the same events to a stream that is empty. Each prints the try and how many were taken.
"""

from __future__ import annotations

import os
import sys

from bybit_sync import RedisStreamError
from bybit_sync.integrations.redis_streams import RedisStreams
from tests.integrations.test_redis_streams import numbered


def main(url: str, prefix: str, tries: int, events: int) -> None:
    """Fork two children for each try; both begin when a pipe is closed."""
    for number in range(tries):
        begin, keep = os.pipe()
        children = []
        for _ in range(2):
            child = os.fork()
            if child == 0:
                os.close(keep)
                os.read(begin, 1)
                os.write(1, b"%d %d\n" % (number, taken(RedisStreams(url, prefix=f"{prefix}-{number}"), events)))
                os._exit(0)
            children.append(child)
        os.close(keep)
        os.close(begin)
        for child in children:
            os.waitpid(child, 0)


def taken(sink: RedisStreams, events: int) -> int:
    """Return how many of so many events *sink* takes before it raises."""
    for event in numbered(1, events):
        try:
            sink(event)
        except RedisStreamError:
            return event.index - 1
    return events


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
