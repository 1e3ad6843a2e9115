"""Export the health of a client by OpenTelemetry, here to the terminal.

Needs opentelemetry-sdk. Keys come from the environment, or --simulate.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader

from bybit_sync import Client


def gaps(_: CallbackOptions) -> Iterator[Observation]:
    """Count the gaps of each stream, by reason."""
    for stream, total in client.health().totals.items():
        for reason, number in total.gaps.items():
            yield Observation(number, {"client": client.name, "stream": stream.value, "reason": reason.value})


if "--simulate" in sys.argv:
    from bybit_sync.simulator import demo_client

    client = demo_client(drop_at=2)
else:
    client = Client.from_env()
provider = MeterProvider([PeriodicExportingMetricReader(ConsoleMetricExporter(), export_interval_millis=1_000)])
meter = provider.get_meter("bybit_sync")
meter.create_observable_counter("bybit_sync.gaps", [gaps])
meter.create_observable_gauge("bybit_sync.live", [lambda _: [Observation(int(client.state == "LIVE"))]])

with client:
    client.subscribe_orders(print)
    client.wait()
provider.shutdown()
