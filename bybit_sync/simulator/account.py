"""One account of the exchange: its key, and what its streams push."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from bybit_sync.simulator.connection import Connection, dump
from bybit_sync.simulator.facts import execution_facts, order_facts, position_facts, wallet_facts
from bybit_sync.simulator.gateways import STREAMS, Gateway, Topic
from bybit_sync.simulator.instruments import Instrument
from bybit_sync.simulator.ledger import Coin, Execution, Ledger, Order, Position
from bybit_sync.simulator.rows import SPELLINGS, Spelling, envelope, print_fast, print_rows

__all__ = ["KINDS", "Account", "Number"]

Row = Mapping[str, Any]
Number = str | int | Decimal
KINDS = ("UNIFIED", "CONTRACT")
_IDS = uuid.UUID("8e7f4b0c-6a53-4f0e-9a53-5b3d9f1c2a77")


class Account:
    """One account of the exchange: it logs in, trades, and its streams tell.

    There is no matching engine: an order fills when and as `fill` says. Every action pushes what the exchange would, in
    its order (execution, order, position, wallet), before the next action of any thread begins. Numbers are texts, integers
    or ``Decimal``; a float is refused, for it would not be exact.

    * *key*, *secret*: log in;
    * *kind*: "UNIFIED", or "CONTRACT" for a classic account as V5 shows it;
    * *uid*: the account's number, which stands in the envelopes.

    Made by `Exchange.account`.
    """

    def __init__(
        self,
        key: str,
        secret: str,
        *,
        kind: str,
        uid: str,
        balances: Mapping[str, Number],
        connections: Callable[[], Iterable[Connection]],
        now: Callable[[], int],
    ) -> None:
        self.key = key
        self.secret = secret
        self.kind = kind
        self.uid = uid
        self._connections = connections
        self._now = now
        self._logins = itertools.count(1)
        # One action changes the books and reaches every connection before the next begins.
        self._lock = threading.RLock()
        ids = (str(uuid.uuid5(_IDS, f"{uid}-{number}")) for number in itertools.count())
        self._ledger = Ledger({coin: _exact("balances", amount) for coin, amount in balances.items()}, ids.__next__)

    def __repr__(self) -> str:
        """Return kind and number; never the key."""
        return f"<Account {self.uid}, {self.kind}>"

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The live connections that are logged in to this account."""
        return tuple(connection for connection in self._connections() if connection.account is self)

    # --- trading ---

    def place_order(
        self,
        symbol: str,
        side: str,
        *,
        qty: Number,
        price: Number | None = None,
        order_type: str | None = None,
        time_in_force: str | None = None,
        reduce_only: bool = False,
        position_idx: int = 0,
        order_link_id: str = "",
    ) -> Order:
        """Place an order and return it.

        *side* is "Buy" or "Sell". With a *price* it is a Limit order (GTC), without one a Market order (IOC), unless
        *order_type* and *time_in_force* (in V5's words) say otherwise. *position_idx* is 0 in one-way mode, 1 and 2 for hedge
        mode's legs.
        """
        kind = order_type or ("Market" if price is None else "Limit")
        with self._lock:
            order = self._ledger.place(
                symbol,
                side,
                qty=_exact("qty", qty),
                price=None if price is None else _exact("price", price),
                order_type=kind,
                time_in_force=time_in_force or ("IOC" if kind == "Market" else "GTC"),
                reduce_only=reduce_only,
                position_idx=position_idx,
                order_link_id=order_link_id,
                now=self._now(),
            )
            self._tell(order)
            return order

    def fill(
        self, order: Order, *, qty: Number | None = None, price: Number | None = None, is_maker: bool | None = None
    ) -> Order:
        """Fill *qty* (by default all that is left) of *order* at *price* (by default its own), and return it as it stands then.

        A Limit order is the maker, a Market order the taker, unless *is_maker* says otherwise.
        """
        with self._lock:
            now = self._ledger.orders[order.order_id]
            part = (now.leaves_qty if qty is None else qty, now.price if price is None else price)
            return self.sweep(order, [part], is_maker=is_maker)

    def sweep(self, order: Order, parts: Sequence[tuple[Number, Number]], *, is_maker: bool | None = None) -> Order:
        """Fill *order* in several (quantity, price) parts of one match: one message, one sequence number."""
        fills = [(_exact("qty", qty), _exact("price", price)) for qty, price in parts]
        maker = order.order_type == "Limit" if is_maker is None else is_maker
        with self._lock:
            executions = self._ledger.fill(order.order_id, fills, is_maker=maker, now=self._now())
            filled = executions[-1].order
            self._tell(filled, executions)
            return filled

    def amend(self, order: Order, *, qty: Number | None = None, price: Number | None = None) -> Order:
        """Change the quantity or the price of what is left of *order*, and return it as it stands then."""
        with self._lock:
            amended = self._ledger.amend(
                order.order_id,
                qty=None if qty is None else _exact("qty", qty),
                price=None if price is None else _exact("price", price),
                now=self._now(),
            )
            self._tell(amended)
            return amended

    def cancel(self, order: Order, *, cancel_type: str = "CancelByUser") -> Order:
        """Cancel what is left of *order*, and return it as it stands then."""
        with self._lock:
            cancelled = self._ledger.cancel(order.order_id, cancel_type=cancel_type, now=self._now())
            self._tell(cancelled)
            return cancelled

    def mark(self, symbol: str, price: Number) -> None:
        """Set the mark price of *symbol*, which else follows its last trade; like the exchange's, it alone tells nobody."""
        Instrument.named(symbol)
        with self._lock:
            self._ledger.marks[symbol] = _exact("price", price)

    def position(self, symbol: str, position_idx: int = 0) -> Position:
        """Return what the account holds of *symbol*; ``KeyError`` when it never ordered any."""
        with self._lock:
            return self._ledger.positions[symbol, position_idx]

    def balance(self, coin: str) -> Coin:
        """Return what the account has of *coin*."""
        with self._lock:
            return self._ledger.coin(coin)

    # --- telling ---

    def push(
        self,
        stream: str,
        rows: Sequence[Row],
        *,
        id: str | None = None,  # noqa: A002 - the envelope's own word
        created_at: int | None = None,
    ) -> None:
        """Send *rows* to every connection of this account that is subscribed to *stream*, at once.

        *stream* is one of ``balances``, ``orders``, ``positions``, ``user_trades``: the rows then reach the all-in-one topic,
        the categorised ones (by the rows' ``category``) and, translated, the V3 topic; what a row does not name is filled in
        from a plain row. Or it is the name of one topic (``position.linear``): the rows are then sent as they are, and to that
        topic only.

        *id* and *created_at* (ms) stand in the envelope; V3's has neither.
        """
        now = self._now() if created_at is None else created_at
        with self._lock:
            for connection in self.connections:
                connection.push(self._printer(connection.gateway, stream, rows, id, now))

    def _tell(self, order: Order, executions: Sequence[Execution] = ()) -> None:
        """Push what an action on *order* changed, in the exchange's order."""
        ledger, coin = self._ledger, order.instrument.settle_coin
        # An order and its execution carry the same id.
        id_ = f"{self.uid}_{order.symbol}_{order.seq}"
        if executions:
            self.push("user_trades", [execution_facts(execution) for execution in executions], id=id_)
        self.push("orders", [order_facts(order)], id=id_)
        self.push("positions", [position_facts(ledger, position) for position in ledger.legs(order.symbol, order.position_idx)])
        self.push("balances", [wallet_facts(ledger, [coin], self.kind)])

    def count_login(self) -> int:
        """Return the number of the login that was just accepted. Only the exchange."""
        return next(self._logins)

    def _printer(
        self, gateway: Gateway, stream: str, facts: Sequence[Row], id_: str | None, now: int
    ) -> Callable[[Topic], str | None]:
        spelling = SPELLINGS[gateway.name, self.kind]

        def message_for(topic: Topic) -> str | None:
            rows = facts if topic.name == stream else _printed(spelling, topic, stream, facts)
            own_id = id_ or f"{self.uid}_{topic.stream}_{now}"
            return dump(envelope(gateway, topic, rows, id=own_id, created_at=now)) if rows else None

        return message_for


def _printed(spelling: Spelling, topic: Topic, stream: str, facts: Sequence[Row]) -> Sequence[Row]:
    word = STREAMS.get(stream, "")
    if topic.stream not in (word, f"{word}.fast"):
        return ()
    rows = [row for row in print_rows(spelling, word, facts) if topic.category in (None, row.get("category"))]
    if topic.stream == word:
        return rows
    return [print_fast(row) for row in rows if row["execType"] == "Trade"]


def _exact(name: str, number: Number) -> Decimal:
    if isinstance(number, float):
        raise TypeError(f"{name}: {number!r} is a float, which is not exact; write it as text")
    return Decimal(number)
