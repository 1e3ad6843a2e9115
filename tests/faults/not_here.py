"""The rows of the catalogue that the tests here do not cause, and why, or where they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import frozen

__all__ = ["NOT_HERE", "Elsewhere"]


@frozen
class Elsewhere:
    """Which *test* proves a row instead, and *why* none here does."""

    test: str
    why: str

    def __str__(self) -> str:
        return f"{self.why}; proven by {self.test}"


NOT_HERE: Final[Mapping[int, Elsewhere]] = {
    23: Elsewhere(
        "tests/network/test_tls.py::test_key_update_in_mid_stream_is_invisible",
        "`openssl s_server` changes its keys in mid-stream, but only a person or a test at its keyboard could answer a login",
    ),
}
