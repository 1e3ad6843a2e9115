"""Medians, ranges, and tables that can be read in a terminal and in Markdown alike."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """The median of several rounds, and how far they lie apart."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        span = f" ({number(self.low)}–{number(self.high)})" if self.low < self.high else ""
        return number(self.median) + span


def spread(values: Iterable[float]) -> Spread:
    """Return the spread of *values*."""
    all_values = list(values)
    return Spread(statistics.median(all_values), min(all_values), max(all_values))


def number(value: float) -> str:
    """Return *value* with three digits that say something."""
    size = abs(value)
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def percentile(values: Sequence[float], share: float) -> float:
    """Return what *share* of *values* do not exceed: the nearest rank, a value that occurred."""
    ranked = sorted(values)
    # Rounded first, or 0.999 of 1,000 values would be a hair more than 999.
    return ranked[max(0, math.ceil(round(share * len(ranked), 6)) - 1)]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table, its columns as wide as what stands in them."""
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    texts = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines]
    return "\n".join([texts[0], "|" + "|".join(":" + "-" * (width + 1) for width in widths) + "|", *texts[1:]])
