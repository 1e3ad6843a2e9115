"""Consumers of one group that die at random."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from typing import Any

from bybit_sync.integrations.redis_streams import consume


class DyingConsumers:
    """Three threads, each with one consumer after the other: some end, some just stop, some are slow."""

    def __init__(self, url: str, seed: int, last: int) -> None:
        self.given: list[int] = []
        """The index of each event in the order in which they were given; 0 for a gap of the stream's own."""
        self._url = url
        self._last = last
        self._over = threading.Event()
        # One that died keeps its place in the group: it is not closed.
        self._dead: list[Iterator[Any]] = []
        chances = {name: random.Random(f"{seed}{name}") for name in "abc"}
        self._threads = [threading.Thread(target=self._live, args=each, daemon=True) for each in chances.items()]
        for thread in self._threads:
            thread.start()

    def _live(self, name: str, chance: random.Random) -> None:
        while not self._over.is_set():
            name = chance.choice([name, name + "x"])
            reading = consume(self._url, "main", "orders", group="risk", consumer=name, claim_idle=0.03, timeout=0.5)
            self._read(reading, chance)
            if chance.random() < 0.5:
                self._dead.append(reading)

    def _read(self, reading: Iterator[Any], chance: random.Random) -> None:
        left = chance.randrange(1, 12)
        for event in reading:
            self.given.append(event.index)
            if event.index == self._last:
                self._over.set()
            # Sometimes longer than claim_idle.
            time.sleep(chance.choice([0, 0, 0, 0, 0.05 * chance.random()]))
            left -= 1
            if not left:
                return

    def join(self) -> None:
        """Wait until the last event was given, and every consumer has ended."""
        for thread in self._threads:
            thread.join()
        self._dead.clear()


def skipped(given: list[int]) -> list[tuple[int, int]]:
    """Return the pairs of events in *given* between which others are missing, and no gap."""
    found, last, is_told = [], 0, False
    for index in given:
        if index > last + 1 and not is_told:
            found.append((last, index))
        is_told = index <= last and (is_told or not index)
        last = max(last, index)
    return found
