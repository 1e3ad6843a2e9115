"""The REST host's own rooms: rules are pure, one file has the sockets, and there is no circle."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bybit_sync.simulator import rest
from tests.test_simulator_house import EVERYWHERE, IMPURE, imports

ROOMS = sorted(path for path in Path(rest.__file__).parent.glob("*.py") if path.name != "__init__.py")
ALLOWED = {"host": {"time"}, "limits": {"threading"}, "plans": {"threading"}, "server": {"socket", "ssl", "threading"}}


def test_there_are_rooms() -> None:
    """The tests below look at something."""
    assert {"host", "server", "pages"} <= {path.stem for path in ROOMS}


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: path.stem)
def test_rules_are_pure_and_only_the_server_has_sockets(path: Path) -> None:
    """And no foreign library is needed: the standard one has an HTTP server."""
    found = imports(path)
    assert found & IMPURE <= ALLOWED.get(path.stem, set())
    assert {name.partition(".")[0] for name in found} - set(sys.stdlib_module_names) - EVERYWHERE <= {"bybit_sync"}
    assert ("http.server" in found) == (path.stem == "server")


def test_there_is_no_circle() -> None:
    """Every room can be understood after those below it."""
    prefix = f"{rest.__name__}."
    below = {p.stem: {n.removeprefix(prefix) for n in imports(p) if n.startswith(prefix)} for p in ROOMS}
    while free := {room for room, needs in below.items() if not needs & below.keys()}:
        below = {room: needs for room, needs in below.items() if room not in free}
    assert below == {}


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: path.stem)
def test_the_library_is_not_imported(path: Path) -> None:
    """An oracle that shared code with what it judges would share its bugs."""
    assert {
        name for name in imports(path) if name.startswith("bybit_sync.") and not name.startswith("bybit_sync.simulator")
    } == set()
