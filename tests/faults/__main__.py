"""``python -m tests.faults``: run what proves that faults are survived, and write ``RELIABILITY.md`` from what it measured.

Options: ``--soak`` runs what takes minutes to hours, too; ``--realtime`` the rows at the catalogue's own pace; ``--mutants``
the bugs made by hand (with a file: what ``python -m tests.mutants`` printed earlier); ``--workers N`` how many tests at a time;
``--output FILE`` where to write. Pybit is played beside, where it is installed. Ends with 1 when anything failed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import os
import platform
import shlex
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from tests.faults import contest, pace
from tests.faults.contestants import CONTESTANTS, version
from tests.faults.not_here import NOT_HERE
from tests.faults.report import Findings, report
from tests.faults.results import Run, read_run

ROOT: Final = Path(__file__).resolve().parents[2]
OUTPUT: Final = Path(__file__).with_name("RELIABILITY.md")
TESTS: Final = (
    "tests/faults",
    *(elsewhere.test for elsewhere in NOT_HERE.values()),
    # The rows of recovery, beside what they test.
    "tests/recovery",
    "tests/account",
    "tests/rest/test_connections.py",
    "tests/rest/test_secrets.py",
    "tests/integrations/test_killed.py",
    "tests/integrations/test_redis_faults.py",
    "tests/test_examples.py::test_fills_are_complete_and_booked_once_after_every_kill",
    "tests/delivery",
    "tests/client/test_leaks.py",
    "tests/fuzzing/test_mutations.py",
    "tests/session/test_walk.py",
)
PACKAGES: Final = ("bybit-sync", "websocket-client", "attrs", "cattrs", "msgspec", "pybit", "pytest", "hypothesis")


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--soak", action="store_true", help="run what takes minutes to hours, too")
    parser.add_argument("--realtime", action="store_true", help="run the rows at the catalogue's own pace")
    parser.add_argument("--mutants", nargs="?", const="", metavar="FILE", help="run the mutants, or read what they printed")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="how many tests at a time (default: 2)")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE", help="where to write")
    return parser.parse_args(arguments)


def runs(chosen: argparse.Namespace) -> Iterator[list[str]]:
    """Yield the arguments of each run of pytest."""
    common = ["-q", "-p", "no:cacheprovider", "-n", str(chosen.workers), *TESTS]
    yield [*common, "-m", "realtime"] if chosen.realtime else common
    if chosen.soak:
        yield [*common, "-m", "soak"]


def tested(commands: Sequence[Sequence[str]]) -> Run:
    """Run pytest with each of *commands* and return what came of all of them."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.xml" for number, _ in enumerate(commands)]
        for file, arguments in zip(files, commands, strict=True):
            # The schema of `xunit2` has no place for what a test notes of itself.
            told = ["-o", "junit_family=xunit1", f"--junitxml={file}"]
            subprocess.run([sys.executable, "-m", "pytest", *told, *arguments], cwd=ROOT, check=False)
        return read_run(*files)


def contested() -> contest.Contest:
    """Play every scene for every contestant that is installed; nothing if there is nobody but us."""
    present = [client for client in CONTESTANTS if version(client) is not None]
    if present == ["bybit_sync"]:
        return {}
    # A scene is mostly waiting.
    with ThreadPoolExecutor(4) as pool:
        results = {client: pool.map(partial(_played, client), contest.SCENES) for client in present}
        return {client: dict(zip(contest.SCENES, played, strict=True)) for client, played in results.items()}


def _played(client: str, name: str) -> contest.Result:
    result = contest.play(client, name)
    sys.stdout.write(f"{client}: {name}: {result.outcome}\n")
    sys.stdout.flush()
    return result


def mutated(file: str | None) -> tuple[str, str]:
    """Return what the mutants printed, now or, with *file*, earlier; and when, if earlier."""
    if file is None:
        return "", ""
    if file:
        when = dt.datetime.fromtimestamp(Path(file).stat().st_mtime, dt.timezone.utc)
        return Path(file).read_text(encoding="utf-8"), f", in a run of {when:%Y-%m-%d %H:%M} UTC"
    done = subprocess.run([sys.executable, "-m", "tests.mutants"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout, ""


def versions() -> dict[str, str]:
    """Return what all this ran with."""
    found = {"Python": f"{platform.python_implementation()} {platform.python_version()}", "OpenSSL": ssl.OPENSSL_VERSION}
    found["System"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def main(arguments: Sequence[str]) -> int:
    """Run, write, and return the exit code."""
    chosen = options(arguments)
    commands = list(runs(chosen))
    run = tested(commands)
    printed, when = mutated(chosen.mutants)
    found = Findings(
        run=run,
        written=f"{dt.datetime.now(dt.timezone.utc):%Y-%m-%d %H:%M} UTC",
        commands=[shlex.join(["python", "-m", "pytest", *command]) for command in commands],
        factor=pace.REAL if chosen.realtime else pace.FAST,
        contest=contested(),
        mutants=printed,
        mutants_from=when,
        versions=versions(),
    )
    chosen.output.write_text(report(found), encoding="utf-8")
    return 1 if run.verdicts("failed") or "SURVIVED" in printed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
