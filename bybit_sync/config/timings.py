"""How long things may take: every time that this library lives by, in one place.

The first group are arguments of `Client`; the rest are rules of the house, here so that tests can scale them.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve, field, fields, frozen

__all__ = ["Timings", "due"]


@frozen(kw_only=True)
class Timings:
    """Times in seconds."""

    connect_timeout: float = 10.0
    """One attempt: names, proxy, TCP, TLS, upgrade."""
    request_timeout: float = 10.0
    """An answer to a login, a subscribe; a signature from a signer."""
    ping_interval: float = 5.0
    pong_timeout: float = 5.0
    auth_window: float = field(default=10.0, metadata={"unscaled": True})
    """How far ahead of our clock a login expires: compared with clocks, not waited for."""

    write: float = 5.0
    """A message is taken by the exchange within this, or the connection is dead: half a frame may be out."""
    frame: float = 20.0
    """A message that began to arrive is complete within this."""
    proven: float = 30.0
    """A connection that stayed LIVE this long forgives the failures before it."""
    ask_again: float = 5.0
    """A topic refused on the return from an outage is asked for once more after this."""
    glance: float = 2.5
    """At least so often a connection's thread looks whether the machine was suspended."""
    asleep: float = 2.0
    """A longer sleep makes the connection doubtful."""
    probe: float = 2.0
    """An answer is due within this from a connection that is doubtful."""
    no_pong: float = 60.0
    """Data without pongs for this long is worth a warning."""
    unreadable_window: float = 60.0
    """Three unreadable frames within this mean that the connection, not a frame, is broken."""
    outage_reminders: tuple[float, ...] = (60.0, 300.0, 600.0)
    """An outage is told again after these, then as often as the last."""
    callback_reminders: tuple[float, ...] = (5.0, 60.0)
    """A callback that still runs is told after these, then as often as the last."""
    reader_reminders: tuple[float, ...] = (60.0, 600.0)
    """Events that nobody takes are told of after these, then as often as the last."""
    offer_again: float = 0.1
    """A full queue is offered a gap that it owes its reader this often."""
    last_read: float = field(default=0.1, metadata={"unscaled": True})
    """Closing waits no longer for a thread that still decodes what it read: not scaled, a machine takes as long in any test."""
    distrust: float = 30.0
    """Between attempts while the server cannot prove who it is, or knows nothing of us."""
    forbidden: tuple[float, ...] = (60.0, 120.0, 240.0, 480.0, 600.0)
    """Between attempts after 403: an address that is banned stays so for minutes."""
    refused: tuple[float, ...] = (5.0, 30.0, 60.0)
    """Between logins that are refused; the one after these is the last."""
    busy: float = 5.0
    """Between logins that are refused only for now."""
    crowded: float = 30.0
    """Between attempts after a rate limit that names no time of its own."""
    longest_wait: float = 600.0
    """No server may send us away for longer."""

    def scaled(self, factor: float) -> Timings:
        """Return the same rules at another speed: every time that is waited for, times *factor*."""
        waited_for = [a.name for a in fields(Timings) if not a.metadata.get("unscaled")]
        scaled: dict[str, Any] = {name: _scale(getattr(self, name), factor) for name in waited_for}
        return evolve(self, **scaled)


def _scale(value: float | tuple[float, ...], factor: float) -> float | tuple[float, ...]:
    return tuple(v * factor for v in value) if isinstance(value, tuple) else value * factor


def due(told: int, reminders: tuple[float, ...]) -> float:
    """Return after how many seconds the next reminder is due when *told* were given: the last one repeats."""
    extra = max(0, told - len(reminders) + 1)
    return reminders[min(told, len(reminders) - 1)] + extra * reminders[-1]
