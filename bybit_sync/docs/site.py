"""The documentation site: README.md, the topic pages and the API reference."""

from __future__ import annotations

import base64
import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Final

import pdoc

import bybit_sync
from bybit_sync import docs
from bybit_sync.docs.drawing import parsed, svg

__all__ = ["PAGES", "build"]

_README: Final = Path(__file__).parent.parent.parent / "README.md"
_DIAGRAM: Final = re.compile(r"^```mermaid\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_SUMMARY: Final = re.compile(r"^[A-Z].*?(?=\n\n)", flags=re.MULTILINE | re.DOTALL)

PAGES: Final = tuple(f"bybit_sync.docs.{name}" for name in docs.__all__)
"""The topic pages: modules without code."""

_API: Final = (
    "bybit_sync.simulator",
    "bybit_sync.simulator.faults",
    "bybit_sync.simulator.scenarios",
    "bybit_sync.simulator.script",
    "bybit_sync.integrations.prometheus",
    "bybit_sync.integrations.redis_streams",
    "bybit_sync.integrations.sqlite_journal",
    "bybit_sync.pytest_plugin",
)
"""The modules of the reference besides the package itself."""

_FIRST: Final = ("Client", "Subscription", "Event", "Gap", "OrderUpdate", "PositionUpdate", "UserTradeUpdate", "BalanceUpdate")
"""The names that a reader looks up first."""


def build(folder: Path) -> None:
    """Write the site to *folder*: HTML, and ``llms.txt``, its contents for programs."""
    modules = [importlib.import_module(name) for name in (*PAGES, *_API)]
    for module in modules:
        module.__doc__ = _DIAGRAM.sub(_image, inspect.getdoc(module) or "")
    bybit_sync.__doc__ = _front(modules)
    pdoc.render.configure(docformat="google", show_source=False, footer_text=f"bybit_sync {bybit_sync.__version__}")
    # Every module by name: pdoc alone would add all that are below it.
    only = [spec for module in modules for spec in (module.__name__, rf"!{re.escape(module.__name__)}\..*")]
    pdoc.pdoc("bybit_sync", r"!bybit_sync\..*", "bybit_sync.docs", r"!bybit_sync\.docs\..*", *only, output_directory=folder)
    (folder / "llms.txt").write_text(_for_programs(modules), encoding="utf-8")


def _image(found: re.Match[str]) -> str:
    text = base64.b64encode(svg(parsed(found[1])).encode()).decode()
    source = f"data:image/svg+xml;base64,{text}"
    return f'<img alt="the states, and when they change" style="max-width: 100%" src="{source}">'


def _readme() -> str:
    return _README.read_text(encoding="utf-8")


def _links(modules: list[ModuleType]) -> str:
    """Return a list of links, each with the first line of its page."""
    titles = {module.__name__: (module.__doc__ or "").partition("\n")[0].rstrip(".") for module in modules}
    return "\n".join(f"* [{title}]({name.replace('.', '/')}.html)" for name, title in titles.items())


def _front(modules: list[ModuleType]) -> str:
    """Return the first page: the README with a list of the other pages."""
    top, heading, rest = _readme().partition("\n## ")
    names = ", ".join(f"[{name}](#{name})" for name in _FIRST)
    pages = f"## Pages\n\n{_links(modules)}\n* The package itself: {names} and [all others](#the-package)"
    text = top.partition("\n")[2]
    return f"{text}\n{pages}\n{heading}{rest}\n\n## The package\n\n{bybit_sync.__doc__}"


def _for_programs(modules: list[ModuleType]) -> str:
    """Return ``llms.txt``: the summary and a link to each page, as Markdown."""
    summary = " ".join(_SUMMARY.findall(_readme())[0].split())
    first = "* [README, and the reference of the public names](bybit_sync.html)"
    return f"# bybit_sync\n\n> {summary}\n\n## Pages\n\n{first}\n{_links(modules)}\n"
