"""What it costs to import this library and its peers, each time in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from tests.benchmarks.contestants import SPEED
from tests.benchmarks.processes import ROOT

IMPORTS = {
    "Client": "from bybit_sync import Client",
    "Client + speed": "from bybit_sync import Client",
    "the package alone": "import bybit_sync",
    "an error, or an update": "from bybit_sync import BybitSyncError, OrderUpdate",
    "pybit": "import pybit.unified_trading",
    "ccxt.pro": "import ccxt.pro",
}
HEAVIEST = 8

_SCRIPT = """
import sys, time, json
for name in {blocked}: sys.modules[name] = None
before = len(sys.modules)
began, spent = time.perf_counter(), time.process_time()
{statement}
print(json.dumps([time.perf_counter() - began, time.process_time() - spent, len(sys.modules) - before]))
"""


class Import(NamedTuple):
    """What one import took: milliseconds of the clock and of CPU time, and how many modules came."""

    wall: float
    cpu: float
    modules: int


def measure(rounds: int) -> list[dict[str, Import]]:
    """Return what the imports took in every round; files are in the kernel's cache from a round before."""
    found = [{name: _import(name) for name in IMPORTS} for _ in range(rounds + 1)]
    return found[1:]


def _import(name: str) -> Import:
    blocked = () if name.endswith("speed") else SPEED
    done = _python("-c", _SCRIPT.format(blocked=blocked, statement=IMPORTS[name]))
    wall, cpu, modules = json.loads(done.stdout)
    return Import(wall * 1e3, cpu * 1e3, modules)


def heaviest() -> Sequence[tuple[str, float]]:
    """Return what the import of `Client` spends most time in, without what that imports in turn: modules or packages; ms."""
    spent: Counter[str] = Counter()
    # "import time: self [us] | cumulative | imported package", for every module in the order in which they are done.
    for line in _python("-X", "importtime", "-c", IMPORTS["Client"]).stderr.splitlines():
        alone, _, name = line.removeprefix("import time:").split("|")
        if alone.strip().isdigit():
            package = name.strip().partition(".")[0]
            spent[name.strip() if package == "bybit_sync" else package] += int(alone)
    return [(name, total / 1e3) for name, total in spent.most_common(HEAVIEST)]


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    # With the byte code on disk, as any second import has it.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, cwd=ROOT, env=environ)
