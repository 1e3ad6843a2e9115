"""What the log says of a callback that raises again and again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from bybit_sync import Client
from bybit_sync.delivery.repeated_errors import LOG_INTERVAL, RepeatedErrors
from bybit_sync.simulator import Account
from tests.conftest import push


def raised(kind: type[Exception], text: str = "") -> Exception:
    """Return an exception that was raised in one place."""
    with pytest.raises(kind) as caught:
        raise kind(text)
    return caught.value


def test_the_first_of_a_kind_is_logged_and_the_others_are_counted() -> None:
    """One class on one line is a kind, whatever its text says."""
    errors = RepeatedErrors()
    assert [errors.is_first(raised(ValueError, str(n)), now=n) for n in range(300)] == [True] + [False] * 299
    assert errors.is_first(raised(KeyError), now=300)


def test_the_count_is_due_after_an_interval_and_begins_again() -> None:
    """It names class and line, how often and in how many seconds."""
    errors = RepeatedErrors()
    for now in (0.0, 1.0, 2.0):
        errors.is_first(raised(ValueError), now)
    assert list(errors.due(LOG_INTERVAL - 0.1)) == []
    (text,) = errors.due(LOG_INTERVAL)
    assert text.startswith("ValueError in ")
    assert text.endswith("test_repeated_errors.py:20, 2 more times in 60 s")
    assert list(errors.due(10 * LOG_INTERVAL)) == []


def test_kinds_without_end_are_counted_as_one() -> None:
    """The first of 21 is logged, and every other one is in a number."""
    errors = RepeatedErrors()
    kinds = [type(f"Kind{n}", (Exception,), {}) for n in range(100)]
    assert sum(errors.is_first(raised(kind), now=0.0) for kind in kinds * 2) == 21
    told = list(errors.due(LOG_INTERVAL))
    assert "exceptions of other kinds, 159 more times in 60 s" in told
    assert len(told) == 21


def test_a_callback_that_always_raises_writes_one_traceback(
    account: Account, make_client: Callable[..., Client], log: pytest.LogCaptureFixture
) -> None:
    """Every exception is counted and goes to `on_error`; the log has the first, and the number at the end."""
    seen, all_seen = [], threading.Event()

    def on_error(error: BaseException, *_: object) -> None:
        seen.append(error)
        if len(seen) == 300:
            all_seen.set()

    client = make_client(on_error=on_error)
    orders = client.subscribe_orders(lambda event: 1 / 0)
    push(account, *map(str, range(300)))
    assert all_seen.wait(20)
    assert client.health().subscriptions[0].handler_errors == 300
    orders.close()
    told = [record for record in log.records if "callback of orders raised" in record.getMessage()]
    assert [(record.levelno, record.exc_info is not None) for record in told] == [(logging.ERROR, True), (logging.ERROR, False)]
    assert "raised again: ZeroDivisionError in " in told[1].getMessage()
    assert "299 more times in" in told[1].getMessage()
