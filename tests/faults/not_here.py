"""The rows of the catalogue that the tests here do not cause, and why, or where they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NOT_HERE: Final[Mapping[int, str]] = {
    23: "proven by tests/test_dialing_tls.py::test_key_update_in_mid_stream_is_invisible: `openssl s_server` changes its keys "
    "in mid-stream, but only a person or a test at its keyboard could answer a login",
}
