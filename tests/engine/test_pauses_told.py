"""The table of the pauses, in README and in the docstring of `Client`: its numbers are those of the rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from bybit_sync import (
    AuthenticationError,
    Backoff,
    Client,
    ConnectionFailed,
    ConnectionLost,
    HandshakeRejected,
    ProtocolError,
    TLSError,
)
from bybit_sync.config.timings import Timings
from bybit_sync.engine.retrying import RetrySchedule, rule_for

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
TIMES = Timings()


def refused(*, transient: bool) -> AuthenticationError:
    """Return the error of a login that is refused, for now or for good."""
    return AuthenticationError("refused", text="no", transient=transient)


def rejected(status: int) -> HandshakeRejected:
    """Return the error of an upgrade that is answered with *status*."""
    return HandshakeRejected("no", status=status)


# The first cell of each row, and failures of that kind.
ROWS: dict[str, list[Exception]] = {
    "no connection, lost, no answer, HTTP 5xx": [
        ConnectionFailed(),
        ConnectionLost(),
        ProtocolError(),
        rejected(500),
        rejected(503),
    ],
    "login refused for now, close code 1013": [refused(transient=True), ConnectionLost(code=1013)],
    "HTTP 429 that names no time": [rejected(429)],
    "login refused: key, permission, address": [refused(transient=False)],
    "certificate, HTTP 3xx, 401, 404, 451": [TLSError(), *map(rejected, (301, 308, 401, 404, 451))],
    "HTTP 403": [rejected(403)],
}


def cells(error: Exception) -> tuple[str, str, str]:
    """Return what the rule for *error* puts into the other cells."""
    rule, backoff = rule_for(error, TIMES), Backoff()
    numbers = ", ".join(f"{pause:g}" for pause in rule.pauses)
    pause = numbers if any(rule.pauses) else f"{backoff.initial:g} to {backoff.maximum:g}, doubling"
    return pause, "FAILED" if rule.gives_up else "never", "raises" if rule.fatal_on_first else "waits"


KINDS = [pytest.param(name, error, id=repr(error)) for name, errors in ROWS.items() for error in errors]


@pytest.mark.parametrize(("name", "error"), KINDS)
def test_the_table_of_readme_has_the_numbers_of_the_rule(name: str, error: Exception) -> None:
    """For every failure that a row is about."""
    assert f"  | {' | '.join((name, *cells(error)))} |\n" in README


@pytest.mark.parametrize(("name", "error"), KINDS)
def test_the_docstring_of_the_client_has_the_same_table(name: str, error: Exception) -> None:
    """``help(Client)`` is where a user of a shell looks."""
    rows = [" ".join(line.split()) for line in (Client.__doc__ or "").splitlines()]
    assert " ".join((name, *cells(error))) in rows


@pytest.mark.parametrize(("name", "error"), KINDS)
def test_reconnect_waits_for_the_first_number_only(name: str, error: Exception) -> None:
    """However many failures came before."""
    schedule = RetrySchedule(Backoff(), TIMES)
    for _ in range(3):
        schedule.after(error, 0.5, proven=False)
    assert schedule.least == rule_for(error, TIMES).pauses[0]


def test_reconnect_does_not_shorten_what_the_exchange_asks_for() -> None:
    """A limit is over when it says so."""
    schedule = RetrySchedule(Backoff(), TIMES)
    schedule.after(HandshakeRejected("no", status=403, retry_after=200), 0.5, proven=False)
    assert schedule.least == 200
