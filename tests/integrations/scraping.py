"""Scrapes of metrics over HTTP, read by Prometheus's own parsers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from bybit_sync import Client
from bybit_sync.integrations.prometheus import serve

__all__ = ["EXAMPLES", "Scrape", "names_in", "scrape", "scrape_port"]

EXAMPLES = Path(__file__).parents[2] / "examples"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Scrape:
    """The samples of one scrape, each by name and labels."""

    def __init__(self, families: list[Any]) -> None:
        self.families = families
        samples = [sample for family in families for sample in family.samples]
        self.samples = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}
        assert len(self.samples) == len(samples), "two samples have one name and one set of labels"

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of a sample; None without it."""
        return self.samples.get((f"bybit_sync_{name}", tuple(sorted(labels.items()))))

    @property
    def names(self) -> set[str]:
        """The names of all samples."""
        return {name for name, _ in self.samples}


def scrape_port(port: int, accept: str = "") -> Scrape:
    """Scrape what is served on *port* of this machine; *accept* is the format that is asked for."""
    request = Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept})
    with urlopen(request, timeout=60) as answer:
        parse = parse_openmetrics if "openmetrics" in answer.headers["Content-Type"] else parse_text
        return Scrape(list(parse(answer.read().decode())))


def scrape(*clients: Client, accept: str = "") -> Scrape:
    """Serve the metrics of *clients*, and scrape them once."""
    with serve(0, *clients) as port:
        return scrape_port(port, accept)


def names_in(example: str) -> set[str]:
    """Return the names of metrics in a file of the examples."""
    text = (EXAMPLES / example).read_text(encoding="utf-8")
    return set(re.findall(r"\bbybit_sync_\w+", text))
