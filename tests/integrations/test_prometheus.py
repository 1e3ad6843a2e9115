"""Metrics as Prometheus scrapes them: over HTTP, parsed by its own parsers."""

from __future__ import annotations

import json
import os
import re
import socketserver
import threading
import warnings
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from prometheus_client import CollectorRegistry

from bybit_sync import Client, ConfigurationError, GapReason, State, Stream
from bybit_sync.integrations.metrics import METRICS
from bybit_sync.integrations.prometheus import collector, serve
from bybit_sync.simulator import Account, Exchange
from tests.conftest import push
from tests.integrations.scraping import EXAMPLES, OPENMETRICS, names_in, scrape, scrape_port
from tests.recovery.conftest import Recovering, recovering  # noqa: F401 - a fixture
from tests.rest.conftest import make_reader, reader  # noqa: F401 - fixtures that it needs

Make = Callable[..., Client]


@pytest.fixture(autouse=True)
def hasty_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of the standard library looks twice a second whether it is to end: here it looks oftener."""
    monkeypatch.setattr(socketserver.BaseServer.serve_forever, "__defaults__", (0.02,))


def test_a_scrape_during_an_outage_shows_it(exchange: Exchange, account: Account, make_client: Make) -> None:
    """The client is not live, its subscription is stale, the outage is counted and its time grows."""
    client = make_client(name="main")
    client.subscribe_orders()
    with serve(0, client) as port:
        assert scrape_port(port).value("state", client="main", state="LIVE") == 1
        exchange.stop_listening()
        exchange.wait_for(lambda: client.state is State.BACKING_OFF)
        first, second = scrape_port(port), scrape_port(port)
    assert first.value("state", client="main", state="LIVE") == 0
    assert sum(value for (name, _), value in first.samples.items() if name == "bybit_sync_state") == 1
    assert first.value("subscriptions", client="main", stream="orders", state="STALE") == 1
    assert first.value("outages_total", client="main") == 1
    assert (
        0
        < (first.value("downtime_seconds_total", client="main") or 0)
        < (second.value("downtime_seconds_total", client="main") or 0)
    )


def test_after_an_outage_the_gap_is_counted(exchange: Exchange, account: Account, make_client: Make) -> None:
    """By stream and reason; and the client is back."""
    client = make_client(name="main")
    orders = client.subscribe_orders()
    exchange.drop()
    assert orders.get(timeout=10).gap
    seen = scrape(client)
    assert seen.value("gaps_total", client="main", stream="orders", reason="DISCONNECTED") == 1
    assert seen.value("reconnects_total", client="main") == 1
    assert seen.value("logins_total", client="main") == 2


@pytest.mark.parametrize("accept", ["", OPENMETRICS], ids=["text", "OpenMetrics"])
def test_both_formats_have_the_same_samples(accept: str, account: Account, make_client: Make) -> None:
    """Each parsed strictly, by its own parser."""
    client = make_client(name="main")
    client.subscribe_orders()
    assert scrape(client, accept=accept).names == scrape(client).names


def test_subscriptions_of_one_stream_are_summed(exchange: Exchange, account: Account, make_client: Make) -> None:
    """One sample for both, and of their lags the largest."""
    client = make_client(name="main")
    first, second = client.subscribe_orders(), client.subscribe_orders()
    push(account, "one", "two")
    exchange.wait_for(lambda: first.queued == second.queued == 2)
    first.get(timeout=10)
    seen = scrape(client)
    assert seen.value("queued_events", client="main", stream="orders") == 3
    assert seen.value("events_total", client="main", stream="orders") == 1
    assert seen.value("subscriptions", client="main", stream="orders", state="LIVE") == 2


def test_of_several_lags_and_ages_one_counts(account: Account, make_client: Make) -> None:
    """The largest lag, and the age of the latest push; one that has had no push yet counts for nothing."""
    client = make_client(name="main")
    client.subscribe_orders()
    health = client.health()
    (one,) = health.subscriptions
    late, slow = (
        attrs.evolve(one, last_push_lag=0.5, last_push_age=3.0),
        attrs.evolve(one, last_push_lag=2.0, last_push_age=7.0),
    )
    health = attrs.evolve(health, subscriptions=(one, late, slow))
    read = {metric.name: list(metric.read(health, health.since)) for metric in METRICS}
    assert read["bybit_sync_push_lag_seconds"] == [(("orders",), 2.0)]
    assert read["bybit_sync_push_age_seconds"] == [(("orders",), 3.0)]


def test_two_clients_are_told_apart(account: Account, make_client: Make) -> None:
    """By the label client."""
    main, hedge = make_client(name="main"), make_client(name="hedge")
    main.subscribe_orders()
    seen = scrape(main, hedge)
    assert seen.value("state", client="main", state="LIVE") == 1
    assert seen.value("state", client="hedge", state="IDLE") == 1


def test_two_clients_of_one_name_are_refused(make_client: Make) -> None:
    """Their samples would collide; with the remedy."""
    with pytest.raises(ConfigurationError, match="give each another name="):
        collector(make_client(name="main"), make_client(name="main"))


def test_a_second_collector_in_one_registry_is_refused(make_client: Make) -> None:
    """By the registry: every metric would be there twice."""
    registry = CollectorRegistry()
    registry.register(collector(make_client(name="main")))
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(collector(make_client(name="hedge")))


def test_a_closed_client_keeps_its_counters(account: Account, make_client: Make) -> None:
    """And has the state CLOSED."""
    client = make_client(name="main")
    orders = client.subscribe_orders()
    push(account, "one")
    orders.get(timeout=10)
    client.close()
    seen = scrape(client)
    assert seen.value("state", client="main", state="CLOSED") == 1
    assert seen.value("events_total", client="main", stream="orders") == 1
    assert seen.value("subscriptions", client="main", stream="orders", state="LIVE") is None


def test_a_counter_does_not_go_back_when_a_subscription_is_closed(account: Account, make_client: Make) -> None:
    """Prometheus would take that for a restart, and count twice."""
    client = make_client(name="main")
    with client.subscribe_orders() as orders:
        push(account, "one")
        orders.get(timeout=10)
    del orders
    client.subscribe_orders()
    assert scrape(client).value("events_total", client="main", stream="orders") == 1


def test_a_running_callback_is_shown(exchange: Exchange, account: Account, make_client: Make) -> None:
    """For how long; 0 while none runs."""
    client, go = make_client(name="main"), threading.Event()
    client.subscribe_orders(lambda _: go.wait(60))
    assert scrape(client).value("callback_busy_seconds", client="main", stream="orders") == 0
    push(account, "one")
    exchange.wait_for(lambda: client.health().subscriptions[0].busy_since)
    assert (scrape(client).value("callback_busy_seconds", client="main", stream="orders") or 0) > 0
    go.set()


def test_recovery_is_shown_where_it_is(exchange: Exchange, account: Account, recovering: Recovering) -> None:  # noqa: F811 - the fixture
    """A gap that REST cannot mend is pending until it can."""
    client = recovering(client={"name": "main"}, hold=0.1)
    client.subscribe_orders(lambda _event: None)
    exchange.wait_for(lambda: scrape(client).value("recovery_pending_gaps", client="main") == 0)
    exchange.rest.stop_listening()
    exchange.drop()
    exchange.wait_for(lambda: client.health().totals[Stream.ORDERS].gaps[GapReason.DISCONNECTED], timeout=10)
    assert scrape(client).value("recovery_pending_gaps", client="main") == 1
    exchange.rest.listen()
    exchange.wait_for(lambda: not scrape(client).value("recovery_pending_gaps", client="main"))
    assert (scrape(client).value("recovery_requests_total", client="main") or 0) > 1


def test_without_recovery_nothing_of_it_is_shown(account: Account, make_client: Make) -> None:
    """A gap that nobody reads is not pending."""
    assert scrape(make_client(name="main")).value("recovery_pending_gaps", client="main") is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are POSIX's")
def test_a_forked_process_shows_nothing_of_its_parents_clients(account: Account, make_client: Make) -> None:
    """And its other metrics are scraped all the same."""
    client = make_client(name="main")
    client.subscribe_orders()
    families = collector(client)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # This process has threads; the child starts none and takes no lock of theirs.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        try:
            os.write(writing, b"%d" % sum(len(family.samples) for family in families.collect()))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 10) == b"0"
    os.close(reading)
    os.close(writing)


def test_metrics_are_served_without_a_with_block_too(make_client: Make) -> None:
    """From the call on: a program that ignores the result has its metrics."""
    served = serve(0, client := make_client(name="main"))
    port = served._server.server_port  # type: ignore[attr-defined]
    try:
        assert scrape_port(port).value("state", client=client.name, state="IDLE") == 1
    finally:
        served.__exit__(None, None, None)


def test_the_port_is_freed_at_the_end(make_client: Make) -> None:
    """Another one can be served there, and no thread is left."""
    client, before = make_client(name="main"), set(threading.enumerate())
    with serve(0, client) as port:
        pass
    assert set(threading.enumerate()) <= before
    with serve(port, client) as again:
        assert again == port


# --- names ---


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_follows_the_conventions(metric: Any) -> None:
    """A prefix, a sentence, and only labels with few values."""
    assert re.fullmatch(r"bybit_sync_[a-z_]+[a-z]", metric.name)
    assert re.fullmatch(r"[A-Z0-9][^.]*\.", metric.text)
    assert set(metric.labels) <= {"stream", "reason", "state"}
    assert not re.search(r"_(ms|millis\w*|minutes|count)\b|_us_", metric.name), "base units only"


@pytest.fixture
def everything(exchange: Exchange, account: Account, recovering: Recovering) -> set[str]:  # noqa: F811 - the fixture
    """The names of all metrics that a client of every kind has, before and during a pause."""
    client = recovering(client={"name": "main"})
    orders = client.subscribe_orders()
    push(account, "one")
    exchange.wait_for(lambda: client.health().subscriptions[0].last_push_lag and client.health().ping_rtt)
    orders.get(timeout=10)
    names = scrape(client).names
    exchange.stop_listening()
    # The pauses of this client are short: scrape until one is caught.
    pausing = exchange.wait_for(
        lambda: ("bybit_sync_next_attempt_timestamp_seconds" in (seen := scrape(client).names)) and seen
    )
    return names | pausing


def test_every_metric_is_there(everything: set[str]) -> None:
    """None of the table is without samples for ever."""
    assert everything == {metric.name for metric in METRICS}


@pytest.mark.parametrize("example", ["prometheus_rules.yml", "grafana_dashboard.json"])
def test_an_example_names_only_metrics_that_are_scraped(example: str, everything: set[str]) -> None:
    """An alert on a name that is none never fires."""
    used = names_in(example)
    assert len(used) > 5
    assert used <= everything


def test_the_labels_in_the_rules_are_those_of_the_metrics() -> None:
    """Their values, too: `reason` and `state` out of our words."""
    text = (EXAMPLES / "prometheus_rules.yml").read_text(encoding="utf-8")
    words = {word for group in re.findall(r'(?:reason|state)=~?"([A-Z_|]+)"', text) for word in group.split("|")}
    assert len(words) >= 6
    assert words <= {*State.__members__, "DISCONNECTED", "UNDECODABLE", "OVERFLOW", "ENDED", "START"}


def test_the_dashboard_is_json_with_a_query_in_each_panel() -> None:
    """And no two panels have one number."""
    dashboard = json.loads((EXAMPLES / "grafana_dashboard.json").read_text(encoding="utf-8"))
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(target["expr"] for panel in panels for target in panel["targets"])
