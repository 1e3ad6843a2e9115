"""The architecture: which package may import which, one door for each foreign library, and what stays pure.

Each rule is a table and a function that returns what breaks it, in words. The last part plants a mistake in the text of a
module of every package and sees it found.
"""

from __future__ import annotations

import ast
import functools
import itertools
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen

HOUSE: Final = Path(__file__).parent.parent / "bybit_sync"

# From top to bottom. A package imports from those below it: never from one above it, nor from another one in its own row.
# A module beside the packages is a package of its own.
ROWS: Final[tuple[tuple[str, ...], ...]] = (
    ("__main__",),
    ("docs",),  # the pages of the documentation; what builds the site of them
    ("cli",),
    ("pytest_plugin",),
    ("simulator",),  # what it offers: its `__init__`
    ("simulator.demo", "simulator.server_command"),
    ("simulator.scenarios",),
    ("simulator.exchange",),
    ("simulator.playing",),
    ("simulator.faults", "simulator.script", "simulator.demo_trades", "simulator.recording"),
    ("simulator.server", "simulator.rest"),
    ("simulator.books",),
    ("simulator.push_faults",),
    ("simulator.dialects", "simulator.malformed_frames", "simulator.port", "simulator.refusals", "simulator.scheduling"),
    ("integrations",),
    ("__init__",),  # the public names
    ("client",),
    ("engine",),
    ("account",),
    ("recovery",),
    ("recording", "rest", "subscription"),
    ("delivery.dispatcher",),  # it joins sessions to subscriptions, for the live connection and for the replay
    ("session", "delivery", "network"),
    ("decoding", "signing", "status", "config"),
    ("model",),
    ("logs", "threads"),
    ("errors", "clock", "text"),
    ("extras", "redaction", "public", "_version"),
)

# Modules that lie beside the packages for now, and where each of them belongs.
NOT_MOVED: Final[Mapping[str, str]] = {}

# Mistakes that are known and wait to be mended, in the words of the rules below. Nothing may be added.
TO_MEND: Final[frozenset[str]] = frozenset()

# Which modules may import what is not in the standard library. `attrs` may be imported everywhere.
DOORS: Final[Mapping[str, frozenset[str]]] = {
    "websocket": frozenset({"network.link"}),
    "cattrs": frozenset({"decoding.reader"}),
    "msgspec": frozenset({"decoding.parsing"}),
    "python_socks": frozenset({"network.proxy"}),
    "cryptography": frozenset({"signing.rsa"}),
    "rich": frozenset({"cli.screen"}),
    "matplotlib": frozenset({"cli.plot"}),
    "pdoc": frozenset({"docs.site"}),
    "pytest": frozenset({"pytest_plugin"}),
    "urllib3": frozenset({"rest.connections"}),
    "redis": frozenset({"integrations.redis_server"}),
    "websockets": frozenset({"simulator", "simulator.server.connection", "simulator.exchange", "simulator.server.listener"}),
    "trustme": frozenset({"simulator.server.tls"}),
    "prometheus_client": frozenset({"integrations.prometheus"}),
}
EVERYWHERE: Final = {"attrs", "attr", "typing_extensions", "_typeshed", "bybit_sync"}
EVENT_LOOPS: Final = {"asyncio", "anyio", "trio", "uvloop"}

