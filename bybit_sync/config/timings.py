"""Every timeout, interval and delay of this library, in one table.

The first group are arguments of `Client`; the rest are fixed, and are here so that
tests can scale them.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve, field, fields, frozen

__all__ = ["Timings", "due"]


@frozen(kw_only=True)
class Timings:
    """The times of a client, in seconds."""

    connect_timeout: float = 10.0
    """The timeout of one attempt: names, proxy, TCP, TLS and upgrade."""
    request_timeout: float = 10.0
    """The timeout of an answer to a login or a subscribe, and of a signature from a
    signer.
    """
    ping_interval: float = 5.0
    pong_timeout: float = 5.0
    auth_window: float = field(default=10.0, metadata={"unscaled": True})
    """The time from signing a login to its expiry.

    Not scaled: it is compared with clocks.
    """

    write: float = 5.0
    """The timeout of writing a message.

    The connection is lost afterwards: half a frame may be sent.
    """
    frame: float = 20.0
    """The timeout from the first byte of a message to its last."""
    proven: float = 30.0
    """The time LIVE after which earlier failures no longer lengthen the retry delay."""
    ask_again: float = 5.0
    """The delay before a topic that is refused after a reconnect is asked for once
    more.
    """
    glance: float = 2.5
    """The longest interval between two checks whether the machine was suspended."""
    asleep: float = 2.0
    """The longest suspension that does not cause a probe of the connection."""
    probe: float = 2.0
    """The timeout of the answer to a probe."""
    no_pong: float = 60.0
    """The time with data but no pong after which a warning is logged."""
    unreadable_window: float = 60.0
    """The window in which three unreadable frames end the connection."""
    outage_reminders: tuple[float, ...] = (60.0, 300.0, 600.0)
    """The times after which an outage is logged again; the last one repeats."""
    callback_reminders: tuple[float, ...] = (5.0, 60.0)
    """The times after which a running callback is logged; the last one repeats."""
    reader_reminders: tuple[float, ...] = (60.0, 600.0)
    """The times after which events that no thread takes are logged; the last one
    repeats.
    """
    offer_again: float = 0.1
    """The interval at which a pending gap is offered to a full queue."""
    last_read: float = field(default=0.1, metadata={"unscaled": True})
    """The time that closing waits for a thread that still decodes.

    Not scaled: decoding takes as long in a test.
    """
    distrust: float = 30.0
    """The retry delay while the server's certificate is not trusted, or its path is
    unknown.
    """
    forbidden: tuple[float, ...] = (60.0, 120.0, 240.0, 480.0, 600.0)
    """The retry delays after 403: a banned address stays banned for minutes."""
    refused: tuple[float, ...] = (5.0, 30.0, 60.0)
    """The delays between refused logins; the login after the last delay is the last
    one.
    """
    busy: float = 5.0
    """The retry delay after a login that is refused for a temporary reason."""
    crowded: float = 30.0
    """The retry delay after a rate limit that names no time."""
    longest_wait: float = 600.0
    """The longest retry delay that a server's answer can demand."""
    rest_blocked: float = 600.0
    """The time without a request to a REST host that has answered HTTP 403."""
    rest_limited: float = 1.0
    """The time without a request to a REST endpoint whose rate limit is exceeded and
    which names no time.
    """
    rest_retries: tuple[float, ...] = (1.0, 2.0, 5.0)
    """The delays after reads over REST that fail in a row; the last one repeats."""
    rest_lags: tuple[float, ...] = (1.0, 2.0)
    """The pauses in which a read gives REST the time to list what it lacks; a part of
    the time for which pushes are held is the most.
    """
    rest_contradicts: tuple[float, ...] = (4.0, 8.0, 15.0)
    """The times after a read at which it is repeated while no listing has an order, or
    answers contradict each other.
    """

    def scaled(self, factor: float) -> Timings:
        """Return a copy with every time multiplied by *factor*.

        Times that nothing waits for stay the same.
        """
        waited_for = [a.name for a in fields(Timings) if not a.metadata.get("unscaled")]
        scaled: dict[str, Any] = {name: _scale(getattr(self, name), factor) for name in waited_for}
        return evolve(self, **scaled)


def _scale(value: float | tuple[float, ...], factor: float) -> float | tuple[float, ...]:
    return tuple(v * factor for v in value) if isinstance(value, tuple) else value * factor


def due(told: int, reminders: tuple[float, ...]) -> float:
    """Return the seconds until the next reminder, after *told* earlier ones.

    The last interval repeats.
    """
    extra = max(0, told - len(reminders) + 1)
    return reminders[min(told, len(reminders) - 1)] + extra * reminders[-1]
