"""Where the time goes: the CPU of each stage of a message, and where the slowest messages wait."""

from __future__ import annotations

import bisect
import importlib
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tests.benchmarks import throughput
from tests.benchmarks.contestants import OURS
from tests.benchmarks.latency import Pace, send
from tests.benchmarks.payloads import STREAMS
from tests.benchmarks.processes import Process
from tests.benchmarks.scheduling import IS_KNOWN, Note, Scheduled
from tests.benchmarks.table import number, percentile, spread, table
from tests.benchmarks.throughput import STREAM_BOUNDS, prepared_server, subscribed

STAGES = {
    "frames": "reading, and cutting frames",
    "events": "+ decoding into events",
    "inline": "+ delivery, to an Inline consumer",
    "callback": "+ hand-over to a thread",
}
"""Contestants, of whom each does one thing more than the one before."""
LIMIT = "exact limit"
SLOW = 200.0
"""How many µs above the median make a message a slow one."""
SLOWEST = 0.001
"""The share of messages that are looked at one by one."""
FEWEST = 5
STEPS = ("read", "woken", "had")
PLACES = ("until sent", *(text for step in STEPS for text in (f"until {step}: queued", "ran", "else")))
"""Where a message is: in the exchange's process; with the connection thread until it was read, and until it woke the other;
with the thread of the consumer. Each is in the run queue, runs, or does something else."""
KINDS = (*STREAMS, "paced")


class Plan(NamedTuple):
    """What one run measures."""

    rounds: int = 5
    messages: int = 5_000
    passes: int = 1
    """How often every contestant gets messages at a pace."""
    seconds: float = 4.0
    fewest: int = 1_200
    contestants: Sequence[str] = ("callback", "inline", "pybit", "pybit+wsaccel", "limit")
    paces: Sequence[Pace] = (Pace(200, 1), Pace(2_000, 1))


class Waited(NamedTuple):
    """How long messages of one kind took and what their threads did for one, in µs; and where the slowest waited."""

    p50: float
    p999: float
    slow_per_mille: float
    ran: float
    queued: float
    slices: float
    preempted: float
    slowest: Sequence[float]
    """Mean latency of the slowest, and how much of it was in each of the `PLACES`."""


Case = tuple[Pace, str, bool]
"""A pace, a contestant, and whether all of its threads share one core."""


class Found(NamedTuple):
    """What was found: what each stage costs, and where messages wait."""

    stages: list[throughput.Round]
    waits: dict[Case, Waited]
    stolen: float
    """The share of all cores' time that the host of a virtual machine took meanwhile."""


def measure(plan: Plan) -> Found:
    """Measure everything; waits only where the kernel tells them."""
    stages = throughput.measure(_stages(plan))
    if not IS_KNOWN:
        return Found(stages, {}, 0.0)
    before = _cores()
    waits = _all_waits(plan)
    stolen, whole = (after - first for after, first in zip(_cores(), before, strict=True))
    return Found(stages, waits, stolen / whole)