# Packages and modules without socket, thread and clock: they are handed the time, and can be tested without waiting.
PURE: Final = (
    "account.reducer",
    "account.rows",
    "account.snapshot",
    "account.validity",
    "clock",
    "config",
    "decoding",
    "delivery.gaps",
    "engine.rate_limit",
    "engine.retrying",
    "errors",
    "extras",
    "integrations.completeness",
    "integrations.metrics",
    "integrations.redis_entries",
    "model",
    "recording.format",
    "recording.scrubbing",
    "public",
    "recovery.asking",
    "recovery.options",
    "recovery.balances",
    "recovery.fill_keys",
    "recovery.makes",
    "recovery.memory",
    "recovery.precedence",
    "recovery.states",
    "recovery.trades",
    "recovery.wants",
    "recovery.windows",
    "redaction",
    "rest.answers",
    "rest.endpoints",
    "rest.failures",
    "rest.hosts",
    "rest.limits",
    "rest.queries",
    "rest.signing",
    "rest.spellings",
    "rest.walks",
    "rest.windows",
    "session",
    "signing",
    "simulator.books",
    "simulator.dialects",
    "simulator.malformed_frames",
    "simulator.push_faults",
    "simulator.refusals",
    "simulator.rest.endpoints",
    "simulator.rest.entry",
    "simulator.rest.faults",
    "simulator.rest.limits",
    "simulator.rest.listings",
    "simulator.rest.pages",
    "simulator.rest.plans",
    "simulator.rest.refusals",
    "simulator.rest.requests",
    "simulator.rest.signatures",
    "simulator.rest.spellings",
    "simulator.rest.statements",
    "simulator.rest.windows",
    "simulator.server.conversation",
    "status",
    "text",
    "threads.forks",
)
IMPURE: Final = {
    "socket",
    "ssl",
    "threading",
    "_thread",
    "selectors",
    "select",
    "queue",
    "time",
    "concurrent",
    "multiprocessing",
}
EXCUSED: Final[Mapping[str, frozenset[str]]] = {
    "clock": frozenset({"time"}),  # reading it is what the file is for
    "engine.rate_limit": frozenset({"threading"}),  # all clients of a process take their turns from one table
    "rest.limits": frozenset({"threading"}),  # all clients of a process ask a host at one rate
    "rest.signing": frozenset({"threading"}),  # a signature is taken where another thread left it
    "simulator.rest.limits": frozenset({"threading"}),  # each request of a host has a thread of its own
    "simulator.rest.plans": frozenset({"threading"}),  # the same
    "simulator.books.streams": frozenset({"threading", "time"}),  # one action ends before the next begins; history is dated
    "simulator.refusals": frozenset({"threading"}),  # orders are given by one thread and taken by another
}

# What the simulator may know of the library that it is there to test: what makes a client, and how recordings are written.
OF_THE_LIBRARY: Final[Mapping[str, frozenset[str]]] = {
    "simulator": frozenset({"errors", "extras"}),
    "simulator.demo": frozenset({"client", "recovery.options"}),
    "simulator.recording": frozenset({"errors", "recording.format"}),
    "simulator.server.tls": frozenset({"extras"}),
}

# The only modules that may name a dialect: the table of what differs between two of them, and the default of an argument.
NAMES_DIALECTS: Final = {"session.dialects", "client"}

# How long a file may be, and how many methods a class may have; and what may have more.
MOST_LINES: Final = 400
MOST_METHODS: Final = 25
LONG_FILES: Final[Mapping[str, str]] = {
    "client": "the docstrings of all that a user calls",
    "model.enums": "a table",
    "simulator.books.rows": "a table",
}
BIG_CLASSES: Final = {"client.Client", "simulator.exchange.Exchange", "simulator.books.account.Account"}


# --- reading the source ---


@frozen
class Module:
    """The text of a module, and whether it is what a package itself is."""

    text: str
    is_package: bool = False


Library = Mapping[str, Module]


def modules(house: Path) -> dict[str, Path]:
    """Return every module under *house* by its name: dotted, without the root's; a package is its `__init__`."""
    found = {}
    for path in sorted(house.rglob("*.py")):
        parts = path.relative_to(house).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


def read(house: Path) -> dict[str, Module]:
    """Return the text of every module under *house*."""
    return {name: Module(path.read_text(encoding="utf-8"), path.name == "__init__.py") for name, path in modules(house).items()}


@frozen
class Facts:
    """What the rules ask of a text: what it imports, calls and names, and how large its classes are."""

    foreign: frozenset[str]
    """The top packages that it imports, wherever in it, also for annotations only."""
    own: frozenset[tuple[str, str]]
    """What it imports of the library, as often: (module, what it may be called if the name in it is a module, too)."""
    calls: frozenset[str]
    dialects: tuple[str, ...]
    classes: tuple[tuple[str, int], ...]
    """Each class with the number of its methods."""


@functools.cache
def facts(text: str) -> Facts:
    """Return what the rules ask of *text*; the tree itself is too large to keep."""
    nodes = list(ast.walk(ast.parse(text)))
    names = (getattr(node, "id", getattr(node, "attr", getattr(node, "value", None))) for node in nodes)
    imports = [found for node in nodes for found in _imports(node)]
    return Facts(
        foreign=frozenset(name.partition(".")[0] for name, _ in imports),
        own=frozenset(_own(*found) for found in imports if found[0].partition(".")[0] == "bybit_sync"),
        calls=frozenset(n.func.attr for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)),
        dialects=tuple(str(name) for name in names if name in ("V3", "V5", "v3", "v5")),
        classes=tuple((node.name, len(_methods(node))) for node in nodes if isinstance(node, ast.ClassDef)),
    )


def _methods(node: ast.ClassDef) -> set[str]:
    return {item.name for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)}


