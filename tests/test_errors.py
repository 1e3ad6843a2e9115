"""Errors that are raised to several callers: each gets its own, in the same words, and keeps nobody else's frames alive."""

from __future__ import annotations

from typing import Any

import pytest

from bybit_sync import BybitSyncError, SubscriptionRejected
from bybit_sync.errors import fresh_copy


class Particular(Exception):
    """An exception of a user's, that cannot be made of its arguments alone."""

    def __new__(cls, text: str, *, code: int) -> Particular:
        """Insist on *code*."""
        made = super().__new__(cls, text)
        made.args = (text,)
        return made

    def __init__(self, text: str, *, code: int) -> None:
        super().__init__(text)
        self.code = code


def raised(error: Exception) -> Exception:
    """Raise *error* somewhere, and return it."""
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        BybitSyncError("words"),
        SubscriptionRejected("words", topic="order.linear", text="no"),
        KeyError("a"),
        Particular("words", code=7),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_told_again_in_the_same_words(error: Any) -> None:
    """Kind, words, attributes and cause are the same; the frames of whoever was told before are not in it."""
    error.__cause__ = OSError("the cause")
    told = fresh_copy(raised(error))
    assert type(told) is type(error)
    assert (str(told), vars(told), str(told.__cause__)) == (str(error), vars(error), "the cause")
    assert told.__traceback__ is None
