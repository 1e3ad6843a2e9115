"""What the docstrings promise is there: every public name has a sentence, and every argument and attribute a word."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import attrs
import pytest

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


@pytest.mark.parametrize(("house", "name"), PUBLIC, ids=[f"{house.__name__}.{name}" for house, name in PUBLIC])
def test_a_public_name_says_what_it_is(house: ModuleType, name: str) -> None:
    """In a sentence of its own."""
    says = sayings(house, name)
    assert says, f"{house.__name__}.{name} has no docstring"
    assert says.split("\n\n")[0].rstrip().endswith((".", ":")), says


@pytest.mark.parametrize(("name", "member"), METHODS, ids=[name for name, _ in METHODS])
def test_a_public_method_says_what_it_does(name: str, member: Any) -> None:
    """Properties too."""
    assert member.__doc__, name
    assert member.__doc__.split("\n\n")[0].rstrip().endswith((".", ":")), member.__doc__


@pytest.mark.parametrize(("name", "function"), CALLED, ids=[name for name, _ in CALLED])
def test_an_argument_is_explained(name: str, function: Any) -> None:
    """By name, where the function or class is explained."""
    says = inspect.getdoc(function) or ""
    if ELSEWHERE not in says:
        missing = [
            argument
            for argument in inspect.signature(function).parameters
            if argument not in ("self", "cls") and f"*{argument}*" not in says and f"{argument}:" not in says
        ]
        assert missing == [], f"{name} does not explain {missing}"


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if attrs.has(cls)], ids=lambda cls: cls.__name__)
def test_an_attribute_is_explained(cls: type) -> None:
    """By name, in its class's docstring."""
    says = inspect.getdoc(cls) or ""
    names = [field.name for field in attrs.fields(cls) if not field.name.startswith("_")]  # type: ignore[arg-type]
    assert [name for name in names if f"*{name}*" not in says and f"{name}:" not in says] == []
