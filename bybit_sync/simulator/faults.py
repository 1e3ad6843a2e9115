"""The faults of an exchange, as methods."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from bybit_sync.simulator.dialects import STREAMS
from bybit_sync.simulator.malformed_frames import MALFORMED_FRAMES
from bybit_sync.simulator.push_faults import DUPLICATE, LATE, LOSE, PushFaults
from bybit_sync.simulator.refusals import Refusals
from bybit_sync.simulator.server.answers import Answers
from bybit_sync.simulator.server.connection import Connection
from bybit_sync.simulator.server.conversation import REFUSALS

__all__ = ["Faults"]

_VERDICTS = ("auth", "subscribe", "unsubscribe")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Faults(abc.ABC):
    """The faults of an exchange: each is a method that `heal` reverts.

    Every method may be called from any thread.

    *clock_offset* is the number of seconds by which the exchange's clock is ahead of
    this machine's.
    """

    def __init__(self, clock_offset: float) -> None:
        self.clock_offset: float = clock_offset
        self._refused: Refusals[str] = Refusals()
        self._refused_upgrades: Refusals[tuple[int, Mapping[str, str], str]] = Refusals()
        self._answers = Answers()
        self._push_faults = PushFaults()

    @property
    @abc.abstractmethod
    def connections(self) -> tuple[Connection, ...]:
        """The live connections, in the order in which they came."""

    def heal(self) -> None:
        """End every fault.

        Held answers and pushes are sent, nothing is refused, delayed or changed any
        more, and the clock is right.

        A connection that is half open stays lost.
        """
        self.accept_all()
        self.release_acks()
        self._answers.forget()
        self.leave_pushes_alone()
        self.thaw()
        self.set_clock(0.0)

    # --- connections ---

    def drop(self, *, code: int | None = None, reason: str = "", reset: bool = False) -> None:
        """End every connection, as `Connection.drop` with the same arguments.

        *code*, *reason* and *reset* are explained there; clients may reconnect at once.
        """
        for connection in self.connections:
            connection.drop(code=code, reason=reason, reset=reset)

    def freeze(self, *, mid_frame: bool = False) -> None:
        """Freeze every connection, as `Connection.freeze` with *mid_frame*.

        Later connections are not frozen.
        """
        for connection in self.connections:
            connection.freeze(mid_frame=mid_frame)

    def thaw(self) -> None:
        """Thaw every connection."""
        for connection in self.connections:
            connection.thaw()

    def half_open(self) -> None:
        """Make every connection half open, as `Connection.half_open`.

        Later connections are not affected.
        """
        for connection in self.connections:
            connection.half_open()

    def refuse_upgrade(
        self, status: int, *, headers: Mapping[str, str] = _NOTHING, body: str = "", times: int | None = None
    ) -> None:
        """Answer the upgrade with HTTP *status*, *headers* and *body*.

        This holds for the next *times* upgrades, by default until `accept_all`.
        """
        self._refused_upgrades.order("upgrade", (status, headers, body), times)

    # --- answers ---

    def refuse_login(self, text: str = REFUSALS["parameters"], *, times: int | None = None) -> None:
        """Answer logins with *text*.

        This holds for the next *times* logins, by default until `accept_all`.

        Example:
            >>> exchange.refuse_login("Your API key has expired.", times=1)
            >>> client.subscribe_orders()
            Traceback (most recent call last):
            bybit_sync.AuthenticationError: ... refused the login: Your API key has expired. ...
            >>> client.subscribe_orders()
            <Subscription orders of main: LIVE, 0 delivered, 0 queued, 0 dropped>

        """
        self._refused.order(("login", ""), text, times)

    def refuse_topic(self, topic: str, text: str = REFUSALS["unknown topic"], *, times: int | None = None) -> None:
        """Refuse *topic* with *text*, in which ``{topic}`` is replaced.

        This holds for the next *times* requests, by default until `accept_all`.
        """
        self._refused.order(("topic", topic), text, times)

    def accept_all(self) -> None:
        """End every ``refuse_…``."""
        self._refused.lift()
        self._refused_upgrades.lift()

    def hold_acks(self, *operations: str) -> None:
        """Hold the answers to *operations* until `release_acks`.

        The operations take effect nevertheless.

        Without an argument: ``auth``, ``subscribe`` and ``unsubscribe``.
        ``hold_acks("ping")`` lets no pong out.
        """
        self._answers.hold(*(operations or _VERDICTS))

    def release_acks(self, *, discard: bool = False) -> None:
        """Send the held answers in order, or *discard* them; hold no more."""
        self._answers.release(discard=discard)

    def lose_answers(self, *operations: str, times: int | None = None) -> None:
        """Lose the answers to *operations* (as in `hold_acks`).

        This holds for the next *times* of each, by default until `heal`.
        """
        self._answers.lose(times, *(operations or _VERDICTS))

    def delay_answers(self, seconds: float, *operations: str) -> None:
        """Process *operations* (as in `hold_acks`) after *seconds*; 0 ends it."""
        self._answers.delay(seconds, *(operations or _VERDICTS))

    def set_clock(self, offset: float) -> None:
        """Set the exchange's clock *offset* seconds ahead of this machine's.

        It decides when logins expire, and pongs carry it.
        """
        self.clock_offset = offset

    # --- pushes ---

    def duplicate_pushes(self, *, times: int | None = None) -> None:
        """Send pushes twice.

        This holds for the next *times* pushes, by default until `leave_pushes_alone`.
        """
        self._push_faults.order(DUPLICATE, times)

    def reorder_pushes(self, *, times: int | None = None) -> None:
        """Send a push after its successor on the same connection.

        This holds *times* times; by default every second push is late until
        `leave_pushes_alone`.
        """
        self._push_faults.order(LATE, times)

    def lose_pushes(self, *, times: int | None = None) -> None:
        """Drop pushes.

        This holds for the next *times* pushes, by default until `leave_pushes_alone`.
        """
        self._push_faults.order(LOSE, times)

    def rewrite(
        self,
        stream: str,
        changes: Mapping[str, Any] = _NOTHING,
        *,
        without: Sequence[str] = (),
        as_text: Sequence[str] = (),
    ) -> None:
        """Change every row of *stream* (``orders``, …).

        The rows get the values of *changes* and lose the keys *without*.

        Whole numbers under the keys *as_text* are sent as texts: Bybit documents
        ``"smpGroup": 0`` and has sent ``"0"`` since August 2026. This imitates future
        changes of the exchange: unknown enum values, new and missing keys, nulls,
        invalid numbers.

        Example:
            >>> orders = client.subscribe_orders()
            >>> exchange.rewrite("orders", {"orderStatus": "Pondering", "mood": "good"}, without=["leavesQty"])
            >>> order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
            >>> row = orders.get(timeout=5).data[0]
            >>> row.order_status, row.leaves_qty, dict(row.extra)
            (OrderStatus('Pondering'), None, {'mood': 'good'})

        """
        if stream not in STREAMS:
            raise ValueError(f"stream: {stream!r} is none of {', '.join(STREAMS)}")
        self._push_faults.rewrite(STREAMS[stream], changes, without, as_text)

    def leave_pushes_alone(self) -> None:
        """Send pushes unchanged, once and in order; send a late one now."""
        self._push_faults.lift()
        for connection in self.connections:
            connection.flush()

    def send_garbage(self, name: str) -> None:
        """Send a malformed frame on every connection.

        *name* is a key of `bybit_sync.simulator.malformed_frames.MALFORMED_FRAMES`.
        """
        if name not in MALFORMED_FRAMES:
            raise ValueError(f"name: {name!r} is none of {', '.join(MALFORMED_FRAMES)}")
        malformed = MALFORMED_FRAMES[name]
        for connection in self.connections:
            if malformed.message is not None:
                connection.send_raw(malformed.message)
            connection.send_bytes(malformed.loose)
