"""The language of docstrings, as far as a program can judge it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

LIBRARY = Path(__file__).parent.parent / "bybit_sync"
RIDDLE = re.compile(r"(What|Who|Whose|Whom|Whether)\b")
NOUN_PHRASE = re.compile(r"(A|An|The|In|Not|Neither|Nothing|How|When|Where|Why)\b")
# Each of these is named like the value that it gives; an overload is explained below it.
VALUES = re.compile(r"property|fixture")

Definition = ast.Module | ast.ClassDef | ast.FunctionDef


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Yield each file of the library."""
    for path in sorted(LIBRARY.rglob("*.py")):
        yield str(path.relative_to(LIBRARY)), ast.parse(path.read_text(encoding="utf-8"))


def public(node: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    """Yield *node* and the public classes, functions and methods below it."""
    yield node
    for child in node.body:
        if isinstance(child, (ast.ClassDef, ast.FunctionDef)) and not child.name.startswith("_"):
            yield from public(child) if isinstance(child, ast.ClassDef) else [child]


def decorators(node: Definition) -> str:
    """Return the source of the decorators of *node*."""
    return " ".join(ast.unparse(decorator) for decorator in getattr(node, "decorator_list", ()))


def test_no_docstring_is_a_riddle() -> None:
    """None opens with What, Who, Whose, Whom or Whether, nor does the text below an attribute."""
    found = [
        f"{file}:{node.lineno}"
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and RIDDLE.match(str(node.value.value))
    ]
    assert found == []


def test_a_public_function_says_what_it_does() -> None:
    """Its docstring opens with a verb, not with a noun phrase."""
    functions = [
        (f"{file}:{node.lineno}", ast.get_docstring(node) or "")
        for file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and not VALUES.search(decorators(node))
    ]
    assert [place for place, says in functions if NOUN_PHRASE.match(says)] == []
    assert len(functions) > 1000


def test_no_public_docstring_is_missing() -> None:
    """Each module has one, and each public class, function and method."""
    missing = [
        f"{file}:{getattr(node, 'lineno', 1)}"
        for file, tree in trees()
        for node in public(tree)
        if not ast.get_docstring(node) and decorators(node) != "overload"
    ]
    assert missing == []
