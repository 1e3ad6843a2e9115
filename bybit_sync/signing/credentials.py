"""An API key with its signer, hidden from reprs and tracebacks, and HMAC."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar

from bybit_sync.redaction import Redactor, seal

__all__ = ["Credentials", "hmac_signer"]

T = TypeVar("T")

# The number of signatures that are redacted; older ones have expired.
SIGNATURES_KNOWN: Final = 4


class Credentials:
    """An API key and its signer, which no repr and no traceback shows.

    Closures hold both: no attribute, repr, pickle, copy or captured local of this
    library contains them.
    """

    __slots__ = ("_lend", "_login", "_redactor")

    def __init__(self, api_key: str, sign: Callable[[str], str]) -> None:
        key = seal(api_key)
        # An exchange may repeat a login at any time: the key and the last signatures
        # are redacted in all its texts.
        redactor = self._redactor = Redactor()
        redactor.learn(key)
        signatures: list[Callable[[], str]] = []

        def login(message: dict[str, object], expires: object) -> str:
            signature = seal(sign(f"GET/realtime{expires}"))
            kind = type(signature())
            if kind is not str:
                raise TypeError(f"the signature is of the type {kind.__name__}, not str")
            signatures[:] = [*signatures[1 - SIGNATURES_KNOWN :], signature]
            redactor.learn(key, *signatures)
            return json.dumps({**message, "args": [key(), expires, signature()]})

        def lend(make: Callable[[str, Callable[[str], str]], Any]) -> Any:
            return make(key(), sign)

        self._login = login
        self._lend = lend

    def login(self, message: dict[str, object], expires: object) -> str:
        """Return *message* as a signed login that expires at *expires*.

        *expires* is in ms of Unix time. Runs the signer.
        """
        return self._login(message, expires)

    def lend(self, make: Callable[[str, Callable[[str], str]], T]) -> T:
        """Return the result of *make*, called with the key and the signer.

        It is a signer for other requests.
        """
        made: T = self._lend(make)
        return made

    def redact(self, text: str) -> str:
        """Return *text* with the key and the last signatures redacted."""
        return self._redactor.redact(text)

    def __repr__(self) -> str:
        return "<Credentials>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials are not pickled or copied")


def hmac_signer(api_secret: str) -> Callable[[str], str]:
    """Return a signer with *api_secret*, which only its closure holds."""
    key = hmac.new(api_secret.encode(), digestmod=hashlib.sha256)

    def sign(text: str) -> str:
        signature = key.copy()
        signature.update(text.encode())
        return signature.hexdigest()

    return sign
