"""Every example runs, as its reader would run it, against the simulated exchange."""

from __future__ import annotations

import gc
import json
import os
import queue
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from bybit_sync import Client
from bybit_sync.simulator import Account, Exchange
from tests.conftest import KEY, SECRET

ROOT = Path(__file__).parent.parent
# What the output of each has to hold.
EXAMPLES = {
    "print_positions": ["BTCUSDT Buy 0.5 64250", "BTCUSDT flat 0"],
    "follow_orders": ["BTCUSDT PartiallyFilled 0.2 of 0.5", "read them by REST", "Cancelled 0 of 1000"],
    "legacy_queue": [
        f"{account} {stream} [" for account in ("main", "hedge") for stream in ("orders", "user_trades", "balances")
    ],
    "v3": ["user.execution.contractAccount BTCUSDT Buy 0.2 at 64250 fee 2.57"],
    "legacy_system": [
        "orders desk: OrderUpdate(category='linear', symbol='BTCUSDT'",
        "user_trades desk: UserTradeUpdate(",
        "positions desk: read by REST what happened from ",
    ],
    "resync_with_pybit": [
        "REST: get_positions {'category': 'linear', 'settleCoin': 'USDT', 'limit': 200, 'cursor': None}",
        "REST: get_executions {'category': 'inverse', 'startTime': 1",
        "2 orders, 2 positions, 3 trades",
    ],
}
# Most are read in a minute. Two are of a size that somebody may take over.
LINES = {"legacy_system": 100, "resync_with_pybit": 150}


def run(name: str, *arguments: str) -> subprocess.Popen[str]:
    """Start an example."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BYBIT_")}
    return subprocess.Popen(
        [sys.executable, "-W", "error", ROOT / "examples" / f"{name}.py", *arguments],
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All of them, at the same time."""
    processes = {name: run(name, "--simulate") for name in EXAMPLES}
    yield processes
    for process in processes.values():
        process.kill()
        process.communicate()


def test_every_example_is_known() -> None:
    """None lies there that no test runs."""
    assert {path.stem for path in (ROOT / "examples").glob("*.py")} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short(name: str) -> None:
    """Fewer than thirty lines, so that it is read."""
    assert len((ROOT / "examples" / f"{name}.py").read_text().splitlines()) < LINES.get(name, 30)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_shows_what_it_promises_and_ends(name: str, running: dict[str, subprocess.Popen[str]]) -> None:
    """It runs to its end without an account, and prints what it is about."""
    out, err = running[name].communicate(timeout=30)
    assert running[name].returncode == 0, err
    assert "Traceback" not in err
    for text in EXAMPLES[name]:
        assert text in out


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_without_keys_says_which_are_missing(name: str) -> None:
    """Without --simulate it is the real thing."""
    process = run(name)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "BYBIT_API_KEY is not set" in err


# --- what REST is asked ---


class Rest(BaseHTTPRequestHandler):
    """Bybit's REST, as far as the example asks it: one row each, and a second page of the executions."""

    asked: queue.Queue[str]
    rows: ClassVar[dict[str, dict[str, object]]] = {
        "/v5/order/realtime": {"orderId": "rest-order", "updatedTime": "1700000000000"},
        "/v5/position/list": {"symbol": "BTCUSDT", "positionIdx": 0, "updatedTime": "1700000000000"},
        "/v5/execution/list": {"execId": "rest-fill"},
    }

    def do_GET(self) -> None:
        """Answer with one page."""
        target = urlsplit(self.path)
        self.asked.put(self.path)
        cursor = "page-2" if target.path == "/v5/execution/list" and "cursor" not in target.query else ""
        page = {"retCode": 0, "retMsg": "OK", "result": {"list": [self.rows[target.path]], "nextPageCursor": cursor}}
        body = json.dumps(page).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_the_resync_asks_rest_what_pybit_and_bybit_understand(
    exchange: Exchange, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run with the real pybit, on a REST that answers: at the start, and with the window of the gap."""
    unified_trading = pytest.importorskip("pybit.unified_trading")
    Rest.asked = queue.Queue()
    server = HTTPServer(("127.0.0.1", 0), Rest)

    class Http(unified_trading.HTTP):  # type: ignore[misc, name-defined]
        def __post_init__(self) -> None:
            super().__post_init__()
            self.endpoint = f"http://127.0.0.1:{server.server_port}"

    monkeypatch.setattr(unified_trading, "HTTP", Http)
    monkeypatch.setattr(sys, "argv", ["resync_with_pybit.py"])
    for name, value in {"API_KEY": KEY, "API_SECRET": SECRET, "ENVIRONMENT": exchange.url}.items():
        monkeypatch.setenv(f"BYBIT_{name}", value)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    left: queue.Queue[dict[str, Any]] = queue.Queue()
    script = threading.Thread(target=lambda: left.put(runpy.run_path(str(ROOT / "examples" / "resync_with_pybit.py"))))
    script.start()
    first = [Rest.asked.get(timeout=20) for _ in range(6)]
    exchange.drop()
    then = [Rest.asked.get(timeout=20) for _ in range(10)]
    (client,) = [thing for thing in gc.get_objects() if isinstance(thing, Client) and thing.state == "LIVE"]
    client.close()
    book = left.get(timeout=20)["book"]
    server.shutdown()
    server.server_close()
    assert first[0].startswith("/v5/order/realtime?category=linear&limit=50&settleCoin=USDT")
    assert sum("/v5/execution/list?category=linear&" in path and "&startTime=1" in path for path in then) == 2
    assert (set(book.orders), set(book.positions), set(book.trades)) == ({"rest-order"}, {("BTCUSDT", 0)}, {"rest-fill"})
