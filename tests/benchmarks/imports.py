"""What it costs to import this library and its peers, each time in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from tests.benchmarks.contestants import SPEED
from tests.benchmarks.processes import ROOT

MODULES = {
    "bybit_sync": "bybit_sync",
    "bybit_sync + speed": "bybit_sync",
    "pybit": "pybit.unified_trading",
    "ccxt.pro": "ccxt.pro",
}
HEAVIEST = 8

_SCRIPT = """
import sys, time, json
for name in {blocked}: sys.modules[name] = None
before = len(sys.modules)
began, spent = time.perf_counter(), time.process_time()
import {module}
print(json.dumps([time.perf_counter() - began, time.process_time() - spent, len(sys.modules) - before]))
"""


class Import(NamedTuple):
    """What one import took: milliseconds of the clock and of CPU time, and how many modules came."""

    wall: float
    cpu: float
    modules: int


def measure(rounds: int) -> list[dict[str, Import]]:
    """Return what the imports took in every round; files are in the kernel's cache from a round before."""
    found = [{name: _import(name) for name in MODULES} for _ in range(rounds + 1)]
    return found[1:]


def _import(name: str) -> Import:
    blocked = SPEED if name == "bybit_sync" else ()
    done = _python("-c", _SCRIPT.format(blocked=blocked, module=MODULES[name]))
    wall, cpu, modules = json.loads(done.stdout)
    return Import(wall * 1e3, cpu * 1e3, modules)


def heaviest() -> Sequence[tuple[str, float]]:
    """Return what `import bybit_sync` spends most time in, without what that imports in turn: modules of ours, packages; ms."""
    spent: Counter[str] = Counter()
    # "import time: self [us] | cumulative | imported package", for every module in the order in which they are done.
    for line in _python("-X", "importtime", "-c", "import bybit_sync").stderr.splitlines():
        alone, _, name = line.removeprefix("import time:").split("|")
        if alone.strip().isdigit():
            package = name.strip().partition(".")[0]
            spent[name.strip() if package == "bybit_sync" else package] += int(alone)
    return [(name, total / 1e3) for name, total in spent.most_common(HEAVIEST)]


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, cwd=ROOT)
