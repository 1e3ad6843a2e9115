"""The command line ``bybit-sync``, with one file per command.

`entry` runs the commands, `exits` has their exit codes.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in *argv*, by default the process's, and return its exit code."""
    # Loading the commands takes part of a second, in which Ctrl-C may come, too.
    try:
        from bybit_sync.cli import entry  # noqa: PLC0415 - see above

        return entry.main(argv)
    except KeyboardInterrupt:
        return 130
