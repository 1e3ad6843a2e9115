"""Send the health of a client to statsd (UDP), once a second.

Keys come from BYBIT_API_KEY and BYBIT_API_SECRET, or --simulate.
"""

from __future__ import annotations

import os
import socket
import sys

from bybit_sync import Client

if "--simulate" in sys.argv:
    from bybit_sync.simulator import demo_client as connect
else:
    connect = Client.from_env
server = os.environ.get("STATSD_HOST", "127.0.0.1"), int(os.environ.get("STATSD_PORT", "8125"))

with connect() as client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
    client.subscribe_orders(print)
    while not client.wait(timeout=1.0):
        health = client.health()
        gauges = {"live": int(health.state == "LIVE"), "outages": health.outages, "downtime": f"{health.downtime:.3f}"}
        for stream, total in health.totals.items():
            counts = {"events": total.delivered, "dropped": total.dropped, "gaps": sum(total.gaps.values())}
            gauges |= {f"{stream}.{name}": count for name, count in counts.items()}
        statsd.sendto("\n".join(f"bybit.{health.name}.{name}:{value}|g" for name, value in gauges.items()).encode(), server)
