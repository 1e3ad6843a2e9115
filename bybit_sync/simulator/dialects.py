"""The two dialects as tables: the path of the socket, and its topics."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

__all__ = ["DIALECTS", "STREAMS", "V3", "V5", "Dialect", "Topic"]

# Stream names: the public one, and the one on the wire.
STREAMS: Mapping[str, str] = MappingProxyType(
    {"balances": "wallet", "orders": "order", "positions": "position", "user_trades": "execution"}
)


@attrs.frozen
class Topic:
    """A topic.

    *stream* is the word on the wire, *category* None for every category.
    """

    name: str
    stream: str
    category: str | None = None
    has_categories: bool = False

    @property
    def is_all_in_one(self) -> bool:
        """True for the topic of all categories, where there are categorised ones."""
        return self.has_categories and self.category is None


@attrs.frozen
class Dialect:
    """One private socket: its path and its topics."""

    name: str
    path: str
    topics: Mapping[str, Topic]

    def topics_of(self, stream: str) -> tuple[Topic, ...]:
        """Return the topics that carry *stream*."""
        return tuple(topic for topic in self.topics.values() if topic.stream == stream)


def _categorised(stream: str, *categories: str) -> list[Topic]:
    one = Topic(stream, stream, has_categories=True)
    return [one, *(Topic(f"{stream}.{category}", stream, category, has_categories=True) for category in categories)]


def _named(topics: list[Topic]) -> Mapping[str, Topic]:
    return MappingProxyType({topic.name: topic for topic in topics})


V5 = Dialect(
    "v5",
    "/v5/private",
    _named(
        [
            *_categorised("position", "linear", "inverse", "option"),
            *_categorised("order", "spot", "linear", "inverse", "option"),
            *_categorised("execution", "spot", "linear", "inverse", "option"),
            *_categorised("execution.fast", "spot", "linear", "inverse", "option"),
            Topic("wallet", "wallet"),
            Topic("greeks", "greeks"),
        ]
    ),
)
V3 = Dialect(
    "v3",
    "/contract/private/v3",
    _named([Topic(f"user.{stream}.contractAccount", stream) for stream in STREAMS.values()]),
)
DIALECTS: Mapping[str, Dialect] = MappingProxyType({dialect.path: dialect for dialect in (V5, V3)})
