"""One connection to a Redis server: the only file that knows redis-py.

redis-py reconnects by itself and sends a command again. The writer of a stream needs to
know of each such moment, so here a connection is made once and dropped at the first
error. A pipeline, which only readers use, takes one of its own and may reconnect.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, urlsplit

import attrs

from bybit_sync.config.arguments import positive
from bybit_sync.errors import ConfigurationError, RedisStreamError, RedisUnavailable
from bybit_sync.extras import install
from bybit_sync.integrations.redis_entries import START, EntryId, Fields
from bybit_sync.logs import ClientLog
from bybit_sync.redaction import Redactor, seal
from bybit_sync.text import printable

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as _error:
    raise ModuleNotFoundError(f"Redis Streams need the package redis: {install('redis')}", name="redis") from _error

__all__ = ["Position", "RedisServer", "Retrying", "ServerAway"]

T = TypeVar("T")

_TIMEOUT: Final = 5.0  # seconds for a connect or an answer, unless the URL has others
# Whatever the URL says: the forms of questions and answers, no second attempt that this
# file does not see, and a second connection for pipelines.
_ALWAYS: Final[dict[str, Any]] = {
    "protocol": 2,
    "encoding": "utf-8",
    "decode_responses": False,
    "retry": Retry(NoBackoff(), 0),
    "max_connections": 2,
}
_LONGEST_BLOCK: Final = 1.0  # seconds that a read waits for entries in one command
_REMEDY: Final = (
    'give the URL of one server: "redis://user:password@host:6379/0", "rediss://…" for TLS, "unix:///path/to/socket"; '
    "quote special characters of user and password: %40 for @, %2F for /, %23 for #, %3F for ?, %25 for %"
)

# What is tried again until it succeeds, by the class of redis-py or by the first word
# of the server's text. Anything else is final.
_RETRIED: Final = (
    redis.ConnectionError,  # refused, reset, too many clients
    redis.TimeoutError,
    OSError,
    redis.exceptions.BusyLoadingError,  # LOADING: the server reads its file
    redis.exceptions.ReadOnlyError,  # a replica, until the failover is through
    redis.exceptions.ClusterDownError,  # CLUSTERDOWN, MASTERDOWN
    redis.exceptions.TryAgainError,
    redis.exceptions.OutOfMemoryError,  # until somebody frees or gives memory
)
_RETRIED_WORDS: Final = ("BUSY", "MISCONF", "NOREPLICAS", "UNBLOCKED", "FAILOVER")
# Final, though redis-py derives them from ConnectionError.
_FINAL: Final = (
    redis.AuthenticationError,
    redis.exceptions.AuthorizationError,
)
_NO_CLUSTER: Final = "this is a cluster: give the URL of the node that has this key, or of a server that is none"
# What to do, by a word in the class's name or the text.
_REMEDIES: Final = {
    "Authentication": "give the right user and password in the URL",
    "NoPermission": "allow the user the commands of streams (ACL +@stream) on this key",
    "Authorization": "give the right user and password in the URL",
    "OutOfMemory": "give the server more memory, or lower maxlen=",
    "MISCONF": "give the server a disk that it can write to",
    "WRONGTYPE": "another program keeps something else under this key: delete it, or give another prefix=",
    "Moved": _NO_CLUSTER,
    "Ask": _NO_CLUSTER,
    "unknown command": "Redis 6.2 or newer, or Valkey, with all commands of streams, is needed",
    "Invalid stream ID": "Redis 6.2 or newer, or Valkey, is needed",  # NOMKSTREAM is taken for an id
    "max number of clients": "raise maxclients of the server",
}


class ServerAway(Exception):
    """The server does not answer, or cannot do it now.

    Try again on a new connection.
    """


@attrs.frozen
class Position:
    """Where a stream ends.

    *last* is the id that was written last, also when that entry is gone; *fields* are
    those of the last entry that is there, None when there is none. *is_there* tells
    whether that is the one with the id *last*.
    """

    last: EntryId = START
    fields: Fields | None = None
    is_there: bool = False


class RedisServer:
    """A server, and one connection to it. One thread at a time."""

    def __init__(self, url: str) -> None:
        """Check *url*; no I/O. Raises `ConfigurationError`, without the password."""
        options = _parsed(url)
        self._redactor = Redactor()
        self._redactor.learn(*(seal(str(options[name])) for name in ("password", "username") if options.get(name)))
        self.place: str = _place(options)
        """The address, without user and password."""
        timeout = options.get("socket_timeout", _TIMEOUT)
        self.block: float = min(_LONGEST_BLOCK, timeout / 2)
        """The seconds that one command may wait for entries."""
        options = {"socket_connect_timeout": timeout, **options, "socket_timeout": timeout, **_ALWAYS}
        # A function: the repr of a pool shows the password.
        self._new_pool: Callable[[], Any] = lambda: redis.ConnectionPool(**options)
        self._client: Any = None
        self._pid = 0

    def call(self, command: Callable[[Any], T]) -> T:
        """Return what *command* returns when it is given the connection.

        Raises:
            ServerAway: The connection is dropped; try again.
            RedisStreamError: The server refuses, and a retry cannot help.
        """
        try:
            return command(self._connected())
        except (redis.RedisError, OSError) as error:
            failure = self._failure(error)
            # Also after a refusal that may end: a failover may have made a replica of
            # this server, and another one answers at the address.
            if isinstance(failure, ServerAway) or not isinstance(error, redis.ResponseError):
                self.close()
        except BaseException:
            # Ctrl-C: an answer may still be on its way.
            self.close()
            raise
        try:
            raise failure
        finally:
            # Its traceback holds this frame, and the frame would hold it: a connection
            # would be open until the next collection.
            del failure

    def _connected(self) -> Any:
        if self._client is None or self._pid != os.getpid():
            # After a fork the connection is the parent's.
            self._pid = os.getpid()
            self._client = None
            self._client = redis.Redis(connection_pool=self._new_pool(), single_connection_client=True)
        return self._client

    def close(self) -> None:
        """Close the connection, if there is one; the next call makes another."""
        client, self._client = self._client, None
        if client is not None and self._pid == os.getpid():
            client.close()
            client.connection_pool.disconnect()

    def _failure(self, error: Exception) -> Exception:
        text = _text(error)
        word = text.partition(" ")[0]
        if not isinstance(error, _FINAL) and (isinstance(error, _RETRIED) or word in _RETRIED_WORDS):
            return ServerAway(self._told(error, "refuses" if isinstance(error, redis.ResponseError) else "does not answer"))
        return RedisStreamError(self._told(error, "refuses"), text=self._redactor.redact(printable(text)))

    def _told(self, error: Exception, verb: str) -> str:
        kind, text = type(error).__name__, self._redactor.redact(printable(_text(error)))
        remedy = next((remedy for word, remedy in _REMEDIES.items() if word in kind or word in text), "")
        return f"{self.place} {verb}: {text or kind}{': ' if remedy else ''}{remedy}"

    def position(self, key: str) -> Position:
        """Return where the stream *key* ends; the start when there is no such key.

        Raises as `call`.
        """
        try:
            found = self.call(lambda client: client.xinfo_stream(key))
        except RedisStreamError as error:
            if "no such key" not in error.text:
                raise
            return Position()
        last, fields = found["last-entry"] or (None, None)
        return Position(EntryId.parse(found["last-generated-id"]), fields, last == found["last-generated-id"])


def _parsed(url: object) -> dict[str, Any]:
    """Return redis-py's options of *url*. Raises `ConfigurationError`."""
    if isinstance(url, str):
        try:
            options: dict[str, Any] = redis.connection.parse_url(url)  # type: ignore[no-untyped-call]
            # It does not connect; an option that is unknown or no number is refused.
            redis.ConnectionPool(**{**options, **_ALWAYS}).make_connection()
            _check_quoted(urlsplit(url))
            # What a socket refuses only when it is used.
            url.encode()
            str(options.get("host", "")).encode("idna")
        except (TypeError, ValueError):
            pass
        else:
            for name in ("socket_timeout", "socket_connect_timeout"):
                if name in options:
                    positive(None, f"url=…?{name}", options[name])
            return options
    # Without the URL, and outside of the except clause: it may hold a password.
    raise ConfigurationError(f"url= cannot work: {_REMEDY}")


