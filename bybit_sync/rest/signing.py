"""The signing of requests, with a key and a signer that no repr and no traceback shows.

https://bybit-exchange.github.io/docs/v5/guide
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from bybit_sync.redaction import Redactor, seal

__all__ = ["RestSigner"]

# A random key, so that the digest of an API key has no meaning outside of this process.
_SALT: Final = os.urandom(16)
# The number of signatures that are redacted: one for each possible concurrent request.
_SIGNATURES_KNOWN: Final = 16


class RestSigner:
    """A signer for the key *api_key*; *sign* returns the signature of a text.

    Closures hold both: no attribute, repr, pickle, copy or captured local contains
    them. `digest` distinguishes keys without revealing them.
    """

    __slots__ = ("_redactor", "_sign", "digest")

    def __init__(self, api_key: str, sign: Callable[[str], str]) -> None:
        key = seal(api_key)
        self.digest: bytes = hashlib.blake2b(api_key.encode(), digest_size=16, key=_SALT).digest()
        # An exchange that refuses a request may repeat it: the key and the last
        # signatures are redacted in its texts.
        redactor = self._redactor = Redactor()
        redactor.learn(key)
        signatures: deque[Callable[[], str]] = deque(maxlen=_SIGNATURES_KNOWN)
        # Several threads may sign at once, and each of their signatures must be
        # redacted.
        lock = threading.Lock()

        def signed(timestamp: str, window: str, query: str) -> Mapping[str, str]:
            signature = seal(sign(timestamp + key() + window + query))
            kind = type(signature())
            if kind is not str:
                raise TypeError(f"the signature is of the type {kind.__name__}, not str")
            with lock:
                signatures.append(signature)
                redactor.learn(key, *signatures)
            return {
                "X-BAPI-API-KEY": key(),
                "X-BAPI-TIMESTAMP": timestamp,
                "X-BAPI-RECV-WINDOW": window,
                "X-BAPI-SIGN": signature(),
            }

        self._sign = signed

    def headers(self, timestamp: int, window: int, query: str) -> Mapping[str, str]:
        """Return the headers that sign a GET with *query*. Runs the signer.

        *timestamp* and *window* are in ms.
        """
        return self._sign(str(timestamp), str(window), query)

    def redact(self, text: str) -> str:
        """Return *text* without the key and the last signatures."""
        return self._redactor.redact(text)

    def __repr__(self) -> str:
        return "<RestSigner>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signer is not pickled or copied")
