"""The report on reliability says what the run found out: no more, and nothing less."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults import contest
from tests.faults.contest import SCENES, SURVIVED, Result
from tests.faults.not_here import NOT_HERE
from tests.faults.report import Findings, report
from tests.faults.results import ROWS, Run, read_run

WRITTEN = "2026-01-02 03:04 UTC"


def case(name: str, outcome: str = "", file: str = "tests/faults/test_x.py", **properties: Any) -> str:
    """Return a test's element as pytest writes it."""
    noted = "".join(f'<property name="{key.replace("_", " ")}" value="{value}"/>' for key, value in properties.items())
    return f'<testcase name="{name}" file="{file}"><properties>{noted}</properties>{outcome}</testcase>'


def broken(tag: str = "failure", why: str = "assert 1 == 2") -> str:
    """Return what pytest adds to a test that did not pass."""
    return f'<{tag} message="{why}">…</{tag}>'


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Run]:
    """Read a run that consists of some elements."""

    def read(*cases: str) -> Run:
        file = tmp_path / "run.xml"
        file.write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>", encoding="utf-8")
        return read_run(file)

    return read


def told(run: Run, heading: str, **findings: Any) -> str:
    """Return the section *heading* of the report on *run*; "" is what stands before the first."""
    text = report(Findings(run=run, written=WRITTEN, **findings))
    return next(part for part in re.split(r"^## ", text, flags=re.MULTILINE) if part.startswith(heading or "# "))


def test_a_row_is_survived_when_all_that_was_tried_passed(read: Callable[..., Run]) -> None:
    """One test that fails, over whatever it ran, is enough for the row to have failed; it is shown with its reason."""
    run = read(
        case("test_a[row7-plain]", row=7, net="plain"),
        case("test_a[row7-tls]", broken(), row=7, net="tls"),
        case("test_b[row8-tls]", row=8, net="tls"),
    )
    assert "Rows survived | 1 of 215" in told(run, "")
    assert "over plain TCP | 1 of 1 that" in told(run, "")
    assert "over TLS | 1 of 2 that" in told(run, "")
    assert "Rows failed | 7 " in told(run, "")
    assert "| 7 | `tests/faults/test_x.py::test_a[row7-tls]` | assert 1 == 2 |" in told(run, "What failed")
    assert "| 7 | 1/1 | **0/1 FAILED** | – |" in told(run, "Rows")


def test_a_row_that_nobody_tried_is_not_survived(read: Callable[..., Run]) -> None:
    """Neither one without a test nor one whose tests were all skipped; the reason for skipping is shown."""
    run = read(case("test_a[row1-plain]", row=1, net="plain"), case("test_b[row4]", broken("skipped", "needs root")))
    assert "Rows survived | 1 of 215" in told(run, "")
    assert "Rows without proof | 2-215 " in told(run, "")
    assert "| 4 | `tests/faults/test_x.py::test_b[row4]` | needs root |" in told(run, "What was not tried")
    assert "| 4 | – | – | 0/1, 1 skipped | – | – | b |" in told(run, "Rows")
    assert "| 9 | – | – | – | – | – | **no test was run** |" in told(run, "Rows")


def test_a_row_that_is_proven_elsewhere_counts_by_that_test(read: Callable[..., Run]) -> None:
    """And says where."""
    [(row, elsewhere), *_] = NOT_HERE.items()
    file, _, name = elsewhere.test.partition("::")
    assert read(case(name, file=file)).rows[row].is_survived
    assert read(case(name, broken("error"), file=file)).rows[row].is_failed
    assert elsewhere.why in told(read(), "What was not tried")


def test_what_is_counted_adds_up(read: Callable[..., Run]) -> None:
    """Updates checked and lost, secrets, fuzz inputs: sums over all tests, also those that failed."""
    counts: dict[str, Any] = {
        "count_updates_checked": 600,
        "count_updates_lost": 2,
        "count_secrets_found": 1,
        "count_fuzz_inputs": 2000,
    }
    run = read(case("test_a", **counts), case("test_b", broken(), **counts))
    assert "| 1,200, 2" not in told(run, "")
    assert "| 1,200, 4 |" in told(run, "")
    assert "Secrets found | 2 |" in told(run, "")
    assert "4,000 inputs" in told(run, "Fuzz")


