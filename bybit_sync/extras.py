"""The packages that come with an extra, and the command that installs each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["EXTRAS", "absent", "install"]

EXTRAS: Final[Mapping[str, str]] = {
    "websockets": "simulator",
    "trustme": "tls",
    "rich": "cli",
    "matplotlib": "plot",
    "cryptography": "rsa",
    "urllib3": "rest",
    "python-socks": "socks",
    "prometheus-client": "prometheus",
    "redis": "redis",
}
"""The extra that brings a package, by the package's name."""


def install(package: str) -> str:
    """Return the command that installs *package*.

    pip does not know the extras of a copy of the source that is not installed: the
    second command works there, too.
    """
    return f"pip install 'bybit-sync[{EXTRAS[package]}]' (in a copy of the source: pip install {package})"


def absent(package: str) -> str:
    """Return the text of the error that *package* is missing."""
    return f"{package} is not installed: {install(package)}"
