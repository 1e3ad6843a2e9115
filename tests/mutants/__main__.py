"""``python -m tests.mutants [NAME ...]``: make each bug in a copy, run the tests that must notice, say which did.

A name may be a part of one. Ends with 1 when a mutant survived.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutants.catalogue import MUTANTS, Mutant

HERE = Path(__file__).resolve().parents[2]
PATIENCE = 120.0


def run(copy: Path, tests: str) -> int:
    """Run *tests* in *copy* and return pytest's exit code; 1 when they hang."""
    # From the copy's folder, so that its package is imported and not the one that is installed.
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--no-header", *shlex.split(tests)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=copy, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True) as process:
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return 1
        finally:
            # What a bug has forked and forgotten goes, too.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def is_caught(copy: Path, mutant: Mutant) -> bool:
    """Make the change in *copy*, see whether a test fails, and take the change back."""
    file = copy / "bybit_sync" / mutant.file
    source = file.read_text(encoding="utf-8")
    assert source.count(mutant.old) == 1, f"{mutant.name}: what is to be changed does not stand once in {mutant.file}"
    file.write_text(source.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        # 1 is "a test failed"; a test that is not found, or a file that cannot be imported, proves nothing.
        return run(copy, mutant.tests) == 1
    finally:
        file.write_text(source, encoding="utf-8")


class Baseline:
    """Whether tests pass without any change: one that fails anyway would seem to catch everything."""

    def __init__(self, copy: Path) -> None:
        self._copy = copy
        self._passes: dict[str, bool] = {}

    def passes(self, tests: str) -> bool:
        """Say whether *tests* pass; they are run once."""
        if tests not in self._passes:
            self._passes[tests] = run(self._copy, tests) == 0
        return self._passes[tests]


def verdict(copy: Path, baseline: Baseline, mutant: Mutant) -> str:
    """Return what became of *mutant*."""
    if not baseline.passes(mutant.tests):
        return "UNPROVEN"
    return "caught" if is_caught(copy, mutant) else "SURVIVED"


def main(names: list[str]) -> int:
    """Try the mutants whose name holds one of *names*; all of them without."""
    chosen = [mutant for mutant in MUTANTS if not names or any(name in mutant.name for name in names)]
    caught = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(HERE, copy, ignore=shutil.ignore_patterns(".git", "build", "__pycache__", ".*", "*.egg-info"))
        baseline = Baseline(copy)
        for mutant in chosen:
            began = time.monotonic()
            told = verdict(copy, baseline, mutant)
            caught += told == "caught"
            sys.stdout.write(f"{told:9}{time.monotonic() - began:6.1f} s  {mutant.name}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{caught} of {len(chosen)} caught; UNPROVEN: its tests fail without it\n")
    return 0 if caught == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
