"""The errors of the library, as one family.

Each error says what happened, where the fault lies and what to do. None of them holds
the key, the secret, a signature or an account id.
"""

from __future__ import annotations

from bybit_sync.public import name_public

__all__ = [
    "AuthenticationError",
    "BybitSyncError",
    "ClientClosed",
    "ConfigurationError",
    "ConnectTimeout",
    "ConnectionFailed",
    "ConnectionLost",
    "HandshakeRejected",
    "JournalError",
    "ProtocolError",
    "QueueOverflow",
    "RecordingError",
    "RedisStreamError",
    "RedisUnavailable",
    "Refused",
    "RestBlocked",
    "RestClockRefused",
    "RestError",
    "RestLimited",
    "RestProtocolError",
    "RestRefused",
    "RestTLSError",
    "RestUnavailable",
    "SubscriptionClosed",
    "SubscriptionRejected",
    "TLSError",
    "describe",
    "fresh_copy",
]


class BybitSyncError(Exception):
    """The base of every error that this library raises on purpose."""


class ConfigurationError(BybitSyncError, ValueError):
    """An argument cannot work.

    The message names it and the remedy. Also a ``ValueError``.

    Example:
        >>> Client("KEY", "SECRET", categories="linear")
        Traceback (most recent call last):
        bybit_sync.ConfigurationError: categories='linear' cannot work: give a collection out of linear, inverse, ...

    """


class ConnectionFailed(BybitSyncError, ConnectionError):
    """The exchange could not be reached, or the connection was lost.

    A retry usually helps. Also a ``ConnectionError``.
    """


class ConnectTimeout(ConnectionFailed, TimeoutError):
    """The exchange did not confirm within ``subscribe_*``'s timeout.

    The last failure is ``__cause__``.

    Also a ``TimeoutError``.

    Example:
        >>> exchange.stop_listening()
        >>> client.subscribe_orders(timeout=0.5)
        Traceback (most recent call last):
        bybit_sync.ConnectTimeout: ... did not confirm orders within 0.5 s; the last failure: ... Connection refused ...

    """


class TLSError(ConnectionFailed):
    """The server could not prove its identity, or offers no acceptable TLS.

    Nothing secret was sent.
    """


