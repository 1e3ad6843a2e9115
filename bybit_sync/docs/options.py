"""The help of every command of ``bybit-sync``, as Markdown for the site."""

from __future__ import annotations

import argparse
from functools import partial
from importlib import import_module

from bybit_sync.cli.entry import COMMANDS

__all__ = ["helps"]


def helps() -> str:
    """Return a section for each command, with what its ``--help`` prints."""
    return "\n\n".join(f"### {name}: {summary}\n\n```text\n{_help(name)}```" for name, summary in COMMANDS.items())


def _help(name: str) -> str:
    command = argparse.ArgumentParser(prog=f"bybit-sync {name}", allow_abbrev=False)
    import_module(f"bybit_sync.cli.{name}").add(command)
    # The same width, whichever terminal the site is built in.
    command.formatter_class = partial(argparse.RawDescriptionHelpFormatter, width=78)
    return command.format_help()
