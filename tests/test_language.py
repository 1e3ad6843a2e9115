"""The language of docstrings, as far as a program can judge it."""

from __future__ import annotations

import ast
import functools
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

LIBRARY = Path(__file__).parent.parent / "bybit_sync"
RIDDLE = re.compile(r"(What|Who|Whose|Whom|Whether)\b")
NOUN_PHRASE = re.compile(r"(A|An|The|In|Not|Neither|Nothing|How|When|Where|Why)\b")
# Each of these is named like the value that it gives; an overload is explained below it.
VALUES = re.compile(r"property|fixture")
FIGURE = re.compile(r"\b(whoever|whomever|nobody|somebody|owe[ds]?|debts?|believe[ds]?|untold|for good)\b", re.IGNORECASE)
COLUMNS = 88
QUOTES = ('"""', "'''")

Definition = ast.Module | ast.ClassDef | ast.FunctionDef


@functools.cache
def sources() -> list[tuple[str, str]]:
    """Return the name and the text of each file of the library."""
    return [
        (f"bybit_sync/{path.relative_to(LIBRARY)}", path.read_text(encoding="utf-8")) for path in sorted(LIBRARY.rglob("*.py"))
    ]


@functools.cache
def parsed(source: str) -> ast.Module:
    """Return *source* as a tree; each is parsed once."""
    return ast.parse(source)


@functools.cache
def nodes(source: str) -> list[ast.AST]:
    """Return every node of *source*; each tree is walked once."""
    return list(ast.walk(parsed(source)))


def library() -> Iterator[tuple[str, ast.AST]]:
    """Yield each node of the library, with its file."""
    for file, source in sources():
        for node in nodes(source):
            yield file, node


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
        for file, node in library()
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and RIDDLE.match(str(node.value.value))
    ]
    assert found == []


def test_a_public_function_says_what_it_does() -> None:
    """Its docstring opens with a verb, not with a noun phrase."""
    functions = [
        (f"{file}:{node.lineno}", ast.get_docstring(node) or "")
        for file, node in library()
        if isinstance(node, ast.FunctionDef) and not VALUES.search(decorators(node))
    ]
    assert [place for place, says in functions if NOUN_PHRASE.match(says)] == []
    assert len(functions) > 1000


def test_no_public_docstring_is_missing() -> None:
    """Each module has one, and each public class, function and method."""
    missing = [
        f"{file}:{getattr(node, 'lineno', 1)}"
        for file, source in sources()
        for node in public(parsed(source))
        if not ast.get_docstring(node) and decorators(node) != "overload"
    ]
    assert missing == []


# --- prose ---


def docstrings(source: str) -> Iterator[ast.Constant]:
    """Yield the docstrings in *source*, those below attributes as well."""
    for node in nodes(source):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value


def paragraphs(first: int, lines: list[str]) -> Iterator[list[tuple[int, str]]]:
    """Yield the paragraphs of a docstring with the number of each line; *first* is that of the first."""
    paragraph: list[tuple[int, str]] = []
    is_fenced = False
    for number, line in enumerate(lines, first):
        is_fenced ^= line.lstrip().startswith("```")
        if line.strip() or is_fenced:
            paragraph.append((number, line))
        elif paragraph:
            yield paragraph
            paragraph = []
    yield paragraph


def is_code(paragraph: list[tuple[int, str]], margin: int) -> bool:
    """Return whether *paragraph* is an example, a fenced block, or indented as a whole."""
    marked = any(line.lstrip().startswith((">>>", "```")) for _, line in paragraph)
    return marked or all(line.startswith(" " * (margin + 4)) for _, line in paragraph)


@functools.cache
def prose(source: str) -> list[tuple[int, str]]:
    """Return the number and the text of each line of prose: in docstrings, and comments on lines of their own."""
    return list(_prose(source))


def _prose(source: str) -> Iterator[tuple[int, str]]:
    lines = source.splitlines()
    for text in docstrings(source):
        body = [line for line in lines[text.lineno - 1 : text.end_lineno] if line.strip() not in QUOTES]
        for paragraph in paragraphs(text.lineno, body):
            if not is_code(paragraph, text.col_offset):
                yield from paragraph
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and token.line.lstrip().startswith("#"):
            yield token.start[0], token.line.rstrip()


def too_long(file: str, source: str) -> list[str]:
    """Return the place, the width and the text of each line of prose that is too long."""
    return [
        f"{file}:{number}: {len(line)} columns: {line.strip()}" for number, line in sorted(prose(source)) if len(line) > COLUMNS
    ]


def test_prose_has_at_most_88_columns() -> None:
    """Docstrings and comments wrap; code, and a comment behind code, may be longer."""
    found = [place for file, source in sources() for place in too_long(file, source)]
    assert not found, f"wrap these lines at {COLUMNS} columns:\n" + "\n".join(found)


def test_prose_has_no_figures_of_speech() -> None:
    """Threads and events are neither persons nor debts: a sentence names the thing that acts."""
    found = [
        f"{file}:{number}: {figure[0]!r} in: {line.strip()}"
        for file, source in sources()
        for number, line in prose(source)
        if (figure := FIGURE.search(line))
    ]
    assert not found, "name the thing that acts:\n" + "\n".join(found)


def test_a_line_of_prose_that_is_too_long_is_found() -> None:
    """In a docstring, below an attribute, in a list of arguments and in a comment; not in code or an example."""
    words, code = "word " * 17 + "end.", "x = " + "1 + " * 30 + "1"
    source = f"""
class Some:
    '''Short.

    {words}

    Args:
        x: {words}

    Example:
        >>> {code}
        {words}

    The text of a function is ::

        {code}

    ```
    one

    {code}
    ```
    '''
    y = 1
    '''{words}'''
    # {words}
    {code}  # {words}
"""
    assert [place.split(": ")[0] for place in too_long("some.py", source)] == [f"some.py:{number}" for number in (5, 8, 25, 26)]
