"""The sums over the subscriptions of a client, without a client."""

from __future__ import annotations

import gc
import weakref

from bybit_sync import GapReason, Stream
from bybit_sync.account.feed import Feed
from bybit_sync.delivery.counts import Counts, Totals
from tests.events import lost, push


class Holder:
    """What has counters, and goes when nobody holds it."""

    def __init__(self, stream: Stream, delivered: int = 0) -> None:
        self.stream = stream
        self.counts = Counts()
        self.counts.delivered = delivered


def test_each_one_gets_the_next_number() -> None:
    """Also after others have gone."""
    totals = Totals()
    assert [totals.add(Holder(Stream.ORDERS)) for _ in range(3)] == [1, 2, 3]


def test_what_is_gone_still_counts() -> None:
    """Before its sums are taken over, which the next `add` does, and afterwards."""
    totals, holder = Totals(), Holder(Stream.ORDERS, delivered=5)
    totals.add(holder)
    gone = weakref.ref(holder)
    del holder
    gc.collect()
    assert gone() is None, "the sums must not keep a subscription alive"
    assert totals.read()[Stream.ORDERS].delivered == 5
    other = Holder(Stream.ORDERS, delivered=1)
    totals.add(other)
    assert totals.read()[Stream.ORDERS].delivered == 6


def test_counters_are_forgotten_with_their_holder() -> None:
    """A program that subscribes a million times keeps the last few."""
    totals = Totals()
    for _ in range(10):
        totals.add(Holder(Stream.ORDERS, delivered=1))
        gc.collect()
    assert len(totals._parts[1]) <= 2
    assert totals.read()[Stream.ORDERS].delivered == 10


def test_gaps_are_summed_by_reason_and_stream() -> None:
    """Those of another stream are apart."""
    totals, holders = Totals(), [Holder(Stream.ORDERS), Holder(Stream.ORDERS), Holder(Stream.BALANCES)]
    for holder in holders:
        totals.add(holder)
        gap = lost(1).gap
        assert gap is not None
        holder.counts.count_gap(gap)
    sums = totals.read()
    assert sums[Stream.ORDERS].gaps == {**dict.fromkeys(GapReason, 0), GapReason.OVERFLOW: 2}
    assert sums[Stream.BALANCES].gaps[GapReason.OVERFLOW] == 1


def test_an_account_view_counts_what_it_applies() -> None:
    """Gaps by reason, as a buffer does."""
    feed = Feed(Stream.ORDERS, lambda _feed, _event: None, lambda: None)
    feed.put(push(1))
    feed.put(lost(2))
    assert (feed.counts.delivered, feed.counts.gaps[GapReason.OVERFLOW]) == (2, 1)
