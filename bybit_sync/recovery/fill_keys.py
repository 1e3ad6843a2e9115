"""The names of the fills of one category that were delivered."""

from __future__ import annotations

from typing import Final

__all__ = ["FillKeys"]

_REMEMBERED_NS: Final = 600 * 10**9
_MOST_PINNED: Final = 16


class FillKeys:
    """Names of fills, for 10 minutes and at least 10,000 of them.

    They are kept in two generations: when the younger one is old and large enough, the
    older one is forgotten, unless it is pinned. At most 16 generations are: a gap that
    could not be mended for that long may bring fills twice.
    """

    __slots__ = ("_pinned", "ages_at_ns", "old", "young")

    def __init__(self) -> None:
        self.young: set[str] = set()
        """The latest names; add to it what is new."""
        self.old: set[str] = set()
        self._pinned: list[set[str]] = []
        self.ages_at_ns: int = 0
        """When the younger generation is old enough."""

    def __contains__(self, name: str) -> bool:
        return name in self.young or name in self.old or any(name in names for names in self._pinned)

    def age(self, now_ns: int) -> None:
        """Begin a generation: the younger one is old and large enough."""
        self.old, self.young, self.ages_at_ns = self.young, set(), now_ns + _REMEMBERED_NS

    def pin(self) -> None:
        """Forget neither generation until `unpin`."""
        for names in (self.old, self.young):
            if not any(names is pinned for pinned in self._pinned):
                self._pinned.append(names)
        del self._pinned[:-_MOST_PINNED]

    def unpin(self) -> None:
        """Forget again what is old."""
        self._pinned = []

    def forget(self, name: str) -> None:
        """Take *name* as not delivered."""
        for names in (self.young, self.old, *self._pinned):
            names.discard(name)
