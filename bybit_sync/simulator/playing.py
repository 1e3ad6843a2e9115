"""The playing of scripts and recordings on an exchange."""

from __future__ import annotations

import abc
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bybit_sync.simulator.books.account import Account
from bybit_sync.simulator.books.numbers import Number
from bybit_sync.simulator.faults import Faults
from bybit_sync.simulator.recording import Frame, read_recording
from bybit_sync.simulator.scheduling import on_time
from bybit_sync.simulator.script import Script

__all__ = ["Player"]


class Player(Faults):
    """An exchange that plays scripts and recordings.

    *clock_offset* is the number of seconds by which its clock is ahead of this
    machine's.
    """

    def __init__(self, clock_offset: float) -> None:
        super().__init__(clock_offset)
        self._accounts: dict[str, Account] = {}
        self._closing = threading.Event()

    @abc.abstractmethod
    def account(self, key: str, secret: str, *, kind: str = ..., balances: Mapping[str, Number] = ...) -> Account:
        """Open an account with *key*, *secret*, *kind* and *balances*.

        See `Exchange.account`.
        """

    def play(
        self, script: Script | str | Path | Mapping[str, Any] | Iterable[Mapping[str, Any]], *, speed: float = 1.0
    ) -> None:
        """Play *script* to its end or until `close`.

        It comes from Python or from a JSON file: `bybit_sync.simulator.script`.

        Example:
            >>> orders = client.subscribe_orders()
            >>> exchange.play([
            ...     {"do": "place_order", "as": "mine", "symbol": "BTCUSDT", "side": "Buy", "qty": "0.5", "price": "20000"},
            ...     {"after": 0.5, "do": "cancel", "order": "mine"},
            ... ], speed=100)
            >>> [orders.get(timeout=5).data[0].order_status for _ in range(2)]
            [OrderStatus('New'), OrderStatus('Cancelled')]

        Steps run in the calling thread, *speed* times as fast. `ScriptError` names the
        wrong step; every step is checked as far as possible before the first is run.
        """
        whole = Script.read(script)
        for account in whole.accounts:
            if account["key"] not in self._accounts:
                self.account(**account)
        on_time(whole.play(self, self._accounts), self._closing, speed=speed)

    def replay(self, recording: str | Path | Iterable[str], *, speed: float | None = 1.0) -> int:
        """Push the frames of *recording* and return their number.

        The format is described in `bybit_sync.simulator.recording`.

        A push goes to the connections that are subscribed to its topic, any other frame
        to those that are logged in. *speed* 2.0 is twice as fast, None as fast as it
        can be written; `replay_steps` goes step by step.
        """
        played = 0

        def steps() -> Iterator[float]:
            nonlocal played
            for frame in read_recording(recording):
                yield frame.at
                self._push(frame)
                played += 1

        on_time(steps(), self._closing, speed=speed)
        return played

    def replay_steps(self, recording: str | Path | Iterable[str]) -> Iterator[Frame]:
        """Push the frames of *recording* one by one, and yield each after it."""
        for frame in read_recording(recording):
            self._push(frame)
            yield frame

    def _push(self, frame: Frame) -> None:
        for connection in self.connections:
            if frame.topic is not None:
                connection.push(lambda topic: frame.text if topic.name == frame.topic else None)
            elif connection.account:
                connection.send_raw(frame.text)
