"""What these tests share: a read that is run at once over the simulated REST host, which may mend itself in a pause."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest

from bybit_sync.model.events import Stream
from bybit_sync.recovery.asking import read
from bybit_sync.recovery.asking.times import instant
from bybit_sync.recovery.running import Runner
from bybit_sync.recovery.wants import Answered, Want
from bybit_sync.rest.reader import RestReader
from bybit_sync.simulator import Account, Exchange

BOTH = ("linear", "inverse")


@attrs.define
class Asker:
    """Runs reads, and keeps the pauses that they make; *on_pause* is called in each."""

    exchange: Exchange
    reader: RestReader
    pauses: list[float] = attrs.Factory(list)
    on_pause: Callable[[], object] = attrs.field(default=lambda: None)

    def now(self) -> datetime:
        """Return the exchange's time."""
        return instant(self.exchange.now())

    def ago(self, **span: float) -> datetime:
        """Return an instant of the past."""
        return self.now() - timedelta(**span)

    def pause(self, seconds: float) -> None:
        """Wait for nothing."""
        self.pauses.append(seconds)
        self.on_pause()

    def ask(
        self,
        stream: Stream,
        *,
        categories: Collection[str] | None = BOTH,
        waits: tuple[float, ...] = (),
        **wanted: Any,
    ) -> Answered:
        """Return the answer to a want."""
        steps = read(Want(stream, **wanted), None if categories is None else tuple(categories), self.now(), waits)
        return Runner(self.reader, self.now, self.pause).run(steps)

    def asked(self) -> list[str]:
        """Return the endpoints that were asked so far, in order."""
        return [call.name for call in self.exchange.rest.calls]


@pytest.fixture
def asker(exchange: Exchange, account: Account, reader: RestReader) -> Asker:
    """An asker for the account, which may ask as often as it likes."""
    exchange.rest.limit(1_000)
    return Asker(exchange, reader)
