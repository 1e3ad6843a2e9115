"""What this library costs, beside its peers and the limit. See RESULTS.md for what is measured, and how.

python -m tests.benchmarks throughput --rounds 3 --kinds position
"""

# ruff: noqa: T201 - printing is its job
from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import account, latency, recovery, rest, results, scale, streams, throughput, trace
from tests.benchmarks.contestants import CONTESTANTS
from tests.benchmarks.machine import machine, versions

Result = tuple[list[str], dict[str, Any]]
"""The tables, and everything as JSON."""


def _throughput(asked: argparse.Namespace) -> Result:
    rounds = asked.rounds or (1 if asked.quick else 5)
    messages = asked.messages or (2_000 if asked.quick else 10_000)
    plan = throughput.Plan(rounds, messages, messages // 10, asked.contestants, asked.kinds)
    found = throughput.measure(plan)
    return throughput.report(plan, found), throughput.as_json(plan, found)


def _latency(asked: argparse.Namespace) -> Result:
    plan = latency.Plan(asked.rounds or 1, seconds=1.0, fewest=400) if asked.quick else latency.Plan(asked.rounds or 3)
    found = latency.measure(plan)
    return latency.report(plan, found), latency.as_json(plan, found)


def _trace(asked: argparse.Namespace) -> Result:
    plan = trace.Plan(1, 500, seconds=0.5, fewest=200) if asked.quick else trace.Plan(asked.rounds or 5)
    found = trace.measure(plan)
    return trace.report(found), trace.as_json(found)


def _scale(asked: argparse.Namespace) -> Result:
    found = scale.measure(scale.Plan(clients=(1, 50), idle_seconds=2.0, messages=1_000) if asked.quick else scale.Plan())
    return scale.report(found), scale.as_json(found)


def _rest(asked: argparse.Namespace) -> Result:
    plan = rest.Plan(asked.rounds or 1, hundreds=40) if asked.quick else rest.Plan(asked.rounds or 5)
    found = rest.measure(plan)
    return rest.report(plan, found), rest.as_json(plan, found)


def _recovery(asked: argparse.Namespace) -> Result:
    rounds = asked.rounds or (1 if asked.quick else 5)
    plan = recovery.Plan(rounds, asked.messages or (1_000 if asked.quick else 5_000))
    found = recovery.measure(plan)
    return recovery.report(plan, found), recovery.as_json(plan, found)


def _account(asked: argparse.Namespace) -> Result:
    found = account.measure(account.Plan(2, 1_000, 500, (10, 1_000)) if asked.quick else account.Plan(asked.rounds or 5))
    return account.report(found), account.as_json(found)


def _redis(asked: argparse.Namespace) -> Result:
    plan = streams.Plan(1, (1, 10), 0.4) if asked.quick else streams.Plan(asked.rounds or 3)
    found = streams.measure(plan)
    if asked.write:
        streams.PLACE.write_text(streams.page(found))
    return streams.report(found), streams.as_json(found)


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], Result]] = {
    "throughput": _throughput,
    "latency": _latency,
    "trace": _trace,
    "scale": _scale,
    "rest": _rest,
    "recovery": _recovery,
    "account": _account,
    "redis": _redis,
}
NEEDED = ("pybit", "ccxt", "msgspec", "psutil", "wsaccel")
_HELP = {
    "throughput": "CPU and wall time of a message, from the wire to the user's code",
    "latency": "time from the exchange's send to the callback, at several paces",
    "trace": "CPU of each stage of a message, and where the slowest messages wait",
    "scale": "1, 10, 100 and 500 clients in one process",
    "rest": "imports, events that wait, messages of 100 rows",
    "recovery": "a push with recover, an outage of 1,000 fills, and how many fills others end with",
    "account": "a read of the account view, and a change of one of many orders",
    "redis": "1, 10 and 100 accounts into one Redis server; with --write, tests/benchmarks/REDIS.md",
    "all": "all of these but redis, up to half an hour; writes tests/benchmarks/RESULTS.md",
}


def _names(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def chosen(value: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in value.split(","))
        if unknown := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        return names

    return chosen


def _parser() -> argparse.ArgumentParser:
    what = "\n".join(f"  {name:12s}{text}" for name, text in _HELP.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=f"What this library costs, beside its peers and the limit.\n\n{what}",
        epilog='Needs the extra bench: pip install -e ".[bench]". A busy machine shows in the ranges; compare ratios.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=_HELP, help="what to measure")
    parser.add_argument(
        "--json", metavar="FILE", help="write every figure to FILE; - for standard output, tables then go to standard error"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds, each with all contestants (default: 5, latency 3)")
    parser.add_argument(
        "--messages", type=int, metavar="N", help="messages of each stream in a round of throughput (default: 10000)"
    )
    parser.add_argument("--quick", action="store_true", help="one round with few messages: to see that all works")
    parser.add_argument(
        "--write", action="store_true", help="write RESULTS.md from what is measured (all does, unless --quick)"
    )
    kinds, contestants = throughput.Plan().kinds, tuple(CONTESTANTS)
    parser.add_argument("--kinds", type=_names(kinds), default=kinds, metavar="A,B", help=f"of throughput: {','.join(kinds)}")
    parser.add_argument(
        "--contestants",
        type=_names(contestants),
        default=contestants,
        metavar="A,B",
        help=f"of throughput: {','.join(contestants)}",
    )
    return parser


def main() -> int:
    """Measure, and tell."""
    parser = _parser()
    asked = parser.parse_args()
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        parser.error(f"{', '.join(missing)} cannot be imported: pip install -e '.[bench]'")
    tables_to = sys.stderr if asked.json == "-" else sys.stdout
    sections: dict[str, list[str]] = {}
    figures: dict[str, Any] = {"machine": machine(), "versions": versions()}
    for name in (*results.NOTES,) if asked.what == "all" else (asked.what,):
        began = time.monotonic()
        sections[name], figures[name] = MEASUREMENTS[name](asked)
        print(
            f"# {name}, {time.monotonic() - began:.0f} s", *sections[name], sep="\n\n", end="\n\n", file=tables_to, flush=True
        )
    if asked.json == "-":
        print(json.dumps(figures))
    elif asked.json:
        Path(asked.json).write_text(json.dumps(figures, indent=1))
    if (asked.write and asked.what in results.NOTES) or (asked.what == "all" and not asked.quick):
        results.PLACE.write_text(results.text(sections))
    return 0


if __name__ == "__main__":
    sys.exit(main())
