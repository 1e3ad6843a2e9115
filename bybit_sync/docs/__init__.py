"""The documentation: a page for each subject. Every block of code on them is tested.

* `bybit_sync.docs.connection`: the life of a connection, states and pauses.
* `bybit_sync.docs.gaps`: what can be missed, how you learn of it, how to mend it.
* `bybit_sync.docs.account`: what is open now, and how to wait for one order.
* `bybit_sync.docs.threads`: which thread runs your code, locks, signals, forks.
* `bybit_sync.docs.testing`: test your bot against a simulated exchange.
* `bybit_sync.docs.recipes`: pandas, asyncio, gunicorn, Jupyter and others.
* `bybit_sync.docs.command_line`: every command, with its options.
* `bybit_sync.docs.redis`: the same events on other machines, by Redis Streams.
* `bybit_sync.docs.operation`: deployment, metrics, logs, recordings.

Read a page with ``help("bybit_sync.docs.gaps")``, or build the site, pages and API
reference, in a copy of the repository:

```sh
pip install '.[docs]' && python -m bybit_sync.docs site
```
"""

from __future__ import annotations

__all__ = ["connection", "gaps", "account", "threads", "testing", "recipes", "command_line", "redis", "operation"]  # noqa: RUF022 - modules, as they are read
