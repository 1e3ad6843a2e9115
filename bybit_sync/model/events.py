"""The objects that a subscriber receives: `Event`, with updates or a `Gap`.

A gap means that updates may be missing. With ``recover`` an event may also hold rows of
REST: a snapshot, or the updates that an outage hid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, overload

import attrs

from bybit_sync.model.balances import BalanceUpdate
from bybit_sync.model.enums import TextEnum
from bybit_sync.model.orders import OrderUpdate
from bybit_sync.model.positions import PositionUpdate
from bybit_sync.model.record import Record, finisher, mutable_twin
from bybit_sync.model.trades import UserTradeUpdate
from bybit_sync.public import name_public

if TYPE_CHECKING:
    from typing_extensions import TypeIs

__all__ = [
    "AnyEvent",
    "Event",
    "Gap",
    "GapReason",
    "Source",
    "Stream",
    "is_balances",
    "is_orders",
    "is_positions",
    "is_user_trades",
    "new_event",
    "set_index",
    "with_index",
]


T_co = TypeVar("T_co", covariant=True)

_LINE = 160  # characters of the first row that an event shows


class Stream(TextEnum):
    """A stream to subscribe to.

    Each member equals its text: ``Stream.ORDERS == "orders"``.
    """

    BALANCES = "balances"
    """`BalanceUpdate`: an account's totals, and its coins."""
    ORDERS = "orders"
    """`OrderUpdate`: every change of an order."""
    POSITIONS = "positions"
    """`PositionUpdate`: every change of a position, and every order action on its
    symbol.
    """
    USER_TRADES = "user_trades"
    """`UserTradeUpdate`: every execution, funding and settlement included."""


class Source(TextEnum):
    """Where the rows of an event were read.

    Each member equals its text: ``Source.REST == "REST"``.
    """

    STREAM = "STREAM"
    """The stream: a push, or a gap in it."""
    REST = "REST"
    """The REST API, with pushes newer than its answer."""


class GapReason(TextEnum):
    """The reason of a gap.

    Each member equals its text: ``GapReason.ENDED == "ENDED"``.
    """

    DISCONNECTED = "DISCONNECTED"
    """The connection was lost; delivered once per outage and subscription, when the
    stream is confirmed again.
    """
    OVERFLOW = "OVERFLOW"
    """The consumer was too slow: ``missed`` events were dropped."""
    UNDECODABLE = "UNDECODABLE"
    """Rows, or a whole frame, could not be read; the event's ``raw`` is the frame."""
    ENDED = "ENDED"
    """The subscription ended by itself, with ``error``; nothing follows."""
    START = "START"
    """With ``recover``: the first snapshot could not be read in time."""


@attrs.frozen(kw_only=True, repr=False)
class Gap(Record):
    """Updates may be missing here: read the state anew. Always true.

    Example:
        >>> trades = client.subscribe_user_trades()
        >>> exchange.drop()
        >>> gap = trades.get(timeout=5).gap
        >>> gap.reason, gap.missed, gap.since < gap.until
        (GapReason('DISCONNECTED'), None, True)

    *since* and *until* are a window for a REST request; add a margin, because the
    exchange's clocks differ by some milliseconds.

    Attributes:
        reason: The cause of the gap.
        since: Exchange time (UTC) up to which the stream is known to be complete.
        until: Exchange time (UTC) from which it is complete again.
        missed: Number of missing events (OVERFLOW) or rows (UNDECODABLE); None when not
            known.
        detail: A description of what happened.
        error: The error that ended the subscription (ENDED) or the connection
            (DISCONNECTED); None otherwise.
        recovering: Whether an event whose `recovered` holds this window is still to
            come; False without ``recover``, and when it cannot be mended.
    """

    reason: GapReason
    since: datetime
    until: datetime
    missed: int | None = None
    detail: str = ""
    error: BaseException | None = None
    recovering: bool = False


