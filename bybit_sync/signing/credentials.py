"""A key and the means to sign with it, shown to nobody; and the signer for HMAC keys."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Final, NoReturn

from bybit_sync.redaction import Redactor

__all__ = ["Credentials", "hmac_signer"]

# An echo that comes later tells a signature that has expired.
SIGNATURES_KNOWN: Final = 4


class Credentials:
    """A key and the means to sign with it, shown to nobody.

    Both live in closures of closures: no attribute, repr, pickle, copy or captured local of ours holds them.
    """

    __slots__ = ("_login", "_redactor")

    def __init__(self, api_key: str, sign: Callable[[str], str]) -> None:
        key = _seal(api_key)
        # An exchange may echo a login at any time: key and last signatures are taken out of all that it says.
        redactor = self._redactor = Redactor()
        redactor.learn(key)
        signatures: list[Callable[[], str]] = []

        def login(message: dict[str, object], expires: object) -> str:
            signature = _seal(sign(f"GET/realtime{expires}"))
            kind = type(signature())
            if kind is not str:
                raise TypeError(f"the signature is of the type {kind.__name__}, not str")
            signatures[:] = [*signatures[1 - SIGNATURES_KNOWN :], signature]
            redactor.learn(key, *signatures)
            return json.dumps({**message, "args": [key(), expires, signature()]})

        self._login = login

    def login(self, message: dict[str, object], expires: object) -> str:
        """Return *message* completed to a login that expires at *expires*, in ms. Runs the signer."""
        return self._login(message, expires)

    def redact(self, text: str) -> str:
        """Return *text* without the key and the last signatures."""
        return self._redactor.redact(text)

    def __repr__(self) -> str:
        return "<Credentials>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials are not pickled or copied")


def _seal(secret: str) -> Callable[[], str]:
    return lambda: secret


def hmac_signer(api_secret: str) -> Callable[[str], str]:
    """Return a signer with *api_secret*, which then lives in its closure only."""
    key = hmac.new(api_secret.encode(), digestmod=hashlib.sha256)

    def sign(text: str) -> str:
        signature = key.copy()
        signature.update(text.encode())
        return signature.hexdigest()

    return sign
