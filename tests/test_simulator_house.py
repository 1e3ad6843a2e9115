"""The simulator's own house: pure books and rules, one door for each foreign library, and no circle."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import bybit_sync.simulator

HOUSE = Path(bybit_sync.simulator.__file__).parent
ROOMS = sorted(path for path in HOUSE.glob("*.py") if path.name != "__init__.py")
PURE = {"conversation", "facts", "gateways", "garbage", "history", "instruments", "ledger", "orders", "positions", "rows"}
IMPURE = {"socket", "ssl", "threading", "time", "selectors", "select"}
DOORS = {"websockets": {"connection", "exchange", "listener"}, "trustme": {"secure"}}
EVERYWHERE = {"attrs", "typing_extensions"}

OF_THE_LIBRARY = {"demo": {"bybit_sync.client"}, "recording": {"bybit_sync.errors", "bybit_sync.recorded"}}


def imports(path: Path) -> set[str]:
    """Return the modules that *path* imports when it runs: not those that are there for annotations only."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def own(path: Path) -> set[str]:
    """Return the rooms of this house that *path* imports."""
    return {name.rpartition(".")[2] for name in imports(path) if name.startswith("bybit_sync.simulator.")}


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: path.stem)
def test_a_foreign_library_has_few_doors(path: Path) -> None:
    """And of the library that it is there to test it imports nothing but the demo's client, and how recordings are written."""
    roots = {name.partition(".")[0] for name in imports(path)} - set(sys.stdlib_module_names) - EVERYWHERE - {"bybit_sync"}
    assert {root for root in roots if path.stem not in DOORS.get(root, set())} == set()
    theirs = {name for name in imports(path) if name.startswith("bybit_sync.") and not name.startswith("bybit_sync.simulator")}
    assert theirs <= OF_THE_LIBRARY.get(path.stem, set())


@pytest.mark.parametrize("path", [path for path in ROOMS if path.stem in PURE], ids=lambda path: path.stem)
def test_books_and_rules_are_pure(path: Path) -> None:
    """They can be played without a socket, a thread or a clock."""
    assert not imports(path) & IMPURE
    assert own(path) <= PURE | {"refusals"}


def test_there_is_no_circle() -> None:
    """Every room can be understood after those below it."""
    below = {path.stem: own(path) for path in ROOMS}
    while free := {room for room, needs in below.items() if not needs & below.keys()}:
        below = {room: needs for room, needs in below.items() if room not in free}
    assert below == {}
