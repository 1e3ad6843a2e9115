"""The rows of the catalogue that the tests here cannot cause, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NOT_HERE: Final[Mapping[int, str]] = {}
