"""Metrics for Prometheus: the health of clients, read when it is scraped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from bybit_sync.errors import ClientClosed, ConfigurationError
from bybit_sync.extras import install
from bybit_sync.integrations.metrics import METRICS, Metric
from bybit_sync.status import Health

try:
    from prometheus_client import CollectorRegistry, start_http_server
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    from prometheus_client.registry import Collector
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        f"metrics for Prometheus need the package prometheus-client: {install('prometheus-client')}", name=_error.name
    ) from None

if TYPE_CHECKING:
    import threading
    from wsgiref.simple_server import WSGIServer

    from bybit_sync.client import Client

__all__ = ["collector", "serve"]


def collector(*clients: Client) -> Collector:
    """Return a collector with the metrics of *clients*, for any registry.

    Each scrape calls `Client.health` of each client, on the thread of the scrape;
    nothing is measured in between, and no event costs more. The label `client` is the
    client's name. Subscriptions to one stream are summed; of their lags the largest
    counts, of their last pushes the latest. Counters include closed subscriptions: they
    never decrease. A closed client keeps its counters. A process that was forked from a
    client's has no samples of it.

    A registry takes one such collector: give it all clients. Every metric and its
    meaning: `bybit_sync.docs.operation`.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> from bybit_sync.integrations.prometheus import collector
        >>> registry = CollectorRegistry()  # in your program: prometheus_client.REGISTRY
        >>> registry.register(collector(client))
        >>> orders = client.subscribe_orders()
        >>> registry.get_sample_value("bybit_sync_state", {"client": "main", "state": "LIVE"})
        1.0

    Raises:
        ConfigurationError: two of *clients* have one name.

    """
    names = [client.name for client in clients]
    if len(set(names)) < len(names):
        raise ConfigurationError("two clients have one name, which is their label: give each another name=")
    return _Collector(clients)


def serve(port: int, *clients: Client, address: str = "127.0.0.1") -> AbstractContextManager[int]:
    """Serve the metrics of *clients*, and no others, over HTTP from now on.

    It ends with the ``with`` block, which gets the port (for *port* 0 a free one), or
    else with the program: the threads are daemons. Without TLS and password: *address*
    should be one that only the scraper can reach.

    Example:
        >>> from urllib.request import urlopen
        >>> from bybit_sync.integrations.prometheus import serve
        >>> orders = client.subscribe_orders()
        >>> with serve(0, client) as port:
        ...     page = urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        >>> 'bybit_sync_subscriptions{client="main",state="LIVE",stream="orders"} 1.0' in page
        True

    Raises:
        ConfigurationError: two of *clients* have one name.
        OSError: nothing can listen there.

    """
    registry = CollectorRegistry()
    registry.register(collector(*clients))
    return _Served(*start_http_server(port, address, registry))


class _Served(AbstractContextManager[int]):
    """A server that runs, until its ``with`` block ends."""

    def __init__(self, server: WSGIServer, thread: threading.Thread) -> None:
        self._server = server
        self._thread = thread

    def __enter__(self) -> int:
        """Return the port."""
        return self._server.server_port

    def __exit__(self, *_: object) -> None:
        """End the server and its thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Collector(Collector):
    """Reads the health of *clients* at each scrape."""

    def __init__(self, clients: tuple[Client, ...]) -> None:
        self._clients = clients

    def describe(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Yield every metric without samples: a registry refuses a second collector."""
        return map(_family, METRICS)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Yield every metric with its samples."""
        healths = list(self._healths())
        now = datetime.now(timezone.utc)
        for metric in METRICS:
            family = _family(metric)
            for health in healths:
                for labels, value in metric.read(health, now):
                    if value is not None:
                        family.add_metric([health.name, *labels], value)
            yield family

    def _healths(self) -> Iterator[Health]:
        for client in self._clients:
            # In a process that was forked from the client's, other metrics go on.
            with contextlib.suppress(ClientClosed):
                yield client.health()


def _family(metric: Metric) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if metric.is_counter else GaugeMetricFamily
    return kind(metric.name, metric.text, labels=("client", *metric.labels))
