"""What ends a test that hangs: a plugin of pytest that takes the place of pytest-timeout's timers.

pytest-timeout would start a thread of Python for every test, and wait for it twice: where other workers keep the processor
busy that takes longer than most tests.
"""

from __future__ import annotations

import faulthandler
import os
from typing import Any

import pytest

STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """Keep the standard error, from which pytest takes what a test writes there."""
    config.stash[STDERR] = os.dup(2)


def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool:
    """Write every thread's stack and end this process unless the timer is cancelled in time."""
    faulthandler.dump_traceback_later(settings.timeout, exit=True, file=item.config.stash[STDERR])
    return True


def pytest_timeout_cancel_timer() -> bool:
    """Let the test have ended in time."""
    faulthandler.cancel_dump_traceback_later()
    return True


def pytest_enter_pdb() -> None:
    """Let a person look at a test for as long as it takes."""
    faulthandler.cancel_dump_traceback_later()
