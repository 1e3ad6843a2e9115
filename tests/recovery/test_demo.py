"""A demo client that recovers knows the REST host of its exchange."""

from __future__ import annotations

from bybit_sync import Recovery
from bybit_sync.simulator import demo_client


def test_a_demo_client_recovers_from_its_outage() -> None:
    """Without a word about where REST is."""
    with demo_client(steps=100, drop_at=2, recover=True) as client:
        positions = client.subscribe_positions()
        assert positions.get(timeout=20).snapshot
        assert any(event.recovered for event in positions)


def test_a_demo_client_keeps_the_other_options() -> None:
    """Only the base URL is added."""
    with demo_client(steps=1, recover=Recovery(hold=1.0, confirm_after=())) as client:
        assert client.subscribe_positions().get(timeout=20).snapshot
