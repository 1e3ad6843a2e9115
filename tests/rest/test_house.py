"""The REST reader costs nothing before it is asked for, and says what it needs."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest


def test_the_library_is_imported_without_the_rest_reader() -> None:
    """It costs nothing until recovery is asked for."""
    script = "import sys, bybit_sync; print([n for n in sys.modules if n.startswith(('bybit_sync.rest', 'urllib3'))])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_without_urllib3_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a mistake of the installation."""
    # A class of its own, so that those of the tests beside this one stay what they are.
    monkeypatch.setitem(sys.modules, "urllib3.connection", None)
    monkeypatch.delitem(sys.modules, "bybit_sync.rest.connections", raising=False)
    with pytest.raises(ValueError, match=r"pip install 'bybit-sync\[rest\]'"):
        importlib.import_module("bybit_sync.rest.connections")
