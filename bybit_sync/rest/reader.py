"""The reader of the REST API: signed requests with rate limits and deadlines."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from bybit_sync.config.environments import Environment
from bybit_sync.errors import (
    BybitSyncError,
    ClientClosed,
    RestBlocked,
    RestClockRefused,
    RestError,
    RestLimited,
    RestProtocolError,
    RestUnavailable,
    describe,
)
from bybit_sync.network.proxy import Proxy
from bybit_sync.redaction import get_logger
from bybit_sync.rest.answers import Answer, Response, read_answer
from bybit_sync.rest.connections import ConnectionPool
from bybit_sync.rest.endpoints import SERVER_TIME, Endpoint
from bybit_sync.rest.failures import BLOCKED_SECONDS
from bybit_sync.rest.limits import HostLimits
from bybit_sync.rest.queries import query_string
from bybit_sync.rest.signer_thread import SignerThread
from bybit_sync.rest.signing import RestSigner
from bybit_sync.rest.walks import Walk

__all__ = ["RECV_WINDOW", "RestReader"]

RECV_WINDOW: Final = 5_000
"""The milliseconds for which a signed request is valid."""
_SIGNER: Final = "Look into signer=: it gets the text to sign and returns the signature as text."

_log = get_logger(__name__)


class RestReader:
    """A reader of one account over REST at *host*. Any thread.

    * *host* comes from `bybit_sync.rest.hosts.rest_host`; *signer* signs;
    * *now* returns the exchange's time in ms, as far as the client knows it;
    * *limits* are the turns of all clients of the process at this host;
    * *rate* is the most requests a second at each endpoint;
    * *timeout* is the limit of a request in seconds, names and TLS included;
    * *signer_thread* names a throw-away thread for a user's signer, which may hang;
      None signs in place;
    * *blocked* is for how many seconds nothing is asked after HTTP 403, *limited* after
      an exceeded rate limit that names no time;
    * *proxy*, *ssl_context* and *log* are the client's.
    """

    def __init__(
        self,
        host: Environment,
        signer: RestSigner,
        *,
        now: Callable[[], int],
        limits: HostLimits,
        rate: float = 10.0,
        timeout: float = 10.0,
        signer_thread: str | None = None,
        blocked: float = BLOCKED_SECONDS,
        limited: float = 1.0,
        proxy: Proxy | None = None,
        ssl_context: ssl.SSLContext | None = None,
        log: logging.Logger | logging.LoggerAdapter[logging.Logger] = _log,
    ) -> None:
        self.requests: int = 0
        """The number of requests that were sent."""
        self._host = host
        self._signer = signer
        self._now = now
        self._limits = limits
        self._rate = rate
        self._timeout = timeout
        self._signer_thread = None if signer_thread is None else SignerThread(signer_thread)
        self._blocked = blocked
        self._limited = limited
        self._pool = ConnectionPool(host, proxy=proxy, ssl_context=ssl_context, log=log)
        self._over = threading.Event()
        # The measured offset in ms, which is added to *now*.
        self._correction = 0

    def __repr__(self) -> str:
        return f"<RestReader of {self._host.name}, {self.requests} requests>"

    def close(self) -> None:
        """Abort running requests: their threads get `ClientClosed` at once."""
        self._over.set()
        if self._signer_thread is not None:
            self._signer_thread.close()
        self._pool.close()

    def ask(self, endpoint: Endpoint, parameters: Mapping[str, str | int] | None = None) -> Answer:
        """Return the answer of *endpoint* to *parameters*.

        Waits for its turn. When the clock was wrong, the request is signed once more
        after a measurement.

        Raises `RestError` or one of the classes below it; `ClientClosed` after `close`.
        """
        return self._ask(endpoint, query_string(parameters or {}))

    def pages(self, walk: Walk) -> Iterator[tuple[Answer, list[Any]]]:
        """Yield each answer of *walk*, and its rows that are new within the walk.

        Raises the errors of `ask`; the walk may be resumed afterwards.
        """
        while walk.query is not None:
            answer = self._ask(walk.endpoint, walk.query)
            yield answer, walk.take(answer)

    def measure_clock(self) -> float:
        """Measure the exchange's clock, and sign with it from now on.

        Returns by how many seconds it is ahead of *now*. Raises the errors of `ask`.
        """
        answer = self._ask(SERVER_TIME, "")
        half_way = self._now() - answer.seconds * 500
        told = _told_ms(answer)
        if told is None:
            raise RestProtocolError("market/time: the answer has no time", endpoint=SERVER_TIME.name)
        self._correction = round(told - half_way)
        return self._correction / 1000

    # --- one request ---

    def _ask(self, endpoint: Endpoint, query: str) -> Answer:
        outcome = self._outcome(endpoint, query)
        if isinstance(outcome, RestClockRefused):
            self.measure_clock()
            outcome = self._outcome(endpoint, query)
        if isinstance(outcome, Answer):
            return outcome
        # A proxy may repeat the request.
        outcome.args = (self._signer.redact(str(outcome)),)
        raise outcome

    def _outcome(self, endpoint: Endpoint, query: str) -> Answer | BybitSyncError:
        """Return the answer or the error, after waiting for the rate limit.

        Limits in the answer are recorded.
        """
        if (obstacle := self._wait_for_turn(endpoint)) is not None:
            return obstacle
        outcome = self._send(endpoint, query)
        now = time.monotonic()
        if isinstance(outcome, RestBlocked):
            outcome.retry_after = self._blocked
            self._limits.block(now + self._blocked)
        elif isinstance(outcome, RestLimited):
            wait = self._limited if outcome.retry_after is None else outcome.retry_after
            self._limits.pause(self._signer.digest, endpoint.name, now + wait)
        elif isinstance(outcome, Answer) and outcome.wait:
            self._limits.pause(self._signer.digest, endpoint.name, now + outcome.wait)
        return outcome

    def _wait_for_turn(self, endpoint: Endpoint) -> BybitSyncError | None:
        """Wait until the rate limit allows a request, and return None.

        Returns an error when that takes longer than its timeout.
        """
        deadline = time.monotonic() + self._timeout
        while (wait := self._limits.reserve(self._signer.digest, endpoint.name, self._rate, time.monotonic())) > 0:
            if (blocked := self._limits.blocked_for(time.monotonic())) > 0:
                return _held_back(RestBlocked, endpoint, blocked, "this address was refused with HTTP 403")
            if time.monotonic() + wait > deadline:
                return _held_back(RestLimited, endpoint, wait, "the limit of requests is used up")
            self._over.wait(wait)
            if self._over.is_set():
                return ClientClosed("the client was closed while the REST host was asked")
        return None

    def _send(self, endpoint: Endpoint, query: str) -> Answer | BybitSyncError:
        unsigned: Mapping[str, str] = {}
        problem: list[Exception] = []
        deadline = time.monotonic() + self._timeout

        def headers() -> Mapping[str, str]:
            if endpoint.is_public:
                return unsigned
            try:
                return self._signed(query, deadline)
            except Exception as error:
                problem.append(error)
                raise

        self.requests += 1
        response = self._pool.get(endpoint, query, headers, deadline=deadline)
        if problem and not isinstance(problem[0], ClientClosed):
            return _unsigned(endpoint, self._signer.redact(describe(problem[0])))
        return read_answer(endpoint, response, self._signer.redact) if isinstance(response, Response) else response

    def _signed(self, query: str, deadline: float) -> Mapping[str, str]:
        def sign() -> Mapping[str, str]:
            return self._signer.headers(self._now() + self._correction, RECV_WINDOW, query)

        return sign() if self._signer_thread is None else self._signer_thread.run(sign, deadline)


def _told_ms(answer: Answer) -> int | None:
    """Return the time in an answer, in ms; else that of the envelope."""
    nano = answer.result.get("timeNano")
    if type(nano) is str and nano.isascii() and nano.isdigit() and len(nano) <= 19:  # noqa: PLR2004 - digits of 64 bits
        return int(nano) // 1_000_000
    at: datetime | None = answer.at
    return None if at is None else int(at.timestamp() * 1000)


def _held_back(kind: type[RestError], endpoint: Endpoint, wait: float, why: str) -> RestError:
    remedy = f"Nothing to do: it is asked again in {wait:.0f} s."
    return kind(f"{endpoint.name}: not asked, {why}. {remedy}", endpoint=endpoint.name, remedy=remedy, retry_after=wait)


def _unsigned(endpoint: Endpoint, what: str) -> RestUnavailable:
    text = f"{endpoint.name}: the request could not be signed: {what}. {_SIGNER}"
    return RestUnavailable(text, endpoint=endpoint.name, remedy=_SIGNER)