def _check_quoted(url: SplitResult) -> None:
    """Raise `ValueError` if a special character made something else of a password.

    Another server would be asked, and a part of the password be shown as its address.
    """
    is_number = re.fullmatch(r"/?[0-9]*", url.path) is not None
    if url.fragment or not all("=" in option for option in url.query.split("&") if option):
        raise ValueError
    if not (url.path if url.scheme == "unix" else is_number):
        raise ValueError


def _text(error: Exception) -> str:
    """Return the text of *error* without what was sent, such as a password."""
    return str(error).partition(", with args beginning with")[0]


def _place(options: dict[str, Any]) -> str:
    if "path" in options:
        return f"unix://{options['path']}"
    scheme = "rediss" if options.get("connection_class") is redis.SSLConnection else "redis"
    return f"{scheme}://{options.get('host', 'localhost')}:{options.get('port', 6379)}/{options.get('db', 0)}"


# --- retrying ---

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
# Its own, because a user may have seeded the program's.
_CHANCE: Final = random.Random()  # noqa: S311 - spreads the attempts of many publishers


class Retrying:
    """Repeats a step for as long as the server is away.

    *pause* waits for a number of seconds, and returns False when it is time to give up.
    """

    def __init__(self, what: str, log: ClientLog, pause: Callable[[float], bool]) -> None:
        self._what = what
        self._log = log
        self._pause = pause

    def run(self, step: Callable[[], T]) -> T:
        """Return what *step* returns.

        Raises `RedisUnavailable` when it is time to give up, and what *step* raises
        besides `ServerAway`.
        """
        began, failures = time.monotonic(), 0
        while True:
            try:
                result = step()
            except ServerAway as error:
                failures += 1
                # A server may close an idle connection: that is no news.
                if failures == 2:  # noqa: PLR2004
                    self._log.warning("%s; it is tried again", str(error))
                if not self._pause(_seconds(failures)):
                    raise RedisUnavailable(f"{error}; {self._what}") from None
            else:
                if failures > 1:
                    self._log.info("the server answers again after %.1f s", time.monotonic() - began)
                return result


def _seconds(failures: int) -> float:
    """Return the pause after so many failures in a row: none after the first."""
    if failures == 1:
        return 0.0
    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures - 2, 30))
    return longest * _CHANCE.uniform(0.5, 1.0)
