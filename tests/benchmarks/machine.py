"""Where and with what was measured."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

PACKAGES = ("bybit-sync", "websocket-client", "attrs", "cattrs", "msgspec", "pybit", "ccxt", "aiohttp", "orjson", "uvloop")


def machine() -> dict[str, str]:
    """Return what the figures depend on, without a word about whose machine it is."""
    kernel = ".".join(platform.release().split(".")[:2])
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "CPU": _processor(),
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {kernel}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def versions() -> dict[str, str]:
    """Return the version of everything that takes part and is installed."""
    installed = {package.metadata["Name"].lower(): package.version for package in metadata.distributions()}
    return {name: installed[name] for name in PACKAGES if name in installed}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
