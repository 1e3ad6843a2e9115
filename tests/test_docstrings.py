"""What the docstrings promise is there: every public name has a sentence, and every argument and attribute a word."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import attrs

import bybit_sync
from bybit_sync import simulator

HOUSES = (bybit_sync, simulator)
PUBLIC = [(house, name) for house in HOUSES for name in house.__all__ if not name.startswith("_")]
# What these do for the rest of the house is nobody else's business.
INNER = ("Connection.converse", "Order.", "Position.", "Recorder.lost", "Recorder.received", "Recorder.sent")
# Where all arguments of a family are explained.
ELSEWHERE = "Arguments, threads and errors: `subscribe_positions`."


def sayings(house: ModuleType, name: str) -> str | None:
    """Return the docstring of a public name; that of a constant is the text below its assignment."""
    found = getattr(house, name)
    if inspect.isclass(found) or inspect.isroutine(found):
        return found.__dict__.get("__doc__") if inspect.isclass(found) else found.__doc__
    return next(filter(None, (_below(module, name) for module in _modules(house))), None)


@functools.cache
def _body(module: ModuleType) -> list[ast.stmt]:
    return ast.parse(inspect.getsource(module)).body


def _modules(house: ModuleType) -> list[ModuleType]:
    return [module for name, module in sorted(sys.modules.items()) if name.startswith(f"{house.__name__}.")]


def _below(module: ModuleType, name: str) -> str | None:
    for assignment, after in itertools.pairwise(_body(module)):
        if isinstance(assignment, (ast.Assign, ast.AnnAssign)) and isinstance(after, ast.Expr):
            targets = assignment.targets if isinstance(assignment, ast.Assign) else [assignment.target]
            if name in {target.id for target in targets if isinstance(target, ast.Name)}:
                return str(ast.literal_eval(after.value))
    return None


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that *cls* itself or a class of ours above it defines."""
    for kind in cls.__mro__:
        if kind.__module__.startswith("bybit_sync"):
            for name, member in vars(kind).items():
                what = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
                if not name.startswith("_") and (inspect.isfunction(what) or isinstance(what, property)):
                    yield f"{kind.__name__}.{name}", what


CLASSES = sorted({found for house, name in PUBLIC if inspect.isclass(found := getattr(house, name))}, key=lambda c: c.__name__)
METHODS = [
    (name, member)
    for name, member in sorted({member for cls in CLASSES for member in members(cls)}, key=lambda member: member[0])
    if not name.startswith(INNER)
]
FUNCTIONS = [
    *((name, member) for name, member in METHODS if inspect.isfunction(member)),
    *((name, found) for house, name in PUBLIC if inspect.isfunction(found := getattr(house, name))),
]
CALLED = [*FUNCTIONS, *((cls.__name__, cls) for cls in (bybit_sync.Client, simulator.Exchange))]


def is_sentence(says: str | None) -> bool:
    """Return whether *says* opens with a sentence of its own."""
    return (says or "").split("\n\n")[0].rstrip().endswith((".", ":"))


def unexplained(thing: Any, names: Iterable[str]) -> list[str]:
    """Return which of *names* the docstring of *thing* does not explain."""
    says = inspect.getdoc(thing) or ""
    return [name for name in names if ELSEWHERE not in says and f"*{name}*" not in says and f"{name}:" not in says]


def test_a_public_name_says_what_it_is() -> None:
    """In a sentence of its own."""
    assert [f"{house.__name__}.{name}" for house, name in PUBLIC if not is_sentence(sayings(house, name))] == []
    assert len(PUBLIC) > 100


def test_a_public_method_says_what_it_does() -> None:
    """Properties too."""
    assert [name for name, member in METHODS if not is_sentence(member.__doc__)] == []
    assert len(METHODS) > 100


def test_an_argument_is_explained() -> None:
    """By name, where the function or class is explained."""
    missing = {
        name: unexplained(function, inspect.signature(function).parameters.keys() - {"self", "cls"})
        for name, function in CALLED
    }
    assert {name: arguments for name, arguments in missing.items() if arguments} == {}
    assert len(CALLED) > 100


def test_an_attribute_is_explained() -> None:
    """By name, in its class's docstring."""
    made = [cls for cls in CLASSES if attrs.has(cls)]
    names = {cls: [field.name for field in attrs.fields(cls) if not field.name.startswith("_")] for cls in made}
    assert {cls.__name__: missing for cls in made if (missing := unexplained(cls, names[cls]))} == {}
    assert len(made) > 20
