"""The report on reliability: what a run found out, for people. It says nothing that was not measured."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from attrs import Factory, frozen

from tests.faults.contest import SCENES, SURVIVED, Contest, Result
from tests.faults.not_here import NOT_HERE
from tests.faults.results import Case, Row, Run
from tests.faults.rows import percentile, ranges

__all__ = ["Findings", "report"]


@frozen
class Findings:
    """What `report` tells."""

    run: Run
    written: str
    """When."""
    commands: Sequence[str] = ()
    """What was run."""
    factor: float = 1.0
    """How many seconds a second of the catalogue took."""
    contest: Contest = Factory(dict)
    mutants: str = ""
    """What ``python -m tests.mutants`` printed; empty if it was not asked for."""
    mutants_from: str = ""
    """When and where from, if not of this run."""
    versions: Mapping[str, str] = Factory(dict)


def report(found: Findings) -> str:
    """Return the whole report."""
    sections = [head, failures, times, updates, leaks, fuzz, mutants, secrets, beside, rows, versions]
    return "\n".join(line for section in sections for line in section(found)) + "\n"


# --- the sections ---


def head(found: Findings) -> Iterator[str]:
    """Say what this is, and the sum of it."""
    yield "# Reliability"
    yield ""
    yield f"Written by `python -m tests.faults` on {found.written}, from what that run measured. It ran:"
    yield ""
    yield from (f"    {command}" for command in found.commands)
    yield ""
    yield f"A second of the catalogue of faults took {found.factor:g} s; times below are as measured, not scaled back."
    yield ""
    every = list(found.run.rows.values())
    survived = {row.number for row in every if row.is_survived}
    failed = {row.number for row in every if row.is_failed}
    verdicts = Counter(case.verdict for case in found.run.cases)
    yield from table(
        ("", ""),
        ("Rows survived", f"{len(survived)} of {len(every)}"),
        ("Rows survived over plain TCP", _over(every, "plain")),
        ("Rows survived over TLS", _over(every, "tls", "cable")),
        ("Rows failed", ranges(failed) or "none"),
        ("Rows without proof", ranges({row.number for row in every} - survived - failed) or "none"),
        ("Tests", f"{verdicts['passed']} passed, {verdicts['failed']} failed, {verdicts['skipped']} skipped"),
        ("Updates checked, and lost without notice", _checked(found.run)),
        ("Secrets found", str(found.run.count("secrets found"))),
    )


def _over(every: Sequence[Row], *wires: str) -> str:
    tried = [row for row in every if row.over(*wires)]
    return f"{sum(Row(row.number, row.over(*wires)).is_survived for row in tried)} of {len(tried)} that were tried over it"


def _checked(run: Run) -> str:
    return f"{run.count('updates checked'):,}, {run.count('updates lost'):,}"


def failures(found: Findings) -> Iterator[str]:
    """Show what failed, and what was not tried."""
    yield from title("What failed")
    yield from _told(found.run.verdicts("failed"))
    yield from title("What was not tried")
    yield from _told(found.run.verdicts("skipped"))
    yield ""
    for number, elsewhere in sorted(NOT_HERE.items()):
        yield f"Row {number} is not among the rows' own tests: {elsewhere}."


def _told(cases: Sequence[Case]) -> Iterator[str]:
    if not cases:
        yield "Nothing."
        return
    yield from table(("row", "test", "why"), *((_number(case), code(case), case.why) for case in cases))


def _number(case: Case) -> str:
    return ", ".join(map(str, case.rows)) or "–"


def code(case: Case) -> str:
    """Return what to give pytest."""
    return f"`{case.file}::{case.name}`"


def times(found: Findings) -> Iterator[str]:
    """Tell how long it took to find a fault out, and to be LIVE again."""
    yield from title("Detection and recovery")
    yield "From the moment a fault is caused to the client saying so, and to LIVE again; in milliseconds. Silence can be told"
    yield "only by its length (the catalogue's 10 s), so detection is at once or that long; the table of rows tells them apart."
    yield ""
    figures = {what: found.run.figures(what) for what in ("detection", "recovery")}
    yield from table(("", "times", "p50", "p99", "max"), *(_spread(what, some) for what, some in figures.items() if some))


def _spread(what: str, some: list[float]) -> tuple[str, ...]:
    return what, str(len(some)), *(ms(figure) for figure in (percentile(some, 0.5), percentile(some, 0.99), max(some)))


def ms(seconds: float) -> str:
    """Return *seconds* in milliseconds."""
    return f"{seconds * 1000:.1f}"


def updates(found: Findings) -> Iterator[str]:
    """Tell how many updates were laid beside what the exchange sent."""
    run = found.run
    yield from title("Updates")
    count = partial(_counted, run)
    rows_of = ("rows of the catalogue", "–", count("updates checked", "tests/faults"), count("updates lost", "tests/faults"))
    invariants_of = ("the delivery invariants", count("histories"), count("updates checked", "tests/delivery"))
    broken = f"{count('histories broken')} histories that break one"
    yield from table(("where", "histories", "updates checked", "lost without notice"), rows_of, (*invariants_of, broken))


def _counted(run: Run, what: str, file: str = "") -> str:
    return f"{run.count(what, file):,}"


def leaks(found: Findings) -> Iterator[str]:
    """Tell what reconnecting cost for good."""
    yield from title("Leaks")
    told = [(code(case), case.verdict, what) for case in found.run.cases for what in case.noted("leaks")]
    yield from table(("test", "", "figures"), *told) if told else ["Not measured in this run."]


def fuzz(found: Findings) -> Iterator[str]:
    """Tell how many inputs were made up, and what was walked through."""
    yield from title("Fuzz")
    cases = [(case, what) for case in found.run.cases for what in case.noted("count fuzz inputs")]
    yield f"{sum(int(what) for _, what in cases):,} inputs, each from a seed of its own, counted up from 0:"
    yield ""
    yield from table(("target", "inputs", ""), *((code(case), f"{int(what):,}", case.verdict) for case, what in cases))


def mutants(found: Findings) -> Iterator[str]:
    """Tell which bugs made by hand the tests noticed."""
    yield from title("Mutants")
    if not found.mutants:
        yield "Not run this time: `python -m tests.faults --mutants` does, in ten minutes."
        return
    lines = found.mutants.strip().splitlines()
    yield f"{lines[-1].partition(';')[0]}{found.mutants_from}."
    wrong = [line for line in lines if re.match(r"SURVIVED|UNPROVEN", line)]
    yield from ["", *(f"- {line}" for line in wrong)] if wrong else []


def secrets(found: Findings) -> Iterator[str]:
    """Tell where secrets were looked for."""
    run = found.run
    yield from title("Secrets")
    where = (
        "characters of log (every logger, every level, websocket-client's trace on), of standard output and of standard error"
    )
    yield f"{_counted(run, 'characters logged')} {where}"
    yield "were searched for the key, the secret, signatures, a proxy's password and the account's id:"
    yield f"{_counted(run, 'secrets found')} found. What else may tell one (repr, pickles, tracebacks …) is rows 155 to 159."


def beside(found: Findings) -> Iterator[str]:
    """Lay what became of pybit beside what became of this library."""
    yield from title("Beside pybit")
    if "pybit" not in found.contest:
        yield "Not played: pybit is not installed (`pip install '.[peers]'`)."
        return
    yield "Rows that any client of the stream can meet, played for both by `tests/faults/contest.py`: pybit unmodified but for"
    yield "its URL; a ping every 2 s and 1 s for its answer, everything else as it comes; 15 s to get going again. *Silent*: no"
    yield "update arrives any more, and nothing was raised or called back. *Lost without notice*: updates arrive again, and"
    yield "nothing but a line in a log, if that, tells that some are missing."
    yield ""
    yield from table(("row", "what happens", *found.contest), *(_contested(found.contest, name) for name in SCENES))
    yield ""
    yield from table(
        ("", "survived", "secrets in its log"), *(_sum(client, played) for client, played in found.contest.items())
    )


def _contested(contest: Contest, name: str) -> tuple[str, ...]:
    scene = SCENES[name]
    outcomes = (_outcome(played[name]) for played in contest.values())
    return str(scene.row), scene.told, *outcomes


def _outcome(result: Result) -> str:
    outcome = result.outcome if result.outcome == SURVIVED else f"**{result.outcome}**"
    return f"{outcome} ({_short(result.detail)})" if result.detail else outcome


def _short(text: str) -> str:
    # Ports change with every run, and say nothing.
    text = re.sub(r"\s+", " ", re.sub(r"(wss?://)?127\.0\.0\.1:\d+", "the exchange", text)).replace("|", "\\|")
    return text if len(text) <= 120 else f"{text[:119]}…"


def _sum(client: str, played: Mapping[str, Result]) -> tuple[str, ...]:
    survived = sum(result.outcome == SURVIVED for result in played.values())
    told = sorted({secret for result in played.values() for secret in result.secrets})
    return client, f"{survived} of {len(played)}", ", ".join(told) or "none"


def rows(found: Findings) -> Iterator[str]:
    """Show every row of the catalogue."""
    yield from title("Rows")
    yield "How many tests passed, of how many; times are the longest, in milliseconds."
    yield ""
    heads = ("row", "plain", "TLS", "other scenes", "found after", "LIVE after", "tests")
    yield from table(heads, *(_row(row) for row in found.run.rows.values()))


def _row(row: Row) -> tuple[str, ...]:
    sentences = list(dict.fromkeys(case.sentence for case in row.cases))
    longest = (max(row.figures(what), default=None) for what in ("detection", "recovery"))
    return (
        str(row.number),
        *(_score(row.over(*wires)) for wires in (("plain",), ("tls", "cable"), ("",))),
        *("–" if figure is None else ms(figure) for figure in longest),
        "; ".join(sentences) or "**no test was run**",
    )


def _score(cases: Sequence[Case]) -> str:
    if not cases:
        return "–"
    verdicts = Counter(case.verdict for case in cases)
    told = f"{verdicts['passed']}/{len(cases)}"
    if verdicts["failed"]:
        return f"**{told} FAILED**"
    return f"{told}, {verdicts['skipped']} skipped" if verdicts["skipped"] else told


def versions(found: Findings) -> Iterator[str]:
    """Say with what all that was."""
    yield from title("Versions and seeds")
    yield from table(("", ""), *found.versions.items())
    yield ""
    yield "Fuzz: seeds from 0 on; `REPLAY=seed` replays one. Hypothesis: derandomized, so that its seed is the test's own text,"
    yield "except under `--soak`, where a history that fails is printed and can be played again."


# --- Markdown ---


def title(text: str) -> Iterator[str]:
    """Begin a section."""
    yield from ("", f"## {text}", "")


def table(heads: Sequence[str], *lines: Sequence[str]) -> Iterator[str]:
    """Make a table."""
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    yield from (f"| {' | '.join(line)} |" for line in lines)
