"""What nobody may ever see, and how to look for it."""

from __future__ import annotations

import re
import traceback
from typing import Final

from tests.conftest import KEY, SECRET
from tests.faults.exchange import ACCOUNT

__all__ = ["PASSWORD", "canaries_in", "rendered", "secrets_in"]

PASSWORD: Final = "password-c4n4ry"
"""Of a proxy."""

_SECRETS: Final = {"the key": KEY, "the secret": SECRET, "a password": PASSWORD}
# What an HMAC with SHA-256 looks like, whatever was signed.
_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)


def secrets_in(text: str) -> list[str]:
    """Return which secrets *text* tells: what may be in nothing that leaves the library, but for the login itself."""
    found = [name for name, secret in _SECRETS.items() if secret in text]
    return [*found, "a signature"] if _SIGNATURE.search(text) else found


def canaries_in(text: str) -> list[str]:
    """Return what *text* tells of the secrets and of the account id: what may be in no log, repr or exception text."""
    return [*secrets_in(text), "the account id"] if ACCOUNT in text else secrets_in(text)


def rendered(error: BaseException) -> str:
    """Return *error* with every error behind it, also those that a traceback leaves out, and the locals of all their frames."""
    told, waiting, seen = "", [error], set()
    while waiting:
        cause = waiting.pop()
        if id(cause) not in seen:
            seen.add(id(cause))
            told += "".join(traceback.TracebackException.from_exception(cause, capture_locals=True).format())
            told += f"{cause} {cause!r} {vars(cause)} {cause.args}"
            waiting += [e for e in (cause.__cause__, cause.__context__) if e is not None]
    return told
