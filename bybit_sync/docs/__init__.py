"""The documentation: a page for each subject. Every block of code on them is tested.

* `bybit_sync.docs.connection`: the life of a connection, states and pauses.
* `bybit_sync.docs.gaps`: what can be missed, how you learn of it, how to mend it.
* `bybit_sync.docs.threads`: which thread runs your code, locks, signals, forks.
* `bybit_sync.docs.testing`: test your bot against a simulated exchange.
* `bybit_sync.docs.recipes`: pandas, asyncio, gunicorn, Jupyter and others.
* `bybit_sync.docs.operation`: metrics, logs, other machines.

Read a page with ``help("bybit_sync.docs.gaps")``, or build the site, pages and API
reference, in a copy of the repository:

```sh
pip install '.[docs]' && python -m bybit_sync.docs site
```
"""

from __future__ import annotations

__all__ = ["connection", "gaps", "threads", "testing", "recipes", "operation"]  # noqa: RUF022 - modules, as they are read
