"""From the exchange's send to the user's code, while messages come at a pace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.benchmarks.contestants import OURS
from tests.benchmarks.processes import Process
from tests.benchmarks.table import Spread, percentile, spread, table
from tests.benchmarks.throughput import prepared_server, subscribed


class Pace(NamedTuple):
    """So many messages a second, so many at a time."""

    rate: int
    burst: int

    def __str__(self) -> str:
        return f"{self.rate:,}/s" if self.burst == 1 else f"bursts of {self.burst}, {self.rate // self.burst} a second"


PACES = (Pace(200, 1), Pace(2_000, 1), Pace(1_000, 100))
BOUNDS = {"pybit": " (p50 at most 0.5, p99 and p99.9 at most 1)", "pybit+wsaccel": " (inline at most 1)"}
SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


class Plan(NamedTuple):
    """What one run measures."""

    rounds: int = 3
    seconds: float = 5.0
    fewest: int = 2_000
    contestants: Sequence[str] = ("callback", "callback+speed", "inline", "pybit", "pybit+wsaccel", "limit")
    paces: Sequence[Pace] = PACES


Round = dict[Pace, dict[str, dict[str, float]]]
"""By pace, contestant and percentile; microseconds."""


def measure(plan: Plan) -> list[Round]:
    """Return the latencies of every round; each has every contestant once, in a process of its own."""
    with prepared_server(stamped=2_000) as (server, url):
        return [_round(plan, server, url, number) for number in range(plan.rounds)]


def _round(plan: Plan, server: Process, url: str, number: int) -> Round:
    found: Round = {pace: {} for pace in plan.paces}
    first = number % len(plan.contestants)
    for name in (*plan.contestants[first:], *plan.contestants[:first]):
        with subscribed(server, name, url, "latencies") as child:
            _send(server, child, Pace(2_000, 1), 1_000)  # to warm up
            for pace in plan.paces:
                found[pace][name] = _send(server, child, pace, max(plan.fewest, int(pace.rate * plan.seconds)))
    return found


def _send(server: Process, child: Process, pace: Pace, count: int) -> dict[str, float]:
    latencies = send(server, child, pace, count)["latencies"]
    return {name: percentile(latencies, share) for name, share in SHARES.items()}


def send(server: Process, child: Process, pace: Pace, count: int) -> dict[str, Any]:
    """Send *count* stamped messages at *pace*, and return what the contestant tells of them."""
    child.ask(do="expect", count=count)
    server.ask(do="pace", count=count, burst=pace.burst, rate=pace.rate)
    return child.ask(do="result")


def found(rounds: Sequence[Round], pace: Pace, name: str, share: str) -> Spread:
    """Return the spread of one percentile over the rounds."""
    return spread(each[pace][name][share] for each in rounds)


def ratios(rounds: Sequence[Round], pace: Pace, name: str, to: str, share: str) -> Spread:
    """Return the spread of *name*'s percentile for *to*'s in the same round."""
    return spread(each[pace][name][share] / each[pace][to][share] for each in rounds)


def report(plan: Plan, rounds: Sequence[Round]) -> list[str]:
    """Return the tables."""
    each = [(pace, name) for pace in plan.paces for name in plan.contestants]
    rows = [[str(pace), name, *(found(rounds, pace, name, share) for share in SHARES)] for pace, name in each]
    tables = [table(("messages", "latency, µs", *SHARES), rows)]
    ours = [(pace, name) for pace, name in each if name in OURS]
    for to, bound in BOUNDS.items():
        if to in plan.contestants:
            times = [[str(pace), name, *(ratios(rounds, pace, name, to, share) for share in SHARES)] for pace, name in ours]
            tables.append(table(("messages", f"latency for that of {to}{bound}", *SHARES), times))
    return tables


def as_json(plan: Plan, rounds: Sequence[Round]) -> dict[str, Any]:
    """Return everything that was measured, in microseconds."""
    return {
        "rounds": plan.rounds,
        "latency_us": {
            str(pace): {
                name: {share: [each[pace][name][share] for each in rounds] for share in SHARES} for name in plan.contestants
            }
            for pace in plan.paces
        },
    }
