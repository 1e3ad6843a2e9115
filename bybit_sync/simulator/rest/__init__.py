"""The REST host of the simulated exchange: its accounts over HTTP.

`bybit_sync.simulator.Exchange.rest_url` is where it listens, `Exchange.rest`
(`RestFaults`) its faults.
"""

from __future__ import annotations

from bybit_sync.simulator.rest.faults import RestFaults
from bybit_sync.simulator.rest.requests import RestCall

__all__ = ["RestCall", "RestFaults"]
