"""The options of recovery, checked against each other and against the client's."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from attrs import evolve, field, frozen

from bybit_sync.config.arguments import not_negative, positive, refuse
from bybit_sync.config.environments import ENVIRONMENTS, Environment
from bybit_sync.errors import ConfigurationError
from bybit_sync.public import name_public
from bybit_sync.rest.hosts import rest_host
from bybit_sync.session.dialects import Dialect

__all__ = ["Recovery", "check_since", "recovery_at", "recovery_options"]

_DELAYS = "give seconds from 0 up, each more than the one before, as (3.0, 30.0); () for no further read"

# The exchange's clock and ours may differ, and its days begin elsewhere.
_AHEAD = timedelta(days=1)
# https://bybit-exchange.github.io/docs/v5/order/execution
_REACH = timedelta(days=2 * 365)


def _is_url(_owner: object, _argument: Any, value: Any) -> None:
    """Raise `ConfigurationError` unless *value* is None or a REST base URL."""
    if value is not None:
        rest_host(ENVIRONMENTS["mainnet"], value)


def _delays(_owner: object, argument: Any, value: Any) -> None:
    """Raise `ConfigurationError` unless *value* is a tuple of rising numbers."""
    if not isinstance(value, tuple):
        raise refuse(argument.name, value, _DELAYS)
    for number in value:
        not_negative(None, argument.name, number)
    if any(later <= earlier for earlier, later in pairwise(value)):
        raise refuse(argument.name, value, _DELAYS)


@frozen
class Recovery:
    """The options of ``Client(recover=Recovery(...))``.

    A client with them reads over REST the updates that its streams missed.

    ``recover=True`` means ``Recovery()``.

    Example:
        >>> Recovery(hold=2.0)
        Recovery(hold=2.0, overlap=60.0, confirm_after=(3.0, 30.0), rate=10.0, base_url=None)

    Args:
        hold: Seconds for which newer pushes of a subscription wait for the missed
            updates; then a gap is reported, and the missed updates follow when they are
            read.
        overlap: Seconds before a gap's ``since`` that are read again, because REST may
            lag; rows that were delivered before are left out by their key.
        confirm_after: Seconds after the first read at which it is read again, because
            REST may lag.
        rate: Requests per second at each endpoint, for the key. Besides, this process
            sends at most 60 a second to one host.
        base_url: ``https://host[:port]``, or ``http://`` for loopback addresses; None
            for the REST host of the client's environment.

    Raises:
        ConfigurationError: one of them cannot work; the text has the remedy.

    """

    hold: float = field(default=5.0, validator=not_negative)
    overlap: float = field(default=60.0, validator=not_negative)
    confirm_after: tuple[float, ...] = field(default=(3.0, 30.0), validator=_delays)
    rate: float = field(default=10.0, validator=positive)
    base_url: str | None = field(default=None, validator=_is_url)


def recovery_options(recover: object, environment: Environment, dialect: Dialect) -> Recovery | None:
    """Return the options for *recover*, an argument of the client; None for none.

    Raises `ConfigurationError` when it is no such argument, and when *environment* or
    *dialect* has no known REST API.
    """
    if recover is False:
        return None
    options = Recovery() if recover is True else recover
    if not isinstance(options, Recovery):
        raise refuse("recover", recover, "give True, False or a Recovery")
    if not dialect.has_rest:
        raise ConfigurationError(
            f"recover: Bybit has no REST API of {dialect.name} any more; leave recover out, or use the dialect v5"
        )
    rest_host(environment, options.base_url)
    return options


def check_since(since: object, options: Recovery | None, now: datetime) -> None:
    """Raise `ConfigurationError` unless fills can be read since *since*.

    None is fine, it reads none.

    *now* is our time, in UTC.
    """
    if since is None:
        return
    if options is None:
        raise refuse("since", since, "what was filled before is read over REST; make the client with recover=True")
    if not isinstance(since, datetime) or since.tzinfo is None:
        raise refuse("since", since, "give an aware datetime, such as datetime(2026, 1, 31, tzinfo=timezone.utc)")
    if since > now + _AHEAD:
        raise refuse("since", since, "it lies more than a day ahead of this machine's clock; give a time that has passed")
    if since < now - _REACH:
        raise refuse("since", since, "Bybit keeps two years of fills; give a later time")


def recovery_at(base_url: str, recover: Any) -> Any:
    """Return *recover*, with *base_url* where it names no REST host of its own."""
    options = Recovery() if recover is True else recover
    if isinstance(options, Recovery) and options.base_url is None:
        return evolve(options, base_url=base_url)
    return options


name_public(Recovery)
