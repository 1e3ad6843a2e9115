"""The table of refusals: the meaning of a text or code of the exchange, and the remedy.

V5's private socket sends texts and no codes, so the text decides. A code decides where
the text has no meaning here.
https://bybit-exchange.github.io/docs/v5/error
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum
from typing import Final

from attrs import frozen

__all__ = ["REFUSALS", "Refusal", "RefusalKind", "classify_refusal", "misses_login"]


class RefusalKind(Enum):
    """The kinds of refusals."""

    CLOCK = "the login was signed for another time"
    RATE_LIMITED = "too many, or too often"
    BUSY = "not now"
    FINAL = "no"


@frozen
class Refusal:
    """One row of the table: it matches by one of *phrases* or one of *codes*.

    A phrase is in lower case; an ellipsis in it matches anything. A space also matches
    any character that is no letter, digit or underscore, and the text's start and end.
    """

    kind: RefusalKind
    phrases: Collection[str]
    remedy: str
    codes: Collection[int] = ()

    def fits(self, text: str) -> bool:
        """Return whether *text*, in normal form, contains one of the phrases."""
        return any(_stands_in(text, phrase) for phrase in self.phrases)


def _stands_in(text: str, phrase: str) -> bool:
    # Find each part once, one after the other: the time is linear in the length of the
    # text.
    at = 0
    for part in phrase.split("…"):
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return True


_ABOUT_SIGNATURES: Final = "Check that the secret belongs to this key (for an RSA key give signer=)."
_ABOUT_KEYS: Final = "Check the key, and that it was made in this environment: a key works only where it was made."

_BETWEEN_WORDS: Final = re.compile(r"\W+")

# The first matching row applies.
REFUSALS: Final = (
    Refusal(
        RefusalKind.FINAL,
        ("key…expired", "key…revoked", "key…disabled", "key…deleted"),
        "The API key is no longer valid: make a new one on Bybit's site.",
        (33004,),
    ),
    Refusal(
        RefusalKind.RATE_LIMITED,
        ("too many", "rate limit", "too frequent", "frequency", "exceeded…limit"),
        "Fewer sessions or logins for this account; it is tried again after a pause.",
        (10006, 10018, 10429, 20003),
    ),
    # Before the rows that are retried for ever: "the key is invalid, please try again"
    # must be final.
    Refusal(RefusalKind.FINAL, ("invalid…sign", "sign…invalid", "verify"), _ABOUT_SIGNATURES, (10004,)),
    Refusal(RefusalKind.FINAL, ("invalid…key", "key…invalid"), _ABOUT_KEYS, (10003,)),
    Refusal(
        RefusalKind.BUSY,
        ("busy", "restart", "try again", "timeout", "unavailable", "maintenance", "internal", "server error", "system error"),
        "Nothing to do: it is tried again.",
        (-1, 10000, 10016, 10019),
    ),
    Refusal(
        RefusalKind.CLOCK,
        ("param error", "params error", "expire", "timestamp", "recv_window"),
        "Set this machine's clock (NTP), or raise auth_window=; if the clock is right, the key or the secret is not.",
        (10001, 10002),
    ),
    Refusal(RefusalKind.FINAL, ("sign",), _ABOUT_SIGNATURES),
    Refusal(
        RefusalKind.FINAL,
        ("permission", "denied", "not allowed", "forbidden"),
        "Give the key read permission for contracts and account on Bybit's site.",
        (10005,),
    ),
    Refusal(
        RefusalKind.FINAL,
        (" ip ", "address", "whitelist"),
        "Add this machine's public address to the key's list on Bybit's site.",
        (10009, 10010),
    ),
    Refusal(RefusalKind.FINAL, ("key",), _ABOUT_KEYS),
    Refusal(RefusalKind.FINAL, ("",), "Check key, secret, permissions and environment."),
)


def classify_refusal(text: str, code: int | None = None) -> Refusal:
    """Return the row of the table that matches *text* or *code*.

    Text comes first, because some codes have two meanings.
    """
    plain = f" {_BETWEEN_WORDS.sub(' ', text.lower())} "
    by_text = next(r for r in REFUSALS if r.fits(plain))
    by_code = next((r for r in REFUSALS if code in r.codes), None)
    return by_code if by_text is REFUSALS[-1] and by_code else by_text


def misses_login(text: str) -> bool:
    """Return whether *text* refuses a topic because the login is missing."""
    lowered = text.lower()
    return "not authorized" in lowered or "needs auth" in lowered
