"""From the wire to the user's code: CPU time and wall time for one message, back to back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.benchmarks.contestants import CONTESTANTS, DEFAULT_INSTALL, OURS
from tests.benchmarks.payloads import HUNDRED, STREAMS
from tests.benchmarks.processes import Process
from tests.benchmarks.table import Spread, number, spread, table

PACE = 2_000
PACES = {"paced": PACE, "slow": 200}
"""How many messages of these kinds come in a second."""
PACED_SECONDS = 1.0
"""How long they come at most."""
TITLES = {"unusual": "position, unusual", **{kind: f"position, {pace:,}/s" for kind, pace in PACES.items()}}
ROWS = {"execution": 2, "hundred": HUNDRED}
"""How many rows a push has, where it is not one."""


STREAM_BOUNDS = {"position": 3.0, "order": 3.8, "execution": 3.5, "wallet": 2.6}
"""How many times the CPU of the exact limit a callback may cost on a default install."""
BOUNDS = {
    "pybit": " (at most 1/8 = 0.125)",
    "pybit+wsaccel": "",
    "ccxt": " (at most 1/4 = 0.25)",
    "exact limit": f" (callback at most {', '.join(f'{kind} {bound}' for kind, bound in STREAM_BOUNDS.items())})",
    "limit": "",
}
"""Whom we are compared with, and what is asked of us."""


class Cost(NamedTuple):
    """What one message cost, in microseconds: a contestant's CPU time, time until it was handed over, the server's CPU time.

    *turns* is how often a message the user's code ran, where that is not once.
    """

    cpu: float
    wall: float
    server: float = 0.0
    turns: float = 1.0


class Plan(NamedTuple):
    """What one run measures."""

    rounds: int = 5
    messages: int = 10_000
    warm_up: int = 1_000
    contestants: Sequence[str] = tuple(CONTESTANTS)
    kinds: Sequence[str] = (*STREAMS, "unusual", *PACES)
    module: str = "child"
    """What runs as the process of a contestant."""


Round = dict[str, dict[str, Cost]]
"""By kind and contestant."""


@contextmanager
def prepared_server(**pushes: int) -> Iterator[tuple[Process, str]]:
    """Give a server that has rendered that many pushes of each kind, and its URL."""
    with Process("server") as server:
        for kind, count in pushes.items():
            server.ask(do="prepare", kind=kind, count=count)
        yield server, server.ask(do="url")["url"]


@contextmanager
def subscribed(server: Process, name: str, url: str, what: str = "costs", module: str = "child") -> Iterator[Process]:
    """Give the process of contestant *name*, alone at *server* with all its streams confirmed."""
    with Process(module, name, url, what) as child:
        child.ask(do="ready")
        deadline = time.monotonic() + 30
        while server.ask(do="topics")["streams"] != [len(STREAMS)]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} has not subscribed: {server.ask(do='topics')}")
            time.sleep(0.01)
        yield child


def measure(plan: Plan) -> list[Round]:
    """Return the costs of every round; each round has every contestant once, in a process of its own."""
    needed = dict.fromkeys(plan.kinds, plan.warm_up + plan.messages)
    with prepared_server(**needed) as (server, url):
        return [_round(plan, server, url, number) for number in range(plan.rounds)]


def _round(plan: Plan, server: Process, url: str, number: int) -> Round:
    costs: Round = {kind: {} for kind in plan.kinds}
    first = number % len(plan.contestants)
    for name in (*plan.contestants[first:], *plan.contestants[:first]):
        with subscribed(server, name, url, module=plan.module) as child:
            for kind in plan.kinds:
                most = int(PACES[kind] * PACED_SECONDS) if kind in PACES else plan.messages
                warm_up, count = min(plan.warm_up, most // 4), min(plan.messages, most)
                _send(server, child, name, kind, 0, warm_up)
                costs[kind][name] = _send(server, child, name, kind, warm_up, count)
    return costs


def _send(server: Process, child: Process, name: str, kind: str, first: int, count: int) -> Cost:
    """Send one part of the pushes, verify that all of them arrived, and return what one cost."""
    child.ask(do="expect", kind=kind, count=count)
    before = server.ask(do="cost")["cpu"]
    way = {"do": "deal", "rate": PACES[kind]} if kind in PACES else {"do": "blast"}
    sent = server.ask(**way, kind=kind, first=first, count=count)
    result = child.ask(do="result")
    verify(name, count, ROWS.get(kind, 1), sent, result)
    return Cost(
        cpu=result["cpu"] / count / 1e3,
        wall=(result["ended"] - sent["at"]) / count / 1e3,
        server=(server.ask(do="cost")["cpu"] - before) / count * 1e6,
        turns=result["turns"] / count or 1.0,
    )


def verify(name: str, count: int, rows: int, sent: dict[str, Any], result: dict[str, Any]) -> None:
    """Raise RuntimeError unless *name* was handed every message, the last one last, on the install that it stands for."""
    expected = {"messages": count, "rows": count * rows, "mark": sent["mark"]}
    arrived = {key: result[key] for key in expected}
    if arrived != expected or sent["peers"] != 1:
        raise RuntimeError(f"{name} was handed {arrived}; sent was {expected}, to {sent['peers']} connections")
    if name in OURS and result["speed"] == (name in DEFAULT_INSTALL):
        raise RuntimeError(f"{name} ran {'with' if result['speed'] else 'without'} the extra speed")
    if result["wsaccel"] != ("+wsaccel" in name):
        raise RuntimeError(f"{name} ran {'with' if result['wsaccel'] else 'without'} wsaccel")


# -- what the rounds say


def costs(rounds: Sequence[Round], kind: str, name: str, which: str) -> Spread:
    """Return the spread of one cost, ``cpu`` or ``wall``, over the rounds."""
    return spread(getattr(each[kind][name], which) for each in rounds)


def ratios(rounds: Sequence[Round], kind: str, name: str, to: str, which: str = "cpu") -> Spread:
    """Return the spread of what *name* costs for what *to* costs in the same round."""
    return spread(getattr(each[kind][name], which) / getattr(each[kind][to], which) for each in rounds)


def report(plan: Plan, rounds: Sequence[Round]) -> list[str]:
    """Return the tables."""
    whole = [_costs(plan, rounds, "cpu", "CPU, µs a message"), _costs(plan, rounds, "wall", "wall, µs a message")]
    compared = [_ratios(plan, rounds, to) for to in BOUNDS if to in plan.contestants]
    return [*_in_short(plan, rounds), *whole, *compared, _besides(plan, rounds)]


def _in_short(plan: Plan, rounds: Sequence[Round]) -> Iterator[str]:
    """Yield the sentences that all of this is about, when all was measured that they speak of."""
    if {"callback", "inline", "pybit", "pybit+wsaccel", "ccxt", "exact limit"} <= {*plan.contestants}:
        yield from (_sentence(rounds, kind, when) for kind, when in _MOMENTS.items() if kind in plan.kinds)


_MOMENTS = {
    "position": "back to back",
    **{kind: f"one by one, {pace:,} a second" for kind, pace in PACES.items()},
}


def _sentence(rounds: Sequence[Round], kind: str, when: str) -> str:
    def cost(name: str) -> str:
        return number(costs(rounds, kind, name, "cpu").median)

    def times(name: str) -> str:
        return number(1 / ratios(rounds, kind, "callback", name).median)

    return (
        f"A position, {when}: **{cost('callback')} µs** of CPU from the wire to the callback, {cost('inline')} with `Inline`; "
        f"pybit {cost('pybit')} µs ({times('pybit')} times the callback's), with wsaccel {cost('pybit+wsaccel')} "
        f"({times('pybit+wsaccel')} times), ccxt.pro {cost('ccxt')} ({times('ccxt')} times), one thread that does it all in C "
        f"{cost('exact limit')} ({times('exact limit')} times)."
    )


def _titles(plan: Plan) -> list[str]:
    return [TITLES.get(kind, kind) for kind in plan.kinds]


def _besides(plan: Plan, rounds: Sequence[Round]) -> str:
    """Return what has to be known of the figures: that the server had time left, and what ccxt's user got to see."""
    servers = [spread(each[kind][name].server for each in rounds for name in plan.contestants) for kind in plan.kinds]
    rows: list[Sequence[object]] = [("the server's CPU, µs a message", *servers)]
    if "ccxt" in plan.contestants:
        turns = [spread(100 * each[kind]["ccxt"].turns for each in rounds) for kind in plan.kinds]
        rows.append(("turns of ccxt's loops, % of messages", *turns))
    return table(("besides", *_titles(plan)), rows)


def _costs(plan: Plan, rounds: Sequence[Round], which: str, title: str) -> str:
    rows = [[name, *(costs(rounds, kind, name, which) for kind in plan.kinds)] for name in plan.contestants]
    return table((title, *_titles(plan)), rows)


def _ratios(plan: Plan, rounds: Sequence[Round], to: str) -> str:
    ours = [name for name in plan.contestants if name in OURS]
    rows = [[name, *(ratios(rounds, kind, name, to) for kind in plan.kinds)] for name in ours]
    return table((f"CPU for that of {to}{BOUNDS[to]}", *_titles(plan)), rows)


def as_json(plan: Plan, rounds: Sequence[Round]) -> dict[str, Any]:
    """Return everything that was measured, in microseconds a message."""
    return {
        "rounds": plan.rounds,
        "messages": plan.messages,
        "cost_us": {
            kind: {name: [each[kind][name]._asdict() for each in rounds] for name in plan.contestants} for kind in plan.kinds
        },
        "ratios": {
            kind: {
                name: {to: ratios(rounds, kind, name, to)._asdict() for to in BOUNDS if to in plan.contestants}
                for name in plan.contestants
                if name in OURS
            }
            for kind in plan.kinds
        },
    }
