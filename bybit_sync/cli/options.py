"""The options that several commands share, and their value types."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import re
import textwrap
from collections.abc import Sequence
from typing import Final

from bybit_sync.cli.exits import described
from bybit_sync.client import CATEGORIES
from bybit_sync.config.environments import ENVIRONMENTS
from bybit_sync.errors import ConfigurationError
from bybit_sync.model.events import Stream
from bybit_sync.recovery.options import Recovery
from bybit_sync.session.dialects import DIALECTS

__all__ = [
    "RECORDING",
    "SCENARIOS",
    "STREAMS",
    "above_zero",
    "above_zero_whole",
    "add_command",
    "add_connection",
    "add_exchange",
    "add_rest_host",
    "add_seconds",
    "add_server",
    "add_streams",
    "address",
    "port",
    "size",
    "wrapped",
]

Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it

STREAMS: Final = (Stream.POSITIONS, Stream.ORDERS, Stream.USER_TRADES, Stream.BALANCES)
# Copied from the simulator, which needs an extra.
SCENARIOS: Final = ("story", "busy", "outages", "liquidation")
ALL_IN_ONE: Final = "all"
RECORDING: Final = "a recording, with those that it was rotated to, packed by gzip or not; - for the standard input"
_SIZE: Final = re.compile(r"([0-9]{1,15})\s*([kmg]?)i?b?", re.ASCII | re.IGNORECASE)
_WIDTH: Final = 76
_UNITS: Final = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


def add_command(
    commands: Commands[argparse.ArgumentParser], name: str, *, summary: str, description: str, examples: str
) -> argparse.ArgumentParser:
    """Add the command *name* with its help: description, examples, exit codes."""
    return commands.add_parser(
        name,
        help=summary,
        description=wrapped(description),
        epilog=f"examples:\n{examples}\n\n{described()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # Without this, "--key SECRET" would be taken as --key-file SECRET.
        allow_abbrev=False,
    )


def wrapped(text: str) -> str:
    """Return *text* with its paragraphs wrapped for a terminal."""
    return "\n\n".join(textwrap.fill(paragraph, _WIDTH) for paragraph in text.split("\n\n"))


def add_connection(command: argparse.ArgumentParser) -> None:
    """Add the options of the account: environment, dialect, key."""
    group = command.add_argument_group(
        "the account",
        wrapped(
            "The key comes from BYBIT_API_KEY and BYBIT_API_SECRET, from --key-file, or from a prompt; never from an argument, "
            "which every user of this machine could read. A read-only key is enough."
        ),
    )
    group.add_argument(
        "--environment",
        metavar="NAME|URL",
        default=os.environ.get("BYBIT_ENVIRONMENT") or "mainnet",
        help=f"{', '.join(ENVIRONMENTS)}, or wss://host[:port] (default: BYBIT_ENVIRONMENT, else mainnet)",
    )
    group.add_argument("--dialect", choices=tuple(DIALECTS), default="v5", help="which dialect of the exchange (default: v5)")
    group.add_argument(
        "--categories",
        type=_categories,
        default=("linear", "inverse"),
        metavar="LIST",
        help=f"out of {','.join(CATEGORIES)}; or {ALL_IN_ONE}, with spread, too (default: linear,inverse)",
    )
    group.add_argument("--key-file", metavar="FILE", help="lines BYBIT_API_KEY=... and BYBIT_API_SECRET=..., mode 0600")
    group.add_argument("--proxy", type=_proxy, metavar="URL", help='http://host:port, socks5h://host:port, or "env"')
    group.add_argument("--simulate", action="store_true", help="a simulated account instead of yours: no key, no network")
    group.add_argument("--scenario", choices=SCENARIOS, default=SCENARIOS[0], help="what happens to it (default: story)")


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


def add_rest_host(command: argparse.ArgumentParser) -> None:
    """Add --rest-url."""
    command.add_argument(
        "--rest-url", type=_rest_url, metavar="URL", help="the REST host: https://host[:port] (default: the environment's)"
    )


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


def _categories(text: str) -> Sequence[str] | None:
    if text == ALL_IN_ONE:
        return None
    names = tuple(name.strip() for name in text.split(","))
    if any(name not in CATEGORIES for name in names):
        raise argparse.ArgumentTypeError(f"{text!r} is no list out of {','.join(CATEGORIES)}, and not {ALL_IN_ONE}")
    return names


def _rest_url(text: str) -> str:
    try:
        return Recovery(base_url=text).base_url or ""
    except ConfigurationError:
        # The error's own text is for Python: it names Recovery.
        remedy = "give https://host[:port] (http:// for loopback addresses), without a path"
        raise argparse.ArgumentTypeError(f"{text!r} is no URL of a REST host: {remedy}") from None


def _redis_url(text: str) -> str:
    if text == "env":
        if url := os.environ.get("REDIS_URL"):
            return url
        raise argparse.ArgumentTypeError("REDIS_URL is not set")
    if "@" in text or "password" in text:
        # The password is not repeated in the error either.
        raise argparse.ArgumentTypeError('every user of this machine could read the password: set REDIS_URL, and give "env"')
    return text


def _proxy(text: str) -> str:
    if "@" in text:
        # The password is not repeated in the error either.
        raise argparse.ArgumentTypeError('every user of this machine could read the password: set HTTPS_PROXY, and give "env"')
    return text
