"""Many clients in one process: what each costs, idle and at work, and how soon all are back when the exchange was away."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.benchmarks.payloads import STREAMS
from tests.benchmarks.processes import Process
from tests.benchmarks.table import number, table
from tests.benchmarks.throughput import prepared_server

AWAY = 0.5
"""How many seconds nobody listens when the exchange restarts."""
PACE = 2_000
"""How many messages a second all clients together get when they come at a pace."""
FLOOD = 50
"""How many messages of each stream a client gets in a flood at least."""
PATIENCE = 1.0
"""The switch interval of a flood in which hardly a thread wakes up to ask for the GIL, in seconds; by default it is 0.005."""


class Plan(NamedTuple):
    """What one run measures."""

    clients: Sequence[int] = (1, 10, 100, 500)
    idle_seconds: float = 12.0
    messages: int = 6_000


class Work(NamedTuple):
    """What one message took: CPU in µs, slices of a core; and how many came with one read."""

    cpu: float
    slices: float
    a_read: float


class Cost(NamedTuple):
    """What so many clients took."""

    threads: int
    kib_per_client: float
    live_s: float
    idle_percent: float
    back_s: float
    paced: Work
    burst: Work
    flood: Work
    patient: Work
    """A flood with a long switch interval."""


def measure(plan: Plan) -> dict[int, Cost]:
    """Return the costs by number of clients."""
    most = plan.messages // len(STREAMS) // min(plan.clients)
    with prepared_server(**dict.fromkeys(STREAMS, most)) as (server, url):
        return {count: _measure(plan, server, url, count) for count in plan.clients}


def _measure(plan: Plan, server: Process, url: str, count: int) -> Cost:
    each = max(1, plan.messages // count // len(STREAMS))
    with Process("scale_child", str(count), url) as crowd:
        first = crowd.ask(do="first")
        idle = crowd.ask(do="idle", seconds=plan.idle_seconds)["percent"]
        _work(server, crowd, count, each, PACE * 2)  # to warm up
        paced = _work(server, crowd, count, each, PACE)
        burst = _work(server, crowd, count, each, 1e9)
        flood = burst if each >= FLOOD else _work(server, crowd, count, FLOOD, 1e9)
        crowd.ask(do="patience", seconds=PATIENCE)
        patient = _work(server, crowd, count, max(each, FLOOD), 1e9)
        crowd.ask(do="patience", seconds=sys.getswitchinterval())
        back = _restart(server, crowd)
    return Cost(first["threads"], first["kib_per_client"], first["live_s"], idle, back, paced, burst, flood, patient)


def _work(server: Process, crowd: Process, count: int, each: int, rate: float) -> Work:
    """Return what one message took when all streams of all clients got theirs in turn."""
    total = each * count * len(STREAMS)
    crowd.ask(do="expect", events=total)
    for stream in STREAMS:
        sent: dict[str, Any] = server.ask(do="deal", kind=stream, first=0, count=each, rate=rate)
        if sent["peers"] != count:
            raise RuntimeError(f"{sent['peers']} of {count} clients are subscribed to {stream}")
    took = crowd.ask(do="result")
    return Work(took["cpu"] / total / 1e3, took["slices"] / total, total / took["reads"])


def _restart(server: Process, crowd: Process) -> float:
    """Return how many seconds after the exchange listens again all streams are confirmed and told so."""
    crowd.ask(do="expect_gaps")
    gone = server.ask(do="restart", after=AWAY)
    return float(crowd.ask(do="back")["at"] - gone["back_at"]) / 1e9


def report(costs: dict[int, Cost]) -> list[str]:
    """Return the tables."""
    return [_whole(costs), _why(costs)]


def _whole(costs: dict[int, Cost]) -> str:
    head = (
        "clients",
        "threads",
        "KiB a client",
        "s until all live",
        "idle, % of a core",
        "idle, % per 100 clients",
        "s until all back",
        f"CPU, µs a message at {PACE:,}/s",
        "in a burst",
        "in a flood",
    )
    rows = [
        (
            count,
            cost.threads,
            number(cost.kib_per_client),
            number(cost.live_s),
            number(cost.idle_percent),
            number(cost.idle_percent / count * 100) if count >= 100 else "",
            number(cost.back_s),
            number(cost.paced.cpu),
            number(cost.burst.cpu),
            number(cost.flood.cpu),
        )
        for count, cost in costs.items()
    ]
    return table(head, rows)


def _why(costs: dict[int, Cost]) -> str:
    """Return what the threads did in a flood, and what it costs when they hardly ever ask for the GIL."""
    head = (
        "clients, in a flood",
        "messages a read",
        "slices a message",
        "CPU, µs a message",
        "for one client's",
        f"with a switch interval of {PATIENCE:.0f} s: slices a message",
        "CPU, µs a message",
        "for one client's",
    )
    one = next(iter(costs.values()))
    rows = [
        (
            count,
            *map(number, (cost.flood.a_read, cost.flood.slices, cost.flood.cpu, cost.flood.cpu / one.flood.cpu)),
            *map(number, (cost.patient.slices, cost.patient.cpu, cost.patient.cpu / one.patient.cpu)),
        )
        for count, cost in costs.items()
    ]
    return table(head, rows)


def as_json(costs: dict[int, Cost]) -> dict[str, Any]:
    """Return everything that was measured, by number of clients."""
    return {
        str(count): {name: value._asdict() if isinstance(value, Work) else value for name, value in cost._asdict().items()}
        for count, cost in costs.items()
    }
