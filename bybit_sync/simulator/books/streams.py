"""The streams of one account: its connections, and the rows that are pushed to them."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bybit_sync.simulator.books.connections import AccountConnection
from bybit_sync.simulator.books.ledger import Ledger
from bybit_sync.simulator.books.numbers import Number, exact
from bybit_sync.simulator.books.orders import Execution, Order
from bybit_sync.simulator.books.pushes import Printer
from bybit_sync.simulator.books.row_values import execution_values, order_values, position_values, wallet_values
from bybit_sync.simulator.push_faults import PushFaults

__all__ = ["AccountStreams"]

Row = Mapping[str, Any]
_IDS = uuid.UUID("8e7f4b0c-6a53-4f0e-9a53-5b3d9f1c2a77")


class AccountStreams:
    """The streams of one account. Every method may be called from any thread.

    The lock makes an action and its pushes one step: no other action begins in between.
    """

    def __init__(
        self,
        key: str,
        secret: str,
        *,
        kind: str,
        uid: str,
        balances: Mapping[str, Number],
        connections: Callable[[], Iterable[AccountConnection]],
        now: Callable[[], int],
        push_faults: PushFaults,
    ) -> None:
        self.key = key
        self.secret = secret
        self.kind = kind
        self.uid = uid
        self._connections = connections
        self._now = now
        self._printer = Printer(uid, kind, push_faults)
        self._logins = itertools.count(1)
        # One action changes the books and reaches every connection before the next
        # begins.
        self._lock = threading.RLock()
        ids = (str(uuid.uuid5(_IDS, f"{uid}-{number}")) for number in itertools.count())
        held = {coin: exact("balances", amount) for coin, amount in balances.items()}
        self._ledger = Ledger(held, ids.__next__, time.monotonic)

    def __repr__(self) -> str:
        """Return kind and number; never the key."""
        return f"<Account {self.uid}, {self.kind}>"

    @property
    def connections(self) -> tuple[AccountConnection, ...]:
        """The live connections that are logged in to this account."""
        return tuple(connection for connection in self._connections() if connection.account is self)

    def flood(self, count: int, stream: str = "orders") -> None:
        """Push *count* messages of one plain row each on *stream*.

        They are sent as fast as possible; orders and trades are numbered.
        """
        for number in range(1, count + 1):
            self.push(stream, [{"orderId": f"flood-{number}", "execId": f"flood-{number}"}])

    def push(
        self,
        stream: str,
        rows: Sequence[Row],
        *,
        id: str | None = None,  # noqa: A002 - the envelope's own word
        created_at: int | None = None,
    ) -> None:
        """Send *rows* to every connection that is subscribed to *stream*.

        *stream* is one of ``balances``, ``orders``, ``positions``, ``user_trades``: the
        rows then reach the all-in-one topic, the categorised ones (by the rows'
        ``category``) and, translated, the V3 topic; missing keys are filled in from a
        plain row. Or it is the name of one topic (``position.linear``): the rows are
        then sent as they are, and to that topic only.

        *id* and *created_at* (ms) are in the envelope; V3's has neither.
        """
        now = self._now() if created_at is None else created_at
        with self._lock:
            for connection in self.connections:
                connection.push(self._printer.messages(connection.gateway, stream, rows, id=id, created_at=now))

    def _push_match(self, executions: Sequence[Execution]) -> Order:
        """Push a match and the changes that follow; return the filled order."""
        order = executions[-1].order
        changed = self._ledger.follow_up(order.symbol, order.position_idx, now=self._now())
        self._push_changes([order, *changed], executions)
        return order

    def _push_changes(
        self, orders: Sequence[Order], executions: Sequence[Execution] = (), *, symbol: str = "", position_idx: int = 0
    ) -> None:
        """Push the changes of an action, in the exchange's order.

        The action was on *orders* or, without any, on a position.
        """
        ledger = self._ledger
        symbol, leg = (orders[0].symbol, orders[0].position_idx) if orders else (symbol, position_idx)
        legs = ledger.legs(symbol, leg)
        if executions:
            values = [execution_values(execution) for execution in executions]
            self.push("user_trades", values, id=self._id_of(executions[-1].order))
        for order in orders:
            self.push("orders", [order_values(order)], id=self._id_of(order))
        self.push("positions", [position_values(ledger, position) for position in legs])
        self.push("balances", [wallet_values(ledger, [legs[0].instrument.settle_coin], self.kind)])

    def _id_of(self, order: Order) -> str:
        """Return the envelope's id, which an order and its execution share."""
        return f"{self.uid}_{order.symbol}_{order.seq}"

    def count_login(self) -> int:
        """Return the number of the login that was just accepted.

        For the exchange only.
        """
        return next(self._logins)
