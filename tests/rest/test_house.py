"""The REST reader's own rooms: rules are pure, one file knows urllib3, and there is no circle."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from bybit_sync import rest
from tests.test_architecture import EVERYWHERE, IMPURE, imports

ROOMS = sorted(path for path in Path(rest.__file__).parent.glob("*.py") if path.name != "__init__.py")
IMPURE_ROOMS = {"connections", "reader"}
EXCUSED = {"limits": {"threading"}, "signing": {"threading"}}


def test_there_are_rooms() -> None:
    """The tests below look at something."""
    assert {"answers", "connections", "reader", "walks"} <= {path.stem for path in ROOMS}


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: path.stem)
def test_urllib3_has_one_pool(path: Path) -> None:
    """Its exceptions are translated there, and its next version is met there."""
    roots = {name.partition(".")[0] for name in imports(path)} - set(sys.stdlib_module_names) - {"bybit_sync"} - EVERYWHERE
    assert roots - {"_typeshed"} == ({"urllib3"} if path.stem == "connections" else set())
    assert not imports(path) & {"http.client", "urllib.request", "requests"}


@pytest.mark.parametrize("path", [path for path in ROOMS if path.stem not in IMPURE_ROOMS], ids=lambda path: path.stem)
def test_the_rules_are_pure(path: Path) -> None:
    """They are handed the clock, and can be tested without waiting."""
    assert imports(path) & IMPURE <= EXCUSED.get(path.stem, set())
    assert not {name for name in imports(path) if name.rpartition(".")[2] in IMPURE_ROOMS}


def test_there_is_no_circle() -> None:
    """Every room can be understood after those below it."""
    prefix = f"{rest.__name__}."
    below = {p.stem: {n.removeprefix(prefix) for n in imports(p) if n.startswith(prefix)} for p in ROOMS}
    while free := {room for room, needs in below.items() if not needs & below.keys()}:
        below = {room: needs for room, needs in below.items() if room not in free}
    assert below == {}


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
