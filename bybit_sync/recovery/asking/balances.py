"""The balances: all coins that are not zero, and the zero rows of known ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import attrs

from bybit_sync.model.balances import BalanceUpdate
from bybit_sync.recovery.asking.gathering import Gathering
from bybit_sync.recovery.asking.steps import Ask, Asking
from bybit_sync.recovery.wants import Answered, Want
from bybit_sync.rest.endpoints import WALLET

__all__ = ["read"]

_UNIFIED: Final = {"accountType": "UNIFIED"}


def read(want: Want, _categories: Sequence[str], _now: datetime, _waits: tuple[float, ...]) -> Asking[Answered]:
    """Return one row with every coin.

    `unresolved` are known coins that the exchange has no row of any more. It lists zero
    coins only when they are requested by their names.
    """
    gathering = Gathering()
    accounts: tuple[BalanceUpdate, ...] = yield from gathering.listing(Ask(WALLET, _UNIFIED))
    gone = [known for known in want.known if accounts and accounts[0].coin(known.id) is None]
    if gone:
        names = ",".join(known.id for known in gone)
        zero = yield from gathering.alone(Ask(WALLET, {**_UNIFIED, "coin": names}))
        accounts = (_joined(accounts[0], zero),)
    unresolved = tuple(known for known in gone if accounts[0].coin(known.id) is None)
    return gathering.answered(accounts, unresolved=unresolved)


def _joined(account: BalanceUpdate, others: Sequence[BalanceUpdate]) -> BalanceUpdate:
    """Return *account* with the missing coins of *others*; its totals stay."""
    more = [coin for other in others for coin in other.coins if account.coin(coin.coin) is None]
    return attrs.evolve(account, coins=(*account.coins, *more))
