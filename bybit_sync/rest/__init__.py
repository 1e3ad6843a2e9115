"""Signed GETs of Bybit's REST API: what recovery needs, and nothing else.

Pure rules: `endpoints` (what can be asked), `queries` (how it is written), `answers`
and `failures` (what came back, and what it means), `walks` (page after page), `windows`
(seven days at a time), `limits` (how often), `spellings` (from a row to an update).
`connections` is the only file that knows urllib3 (the extra ``rest``); `reader` puts a
request together.

https://bybit-exchange.github.io/docs/v5/guide
"""

from __future__ import annotations
