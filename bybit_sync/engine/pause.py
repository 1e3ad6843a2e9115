"""The pause before the next attempt to connect."""

from __future__ import annotations

import attrs

__all__ = ["Pause"]


@attrs.frozen
class Pause:
    """A pause before the next attempt. Its times are monotonic seconds."""

    ends: float
    """The time of the next attempt."""
    earliest: float
    """The time to which `reconnect` brings it forward."""
    hopeless: Exception | None = None
    """The error that is the reason, if it is one that a retry cannot help."""

    def shortened(self) -> Pause:
        """Return the pause that `reconnect` leaves of it."""
        return attrs.evolve(self, ends=min(self.ends, self.earliest))
