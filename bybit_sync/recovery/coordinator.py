"""The coordination of one client's recovery.

It decides which streams are read when, and passes the answers on. Pure: the moment is
an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from attrs import frozen

from bybit_sync.clock import Moment
from bybit_sync.config.timings import Timings
from bybit_sync.errors import BybitSyncError, RestError, RestRefused
from bybit_sync.logs import ClientLog
from bybit_sync.model.events import Gap, Stream
from bybit_sync.recovery.mender import Mender
from bybit_sync.recovery.wants import Answered, Known, Want

__all__ = ["Coordinator", "Failed"]

_NEVER: Final = float("inf")
_MOST_WARNINGS: Final = 100
# Fills first: no later row replaces a missing one.
_ORDER: Final = (Stream.USER_TRADES, Stream.POSITIONS, Stream.ORDERS, Stream.BALANCES)
# Reads that begin at times further apart than this run one after the other.
_TOGETHER: Final = timedelta(hours=1)


@frozen
class _Read:
    """A read that is under way for *menders*."""

    want: Want
    menders: tuple[Mender, ...]


Failed = tuple[Mender, BaseException]
"""A mender whose sink raised: its subscription ends."""


class Coordinator:
    """Requests the reads that the subscriptions of a client need, per stream.

    Only the connection thread. A stream has one read at a time. *ask* passes a want to
    the thread that reads, and returns False when that cannot start. *chance* returns a
    random number from 0 to 1, which spreads the clients. *retries* are the seconds
    after failures in a row.
    """

    def __init__(
        self,
        ask: Callable[[Want], bool],
        log: ClientLog,
        *,
        chance: Callable[[], float],
        retries: tuple[float, ...] = Timings().rest_retries,
    ) -> None:
        self._ask = ask
        self._log = log
        self._chance = chance
        self._retries = retries
        self._menders: dict[Mender, None] = {}
        self._reads: dict[Stream, _Read] = {}
        self._failures = 0
        self._retry_at = -_NEVER
        # The order in which the streams are read while reads fail.
        self._order = list(_ORDER)
        self._warned: set[str] = set()
        self.due: float = _NEVER
        """When `tick` is due, in monotonic seconds; never too late."""

    def changed(self, mender: Mender) -> None:
        """Note that *mender* needs a new read."""
        self._menders[mender] = None
        self.due = -_NEVER

    def pending(self) -> tuple[Gap, ...]:
        """Return the gaps that are being mended. Any thread."""
        # A copy: the connection thread may add a mender meanwhile.
        menders = [mender for mender in self._menders.copy() if not mender.is_over]
        return tuple(gap for gap in (mender.windows.gap for mender in menders) if gap is not None)

    def reset(self) -> None:
        """Forget every subscription and read, because the client starts again."""
        self._menders.clear()
        self._reads.clear()
        self.due = _NEVER

    # --- requests ---

    def tick(self, now: float) -> list[Failed]:
        """Do what is due at *now*; return the subscriptions whose sinks raised."""
        for mender in [mender for mender in self._menders if mender.is_over]:
            del self._menders[mender]
        failed = _tell(self._menders, lambda mender: mender.tick(now))
        if now >= self._retry_at:
            self._ask_all(now)
        self._set_due()
        return failed

    def _ask_all(self, now: float) -> None:
        for stream in tuple(self._order):
            # While reads fail, only one runs at a time, to see whether the host works.
            if self._failures and self._reads:
                return
            if stream not in self._reads:
                self._ask_for([mender for mender in self._menders if mender.stream is stream], stream, now)

    def _ask_for(self, menders: Sequence[Mender], stream: Stream, now: float) -> None:
        due = [mender for mender in menders if mender.windows.read_due() <= now]
        if due:
            self._send(_group(due), stream, now, confirms=False)
            return
        again = [m for m in menders if m.confirms and m.confirms[0] <= now < m.windows.read_due()]
        if again:
            self._send(again, stream, now, confirms=True)

    def _send(self, menders: Sequence[Mender], stream: Stream, now: float, *, confirms: bool) -> None:
        starts = [since for since in (mender.since(confirms=confirms) for mender in menders) if since is not None]
        known: dict[Known, None] = dict.fromkeys(known for mender in menders for known in mender.known())
        want = Want(stream, min(starts, default=None), tuple(known), confirms)
        if not self._ask(want):
            self._failed_at(now, 0.0)
            return
        self._reads[stream] = _Read(want, tuple(menders))
        if not confirms:
            for mender in menders:
                mender.windows.asked(now)

    def _set_due(self) -> None:
        holds = min((mender.gate.opens_at for mender in self._menders), default=_NEVER)
        idle = [mender for mender in self._menders if mender.stream not in self._reads]
        reads = min((mender.read_due() for mender in idle), default=_NEVER)
        if self._failures and self._reads:
            # The answer to the running read calls this method again.
            reads = _NEVER
        self.due = min(holds, max(reads, self._retry_at))

    # --- answers ---

    def answered(self, want: Want, outcome: Answered | BybitSyncError, now: Moment, epoch: int) -> list[Failed]:
        """Pass on the *outcome* of *want*.

        Returns the subscriptions whose sinks raised.
        """
        read = self._reads.get(want.stream)
        if read is None or read.want is not want:
            return []
        del self._reads[want.stream]
        if isinstance(outcome, Answered):
            failed = self._succeeded(read, outcome, now, epoch)
        elif isinstance(outcome, RestRefused):
            failed = self._refused(read, outcome, now.seconds)
        else:
            failed = self._try_again(read, outcome, now.seconds)
        return failed + self.tick(now.seconds)

    def _succeeded(self, read: _Read, answered: Answered, now: Moment, epoch: int) -> list[Failed]:
        self._failures, self._retry_at = 0, -_NEVER
        for error in answered.refused:
            self._warn(error)
        if read.want.confirms:
            settled = [mender for mender in read.menders if mender.windows.read_due() > now.seconds]
            return _tell(settled, lambda mender: mender.confirmed(answered, now, epoch))
        # The answer may lack what came meanwhile, so that is read again.
        whole = [mender for mender in read.menders if mender.windows.is_asked]
        return _tell(whole, lambda mender: mender.mended(answered, now, epoch))

    def _refused(self, read: _Read, error: RestRefused, now: float) -> list[Failed]:
        self._warn(error)
        if read.want.confirms:
            return _tell(read.menders, lambda mender: mender.skip_confirms(now))
        return _tell([m for m in read.menders if m.windows.is_asked], lambda mender: mender.refused(error))

    def _try_again(self, read: _Read, error: BybitSyncError, now: float) -> list[Failed]:
        if not self._failures:
            self._log.warning("%s could not be read, it is tried again: %s", read.want.stream.value, error)
        if not read.want.confirms:
            for mender in read.menders:
                mender.windows.is_asked = False
        # Put the stream that failed last; the others stay in their order.
        self._order.sort(key=lambda stream: stream is read.want.stream)
        self._failed_at(now, (error.retry_after if isinstance(error, RestError) else None) or 0.0)
        return []

    def _failed_at(self, now: float, least: float) -> None:
        pause = self._retries[min(self._failures, len(self._retries) - 1)]
        self._failures += 1
        self._retry_at = max(self._retry_at, now + max(least, pause * (1 + self._chance()) / 2))

    def _warn(self, error: RestRefused) -> None:
        """Log *error*, once for each text."""
        text = str(error)
        if text not in self._warned and len(self._warned) < _MOST_WARNINGS:
            self._warned.add(text)
            self._log.warning("recovery: %s", text)


def _group(menders: Sequence[Mender]) -> Sequence[Mender]:
    """Return those of *menders* that one read can answer.

    A mender that reads from a year ago on must not delay the others.
    """
    starts = {mender: mender.since(confirms=False) for mender in menders}
    latest = max((since for since in starts.values() if since is not None), default=None)
    return [m for m, since in starts.items() if since is None or latest is None or latest - since <= _TOGETHER]


def _tell(menders: Any, verb: Callable[[Mender], None]) -> list[Failed]:
    """Call *verb* with each of *menders*.

    Returns those whose sink raised, with the error.
    """
    failed: list[Failed] = []
    for mender in tuple(menders):
        try:
            verb(mender)
        except BaseException as error:  # noqa: BLE001 - an error of a sink ends its own subscription only
            failed.append((mender, error))
    return failed
