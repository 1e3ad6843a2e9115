"""Writes requests, and signs logins, also with a user's signer, which may block."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bybit_sync.errors import AuthenticationError, ConnectionFailed, describe
from bybit_sync.session.messages import Request, write
from bybit_sync.signing.credentials import Credentials
from bybit_sync.threads.waker import Interrupt, Waker

__all__ = ["LoginSigner"]


class LoginSigner:
    """Writes requests, and signs the login. Only the connection thread calls it.

    A user's signer runs on a separate thread, at most one at a time; the built-in one
    runs on the connection thread.
    """

    def __init__(self, credentials: Credentials, *, name: str, external: bool) -> None:
        self._credentials = credentials
        self._name = name
        self._external = external
        self._helper: threading.Thread | None = None

    def write(self, request: Request, *, deadline: float, interrupt: Interrupt) -> str:
        """Return the text of *request* for the wire.

        Raises `AuthenticationError` when the signer fails or exceeds *deadline*,
        `ConnectionFailed` when no thread can be started for it, and every error of
        *interrupt*.
        """
        if request.op != "auth" or not self._external:
            return write(request, self._credentials)
        if self._helper is not None and self._helper.is_alive():
            raise _failed("it still has not answered an earlier login")
        outcome: list[Callable[[], str]] = []
        self._helper = threading.Thread(
            target=self._sign, args=(request, outcome, interrupt.waker), name=f"{self._name}-signer", daemon=True
        )
        try:
            self._helper.start()
        except RuntimeError as error:  # the system cannot start a thread now
            raise ConnectionFailed(f"the login could not be signed: {error}") from None
        while not outcome:
            left = deadline - time.monotonic()
            if left <= 0:
                raise _failed("it did not answer in time")
            interrupt.wait(left)
        return outcome[0]()

    # Runs on the signer's thread. A closure hands the text over, so that no frame that
    # can fail holds it.
    def _sign(self, request: Request, outcome: list[Callable[[], str]], waker: Waker) -> None:
        outcome.append(self._outcome(request))
        waker.wake()

    def _outcome(self, request: Request) -> Callable[[], str]:
        try:
            text = write(request, self._credentials)
        except BaseException as error:  # noqa: BLE001 - `write` raises every error of the signer
            failure = _failed(f"it raised {describe(error)}")
            return lambda: _raise(failure)
        return lambda: text


def _raise(error: Exception) -> str:
    raise error


def _failed(what: str) -> AuthenticationError:
    remedy = "Look into signer=: it gets the text to sign and returns the signature as text."
    return AuthenticationError(f"the login could not be signed: {what}. {remedy}", remedy=remedy)
