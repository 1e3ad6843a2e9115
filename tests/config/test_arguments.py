from __future__ import annotations

from typing import Any

import attrs
import pytest

from bybit_sync.config.arguments import at_least, not_negative, positive, refuse, whole
from bybit_sync.errors import ConfigurationError

NO_NUMBERS = [None, "5", True, float("nan"), float("inf"), float("-inf"), 10**400, [5]]


@pytest.mark.parametrize("value", [*NO_NUMBERS, 0, -1, 0.0])
def test_what_is_not_above_zero_is_refused(value: object) -> None:
    """The error names the argument and the remedy, for values of every kind."""
    with pytest.raises(ConfigurationError, match="ping_interval=.*give a number above 0"):
        positive(None, "ping_interval", value)


@pytest.mark.parametrize("value", [*NO_NUMBERS, -0.001])
def test_what_is_below_zero_is_refused(value: object) -> None:
    """The error names the argument and the remedy, for values of every kind."""
    with pytest.raises(ConfigurationError, match="timeout=.*give a number from 0 up"):
        not_negative(None, "timeout", value)


@pytest.mark.parametrize("value", [*NO_NUMBERS, 0.99])
def test_what_is_below_a_bound_is_refused(value: object) -> None:
    """The remedy names the bound."""
    with pytest.raises(ConfigurationError, match="factor=.*from 1 up"):
        at_least(1)(None, "factor", value)


@pytest.mark.parametrize("value", [None, "5", True, 0, -1, 5.0])
def test_what_is_not_a_whole_number_above_zero_is_refused(value: object) -> None:
    """A float that happens to be whole is none either."""
    with pytest.raises(ConfigurationError, match="maxsize=.*whole number above 0"):
        whole(None, "maxsize", value)


def test_good_values_pass() -> None:
    """Nothing is returned and nothing raised."""
    positive(None, "a", 0.001)
    positive(None, "a", 10**6)
    not_negative(None, "a", 0)
    at_least(1)(None, "a", 1)
    whole(None, "a", 1)


def test_a_check_serves_as_a_validator() -> None:
    """The attribute's own name is the argument's."""

    @attrs.frozen
    class Thing:
        size: Any = attrs.field(validator=whole)

    with pytest.raises(ConfigurationError, match="^size=0 cannot work"):
        Thing(0)


def test_a_refusal_is_also_a_value_error() -> None:
    """Code that knows nothing of this library catches it."""
    assert isinstance(refuse("name", "", "give a text"), ValueError)
