"""Run ``bybit-sync`` as ``python -m bybit_sync``."""

from __future__ import annotations

from bybit_sync.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
