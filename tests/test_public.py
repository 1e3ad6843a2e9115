"""The package itself: its public names, loaded when the first of them is asked for."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import bybit_sync


def run(code: str) -> str:
    """Return what a Python of its own prints when it runs *code*."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_importing_the_package_loads_nothing_of_it() -> None:
    """Nor what it is made with; the first name that is asked for loads both."""
    look = "print([name in sys.modules for name in ('ssl', 'websocket', 'bybit_sync.client')])"
    assert run(f"import sys, bybit_sync; {look}; bybit_sync.Client; {look}").split("\n") == [
        "[False, False, False]",
        "[True, True, True]",
    ]


def test_everything_public_can_be_imported_at_once() -> None:
    """And nothing else is shown."""
    code = "from bybit_sync import *; import bybit_sync; print(set(bybit_sync.__all__) - globals().keys())"
    assert run(code) == "set()"
    assert dir(bybit_sync) == sorted(bybit_sync.__all__)


def test_every_public_name_is_what_its_module_calls_so() -> None:
    """One object, whichever way it is imported."""
    homes = [import_module(home) for home in bybit_sync._HOMES]  # type: ignore[attr-defined]
    for name in set(bybit_sync.__all__) - {"__version__"}:
        found = [getattr(home, name) for home in homes if name in home.__all__]
        assert found, name
        assert all(thing is getattr(bybit_sync, name) for thing in found), name


def test_a_name_that_is_none_is_refused_as_by_any_module() -> None:
    """With the error that `hasattr` and ``import`` understand."""
    assert not hasattr(bybit_sync, "nope")
    with pytest.raises(ImportError, match="cannot import name 'nope' from 'bybit_sync'"):
        exec("from bybit_sync import nope", {})
