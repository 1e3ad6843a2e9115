"""How much memory this process has."""

from __future__ import annotations

import gc
import importlib


def resident_bytes() -> int:
    """Return what is resident after everything that can be freed has been."""
    gc.collect()
    return int(importlib.import_module("psutil").Process().memory_info().rss)
