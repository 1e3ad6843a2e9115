"""The two ways Bybit spells its private streams, as data."""

from __future__ import annotations

import pickle

import attrs
import pytest

from bybit_sync import DIALECTS, V3, V5, AccountType, CoinBalance, Dialect, Side, Stream, TimeInForce
from bybit_sync.session.dialects import RENAMES, WORDS, contract_account


def topics(dialect: Dialect, categories: tuple[str, ...] | None) -> dict[str, list[str]]:
    """Return the topics of each stream."""
    return {stream.value: [channel.topic for channel in dialect.channels(stream, categories)] for stream in Stream}


def test_dialects_are_found_by_name() -> None:
    """The names are what `Client(dialect=...)` takes."""
    assert DIALECTS == {"v5": V5, "v3": V3}
    assert (V5.path, V3.path) == ("/v5/private", "/contract/private/v3")


def test_topics_of_v5_by_category() -> None:
    """Orders, positions and trades have a topic for each category, in the order asked for; the wallet has one."""
    assert topics(V5, ("inverse", "linear")) == {
        "balances": ["wallet"],
        "orders": ["order.inverse", "order.linear"],
        "positions": ["position.inverse", "position.linear"],
        "user_trades": ["execution.inverse", "execution.linear"],
    }


def test_topics_of_v5_all_in_one() -> None:
    """Without categories there is one topic for all."""
    assert topics(V5, None) == {
        "balances": ["wallet"],
        "orders": ["order"],
        "positions": ["position"],
        "user_trades": ["execution"],
    }


@pytest.mark.parametrize("categories", [None, ("linear",), ("linear", "inverse", "option")])
def test_topics_of_v3_know_no_category(categories: tuple[str, ...] | None) -> None:
    """V3 has one topic for each stream, whatever categories are asked for."""
    assert topics(V3, categories) == {
        "balances": ["user.wallet.contractAccount"],
        "orders": ["user.order.contractAccount"],
        "positions": ["user.position.contractAccount"],
        "user_trades": ["user.execution.contractAccount"],
    }


def test_channel_says_what_its_topic_says() -> None:
    """A channel knows its stream, and the category if the topic names one."""
    (linear,) = V5.channels(Stream.ORDERS, ("linear",))
    (everything,) = V5.channels(Stream.ORDERS, None)
    (wallet,) = V5.channels(Stream.BALANCES, ("linear",))
    assert (linear.stream, linear.category) == (Stream.ORDERS, "linear")
    assert (everything.category, wallet.category) == (None, None)


def test_channels_are_equal_when_they_mean_the_same() -> None:
    """Asking twice gives the same, so that a channel can be a key."""
    assert V5.channels(Stream.ORDERS, ("linear",)) == V5.channels(Stream.ORDERS, ("linear",))
    assert len({*V5.channels(Stream.ORDERS, None), *V5.channels(Stream.ORDERS, None)}) == 1
    assert len({V3, V5}) == 2


def test_dialect_is_frozen_and_short() -> None:
    """A dialect is a value; its repr is its name and path."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        V5.path = "/elsewhere"  # type: ignore[misc]
    assert repr(V5) == "Dialect(name='v5', path='/v5/private')"
    assert repr(V5.channels(Stream.BALANCES, None)[0]).startswith("Channel(topic='wallet', stream=")


def test_dialect_pickles() -> None:
    """A dialect may cross to another process, as part of somebody's settings."""
    assert pickle.loads(pickle.dumps(V3)) == V3


def test_spellings_fold_into_one_word() -> None:
    """V3's long words, and the one that its documentation misspells, are V5's short ones."""
    assert WORDS[TimeInForce] == {
        "GoodTillCancel": TimeInForce.GTC,
        "ImmediateOrCancel": TimeInForce.IOC,
        "FillOrKill": TimeInForce.FOK,
        "FillOrKlii": TimeInForce.FOK,
    }
    assert WORDS[Side] == {"None": None}


def test_renames_are_data() -> None:
    """Which keys share an attribute stands in one table."""
    assert RENAMES == {"tpSlMode": "tpslMode", "mmrSysUpdateTime": "mmrSysUpdatedTime", "lastLiquidityInd": "isMaker"}


def test_flat_coins_gather_into_one_account() -> None:
    """V3's wallet is the CONTRACT account; without coins there is nothing to tell."""
    (account,) = contract_account((CoinBalance(coin="USDT"),))
    assert (account.account_type, account.coins, account.wire) == (AccountType.CONTRACT, (CoinBalance(coin="USDT"),), {})
    assert contract_account(()) == ()