class HandshakeRejected(ConnectionFailed):
    """The server answered the WebSocket upgrade with something other than 101.

    *status* is the HTTP status, *retry_after* the seconds that a ``Retry-After`` header
    asks for (None without one).
    """

    def __init__(self, message: str = "", *, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class ConnectionLost(ConnectionFailed):
    """An established connection ended.

    *code* is the WebSocket close code (None when the peer sent no close frame),
    *reason* its text, "" without one.
    """

    def __init__(self, message: str = "", *, code: int | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class Refused(BybitSyncError):
    """The exchange refused a request.

    *text* is the exchange's own text, at most 1,000 characters; *remedy* says what to
    do.
    """

    def __init__(self, message: str = "", *, text: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.text = text
        self.remedy = remedy


class AuthenticationError(Refused):
    """The exchange refused the login.

    Example:
        >>> Client("KEY", "WRONG", environment=exchange.url).subscribe_orders()
        Traceback (most recent call last):
        bybit_sync.AuthenticationError: ... refused the login: Error sign, ... Check that the secret belongs to ...

    *clock_offset* is the exchange's clock minus ours in seconds, None when it was not
    measured. *transient* says that a later login may succeed, *retry_after* after how
    many seconds at the earliest (None when that is not known).
    """

    def __init__(
        self,
        message: str = "",
        *,
        text: str = "",
        remedy: str = "",
        clock_offset: float | None = None,
        transient: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, text=text, remedy=remedy)
        self.clock_offset = clock_offset
        self.transient = transient
        self.retry_after = retry_after


class SubscriptionRejected(Refused):
    """The exchange refused *topic*; the other streams go on.

    Example:
        >>> exchange.refuse_topic("position.linear")
        >>> try:
        ...     client.subscribe_positions()
        ... except SubscriptionRejected as error:
        ...     print(error.topic, "|", error.text, "|", error.remedy)
        position.linear | error:handler not found,topic:position.linear | Check the key's permissions, ...

    """

    def __init__(self, message: str = "", *, text: str = "", remedy: str = "", topic: str = "") -> None:
        super().__init__(message, text=text, remedy=remedy)
        self.topic = topic


class ProtocolError(BybitSyncError):
    """The exchange sent something that its documentation does not allow."""


class QueueOverflow(BybitSyncError):
    """A consumer was too slow.

    Its subscription has ``overflow="fail"``: it ended instead of dropping events.
    """


class ClientClosed(BybitSyncError):
    """The client was closed, or belongs to the process that forked this one.

    Make a new one.
    """


class SubscriptionClosed(BybitSyncError):
    """The subscription has ended, and every event was taken.

    ``get()`` raises it after ``close()``.

    Example:
        >>> orders = client.subscribe_orders()
        >>> orders.close()
        True
        >>> orders.get()
        Traceback (most recent call last):
        bybit_sync.SubscriptionClosed: ...

    """


class JournalError(BybitSyncError):
    """A journal could not be opened, read or written, or must not book an event.

    The message names the file and the remedy; what the system said is ``__cause__``.

    Example:
        >>> from bybit_sync.integrations.sqlite_journal import Journal
        >>> Journal("no such folder/fills.db")
        Traceback (most recent call last):
        bybit_sync.JournalError: the journal .../no such folder/fills.db cannot be made: No such file or directory; ...

    """


class RedisStreamError(BybitSyncError):
    """An event could not be written to a Redis stream, or none can be read from it.

    The message names server, stream and remedy, never a password. *text* is the
    server's own text; "" when the error is not the server's.

    Example:
        >>> from bybit_sync.integrations.redis_streams import consume
        >>> consume("redis://127.0.0.1:1", "main", "orders", timeout=0.1)
        Traceback (most recent call last):
        bybit_sync.RedisUnavailable: redis://127.0.0.1:1/0 does not answer: ...

    """

    def __init__(self, message: str = "", *, text: str = "") -> None:
        super().__init__(message)
        self.text = text


class RedisUnavailable(RedisStreamError):
    """The Redis server does not answer, and no time is left to wait for it."""


class RecordingError(BybitSyncError, ValueError):
    """A recording is damaged, or a file is not a recording.

    All lines before were read. Also a ``ValueError``.

    *path* is the file, "" for a recording that was given as lines. *line* is the number
    of the line, from 1; 0 when the error is not about one line.

    Example:
        >>> list(replay(['{"recv_ns": 1, "recv_']))
        Traceback (most recent call last):
        bybit_sync.RecordingError: line 1 of the recording is damaged (not JSON: ...). All that stands before it ...

    """

    def __init__(self, message: str = "", *, path: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.path = path
        self.line = line


class RestError(BybitSyncError):
    """A request to the REST host failed; the base of its errors.

    *endpoint* is the path of the request (``execution/list``), *remedy* says what to
    do. *retry_after* is the seconds until a retry makes sense: None when the exchange
    did not say, and when no retry can help.
    """

    def __init__(self, message: str = "", *, endpoint: str = "", remedy: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.endpoint = endpoint
        self.remedy = remedy
        self.retry_after = retry_after


class RestUnavailable(RestError, ConnectionFailed):
    """The REST host could not be reached, closed in an answer, or is busy.

    Retry with backoff.
    """


class RestTLSError(RestUnavailable, TLSError):
    """The REST host could not prove its identity, or offers no acceptable TLS.

    Nothing secret was sent.
    """


class RestLimited(RestUnavailable):
    """The key's or the system's rate limit is exceeded.

    *retry_after* is the exchange's wait in seconds.
    """


class RestBlocked(RestUnavailable):
    """HTTP 403: this address or its region is banned for a while.

    Send nothing for *retry_after* seconds.
    """


class RestRefused(RestError, Refused):
    """The REST host refused a request, and a retry cannot help.

    The cause is the key, a permission, an address, or the request itself.

    *text* is the exchange's own text, *code* its ``retCode`` (None for an HTTP status
    without one). *is_general* says that every other endpoint will refuse as well: the
    cause is the key, not the endpoint.
    """

    def __init__(
        self,
        message: str = "",
        *,
        endpoint: str = "",
        remedy: str = "",
        text: str = "",
        code: int | None = None,
        is_general: bool = False,
    ) -> None:
        RestError.__init__(self, message, endpoint=endpoint, remedy=remedy)
        self.text = text
        self.code = code
        self.is_general = is_general


class RestClockRefused(RestRefused):
    """The timestamp of the request is wrong.

    Measure the exchange's clock and retry once.
    """


class RestProtocolError(RestError, ProtocolError):
    """The REST host's answer breaks its documentation.

    A retry may get a better one.
    """


def describe(error: BaseException) -> str:
    """Return a text for *error*, never empty.

    It names the class, unless that is one of ours.
    """
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a user's own class may raise anything
        text = ""
    kind = type(error).__name__
    return text if text and isinstance(error, BybitSyncError) else f"{kind}: {text}" if text else kind


def fresh_copy(error: BaseException) -> BaseException:
    """Return a copy of *error* to raise in another thread, or a second time.

    Each raise adds the frames of its caller to the error's traceback, and a kept error
    would keep them alive. An error that cannot be copied is returned itself, without
    its traceback.
    """
    try:
        # `__new__` without `__init__`: the constructor of a user's class may change its
        # arguments.
        copy = type(error).__new__(type(error), *error.args)
        copy.args = error.args
        copy.__dict__.update(error.__dict__)
        copy.__cause__ = error.__cause__
    except Exception:  # noqa: BLE001 - a user's class may refuse anything
        return error.with_traceback(None)
    return copy if str(copy) == str(error) else error.with_traceback(None)


name_public(*(cls for cls in map(globals().get, __all__) if isinstance(cls, type)))
