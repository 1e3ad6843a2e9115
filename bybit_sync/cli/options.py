"""The options that several commands share, and their value types."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import re
import textwrap
from typing import Final

from bybit_sync.cli.exits import described
from bybit_sync.model.events import Stream

__all__ = [
    "RECORDING",
    "SCENARIOS",
    "STREAMS",
    "above_zero",
    "above_zero_whole",
    "add_exchange",
    "add_seconds",
    "add_server",
    "add_streams",
    "address",
    "describe",
    "port",
    "size",
    "wrapped",
]

STREAMS: Final = (Stream.POSITIONS, Stream.ORDERS, Stream.USER_TRADES, Stream.BALANCES)
# Copied from the simulator, which needs an extra.
SCENARIOS: Final = ("story", "busy", "outages", "liquidation")
RECORDING: Final = "a recording, with those that it was rotated to, packed by gzip or not; - for the standard input"
_SIZE: Final = re.compile(r"([0-9]{1,15})\s*([kmg]?)i?b?", re.ASCII | re.IGNORECASE)
_WIDTH: Final = 76
_UNITS: Final = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


def describe(command: argparse.ArgumentParser, description: str, examples: str) -> None:
    """Give *command* its help: *description*, *examples*, exit codes."""
    command.description = wrapped(description)
    command.epilog = f"examples:\n{examples}\n\n{described()}"
    command.formatter_class = argparse.RawDescriptionHelpFormatter


def wrapped(text: str) -> str:
    """Return *text* with its paragraphs wrapped for a terminal."""
    return "\n\n".join(textwrap.fill(paragraph, _WIDTH) for paragraph in text.split("\n\n"))


def add_exchange(command: argparse.ArgumentParser) -> None:
    """Add the options of a simulated exchange: where it is, and what happens there."""
    command.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default: this machine only)")
    command.add_argument("--port", type=port, default=0, metavar="N", help="which port (default: a free one)")
    command.add_argument("--tls", action="store_true", help="speak TLS, with a throw-away authority that is written to a file")
    command.add_argument(
        "--name",
        action="append",
        default=[],
        dest="names",
        metavar="NAME",
        help="the host name or address that clients of other machines use, for the URL and the certificate; may be repeated",
    )
    command.add_argument("--scenario", default="story", metavar="NAME|FILE", help="what happens (default: story)")
    command.add_argument("--rate", type=above_zero, metavar="N", help="N steps a second, instead of the scenario's own pace")


def add_server(command: argparse.ArgumentParser) -> None:
    """Add the arguments of a Redis server: URL and --prefix."""
    command.add_argument(
        "url",
        type=_redis_url,
        metavar="URL",
        help='redis://host:port/db, rediss:// (TLS), unix:///path; or "env": the one in REDIS_URL, with a password',
    )
    command.add_argument("--prefix", default="bybit", help="the begin of the streams' names (default: bybit)")


def add_streams(command: argparse.ArgumentParser) -> None:
    """Add the argument STREAM."""
    command.add_argument(
        "streams",
        nargs="*",
        type=_stream,
        metavar="STREAM",
        help=f"out of {', '.join(stream.value for stream in STREAMS)} (default: all)",
    )


def add_seconds(command: argparse.ArgumentParser) -> None:
    """Add --seconds."""
    command.add_argument("--seconds", type=above_zero, metavar="N", help="stop after N seconds (default: at Ctrl-C)")


def above_zero(text: str) -> float:
    """Parse a number above 0."""
    with contextlib.suppress(ValueError):
        if 0 < (number := float(text)) < math.inf:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")


def above_zero_whole(text: str) -> int:
    """Parse a whole number above 0."""
    if text.isascii() and text.isdigit() and 0 < int(text) < 2**31:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")


def port(text: str) -> int:
    """Parse a TCP port; 0 means a free one."""
    if text.isascii() and text.isdigit() and int(text) < 2**16:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port from 0 to 65535")


def address(text: str) -> tuple[str, int]:
    """Parse [ADDRESS:]PORT; without an address it is that of this machine only."""
    host, _, number = text.rpartition(":")
    return host.strip("[]") or "127.0.0.1", port(number)


def size(text: str) -> int:
    """Parse a size in bytes, with or without a unit: 500k, 100M, 1G."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or not int(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: as in 500k, 100M, 1G")
    return int(match[1]) * _UNITS[match[2].lower()]


def _stream(text: str) -> Stream:
    for stream in STREAMS:
        if stream.value == text:
            return stream
    raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(stream.value for stream in STREAMS)}")


def _redis_url(text: str) -> str:
    if text == "env":
        if url := os.environ.get("REDIS_URL"):
            return url
        raise argparse.ArgumentTypeError("REDIS_URL is not set")
    if "@" in text or "password" in text:
        # The password is not repeated in the error either.
        raise argparse.ArgumentTypeError('every user of this machine could read the password: set REDIS_URL, and give "env"')
    return text