def _imports(node: ast.AST) -> list[tuple[str, str]]:
    if isinstance(node, ast.Import):
        return [(alias.name, "") for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [(f"{'.' * node.level}{node.module or ''}", alias.name) for alias in node.names]
    return []


def _own(imports: str, name: str) -> tuple[str, str]:
    inner = imports.partition(".")[2]
    return inner or "__init__", f"{inner}.{name}".strip(".")


def foreign(module: Module) -> frozenset[str]:
    """Return the top packages that *module* imports."""
    return facts(module.text).foreign


def own(module: Module, known: Library) -> set[str]:
    """Return the modules of the library that *module* imports; *known* are all that there are."""
    return {longer if longer in known else shorter for shorter, longer in facts(module.text).own}


@functools.cache
def package(module: str) -> str:
    """Return the package that *module* belongs to: the longest that is in the rows; "" when none is."""
    module = NOT_MOVED.get(module, module)
    names = {name for row in ROWS for name in row}
    steps = module.split(".")
    prefixes = (".".join(steps[:length]) for length in range(len(steps), 0, -1))
    # What a package offers is above all that it is made of: no other module counts as it.
    return next((p for p in prefixes if p in names and (p == module or p != "simulator")), "")


@functools.cache
def row(name: str) -> int:
    """Return the number of the row that the package *name* stands in, from the top."""
    return next(number for number, names in enumerate(ROWS) if name in names)


# --- the rules: each returns what breaks it ---


def wrong_arrows(library: Library) -> list[str]:
    """Return the imports that do not lead down, and the modules that no row knows."""
    wrong = []
    for module, found in library.items():
        if not package(module) and not found.is_package:
            wrong.append(f"{module} belongs to no package that is known")
            continue
        for other in sorted(own(found, library)):
            wrong += _arrow(module, other)
    return wrong


def _arrow(module: str, other: str) -> list[str]:
    here, there = package(module), package(other)
    if not here or here == there:
        return []
    if not there:
        return [f"{module} imports {other}, which is not there"]
    if row(here) > row(there):
        return [f"{module} imports {other}, which is above it"]
    return [f"{module} imports {other}, which is beside it"] if row(here) == row(there) else []


def cycles(library: Library) -> list[str]:
    """Return the modules that import each other in a circle; what waits to be mended is left out."""
    needs = {
        module: {o for o in own(found, library) if o in library and not any(_arrow(module, o)) and o != module}
        for module, found in library.items()
    }
    while free := [module for module, others in needs.items() if not others & needs.keys()]:
        for module in free:
            del needs[module]
    return [f"{module} is in a circle, or needs one" for module in sorted(needs)]


def wrong_doors(library: Library) -> list[str]:
    """Return the foreign libraries that are imported elsewhere than at their door, and event loops anywhere."""
    wrong = []
    for module, found in library.items():
        for root in sorted(foreign(found) - EVERYWHERE):
            if root in EVENT_LOOPS or root.startswith("."):
                wrong.append(f"{module} imports {root}, which nothing here may")
            elif root not in sys.stdlib_module_names and module not in DOORS.get(root, ()):
                wrong.append(f"{module} imports {root}, and is not its door")
    return wrong


@functools.cache
def is_pure(module: str) -> bool:
    """Return whether *module* has to be pure."""
    where = NOT_MOVED.get(module, module)
    return any(where == name or where.startswith(f"{name}.") for name in PURE)


def impurities(library: Library) -> list[str]:
    """Return where a pure module touches socket, thread or clock, or imports a module that may."""
    wrong = []
    for module, found in library.items():
        if is_pure(module):
            reads_clock = facts(found.text).calls & {"now", "utcnow", "today"} and module != "clock"
            used = foreign(found) & IMPURE - EXCUSED.get(module, frozenset())
            wrong += [f"{module} is pure and imports {root}" for root in sorted(used)]
            wrong += [f"{module} is pure and imports {o}, which is not" for o in sorted(own(found, library)) if not is_pure(o)]
            wrong += [f"{module} is pure and reads the clock"] if reads_clock else []
    return wrong


def simulator_knows(library: Library) -> list[str]:
    """Return what the simulator imports of the library that it is there to test, beyond what it may."""
    return [
        f"{module} imports {other}, which it is there to test"
        for module, found in library.items()
        if module.partition(".")[0] == "simulator"
        for other in sorted(own(found, library) - OF_THE_LIBRARY.get(module, frozenset()))
        if other.partition(".")[0] != "simulator"
    ]


def named_dialects(library: Library) -> list[str]:
    """Return where the library names a dialect, beside the table and the default."""
    return [
        f"{module} names the dialect {name}"
        for module, found in library.items()
        if row(package(module) or "cli") > row("__init__") and module not in NAMES_DIALECTS
        for name in facts(found.text).dialects
    ]


def other_loggers(library: Library) -> list[str]:
    """Return where the library makes a logger elsewhere than in the one place that takes secrets out of records."""
    return [
        f"{module} makes a logger of its own"
        for module, found in library.items()
        if row(package(module) or "cli") > row("__init__") and module != "redaction"
        if "getLogger(" in found.text
    ]


def large(library: Library) -> list[str]:
    """Return the files with too many lines, and the classes with too many methods."""
    files = [
        f"{module} has more than {MOST_LINES} lines"
        for module, found in library.items()
        if found.text.count("\n") > MOST_LINES and module not in LONG_FILES
    ]
    return files + [
        f"{module}.{name} has more than {MOST_METHODS} methods"
        for module, found in library.items()
        for name, methods in facts(found.text).classes
        if methods > MOST_METHODS and f"{module}.{name}" not in BIG_CLASSES
    ]


Rule = Callable[[Library], list[str]]

RULES: Final[tuple[Rule, ...]] = (
    wrong_arrows,
    cycles,
    wrong_doors,
    impurities,
    simulator_knows,
    named_dialects,
    other_loggers,
    large,
)


THE_LIBRARY: Final = read(HOUSE)


@functools.cache
def broken(rule: Rule) -> list[str]:
    """Return what breaks *rule* today."""
    return rule(THE_LIBRARY)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_architecture_holds(rule: Rule) -> None:
    """Nothing breaks a rule but what is known to wait for its mending."""
    assert set(broken(rule)) - TO_MEND == set()


def test_what_waits_to_be_mended_is_still_wrong() -> None:
    """The table shrinks with each mistake that is mended."""
    assert {wrong for rule in RULES for wrong in broken(rule)} >= TO_MEND


def test_every_file_is_checked() -> None:
    """Whatever lies however deep in the library is a module that the rules see."""
    files = [os.path.join(folder, name) for folder, _, names in os.walk(HOUSE) for name in names if name.endswith(".py")]  # noqa: PTH118
    assert {str(path) for path in modules(HOUSE).values()} == set(files)
    assert len(files) > 90


def test_every_door_is_used() -> None:
    """The tables name no module that is gone, and none that does not need its entry."""
    for library, doors in (*DOORS.items(), *((root, {m}) for m, roots in EXCUSED.items() for root in roots)):
        assert doors <= {name for name, module in THE_LIBRARY.items() if library in foreign(module)}, library
    assert {*OF_THE_LIBRARY, *NAMES_DIALECTS, *NOT_MOVED} <= THE_LIBRARY.keys()
    assert {module for module in LONG_FILES if THE_LIBRARY[module].text.count("\n") <= MOST_LINES} == set()
    known = {f"{module}.{name}" for module, found in THE_LIBRARY.items() for name, _ in facts(found.text).classes}
    assert known >= BIG_CLASSES


# --- the rules see what is wrong ---

PACKAGES: Final = sorted({package(module) for module in THE_LIBRARY} - {""})
LIBRARY: Final = [name for name in PACKAGES if row(name) > row("__init__")]


def members(name: str) -> list[str]:
    """Return the modules of the package *name*, none of which is a mere `__init__`."""
    return [m for m, found in THE_LIBRARY.items() if package(m) == name and (m == name or not found.is_package)]


def plant(module: str, line: str, library: Library = THE_LIBRARY) -> dict[str, Module]:
    """Return *library* with a line appended to *module*."""
    planted = f"{library[module].text}\n\ndef _planted() -> None:\n    {line}\n"
    return {**library, module: Module(planted, library[module].is_package)}


def news(rule: Rule, planted: Library) -> list[str]:
    """Return what *rule* finds in *planted* and not in the library."""
    return [wrong for wrong in rule(planted) if wrong not in broken(rule)]


def test_an_arrow_up_is_found() -> None:
    """From every package, to one in the row above it."""
    for name in [name for name in PACKAGES if row(name) > 0]:
        above = next(p for number in range(row(name) - 1, -1, -1) for p in ROWS[number] if p in PACKAGES)
        module = members(name)[-1]
        assert news(wrong_arrows, plant(module, f"import bybit_sync.{members(above)[0]}")), name


def test_an_arrow_sideways_is_found() -> None:
    """Packages of one row do not know each other."""
    pairs = [pair for names in ROWS for pair in itertools.permutations([n for n in names if n in PACKAGES], 2)]
    for name, beside in pairs:
        module = next(m for m in members(name) if f"{m} imports {members(beside)[0]}" not in " ".join(TO_MEND))
        assert news(wrong_arrows, plant(module, f"import bybit_sync.{members(beside)[0]}")), (name, beside)
    assert pairs


@pytest.mark.parametrize("library", ["websocket", "requests", "asyncio"])
def test_a_foreign_library_is_found(library: str) -> None:
    """In every package, also where a function imports it."""
    for name in PACKAGES:
        module = next((m for m in members(name) if m not in DOORS.get(library, ())), "")
        assert module, name
        assert news(wrong_doors, plant(module, f"import {library}")), name


def test_a_circle_is_found() -> None:
    """Inside of every package that has two modules."""
    for name in [name for name in PACKAGES if len(members(name)) > 1]:
        finds_a_circle(name)


def finds_a_circle(name: str) -> None:
    """Plant a circle in the package *name*, and make sure that it is found."""
    arrows = [
        (m, other)
        for m in members(name)
        for other in sorted(own(THE_LIBRARY[m], THE_LIBRARY))
        if other in members(name) and m != other
    ]
    upper, lower = arrows[0] if arrows else members(name)[:2]
    planted = plant(lower, f"import bybit_sync.{upper}")
    planted = planted if arrows else plant(upper, f"import bybit_sync.{lower}", planted)
    assert f"{lower} is in a circle, or needs one" in cycles(planted)


@pytest.mark.parametrize("line", ["import socket", "import threading", "import time", "return Moment.now()"])
def test_an_impurity_is_found(line: str) -> None:
    """In every package that has to be pure, or a part of which has to; reading the clock is all that some are for."""
    found = 0
    for name in PACKAGES:
        pure = [m for m in members(name) if is_pure(m) and line.partition(" ")[2] not in EXCUSED.get(m, ())]
        pure = [m for m in pure if m != "clock" and not any(w.startswith(f"{m} is pure") for w in TO_MEND)]
        assert not pure or news(impurities, plant(pure[0], line)), name
        found += bool(pure)
    assert found >= 10


def test_a_dialect_that_is_named_is_found() -> None:
    """In every package of the library, but for one that holds the default of an argument."""
    allowed = [[m for m in members(name) if m not in NAMES_DIALECTS] for name in LIBRARY]
    for modules_of_one in filter(None, allowed):
        assert news(named_dialects, plant(modules_of_one[0], 'return "v5"')), modules_of_one[0]
    assert allowed.count([]) <= 1


def test_a_logger_of_its_own_is_found() -> None:
    """In every package of the library."""
    for name in LIBRARY:
        planted = plant(members(name)[-1], 'return logging.getLogger("mine")')
        assert name == "redaction" or news(other_loggers, planted), name


def test_a_large_file_is_found() -> None:
    """In every package, unless its only file may be large."""
    for name in [name for name in PACKAGES if not LONG_FILES.keys() >= {*members(name)}]:
        module = next(m for m in members(name) if m not in LONG_FILES)
        missing = MOST_LINES - THE_LIBRARY[module].text.count("\n")
        assert news(large, plant(module, "pass\n" * missing)) == [f"{module} has more than {MOST_LINES} lines"]


def test_a_large_class_is_found() -> None:
    """In every package, with one method more than a class may have; one with as many as it may is none."""
    methods = [f"\n        def method_{number}(self): ..." for number in range(MOST_METHODS + 1)]
    for module in [members(name)[0] for name in PACKAGES]:
        wrong = f"{module}.Large has more than {MOST_METHODS} methods"
        assert wrong in large(plant(module, "class Large:" + "".join(methods)))
        assert wrong not in large(plant(module, "class Large:" + "".join(methods[1:])))


def test_what_the_simulator_must_not_know_is_found() -> None:
    """It is an exchange of its own: what the library gets wrong, it must not get wrong in the same way."""
    assert news(simulator_knows, plant("simulator.scenarios", "import bybit_sync.client"))


def test_a_module_in_a_new_folder_is_seen(tmp_path: Path) -> None:
    """However deep it lies: a folder that no row knows is wrong by itself."""
    (tmp_path / "new" / "deep").mkdir(parents=True)
    (tmp_path / "new" / "deep" / "thing.py").write_text("import asyncio\n", encoding="utf-8")
    planted = {**THE_LIBRARY, **read(tmp_path)}
    assert news(wrong_arrows, planted) == ["new.deep.thing belongs to no package that is known"]
    assert news(wrong_doors, planted) == ["new.deep.thing imports asyncio, which nothing here may"]
