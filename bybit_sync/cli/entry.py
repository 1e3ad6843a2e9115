"""Run a command, and turn its end into one sentence and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Final

from bybit_sync._version import __version__
from bybit_sync.cli.exits import DONE, MISSING, code_of, described
from bybit_sync.cli.stopping import Stopped, stoppable
from bybit_sync.extras import EXTRAS, absent
from bybit_sync.text import printable

__all__ = ["COMMANDS", "main"]

# The command NAME is in bybit_sync.cli.NAME, which is imported when it is chosen: a
# client takes part of a second, and half of the commands have none.
COMMANDS: Final[Mapping[str, str]] = {
    "watch": "show an account live",
    "account": "print an account as it is now",
    "record": "write every frame to a file",
    "replay": "show a recording as it happened",
    "stats": "count what is in a recording",
    "forward": "write the events of accounts into Redis streams",
    "consume": "print the events in Redis streams",
    "check": "say what works between here and an account",
    "demo": "show all four streams of a simulated account",
    "simulate": "run the simulated exchange for other clients",
}
"""The commands, each with what ``--help`` says of it."""

_EXAMPLES: Final = """\
examples:
  bybit-sync demo --seconds 10    see it work: no account, no network
  bybit-sync check                what works between here and your account
  bybit-sync watch                positions, orders, trades, balances, live
  bybit-sync account              an account as it is now
  bybit-sync record today.jsonl   keep every frame
  bybit-sync COMMAND --help       more examples
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in *argv*, by default the process's, and return its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Replace characters that the locale cannot encode.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with stoppable(for_good=argv is None):
            arguments = _parser(sys.argv[1:] if argv is None else argv).parse_args(argv)
            return int(arguments.run(arguments))
    except KeyboardInterrupt as stopped:
        _hush()
        return stopped.code if isinstance(stopped, Stopped) else 130
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0].replace("_", "-")
        if missing not in EXTRAS:
            raise
        return _told(absent(missing), MISSING)
    except Exception as error:
        if (code := _reader_gone(error)) is not None:
            _hush()
            return code
        if (code := code_of(error)) is None:
            raise
        return _told(_sentence(error), code)


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of *given*: only the chosen command has its options."""
    # The options before a command take no value.
    chosen = next((text for text in given if not text.startswith("-")), None)
    parser = argparse.ArgumentParser(
        prog="bybit-sync",
        description="Bybit's private contract streams, from the command line.",
        epilog=f"{_EXAMPLES}\n{described()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"bybit-sync {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        # Abbreviated, "--key SECRET" would be taken as --key-file SECRET.
        command = commands.add_parser(name, help=summary, allow_abbrev=False)
        if name == chosen:
            import_module(f"bybit_sync.cli.{name}").add(command)
    return parser


def _sentence(error: Exception) -> str:
    """Return *error* as a sentence; that of a file error has no errno."""
    named = isinstance(error, OSError) and error.filename is not None
    text = f"{error.filename}: {error.strerror}" if named else str(error)  # type: ignore[attr-defined]
    return printable(text, 2_000)


def _told(sentence: str, code: int) -> int:
    with contextlib.suppress(OSError):
        print(f"bybit-sync: {sentence}", file=sys.stderr)
    return code


# EPIPE: the reader of the pipe has closed it. EIO: the terminal is gone, as after
# SIGHUP.
_READER_GONE: Final = {errno.EPIPE: DONE, errno.EIO: 129}


def _reader_gone(error: Exception) -> int | None:
    """Return the exit code when the reader of the output is gone, else None.

    Errors of the library do not count.
    """
    ours = type(error) in (BrokenPipeError, OSError) and getattr(error, "filename", None) is None
    return _READER_GONE.get(getattr(error, "errno", 0)) if ours else None


def _hush() -> None:
    """Discard buffered output without a reader: writing it would fail at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
