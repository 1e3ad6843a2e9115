"""The options of an account: where it is, and how it is reached."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Final

from bybit_sync.cli.options import SCENARIOS, wrapped
from bybit_sync.client import CATEGORIES
from bybit_sync.config.environments import ENVIRONMENTS
from bybit_sync.errors import ConfigurationError
from bybit_sync.recovery.options import Recovery
from bybit_sync.session.dialects import DIALECTS

__all__ = ["add_connection", "add_rest_host"]

ALL_IN_ONE: Final = "all"


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


def add_rest_host(command: argparse.ArgumentParser) -> None:
    """Add --rest-url."""
    command.add_argument(
        "--rest-url", type=_rest_url, metavar="URL", help="the REST host: https://host[:port] (default: the environment's)"
    )


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


def _proxy(text: str) -> str:
    if "@" in text:
        # The password is not repeated in the error either.
        raise argparse.ArgumentTypeError('every user of this machine could read the password: set HTTPS_PROXY, and give "env"')
    return text
