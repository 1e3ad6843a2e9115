"""Redis Streams: the sink that writes the events, and the reader of them."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import weakref
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, Final, NoReturn

from bybit_sync.config.arguments import positive, refuse, whole
from bybit_sync.errors import RedisStreamError, RedisUnavailable
from bybit_sync.integrations.redis_entries import resume_at
from bybit_sync.integrations.redis_reader import EntrySource, Follower, GroupMember, Reader
from bybit_sync.integrations.redis_server import RedisServer, ServerAway
from bybit_sync.integrations.redis_writer import StreamWriter
from bybit_sync.logs import ClientLog
from bybit_sync.model.events import AnyEvent, Stream
from bybit_sync.redaction import seal

__all__ = ["RedisStreams", "consume"]

_MARGIN: Final = timedelta(seconds=60)


class RedisStreams:
    """A sink that writes each event into a Redis stream, once.

    Example:
        >>> from bybit_sync.integrations.redis_streams import RedisStreams, consume
        >>> orders = client.subscribe_orders(RedisStreams(redis_url))
        >>> received = consume(redis_url, client.name, "orders", timeout=5)
        >>> placed = account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")
        >>> next(received)
        Event(orders, 1 row: OrderUpdate(...

    The stream is ``{prefix}:{client}:{stream}``, such as ``bybit:main:orders``: give
    each client a name of its own, in every program. One object may serve any number of
    subscriptions, one for each client and stream.

    Each entry has an id of its own, higher than the one before. An event whose answer
    was lost is sent again under the same id, which the server refuses if it has it. So
    each event is in the stream exactly once, for as long as the server keeps what it
    acknowledged. A gap with the index 0 is written where that cannot be known: when a
    publisher begins again, when the server has lost entries, and after an event that
    was not written.

    A server that is away, busy, or out of memory is tried again until it answers. It
    costs the buffer of the subscription, then an OVERFLOW gap in the stream; the
    connection to the exchange never waits. `close` waits for it until its timeout.

    Not within `Inline`, which would wait on the connection's thread. On a thread of
    your own a call waits until the server answers.

    Anything else raises `RedisStreamError`, which the client passes to ``on_error``:
    the event is not written. When another writer has written to the stream, every later
    event raises too.

    Args:
        url: ``redis://user:password@host:port/db``, ``rediss://`` (TLS) or
            ``unix://path``; options such as ``?socket_timeout=2`` as redis-py has them.
            One server, not a cluster.
        prefix: The begin of the stream's name.
        maxlen: About so many entries stay in each stream; the oldest are trimmed.

    Raises:
        ConfigurationError: An argument cannot work.
    """

    def __init__(self, url: str, *, prefix: str = "bybit", maxlen: int = 1_000_000) -> None:
        whole(None, "maxlen", maxlen)
        self._new_server = _servers(url)
        self._place = self._new_server().place
        self._prefix = _text("prefix", prefix)
        self._maxlen = maxlen
        # By the stream's name: the threads of its subscriptions, in the order of their
        # first events. Each thread keeps its own writer until it ends, so that no
        # connection is left behind.
        self._threads: dict[str, list[weakref.ref[threading.Thread]]] = {}
        self._mine = threading.local()

    def __call__(self, event: AnyEvent) -> None:
        """Write *event*, and return when the server has it.

        Raises:
            RedisStreamError: It is not written: see above.
        """
        key, writers = _key(self._prefix, event.client, event.stream), vars(self._mine)
        self._take(key)
        if key not in writers or event.index == 1:
            writers[key] = StreamWriter(self._new_server(), key, self._maxlen, ClientLog(event.client))
        writers[key].append(event)

    def _take(self, key: str) -> None:
        """Raise `RedisStreamError` while a thread that came before writes to *key*.

        Without a lock, which a fork could leave locked: each step is atomic, and all
        threads see the same order.
        """
        mine, threads = weakref.ref(threading.current_thread()), self._threads.setdefault(key, [])
        if mine not in threads:
            threads.append(mine)
        for each in itertools.takewhile(lambda other: other != mine, threads.copy()):
            if _lives(each):
                raise RedisStreamError(f"another subscription writes to {key}: subscribe once to each stream of a client")
            with contextlib.suppress(ValueError):
                threads.remove(each)

    def complete_until(self, client: str, stream: Stream | str) -> datetime:
        """Return the ``since=`` that mends the time in which no publisher ran.

        It is 60 seconds before the last event in the stream of *client*; before the
        `since` of a gap that is the last event, or that the publisher was still mending
        when it ended; of an empty stream, before now. With
        ``recover=True``,

            sink = RedisStreams(url)
            client.subscribe_user_trades(sink, since=sink.complete_until("main", "user_trades"))

        every execution since then follows the gap of the new publisher; those that are
        in the stream already come a second time, with the same `key`.

        Raises:
            RedisStreamError: The server refuses; `RedisUnavailable`: it is away.
        """
        server = self._new_server()
        try:
            fields = server.position(_key(self._prefix, _text("client", client), _stream(stream))).fields
            return (datetime.now(timezone.utc) if fields is None else resume_at(fields)) - _MARGIN
        except ServerAway as error:
            raise RedisUnavailable(str(error)) from None
        except ValueError as error:
            raise RedisStreamError(f"{client}, {_stream(stream).value}: {error}") from None
        finally:
            server.close()

    def __repr__(self) -> str:
        """Return the class and the server, without user and password."""
        return f"RedisStreams({self._place!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a RedisStreams cannot be pickled or copied: it owns connections of this process; make a new one")


def consume(
    url: str,
    client: str,
    stream: Stream | str,
    *,
    group: str | None = None,
    consumer: str | None = None,
    prefix: str = "bybit",
    claim_idle: float = 60.0,
    timeout: float | None = None,
) -> Iterator[AnyEvent]:
    """Return an iterator over the events that `RedisStreams` writes, in order.

    Each equals what a subscriber beside the publisher gets, with `raw`, `wire` and
    `extra`, except `received_ns` and the `error` of a gap (its text, and its class if
    ours). Entries that are gone before they were read, trimmed by ``maxlen=`` or lost
    by the server, are told by a gap with the index 0, as are those that the publisher
    could not write.

    Without *group* it follows from the moment of this call, also when the connection is
    lost meanwhile. With *group* each event is given to one consumer, from the oldest
    entry on if the group is new. It is acknowledged when the next one is asked for; a
    consumer that dies before is given it again, so each event comes at least once. The
    order of the stream holds within the group, too: no consumer is given an event while
    another one still holds an older one. More consumers stand by; for more speed, read
    more streams.

    Returns when the server has answered, and waits for one that is away as long as
    *timeout* allows. The iterator belongs to one thread at a time.

    Args:
        url: As of `RedisStreams`.
        client: The name of the publishing client.
        stream: Such as ``"orders"`` or `Stream.ORDERS`.
        group: The name of a group of consumers.
        consumer: The name of this consumer, the same after each start. By default that
            of the machine: give names when several of its programs read as one group.
        prefix: As of the publisher.
        claim_idle: Seconds after which an event that another consumer took and has not
            acknowledged is given to this one: longer than any event takes to handle.
        timeout: Ends the iteration when no event came for so many seconds; None: never.

    Raises:
        ConfigurationError: An argument cannot work.
        RedisStreamError: The server refuses, or did not answer within *timeout*; also
            raised by the iterator.

    """
    for name, value in (("claim_idle", claim_idle), ("timeout", timeout)):
        if value is not None:
            positive(None, name, value)
    if consumer is not None and group is None:
        raise refuse("consumer", consumer, "it names a member of a group: give group=, too")
    server, which = _servers(url)(), _stream(stream)
    key = _key(_text("prefix", prefix), _text("client", client), which)
    source: EntrySource = Follower(server, key)
    if group is not None:
        member = _text("consumer", consumer or socket.gethostname())
        source = GroupMember(server, key, _text("group", group), member, claim_idle)
    reader = Reader(server, source, key, which, client, timeout)
    reader.begin()
    return reader.events()


def _servers(url: str) -> Any:
    """Return a function that makes a server for *url*, which it does not show."""
    shown = seal(url)
    return lambda: RedisServer(shown())


def _lives(thread: weakref.ref[threading.Thread]) -> bool:
    found = thread()
    return found is not None and found.is_alive()


def _key(prefix: str, client: str, stream: Stream) -> str:
    return f"{prefix}:{client}:{stream.value}"


def _stream(stream: Stream | str) -> Stream:
    try:
        return Stream(stream)
    except ValueError:
        raise refuse("stream", stream, f"give one of {', '.join(each.value for each in Stream)}") from None


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise refuse(name, value, "give a printable text")
    return value