def test_times_are_those_of_tests_that_passed(read: Callable[..., Run]) -> None:
    """What a test measured before it failed is no measure of recovery."""
    good: dict[str, Any] = {"row": 41, "net": "plain", "figure_recovery": 0.05}
    run = read(case("test_a", **good), case("test_b", **good), case("test_c", broken(), **{**good, "figure_recovery": 9}))
    assert "| recovery | 2 | 50.0 | 50.0 | 50.0 |" in told(run, "Detection and recovery")


def test_what_was_not_measured_is_said_not_to_be(read: Callable[..., Run]) -> None:
    """Mutants, leaks and the other library: no figure of an earlier run, and no silence."""
    assert "Not run this time" in told(read(), "Mutants")
    assert "Not measured in this run" in told(read(), "Leaks")
    assert "Not played" in told(read(), "Beside pybit")


def test_a_mutant_that_survived_is_shown(read: Callable[..., Run]) -> None:
    """With the sum, and when it was found out if that was earlier."""
    printed = "caught     1.0 s  one\nSURVIVED   2.0 s  other\n1 of 2 caught; UNPROVEN: its tests fail without it\n"
    section = told(read(), "Mutants", mutants=printed, mutants_from=", in a run of some day")
    assert "1 of 2 caught" in section
    assert "some day" in section
    assert "- SURVIVED   2.0 s  other" in section


def test_who_loses_is_shown_whoever_it_is(read: Callable[..., Run]) -> None:
    """An outcome that is not survival stands out, for this library as for another."""
    lost = dict.fromkeys(SCENES, Result("silent", "it says: 127.0.0.1:4711 | fine", ["the key"]))
    won = dict.fromkeys(SCENES, Result(SURVIVED, "", []))
    section = told(read(), "Beside pybit", contest={"bybit_sync": lost, "pybit": won})
    assert section.count("**silent** (it says: the exchange \\| fine) | survived |") == len(SCENES)
    assert f"| bybit_sync | 0 of {len(SCENES)} | the key |" in section
    assert f"| pybit | {len(SCENES)} of {len(SCENES)} | none |" in section


def test_every_row_has_one_line(read: Callable[..., Run]) -> None:
    """All 215, in order."""
    lines = re.findall(r"^\| (\d+) \|", told(read(), "Rows"), flags=re.MULTILINE)
    assert [int(line) for line in lines] == list(ROWS)


def test_a_scene_of_the_contest_plays() -> None:
    """This library is played as any other client is: in a process of its own, checked by what arrives."""
    assert contest.play("bybit_sync", "hung_up_on") == Result(SURVIVED, "a gap: DISCONNECTED", [])


class Puppet:
    """A client of which the test says what it did."""

    def __init__(self, *notices: str) -> None:
        self.notices = list(notices)

    def start(self, url: str, take: object) -> None:
        """Do nothing."""

    subscribe_balances = start

    def says(self) -> str:
        """Return that all is well."""
        return "fine"


@pytest.mark.parametrize(
    ("arrived", "notices", "outcome"),
    [
        (["one", "after-1"], [], contest.SURVIVED),
        (["after-1"], ["a gap"], contest.SURVIVED),
        (["after-1"], [], contest.LOST),
        (["one"], ["it is over"], contest.ENDED),
        (["one"], [], contest.SILENT),
    ],
)
def test_the_contest_checks_what_arrives_and_what_is_told(
    arrived: list[str], notices: list[str], outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing and not told is lost; who gets nothing any more has ended, or is silent if nobody was told."""
    monkeypatch.setattr(contest, "PATIENCE", 0.1)
    harness = contest.Harness(Puppet(*notices))  # type: ignore[arg-type]
    harness.happened, harness.arrived = ["one"], arrived
    assert harness.outcome()[0] == outcome
