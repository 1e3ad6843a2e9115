"""One account of the exchange, and the actions on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeVar

from bybit_sync.simulator.books.instruments import Instrument
from bybit_sync.simulator.books.numbers import Number, exact, exact_or_none
from bybit_sync.simulator.books.orders import Execution, Order
from bybit_sync.simulator.books.positions import Position
from bybit_sync.simulator.books.row_values import order_values, wallet_values
from bybit_sync.simulator.books.streams import AccountStreams
from bybit_sync.simulator.books.tables import Books, Coin

__all__ = ["KINDS", "Account"]

T = TypeVar("T")
KINDS = ("UNIFIED", "CONTRACT")


class Account(AccountStreams):
    """One account of the exchange, which trades and pushes the changes.

    There is no matching engine: an order fills only by `fill`. Every action pushes the
    rows that the exchange would push, in its order (execution, order, position,
    wallet), before the next action of any thread begins. Numbers are texts, integers or
    ``Decimal``; a float is refused, because it is not exact.

    * *key*, *secret*: log in;
    * *kind*: "UNIFIED", or "CONTRACT" for a classic account as V5 shows it;
    * *uid*: the account's number, which is in the envelopes.

    Made by `Exchange.account`. Every method may be called from any thread.

    Example:
        >>> order = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
        >>> account.fill(order, qty="0.2").status, account.position("BTCUSDT").size
        ('PartiallyFilled', Decimal('0.2'))
        >>> account.cancel(order).status, account.orders()
        ('Cancelled', ())
    """

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
        trigger_price: Number | None = None,
        trigger_direction: int | None = None,
        take_profit: Number | None = None,
        stop_loss: Number | None = None,
    ) -> Order:
        """Place an order for *qty* of *symbol* and return it.

        *symbol* is ``BTCUSDT``, ``BTCUSD``, …

        *side* is "Buy" or "Sell". With a *price* it is a Limit order (GTC), without one
        a Market order (IOC), unless *order_type* and *time_in_force* (in V5's words)
        say otherwise. *position_idx* is 0 in one-way mode, 1 and 2 for hedge mode's
        legs. A *reduce_only* order opens nothing; *order_link_id* is your own name for
        it.

        Example:
            >>> orders = client.subscribe_orders()
            >>> stop = account.place_order("BTCUSDT", "Sell", qty="0.5", trigger_price="19000", trigger_direction=2)
            >>> orders.get(timeout=5).data[0].order_status
            OrderStatus('Untriggered')

        With a *trigger_price* it waits, ``Untriggered``, until `trigger` or `move`;
        *trigger_direction* is 1 (the price rises to it) or 2 (falls), by default from
        where the price is now. *take_profit* and *stop_loss* become the position's as
        soon as it fills.
        """
        kind = order_type or ("Market" if price is None else "Limit")
        with self._lock:
            order = self._ledger.place(
                symbol,
                side,
                qty=exact("qty", qty),
                price=exact_or_none("price", price),
                order_type=kind,
                time_in_force=time_in_force or ("IOC" if kind == "Market" else "GTC"),
                reduce_only=reduce_only,
                position_idx=position_idx,
                order_link_id=order_link_id,
                trigger_price=exact_or_none("trigger_price", trigger_price),
                trigger_direction=trigger_direction,
                take_profit=exact_or_none("take_profit", take_profit),
                stop_loss=exact_or_none("stop_loss", stop_loss),
                now=self._now(),
            )
            self._push_changes([order])
            return order

    def fill(
        self,
        order: Order,
        *,
        qty: Number | None = None,
        price: Number | None = None,
        is_maker: bool | None = None,
        exec_type: str = "Trade",
    ) -> Order:
        """Fill *qty* of *order* at *price* and return the order after it.

        *qty* is all that is left by default, *price* the order's own.

        A Limit order is the maker, a Market order the taker, unless *is_maker* says
        otherwise. *exec_type* is the exchange's name for it: ``AdlTrade``, ``Settle``,
        ``Delivery``, … instead of a trade.
        """
        with self._lock:
            now = self._ledger.order(order.order_id)
            part = (now.leaves_qty if qty is None else qty, now.price if price is None else price)
            return self.sweep(order, [part], is_maker=is_maker, exec_type=exec_type)

    def sweep(
        self,
        order: Order,
        parts: Sequence[tuple[Number, Number]],
        *,
        is_maker: bool | None = None,
        exec_type: str = "Trade",
    ) -> Order:
        """Fill *order* in several *parts* (quantity, price) of one match.

        The parts share one message and one sequence number.

        *is_maker* and *exec_type* are as in `fill`.
        """
        fills = [(exact("qty", qty), exact("price", price)) for qty, price in parts]
        maker = order.order_type == "Limit" if is_maker is None else is_maker
        with self._lock:
            return self._push_match(self._ledger.fill(order.order_id, fills, is_maker=maker, now=self._now(), kind=exec_type))

    def amend(
        self, order: Order, *, qty: Number | None = None, price: Number | None = None, trigger_price: Number | None = None
    ) -> Order:
        """Change *qty*, *price* or *trigger_price* of *order* and return it."""
        with self._lock:
            amended = self._ledger.amend(
                order.order_id,
                qty=exact_or_none("qty", qty),
                price=exact_or_none("price", price),
                trigger_price=exact_or_none("trigger_price", trigger_price),
                now=self._now(),
            )
            self._push_changes([amended])
            return amended

    def cancel(self, order: Order, *, cancel_type: str = "CancelByUser") -> Order:
        """Cancel the rest of *order* and return it.

        *cancel_type* is the reason, in the exchange's words.
        """
        with self._lock:
            cancelled = self._ledger.cancel(order.order_id, cancel_type=cancel_type, now=self._now())
            self._push_changes([cancelled])
            return cancelled

    def cancel_too_late(self, order: Order) -> Order:
        """Push *order*, which is Filled, once more with the reason of a late cancel.

        This is what the exchange pushes when a cancel loses the race against a fill.
        """
        with self._lock:
            filled = self._ledger.cancel_too_late(order.order_id)
            self.push("orders", [order_values(filled)], id=self._id_of(filled))
            return filled

    def reject(self, order: Order, *, reason: str = "EC_PostOnlyWillTakeLiquidity") -> Order:
        """Reject *order* after it was accepted and return it.

        *reason* is in the exchange's words.
        """
        with self._lock:
            rejected = self._ledger.reject(order.order_id, reason=reason, now=self._now())
            self._push_changes([rejected])
            return rejected

    def trigger(self, order: Order) -> Order:
        """Trigger a conditional *order* at any price and return it.

        It is pushed as Triggered, then as New, and fills when `fill` is called.
        """
        with self._lock:
            told = self._ledger.trigger(order.order_id, now=self._now())
            self._push_changes(told)
            return told[-1]

    def move(self, symbol: str, price: Number) -> tuple[Order, ...]:
        """Trade *symbol* at *price* elsewhere; return the orders that this triggers.

        The mark price is *price* afterwards.
        """
        with self._lock:
            self.mark(symbol, price)
            return tuple(self.trigger(o) for o in self._ledger.unfinished(symbol) if o.is_reached(self._ledger.mark(symbol)))

    # --- positions ---

    def set_trading_stop(
        self,
        symbol: str,
        *,
        take_profit: Number | None = None,
        stop_loss: Number | None = None,
        position_idx: int = 0,
    ) -> tuple[Order, ...]:
        """Set the *take_profit* and *stop_loss* of the position in *symbol*.

        A price of 0 removes the stop.

        *position_idx* is the leg in hedge mode. Returns the orders of the stops: they
        follow the position's size, are triggered by `trigger` or `move`, and are
        deactivated when it is flat.
        """
        prices = {
            "take_profit": exact_or_none("take_profit", take_profit),
            "stop_loss": exact_or_none("stop_loss", stop_loss),
        }
        given = {name: price for name, price in prices.items() if price is not None}
        with self._lock:
            changed = self._ledger.set_stops(symbol, position_idx, now=self._now(), **given)
            self._push_changes(changed, symbol=symbol, position_idx=position_idx)
            return tuple(order for order in changed if not order.is_final)

    def fund(self, symbol: str, rate: Number) -> None:
        """Settle funding on *symbol* at its mark price.

        With a *rate* above 0 a long position pays, and a short one receives.
        """
        with self._lock:
            executions = self._ledger.fund(symbol, exact("rate", rate), now=self._now())
            self._push_changes([], executions, symbol=symbol, position_idx=executions[0].order.position_idx)

    def liquidate(self, symbol: str, *, position_idx: int = 0, price: Number | None = None) -> Order:
        """Liquidate the position in *symbol* and return the closing order.

        It is closed at *price*, by default at its liquidation price; *position_idx* is
        its leg in hedge mode.

        Its orders are cancelled, the position is pushed as ``Liq``, and an order of the
        exchange's own closes it.
        """
        with self._lock:
            estimate = self._ledger.liquidation_price(self._ledger.held(symbol, position_idx))
            at = estimate if price is None else exact("price", price)
            if at <= 0:
                raise ValueError("price: the account can afford every price; say at which it is liquidated nevertheless")
            for order in self._ledger.unfinished(symbol):
                self.cancel(order, cancel_type="CancelAllBeforeLiq")
            position = self._ledger.start_liquidation(symbol, position_idx, now=self._now())
            self._push_changes([], symbol=symbol, position_idx=position_idx)
            return self._push_match(self._ledger.take_over(position, at, now=self._now()))

    def transfer(self, coin: str, amount: Number) -> None:
        """Move *amount* of *coin* into the account or, negative, out of it."""
        with self._lock:
            self._ledger.transfer(coin, exact("amount", amount))
            self.push("balances", [wallet_values(self._ledger, [coin], self.kind)])

    def mark(self, symbol: str, price: Number) -> None:
        """Set the mark *price* of *symbol*, by default the price of its last trade.

        Nothing is pushed: the exchange does not push on a mark price alone.
        """
        Instrument.named(symbol)
        with self._lock:
            self._ledger.marks[symbol] = exact("price", price)

    # --- reading ---

    def orders(self, symbol: str | None = None) -> tuple[Order, ...]:
        """Return the orders (on *symbol*) that are not final, oldest first.

        The orders of a position's take profit and stop loss are among them.
        """
        with self._lock:
            return self._ledger.unfinished(symbol)

    def order(self, order: Order | str) -> Order:
        """Return *order* (or that of an order id) as it stands now."""
        with self._lock:
            return self._ledger.order(order if isinstance(order, str) else order.order_id)

    def position(self, symbol: str, position_idx: int = 0) -> Position:
        """Return the position in *symbol*, of leg *position_idx* in hedge mode.

        Raises ``KeyError`` when the account never ordered any.
        """
        with self._lock:
            return self._ledger.positions[symbol, position_idx]

    def liquidation_price(self, symbol: str, position_idx: int = 0) -> Decimal:
        """Return the estimated liquidation price of *symbol* (leg *position_idx*).

        It is 0 when the account can afford every price.
        """
        with self._lock:
            return self._ledger.liquidation_price(self.position(symbol, position_idx))

    def balance(self, coin: str) -> Coin:
        """Return the balance of *coin*."""
        with self._lock:
            return self._ledger.coin(coin)

    def executions(self) -> tuple[Execution, ...]:
        """Return the latest 120,000 executions, oldest first.

        They are fills, funding and liquidations.
        """
        with self._lock:
            return self._ledger.executions

    def read(self, look: Callable[[Books], T], *, lag: float = 0.0) -> T:
        """Return the result of *look* for the books, which are locked meanwhile.

        With *lag*, the books are a copy as of that many seconds ago.
        """
        with self._lock:
            return look(self._ledger.as_of(lag) if lag else self._ledger)
