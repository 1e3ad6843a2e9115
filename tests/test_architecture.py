"""The house: data falls one way, each foreign library has one door, the rules touch neither socket nor thread nor clock."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent / "bybit_sync"
ROOMS = sorted(path for path in HOUSE.glob("*.py") if path.name != "__init__.py")
COMMAND_LINE = sorted(path for path in HOUSE.glob("cli/*.py") if path.name != "__init__.py")
APPLICATIONS = {"cli", "__main__", "pytest_plugin"}

# Who may import what from outside of the standard library.
DOORS = {
    "websocket": {"transport"},
    "cattrs": {"decoding"},
    "msgspec": {"parsing"},
    "python_socks": {"proxy"},
    "cryptography": {"rsa"},
    "rich": {"screen"},
    "matplotlib": {"plot"},
    "pytest": {"pytest_plugin"},
}
EVERYWHERE = {"attrs", "attr", "typing_extensions"}
PURE = {
    "arguments",
    "clock",
    "correspondence",
    "decoding",
    "dialects",
    "enums",
    "errors",
    "forks",
    "heartbeat",
    "leaves",
    "login",
    "messages",
    "news",
    "pacing",
    "parsing",
    "patterns",
    "pings",
    "plain",
    "protocol",
    "recorded",
    "redaction",
    "refusals",
    "rows",
    "scrubbing",
    "shapes",
    "terms",
    "timings",
    "topics",
    "updates",
}
IMPURE = {"socket", "ssl", "threading", "selectors", "queue", "time"}
EXCUSED = {
    "clock": {"time"},  # reading it is what the file is for
    "pacing": {"threading"},  # all clients of a process take their turns from one table
}


def imports(path: Path) -> set[str]:
    """Return the modules that *path* imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def own(path: Path) -> set[str]:
    """Return the rooms of the house that *path* imports."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("bybit_sync.")}


@pytest.mark.parametrize("path", [*ROOMS, *COMMAND_LINE], ids=lambda path: path.stem)
def test_a_foreign_library_has_one_door(path: Path) -> None:
    """Its exceptions are translated there, and its next version is met there."""
    roots = {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names) - {"bybit_sync"} - EVERYWHERE
    assert {root for root in roots if path.stem not in DOORS.get(root, set())} == set()


@pytest.mark.parametrize("path", [p for p in ROOMS if p.stem in PURE], ids=lambda path: path.stem)
def test_the_rules_are_pure(path: Path) -> None:
    """They are handed the clock, and can be tested without waiting."""
    assert imports(path) & IMPURE <= EXCUSED.get(path.stem, set())
    assert own(path) <= PURE


def test_there_is_no_circle() -> None:
    """Every room can be understood after those below it."""
    below = {path.stem: own(path) for path in ROOMS}
    while free := {room for room, needs in below.items() if not needs & below.keys()}:
        below = {room: needs for room, needs in below.items() if room not in free}
    assert below == {}


def test_the_library_does_not_know_its_applications() -> None:
    """Neither simulator nor command line is imported by what they are made with."""
    for path in ROOMS:
        if path.stem not in APPLICATIONS:
            assert not own(path) & (APPLICATIONS | {"simulator"}), path.name


def test_there_is_no_event_loop() -> None:
    """Threads only."""
    assert [path for path in HOUSE.rglob("*.py") if {"asyncio", "anyio", "trio"} & imports(path)] == []


@pytest.mark.parametrize("path", [p for p in ROOMS if p.stem not in {"dialects", *APPLICATIONS}], ids=lambda path: path.stem)
def test_only_the_table_names_a_dialect(path: Path) -> None:
    """A dialect is data: what differs between two of them stands in dialects.py, and the default in the client's arguments."""
    named = []
    for node in ast.walk(ast.parse(path.read_text())):
        name = getattr(node, "id", getattr(node, "attr", getattr(node, "value", None)))
        if name in ("V3", "V5", "v3", "v5"):
            named.append(name)
    assert named == (["v5"] if path.stem == "client" else [])


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: path.stem)
def test_loggers_are_made_in_one_place(path: Path) -> None:
    """One that is made elsewhere would tell keys and signatures."""
    assert "getLogger(" not in path.read_text() or path.stem == "redaction"