def _stages(plan: Plan) -> throughput.Plan:
    contestants = (*STAGES, LIMIT)
    return throughput.Plan(plan.rounds, plan.messages, plan.messages // 5, contestants, KINDS, module="trace_child")


def _cores() -> tuple[float, float]:
    times: Any = importlib.import_module("psutil").cpu_times()
    return times.steal, sum(times)


# -- where messages wait


class Message(NamedTuple):
    """One message that was under way: its latency, and how much of it was in each of the `PLACES`; in µs."""

    latency: float
    places: Sequence[float]


def _all_waits(plan: Plan) -> dict[Case, Waited]:
    messages: dict[Case, list[Message]] = {}
    spent: dict[Case, list[Sequence[int]]] = {}
    with prepared_server(stamped=2_000) as (server, url):
        for name in (*plan.contestants,) * plan.passes:
            for case, answer, sent in _under_way(plan, server, url, name):
                messages.setdefault(case, []).extend(split(answer, sent))
                spent.setdefault(case, []).append(answer["spent"])
    return {case: waited(each, Scheduled(*map(sum, zip(*spent[case], strict=True)))) for case, each in messages.items()}


def _under_way(plan: Plan, server: Process, url: str, name: str) -> Iterator[tuple[Case, dict[str, Any], list[int]]]:
    """Yield what was noted of messages at each pace, on any core and on one."""
    with subscribed(server, name, url, "waits", "trace_child") as child:
        send(server, child, Pace(2_000, 1), 1_000)  # to warm up
        for is_pinned in (False, True):
            if is_pinned:
                child.ask(do="pin")
            for pace in plan.paces:
                answer = send(server, child, pace, max(plan.fewest, int(pace.rate * plan.seconds)))
                yield (pace, name, is_pinned), answer, server.ask(do="sent_at")["ns"]


def split(answer: Mapping[str, Any], sent: Sequence[int]) -> list[Message]:
    """Return the messages of *answer*, which had been sent at *sent*."""
    steps = _Steps(answer)
    return [
        Message((steps.came[at][0] - stamp) / 1e3, steps.places(at, stamp, sent[at])) for at, stamp in enumerate(steps.stamps)
    ]


class _Steps:
    """The notes of all messages of an answer.

    Whoever has no notes of reading has one thread, and with notes of reading but none of waking the consumer is run by the one
    that reads.
    """

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.stamps: Sequence[int] = answer["stamps"]
        self.came: Sequence[Note] = answer["came"]
        self._read: Sequence[Note] = answer["read"] or self.came
        self._woken: Sequence[Note] = answer["woken"]
        self._has_two_threads = bool(self._woken)
        self._moments = {id(notes): [note[0] for note in notes] for notes in (self.came, self._read, self._woken)}

    def places(self, at: int, stamp: int, sent: int) -> list[float]:
        """Return for how many µs the message with number *at* was in each of the `PLACES`."""
        read, came = self._read[at], self.came[at]
        gone = min(sent, read[0])  # it may have been read before the sender's call returns
        places = [(gone - stamp) / 1e3, *_share(gone, read[0], self._before(self._read, stamp), read)]
        if not self._has_two_threads:
            return [*places, *_share(read[0], came[0], read, came), 0.0, 0.0, 0.0]
        woken = self._after(self._woken, read[0])
        since = min(woken[0], came[0])  # it was awake already
        return [*places, *_share(read[0], since, read, woken), *_share(since, came[0], self._before(self.came, since), came)]

    def _before(self, notes: Sequence[Note], moment: int) -> Note:
        return notes[max(0, bisect.bisect_left(self._moments[id(notes)], moment) - 1)]

    def _after(self, notes: Sequence[Note], moment: int) -> Note:
        return notes[min(len(notes) - 1, bisect.bisect_left(self._moments[id(notes)], moment))]


def _share(began: int, ended: int, before: Note, after: Note) -> tuple[float, float, float]:
    """Return for how many µs from *began* to *ended* a thread was in the run queue, ran, and did neither.

    Its notes *before* and *after* may lie farther apart: no more is counted than there was time.
    """
    whole = ended - began
    queued = min(whole, after[1] - before[1])
    ran = min(whole - queued, after[2] - before[2])
    return queued / 1e3, ran / 1e3, (whole - queued - ran) / 1e3


def waited(messages: Sequence[Message], spent: Scheduled) -> Waited:
    """Return what *messages* have in common, for which the kernel *spent* so much on their threads."""
    latencies, count = [message.latency for message in messages], len(messages)
    p50 = percentile(latencies, 0.5)
    slowest = sorted(messages, reverse=True)[: max(FEWEST, int(count * SLOWEST))]
    return Waited(
        p50=p50,
        p999=percentile(latencies, 0.999),
        slow_per_mille=1e3 * sum(latency > p50 + SLOW for latency in latencies) / count,
        ran=spent.ran / count / 1e3,
        queued=spent.queued / count / 1e3,
        slices=spent.slices / count,
        preempted=spent.preempted / count,
        slowest=[statistics.fmean(each) for each in zip(*((one.latency, *one.places) for one in slowest), strict=True)],
    )


# -- what was found


def report(found: Found) -> list[str]:
    """Return the tables."""
    tables = [_costs(found.stages), _shares(found.stages)]
    if found.waits:
        tables += [_threads(found.waits), _slowest(found.waits), _stolen(found.stolen)]
    return tables


Stage = Callable[[Mapping[str, throughput.Cost]], float]


def _stages_of_callback() -> dict[str, Stage]:
    """Return how to tell from the costs of all contestants what each stage adds to the one before."""
    befores = dict(zip([*STAGES][1:], STAGES, strict=False))

    def added(name: str) -> Stage:
        return lambda costs: costs[name].cpu - (costs[befores[name]].cpu if name in befores else 0.0)

    return {title: added(name) for name, title in STAGES.items()} | {"all of it": lambda costs: costs["callback"].cpu}


def _costs(rounds: Sequence[throughput.Round]) -> str:
    stages = _stages_of_callback() | {LIMIT: lambda costs: costs[LIMIT].cpu}
    rows = [(title, *(spread(cost(each[kind]) for each in rounds) for kind in KINDS)) for title, cost in stages.items()]
    return table(("callback, µs of CPU a message", *map(_titled, KINDS)), rows)


def _shares(rounds: Sequence[throughput.Round]) -> str:
    rows: list[Sequence[object]] = [
        (title, *(spread(cost(each[kind]) / each[kind][LIMIT].cpu for each in rounds) for kind in KINDS))
        for title, cost in _stages_of_callback().items()
    ]
    return table(
        (f"for that of {LIMIT}", *map(_titled, KINDS)), [*rows, ("at most", *(STREAM_BOUNDS.get(kind, "") for kind in KINDS))]
    )


def _titled(kind: str) -> str:
    return throughput.TITLES.get(kind, kind)


def _rows(waits: Mapping[Case, Waited]) -> list[tuple[str, str, Waited]]:
    """Return the cases by pace, each with the texts of its first two columns."""
    paces = [*dict.fromkeys(pace for pace, *_ in waits)]
    return [(str(pace), _who(case), each) for pace in paces for case, each in waits.items() if case[0] == pace]


def _who(case: Case) -> str:
    _, name, is_pinned = case
    return f"{name}, one core" if is_pinned else name


def _threads(waits: Mapping[Case, Waited]) -> str:
    head = ("messages", "latency, µs", "p50", "p99.9", f"in 1,000 over p50 + {SLOW:.0f}")
    work = ("its threads ran, µs a message", "in the run queue", "slices of a core", "cut short")
    return table((*head, *work), ((pace, who, *map(number, each[:-1])) for pace, who, each in _rows(waits)))


def _slowest(waits: Mapping[Case, Waited]) -> str:
    head = ("messages", "the slowest, µs", "mean", *PLACES)
    return table(head, ((pace, who, *_places(who, each.slowest)) for pace, who, each in _rows(waits)))


def _places(who: str, slowest: Sequence[float]) -> list[str]:
    """Return the cells of *slowest*, without those of threads and notes that there are not."""
    name, cells = who.partition(",")[0], [*map(number, slowest)]
    told = len(cells) if name == "callback" else -3 if name in OURS else -6
    return [*cells[:told], *[""] * len(cells[told:])]


def _stolen(share: float) -> str:
    return f"Meanwhile the host of this machine, if it is a virtual one, took {100 * share:.2f} % of the time of all cores."


def as_json(found: Found) -> dict[str, Any]:
    """Return everything that was measured, in microseconds."""
    return {
        "stages_us": [{kind: {name: cost.cpu for name, cost in each[kind].items()} for kind in each} for each in found.stages],
        "waits": [{"messages": pace, "who": who, **each._asdict()} for pace, who, each in _rows(found.waits)],
        "stolen": found.stolen,
    }
