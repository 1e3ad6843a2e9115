"""Tests of `bybit_sync.integrations`."""
