"""How often the kernel gave the threads of this process a core, and for how long; Linux tells it, others do not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

THREADS = Path("/proc/self/task")
_PREEMPTED = re.compile(r"nonvoluntary_ctxt_switches:\s*(\d+)")
IS_KNOWN = Path("/proc/thread-self/schedstat").exists()

Note = Sequence[int]
"""A moment, and how long a thread had waited in the run queue and had run until then; all in ns."""


class Scheduled(NamedTuple):
    """Time in ns that threads ran and waited in the run queue, how often each was given a core, and how often it lost it."""

    ran: int = 0
    queued: int = 0
    slices: int = 0
    preempted: int = 0

    def since(self, before: Scheduled) -> Scheduled:
        """Return what was added after *before*."""
        return Scheduled(*(now - then for now, then in zip(self, before, strict=True)))


def scheduled() -> Scheduled:
    """Return the sums over all threads that run now; zeros where the kernel does not tell them."""
    return Scheduled(*map(sum, zip(*map(_of, THREADS.iterdir()), strict=True))) if IS_KNOWN else Scheduled()


def _of(thread: Path) -> tuple[int, ...]:
    found = _PREEMPTED.search((thread / "status").read_text())
    return (*map(int, (thread / "schedstat").read_text().split()), int(found[1]) if found else 0)
