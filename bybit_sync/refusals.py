"""What the exchange means when it says no, and what to do about it, as a table.

V5's private socket sends texts and no codes, so the text decides, and a code where the text says nothing.
https://bybit-exchange.github.io/docs/v5/error
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum
from typing import Final

from attrs import field, frozen

__all__ = ["REFUSALS", "Meaning", "Refusal", "understand"]


class Meaning(Enum):
    """What kind of no it is."""

    CLOCK = "the login was signed for another time"
    CROWDED = "too many, or too often"
    BUSY = "not now"
    PLAIN = "no"


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@frozen
class Refusal:
    """One line of the table: *pattern* is searched in the text, in lower case; *codes* are the exchange's numbers for it."""

    meaning: Meaning
    pattern: re.Pattern[str] = field(converter=_compile)
    remedy: str
    codes: Collection[int] = ()


_ABOUT_SIGNATURES: Final = "Check that the secret belongs to this key (for an RSA key give signer=)."
_ABOUT_KEYS: Final = "Check the key, and that it was made in this environment: a key works only where it was made."

# The first line that fits holds.
REFUSALS: Final = (
    Refusal(
        Meaning.PLAIN,
        r"key.*(expired|revoked|disabled|deleted)",
        "The API key is no longer valid: make a new one on Bybit's site.",
        (33004,),
    ),
    Refusal(
        Meaning.CROWDED,
        r"too many|rate limit|too frequent|frequency|exceeded.*limit",
        "Fewer sessions or logins for this account; it is tried again after a pause.",
        (10006, 10018, 10429, 20003),
    ),
    # Before those that are tried again for ever: "the key is invalid, please try again" must not be.
    Refusal(Meaning.PLAIN, r"invalid.*sign|sign.*invalid|verify", _ABOUT_SIGNATURES, (10004,)),
    Refusal(Meaning.PLAIN, r"invalid.*key|key.*invalid", _ABOUT_KEYS, (10003,)),
    Refusal(
        Meaning.BUSY,
        r"busy|restart|try again|timeout|unavailable|maintenance|internal|server error|system error",
        "Nothing to do: it is tried again.",
        (-1, 10000, 10016, 10019),
    ),
    Refusal(
        Meaning.CLOCK,
        r"params? error|expire|timestamp|recv_window",
        "Set this machine's clock (NTP), or raise auth_window=; if the clock is right, the key or the secret is not.",
        (10001, 10002),
    ),
    Refusal(Meaning.PLAIN, r"sign", _ABOUT_SIGNATURES),
    Refusal(
        Meaning.PLAIN,
        r"permission|denied|not allowed|forbidden",
        "Give the key read permission for contracts and account on Bybit's site.",
        (10005,),
    ),
    Refusal(
        Meaning.PLAIN,
        r"\bip\b|address|whitelist",
        "Add this machine's public address to the key's list on Bybit's site.",
        (10009, 10010),
    ),
    Refusal(Meaning.PLAIN, r"key", _ABOUT_KEYS),
    Refusal(Meaning.PLAIN, r"", "Check key, secret, permissions and environment."),
)


def understand(text: str, code: int | None = None) -> Refusal:
    """Return the line of the table that *text* and *code* fall under; text comes first, for codes have two meanings."""
    lowered = text.lower()
    by_text = next(r for r in REFUSALS if r.pattern.search(lowered))
    by_code = next((r for r in REFUSALS if code in r.codes), None)
    return by_code if by_text is REFUSALS[-1] and by_code else by_text
