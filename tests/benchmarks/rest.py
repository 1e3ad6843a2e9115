"""What else there is to pay: imports, events that wait, large messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.benchmarks import imports, throughput
from tests.benchmarks.contestants import OURS
from tests.benchmarks.imports import Import
from tests.benchmarks.payloads import HUNDRED, STREAMS
from tests.benchmarks.processes import Process
from tests.benchmarks.table import number, spread, table
from tests.benchmarks.throughput import prepared_server

BUFFERED = 10_000
"""As many events as a subscription holds by default."""
WARM_UP = 1_000


class Plan(NamedTuple):
    """What one run measures."""

    rounds: int = 5
    hundreds: int = 200
    contestants: Sequence[str] = ("callback", "callback+speed", "pybit", "ccxt", "exact limit", "limit")


class Buffered(NamedTuple):
    """What an event that waits weighs, what it took to get there, and how long it took to deliver all."""

    event_bytes: float
    cpu_us: float
    delivery_ms: float


class Found(NamedTuple):
    """What was found."""

    imports: list[dict[str, Import]]
    heaviest: Sequence[tuple[str, float]]
    buffered: dict[str, Buffered]
    hundreds: list[throughput.Round]


def measure(plan: Plan) -> Found:
    """Measure everything."""
    return Found(imports.measure(plan.rounds), imports.heaviest(), _buffered(), throughput.measure(_hundreds(plan)))


def _hundreds(plan: Plan) -> throughput.Plan:
    return throughput.Plan(plan.rounds, plan.hundreds, plan.hundreds // 4, plan.contestants, ("hundred",))


def _buffered() -> dict[str, Buffered]:
    with prepared_server(**dict.fromkeys(STREAMS, BUFFERED + WARM_UP)) as (server, url):
        return {stream: _hold(server, stream, url) for stream in STREAMS}


def _hold(server: Process, stream: str, url: str) -> Buffered:
    with Process("buffer_child", stream, url) as child:
        child.ask(do="pass_on", count=WARM_UP)
        server.ask(do="blast", kind=stream, first=0, count=WARM_UP)
        child.ask(do="passed")
        child.ask(do="hold", count=BUFFERED)
        server.ask(do="blast", kind=stream, first=WARM_UP, count=BUFFERED)
        held = child.ask(do="held")
        return Buffered(held["bytes"], held["cpu_us"], child.ask(do="release")["delivery_ms"])


def report(plan: Plan, found: Found) -> list[str]:
    """Return the tables."""
    return [_imports(found), _heaviest(found), _waiting(found), _large(plan, found)]


def as_json(plan: Plan, found: Found) -> dict[str, Any]:
    """Return everything that was measured."""
    return {
        "imports": [{name: cost._asdict() for name, cost in each.items()} for each in found.imports],
        "heaviest_ms": dict(found.heaviest),
        "buffered": {stream: cost._asdict() for stream, cost in found.buffered.items()},
        "hundred_rows": throughput.as_json(_hundreds(plan), found.hundreds),
    }


def _imports(found: Found) -> str:
    rows = [
        (
            name,
            spread(each[name].wall for each in found.imports),
            spread(each[name].cpu for each in found.imports),
            spread(each["Client"].cpu / each[name].cpu for each in found.imports),
            found.imports[0][name].modules,
        )
        for name in imports.IMPORTS
    ]
    return table(("import", "ms", "ms of CPU", "CPU of Client for it", "modules"), rows)


def _heaviest(found: Found) -> str:
    head = "the import of Client spends the most in"
    return table((head, "ms in itself"), [(name, number(spent)) for name, spent in found.heaviest])


def _waiting(found: Found) -> str:
    head = ("10,000 events that wait", "bytes each", "CPU, µs each", "ms until all delivered")
    return table(head, [(stream, *map(number, costs)) for stream, costs in found.buffered.items()])


def _large(plan: Plan, found: Found) -> str:
    def per_row(name: str) -> str:
        return number(throughput.costs(found.hundreds, "hundred", name, "cpu").median / HUNDRED)

    def ratio(name: str, to: str) -> str:
        return str(throughput.ratios(found.hundreds, "hundred", name, to)) if name in OURS else ""

    rows = [
        (
            name,
            throughput.costs(found.hundreds, "hundred", name, "cpu"),
            per_row(name),
            *(ratio(name, to) for to in ("pybit", "ccxt", "exact limit")),
        )
        for name in plan.contestants
    ]
    head = (f"message of {HUNDRED} rows", "CPU, µs", "µs a row", "for pybit", "for ccxt", "for the exact limit")
    return table(head, rows)
