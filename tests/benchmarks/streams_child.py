"""A process that publishes into Redis streams, and starts a reader of them.

python -m tests.benchmarks.streams_child WAY ACCOUNTS URL REDIS_URL
"""

from __future__ import annotations

import gc
import itertools
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from tests.benchmarks.contestants import KEY, SECRET
from tests.benchmarks.payloads import KINDS, pushes
from tests.benchmarks.processes import ROOT, own_output, serve
from tests.benchmarks.table import percentile

STREAM = "positions"


def names(count: int) -> list[str]:
    """Return the names of the accounts."""
    return [f"account-{number}" for number in range(count)]


class Forward:
    """Clients of the exchange whose positions go into the server."""

    is_fed = True

    def __init__(self, count: int, url: str, redis_url: str) -> None:
        import bybit_sync  # noqa: PLC0415 - the loop is to be without it
        from bybit_sync.integrations.redis_streams import RedisStreams  # noqa: PLC0415

        sink = RedisStreams(redis_url)
        clients = [bybit_sync.Client(KEY, SECRET, environment=url, name=name) for name in names(count)]
        for client in clients:
            client.subscribe_positions(sink, wait=False)
        for client in clients:
            client.wait_live(90)
        self._clients = clients

    def publish(self, each: int, rate: float) -> None:
        """Do nothing: the exchange sends."""


class Plain:
    """A loop that writes the same frames, with ids of the server."""

    is_fed = False

    def __init__(self, count: int, redis_url: str) -> None:
        import redis  # noqa: PLC0415

        self._server = redis.Redis.from_url(redis_url)
        self._keys = [f"bybit:{name}:{STREAM}" for name in names(count)]
        self._frames = [*itertools.islice(pushes(KINDS["position"]), 5_000)]

    def publish(self, each: int, rate: float) -> None:
        """Write *each* frames into every stream in turn, *rate* a second."""
        due = time.monotonic()
        for number in range(each):
            for key in self._keys:
                if (left := due - time.monotonic()) > 0:
                    time.sleep(left)
                now = datetime.now(timezone.utc).isoformat()
                frame = self._frames[number % len(self._frames)]
                self._server.xadd(key, {"received_at": now, "frame": frame}, maxlen=1_000_000, approximate=True)
                due += 1 / rate


class Publisher:
    """What is measured, and its reader."""

    def __init__(self, way: str, count: int, url: str, redis_url: str) -> None:
        self._source = Plain(count, redis_url) if way == "plain" else Forward(count, url, redis_url)
        self._reader = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.streams_child", "read", str(count), redis_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        self._began = (0.0, 0.0)

    def expect(self, events: int) -> dict[str, Any]:
        """Have the reader count so many *events* from now on."""
        assert self._reader.stdin
        assert self._reader.stdout
        self._reader.stdin.write(b"%d\n" % events)
        self._reader.stdin.flush()
        self._reader.stdout.readline()
        gc.collect()
        self._began = time.process_time(), time.time()
        return {}

    def publish(self, each: int, rate: float) -> dict[str, Any]:
        """Begin; tell whether the exchange has to send."""
        self._source.publish(each, rate)
        return {"is_fed": self._source.is_fed}

    def result(self) -> dict[str, Any]:
        """Tell the CPU of this process, the time until the last event was read, and the lags."""
        assert self._reader.stdout
        read = json.loads(self._reader.stdout.readline())
        cpu, at = self._began
        return {"cpu": time.process_time() - cpu, "seconds": read["at"] - at, "p50": read["p50"], "p99": read["p99"]}


def lags(redis_url: str, keys: list[bytes]) -> Iterator[tuple[float, float]]:
    """Yield when each entry of *keys* was read, and how long after its frame, for ever."""
    import redis  # noqa: PLC0415

    server: Any = redis.Redis.from_url(redis_url, protocol=2)
    last = dict.fromkeys(keys, "0-0")
    while True:
        for key, entries in server.xread(last, count=1_000, block=500):
            now = time.time()
            last[key] = entries[-1][0]
            for _, fields in entries:
                yield now, now - datetime.fromisoformat(fields[b"received_at"].decode()).timestamp()


def read(count: int, redis_url: str) -> None:
    """Read so many entries as each line of the input says, and write what their lags were."""
    found = lags(redis_url, [f"bybit:{name}:{STREAM}".encode() for name in names(count)])
    for line in sys.stdin:
        print("ready", flush=True)  # noqa: T201 - it is asked for
        times = list(itertools.islice(found, int(line)))
        each = [lag for _, lag in times]
        answer = {"at": times[-1][0], "p50": percentile(each, 0.5), "p99": percentile(each, 0.99)}
        print(json.dumps(answer), flush=True)  # noqa: T201


def main(way: str, count: str, url: str, redis_url: str = "") -> None:
    """Be a publisher, or a reader."""
    if way == "read":
        read(int(count), url)
        return
    output = own_output()
    logging.disable(logging.WARNING)
    publisher = Publisher(way, int(count), url, redis_url)
    serve(output, {name: getattr(publisher, name) for name in ("expect", "publish", "result")})


if __name__ == "__main__":
    main(*sys.argv[1:])
