"""The query of a request, which is encoded once and sent exactly as it was signed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

__all__ = ["LONGEST_CURSOR", "query_string"]

LONGEST_CURSOR: Final = 4096
"""The most characters of a cursor that is sent back."""

# A cursor is sent back as it came, percent-escaped. One that could end its parameter is
# escaped once more, which the exchange understands too.
_SAFE: Final = re.compile(r"(?:[A-Za-z0-9._~:,=+/!*-]|%[0-9A-Fa-f]{2})*", re.ASCII)


def query_string(parameters: Mapping[str, str | int], cursor: str = "") -> str:
    """Return *parameters* as the query of a URL, with *cursor* unless it is empty."""
    parts = [f"{quote(name, safe='')}={quote(str(value), safe=',')}" for name, value in parameters.items()]
    if cursor:
        parts.append(f"cursor={cursor if _SAFE.fullmatch(cursor) else quote(cursor, safe='')}")
    return "&".join(parts)
