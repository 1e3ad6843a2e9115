"""The command line ``bybit-sync``, with one file per command.

`entry` runs the commands, `exits` has their exit codes.
"""

from __future__ import annotations

from bybit_sync.cli.entry import main

__all__ = ["main"]
