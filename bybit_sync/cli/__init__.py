"""The command line: ``bybit-sync``. One file per command; `entry` runs them, `exits` says how they end."""

from __future__ import annotations

from bybit_sync.cli.entry import main

__all__ = ["main"]
