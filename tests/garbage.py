"""Python searches for garbage while tests run, but not while they are collected, nor among what that leaves: a plugin.

What is imported and collected lives as long as the process. To visit all of it again and again took a third of the time
of collecting, and much of each search that a test asks for.
"""

from __future__ import annotations

import gc
import sys


def pytest_configure() -> None:
    """Search for none while modules are imported and tests are collected."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Search from now on, among what the tests themselves make."""
    if "hypothesis" in sys.modules:
        play_a_property()
    gc.freeze()
    gc.enable()


def play_a_property() -> None:
    """Let Hypothesis make its random numbers' source, and look for what holds it: that is not found once it is frozen."""
    from hypothesis import given, settings, strategies  # noqa: PLC0415 - only where the tests use it

    settings(max_examples=1, database=None)(given(strategies.none())(lambda _: None))()