@attrs.frozen(kw_only=True, weakref_slot=False, repr=False)
class Event(Record, Generic[T_co]):
    """One push of the exchange, or a gap: a sequence of rows, which is always true.

    Example:
        >>> orders = client.subscribe_orders()
        >>> order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
        >>> event = orders.get(timeout=5)
        >>> event.stream, event.topic, event.index, event.gap, len(event)
        (Stream('orders'), 'order.linear', 1, None, 1)
        >>> event[0].order_status, [order.qty for order in event]
        (OrderStatus('New'), [Decimal('0.5')])

    Attributes:
        stream: Which stream.
        topic: The exchange's name of it; "" for a gap that is not one topic's.
        data: The rows; () for a gap.
        gap: The gap, where updates may be missing; None for a push.
        id: The exchange's name of the push, not unique; holds the account id; None
            where it sent none, and for a gap.
        created_at: Time at which the exchange made it, by its clock; None where it sent
            none, and for a gap.
        received_at: Time at which it was read, by this machine's clock (UTC).
        received_ns: The same moment by `time.monotonic_ns`.
        raw: The frame, byte for byte; b"" for gaps other than UNDECODABLE.
        client: Name of the client that received it.
        epoch: Number of the login that it came with: 1, 2, ...
        index: Number within the subscription: 1, 2, 3, ... without holes, gaps
            included.
        source: Where the rows were read. Events from REST come with ``recover`` only:
            `gap` and `id` None, `topic` "", `raw` b"", `created_at` the exchange's time
            of its answer.
        snapshot: Whether `data` is all there is: a position that is not in it is flat,
            a coin that is not in it is zero, an order that is not in it is not open.
        recovered: The gap that this event mends, and with it every earlier one inside
            its window, except OVERFLOW; None for an event that mends none.
        unresolved: Ids of orders that were open and that REST shows nowhere yet: they
            stay in `data` with their last row. Absence is not taken for a cancel.
    """

    stream: Stream
    topic: str
    data: tuple[T_co, ...] = ()
    gap: Gap | None = None
    id: str | None = None
    created_at: datetime | None = None
    received_at: datetime
    received_ns: int
    raw: bytes = b""
    client: str = ""
    epoch: int = 0
    index: int = 0
    source: Source = Source.STREAM
    snapshot: bool = False
    recovered: Gap | None = None
    unresolved: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[T_co]:
        """Iterate over the rows; a gap has none."""
        return iter(self.data)

    def __len__(self) -> int:
        """Return the number of rows; 0 for a gap."""
        return len(self.data)

    def __bool__(self) -> bool:
        """Return True, also for a gap."""
        return True

    @overload
    def __getitem__(self, index: int) -> T_co: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[T_co, ...]: ...
    def __getitem__(self, index: int | slice) -> T_co | tuple[T_co, ...]:
        """Return a row, or a slice of them. Raises `IndexError`."""
        return self.data[index]

    def __repr__(self) -> str:
        """Return stream, count and the first row cut short, or the gap.

        Where it leaves something out it says how to see that.
        Of an event from REST also what it mends. One short line, without the account
        id.
        """
        if self.gap is not None:
            return f"Event({self.stream}, {self.gap!r})"
        count = "1 row" if len(self.data) == 1 else f"{len(self.data)} rows"
        first = repr(self.data[0]) if self.data else "none"
        is_whole = len(self.data) <= 1 and len(first) <= _LINE
        shown = f"{count}: {first}" if is_whole else f"{count}: {first[:_LINE]}...; print(*event) shows all"
        return f"Event({', '.join([str(self.stream), *self._origin(), shown])})"

    def _origin(self) -> list[str]:
        """Return the words that distinguish an event of REST from a push."""
        words = [] if self.source == Source.STREAM else [f"from {self.source}"]
        if self.snapshot:
            words.append("snapshot")
        if self.recovered is not None:
            words.append(f"recovered {self.recovered.since.isoformat()} to {self.recovered.until.isoformat()}")
        if self.unresolved:
            words.append(f"{len(self.unresolved)} unresolved")
        return words


_MutableEvent = mutable_twin(Event)
_finished = finisher(Event, _MutableEvent)


def new_event(
    stream: Stream,
    topic: str,
    received_at: datetime,
    received_ns: int,
    data: tuple[Any, ...] = (),
    id: str | None = None,  # noqa: A002 - the exchange's name for it
    created_at: datetime | None = None,
    raw: bytes = b"",
    client: str = "",
    epoch: int = 0,
    gap: Gap | None = None,
    index: int = 0,
    source: Source = Source.STREAM,
    snapshot: bool = False,  # noqa: FBT001, FBT002 - a keyword costs time
    recovered: Gap | None = None,
    unresolved: tuple[str, ...] = (),
) -> Event[Any]:
    """Return an event, in a fraction of the time that `Event` takes.

    Every event of the library is made here.
    """
    event = _MutableEvent()
    event.stream = stream
    event.topic = topic
    event.data = data
    event.gap = gap
    event.id = id
    event.created_at = created_at
    event.received_at = received_at
    event.received_ns = received_ns
    event.raw = raw
    event.client = client
    event.epoch = epoch
    event.index = index
    event.source = source
    event.snapshot = snapshot
    event.recovered = recovered
    event.unresolved = unresolved
    return _finished(event)  # type: ignore[no-any-return]


def with_index(event: Event[T_co], index: int) -> Event[T_co]:
    """Return a copy of *event* with another *index*; both share the rows."""
    return new_event(
        event.stream,
        event.topic,
        event.received_at,
        event.received_ns,
        event.data,
        event.id,
        event.created_at,
        event.raw,
        event.client,
        event.epoch,
        event.gap,
        index,
        event.source,
        event.snapshot,
        event.recovered,
        event.unresolved,
    )


set_index: Callable[[Event[Any], int], None] = vars(Event)["index"].__set__
"""Sets the index of an event, though it is frozen: only while one thread holds it,
before it is handed over.
"""

AnyEvent: TypeAlias = Event[BalanceUpdate] | Event[OrderUpdate] | Event[PositionUpdate] | Event[UserTradeUpdate]
"""An event of any of the four streams: one ``queue.Queue[AnyEvent]`` can serve them
all.
"""


# --- type guards ---


def is_balances(event: AnyEvent) -> TypeIs[Event[BalanceUpdate]]:
    """Return whether *event* is of the stream of balances; a type checker knows it."""
    return event.stream is Stream.BALANCES


def is_orders(event: AnyEvent) -> TypeIs[Event[OrderUpdate]]:
    """Return whether *event* is of the stream of orders; a type checker knows it.

    Example:
        >>> inbox = queue.Queue()  # one for all streams
        >>> orders, trades = client.subscribe_orders(inbox), client.subscribe_user_trades(inbox)
        >>> order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
        >>> event = inbox.get(timeout=5)
        >>> if is_orders(event):
        ...     print(event[0].order_status)
        New

    """
    return event.stream is Stream.ORDERS


def is_positions(event: AnyEvent) -> TypeIs[Event[PositionUpdate]]:
    """Return whether *event* is of the stream of positions; a type checker knows it."""
    return event.stream is Stream.POSITIONS


def is_user_trades(event: AnyEvent) -> TypeIs[Event[UserTradeUpdate]]:
    """Return whether *event* is of user trades; a type checker knows it."""
    return event.stream is Stream.USER_TRADES


name_public(Stream, Source, GapReason, Gap, Event)
