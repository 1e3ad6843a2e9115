"""The documentation: the site is built without a warning, its code runs, its diagrams are the tables of the code."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest

from bybit_sync import Client, docs
from bybit_sync.docs.drawing import mermaid, parsed, svg
from bybit_sync.simulator import Exchange
from bybit_sync.status import NEXT_STATES, NEXT_SUBSCRIPTION_STATES
from tests.test_doctests import readers, run

__all__ = ["readers"]

ROOT = Path(__file__).parent.parent
# As the site has them; the module that builds it would import pdoc, in each worker.
PAGES = [f"bybit_sync.docs.{name}" for name in docs.__all__]
DIAGRAMS = [("connection", NEXT_STATES), ("connection", NEXT_SUBSCRIPTION_STATES)]


def page(name: str) -> str:
    """Return the text of a topic page."""
    return importlib.import_module(f"bybit_sync.docs.{name}").__doc__ or ""


class Links(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str | None] = set()
        self._is_inside = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what *tag* links to, and its id."""
        told = dict(attrs)
        self.anchors.add(told.get("id"))
        assert not (tag == "a" and self._is_inside), f"a link in a link: {attrs}"
        self._is_inside = self._is_inside or tag == "a"
        if tag == "a" and (link := told.get("href")) and not link.startswith(("http:", "https:")):
            self.links.append(link)

    def handle_endtag(self, tag: str) -> None:
        """Note the end of a link."""
        self._is_inside = self._is_inside and tag != "a"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built by its command; a warning would be an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-W", "error", "-m", "bybit_sync.docs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_the_site_has_each_page_and_the_public_names(site: Path) -> None:
    """The first page is the README, with the reference below it."""
    for name in PAGES:
        assert (site / f"{name.replace('.', '/')}.html").exists()
    front = (site / "bybit_sync.html").read_text(encoding="utf-8")
    assert "The first five minutes" in front
    assert 'id="Client.subscribe_orders"' in front


def test_no_link_of_the_site_leads_nowhere(site: Path) -> None:
    """Neither to a page nor to a place in one that is missing."""
    pages = {path: Links(path) for path in site.rglob("*.html")}
    broken = [
        (path.name, link)
        for path, found in pages.items()
        for link in found.links
        for file, _, anchor in [link.partition("#")]
        for target in [(path.parent / file).resolve() if file else path]
        if target not in pages or (anchor and anchor not in pages[target].anchors)
    ]
    assert broken == []
    assert len(pages) > len(PAGES)


def test_programs_are_told_of_every_page(site: Path) -> None:
    """In llms.txt, by links that exist."""
    links = re.findall(r"\]\((.*?)\)", (site / "llms.txt").read_text(encoding="utf-8"))
    assert {site / link for link in links} == {*site.rglob("*.html")} - {site / "index.html", site / "bybit_sync" / "docs.html"}


@pytest.mark.parametrize(("name", "states"), DIAGRAMS, ids=["client", "subscription"])
def test_a_diagram_is_the_table_of_the_code(name: str, states: dict[str, dict[str, str]]) -> None:
    """Arrow by arrow; and the drawing is made from that text."""
    text = mermaid(states)
    assert f"```mermaid\n{text}\n```" in page(name)
    assert parsed(text) == states
    assert all(why in svg(parsed(text)) for nexts in states.values() for why in nexts.values())


# --- the code ---


def blocks() -> Iterator[tuple[str, str]]:
    """Yield page and heading of each Python block of the topic pages, and the block."""
    for name in PAGES:
        heading, short = "", name.rpartition(".")[2]
        for part in re.split(r"^(## .*$)", page(short), flags=re.MULTILINE):
            heading = part[3:] if part.startswith("## ") else heading
            for found in re.findall(r"^```python\n(.*?)^```$", part, flags=re.MULTILINE | re.DOTALL):
                yield f"{short}: {heading}", found


def missing(block: str) -> list[str]:
    """Return the libraries that *block* imports and that are not installed."""
    names: list[str] = []
    for node in ast.walk(ast.parse(block)):
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
    return [name for name in (name.partition(".")[0] for name in names) if find_spec(name) is None]


def need(block: str) -> None:
    """Skip the test if a library that *block* imports is not installed."""
    if names := missing(block):
        pytest.skip(f"{names[0]} is not installed")


# Those of test_recipes.py.
RECIPES = ("pandas", "polars", "sqlite", "gunicorn", "celery", "gevent", "Jupyter", "structlog", "A Windows service")
APART = {f"recipes: {name}" for name in RECIPES}
HERE = [pytest.param(block, id=name) for name, block in blocks() if name not in APART and "def test_" not in block]
TESTS = [block for _, block in blocks() if "def test_" in block]


def test_a_block_is_not_wider_than_the_page() -> None:
    """Nobody has to scroll sideways."""
    assert [line for _, block in blocks() for line in block.splitlines() if len(line) > 88] == []


def test_every_block_is_run_by_a_test() -> None:
    """None is left out because its heading is another one now."""
    assert {name for name, _ in blocks()} >= APART
    assert len(HERE) + len(TESTS) + len(APART) == len(list(blocks()))


@pytest.mark.parametrize("block", HERE)
def test_a_block_of_a_page_runs(block: str, exchange: Exchange, readers: list[Client]) -> None:
    """Copied into an empty file; its client is one of a simulated exchange, on which an order is filled meanwhile."""
    need(block)
    run(block, exchange, readers)


def test_the_tests_on_the_pages_pass(tmp_path: Path) -> None:
    """Run by pytest, as a reader runs them: each block a file of its own."""
    texts = [block for block in TESTS if not missing(block)]
    for number, text in enumerate(texts):
        (tmp_path / f"test_block_{number}.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "."]
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, text=True, timeout=100, check=False)
    assert f"\n{''.join(texts).count('def test_')} passed" in done.stdout, done.stdout + done.stderr
