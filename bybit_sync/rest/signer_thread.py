"""The signing of requests by a user's signer, which may block on a key store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from bybit_sync.errors import ClientClosed, describe
from bybit_sync.threads.waiting import SignalSafeEvent, wait_for

__all__ = ["SignerThread"]

Headers = Mapping[str, str]


class SignerThread:
    """Runs a signer on a throw-away thread named *name*, at most one at a time.

    `LoginSigner` does the same for logins.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._helper: threading.Thread | None = None
        self._done = SignalSafeEvent()
        self._closed = False

    def run(self, sign: Callable[[], Headers], deadline: float) -> Headers:
        """Return the result of *sign*, or raise its error.

        Raises ``TimeoutError`` when it is not done by *deadline* (monotonic) or an
        earlier call still runs, ``RuntimeError`` when the system cannot start a thread,
        and `ClientClosed` after `close`.
        """
        if self._helper is not None and self._helper.is_alive():
            raise TimeoutError("it still has not answered an earlier request")
        outcome: list[Callable[[], Headers]] = []
        done = self._done = SignalSafeEvent()
        self._helper = threading.Thread(target=_sign, args=(sign, outcome, done), name=self._name, daemon=True)
        self._helper.start()
        # Check the flag after setting the event: `close` uses them in the other order.
        if not self._closed:
            wait_for(done, deadline)
        if self._closed:
            raise ClientClosed("the client was closed while a request was signed")
        if not outcome:
            raise TimeoutError("it did not answer in time")
        return outcome[0]()

    def close(self) -> None:
        """End a wait at once. Takes no lock."""
        self._closed = True
        self._done.set()


# A closure hands the signature over, so that no frame that can fail holds it.
def _sign(sign: Callable[[], Headers], outcome: list[Callable[[], Headers]], done: SignalSafeEvent) -> None:
    outcome.append(_outcome(sign))
    done.set()


def _outcome(sign: Callable[[], Headers]) -> Callable[[], Headers]:
    try:
        headers = sign()
    except Exception as error:  # noqa: BLE001 - `run` raises every error of the signer
        return _raising(error)
    except BaseException as error:  # noqa: BLE001 - SystemExit would end the thread of recovery
        return _raising(RuntimeError(describe(error)))
    return lambda: headers


def _raising(error: Exception) -> Callable[[], Headers]:
    def fail() -> Headers:
        raise error

    return fail
