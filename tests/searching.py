"""How long a search goes on: over a few fixed examples by default, over many others with ``-m soak``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hypothesis import settings
    from hypothesis.strategies import SearchStrategy

__all__ = ["LONGER", "any_text", "at_length_only", "examples", "is_search", "set_at_length", "some_of", "wants"]

LONGER: Final = 100
"""How many times as many examples a search draws with ``-m soak``."""

at_length = False

T = TypeVar("T")


def wants(config: pytest.Config, mark: str) -> bool:
    """Return whether ``-m`` asks for *mark*."""
    expression = str(config.option.markexpr)
    return mark in expression and f"not {mark}" not in expression


def set_at_length(value: bool) -> None:  # noqa: FBT001
    """Let searches that are defined from now on draw as many examples as ``-m soak`` asks for, or few."""
    global at_length  # noqa: PLW0603 one length per run, set before any test is collected
    at_length = value


def is_search(item: pytest.Item) -> bool:
    """Return whether *item* is a property, or marked as one because it defines its property inside."""
    return getattr(getattr(item, "obj", None), "is_hypothesis_test", False) or bool(item.get_closest_marker("search"))


def some_of(cases: Sequence[T]) -> Sequence[T]:
    """Return every third of *cases* by default, and all with ``-m soak``."""
    return cases if at_length else cases[::3]


def at_length_only(cases: Iterable[object]) -> list[Any]:
    """Return *cases* for ``-m soak``, and none by default: hundreds that are left out would be collected by each worker."""
    return [pytest.param(case, marks=pytest.mark.soak) for case in cases] if at_length else []


def examples(count: int) -> settings:
    """Return the settings of a property that draws *count* examples by default: the same in every run."""
    # Not above: processes that tests start import this, and draw nothing.
    from hypothesis import HealthCheck, settings  # noqa: PLC0415

    return settings(
        max_examples=count * (LONGER if at_length else 1),
        derandomize=not at_length,
        database=None,
        print_blob=at_length,
        # A busy machine is no reason to fail.
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


def any_text(*, min_size: int = 0, max_size: int | None = None) -> SearchStrategy[str]:
    """Return a strategy for texts of any characters but surrogates: what `st.text` draws, in the same order.

    That one works its alphabet out for two seconds, in each process of the first run.
    """
    from hypothesis import strategies as st  # noqa: PLC0415 as above

    return st.text(st.characters(exclude_categories=["Cs"]), min_size=min_size, max_size=max_size)
