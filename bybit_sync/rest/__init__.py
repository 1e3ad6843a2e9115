"""Signed GETs of Bybit's REST API, for recovery.

Pure rules: `endpoints` (a table), `queries` (the query of a URL), `answers` and
`failures` (the parsed answer, or an error), `walks` (page after page), `windows` (seven
days at a time), `limits` (the rate of requests), `spellings` (from a row to an update).
`connections` is the only file that knows urllib3 (the extra ``rest``); `reader`
combines them to one request.

https://bybit-exchange.github.io/docs/v5/guide
"""

from __future__ import annotations
