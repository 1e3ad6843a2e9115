"""The recipes that show a result, or need a process of their own: each runs as its reader runs it, and does what it says."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bybit_sync import Client
from bybit_sync.simulator import Account, Exchange
from tests.conftest import KEY, SECRET
from tests.test_docs import ROOT, blocks, need
from tests.test_doctests import readers, run

__all__ = ["readers"]

RECIPES = {name.partition(": ")[2]: block for name, block in blocks() if name.startswith("recipes: ")}


@pytest.fixture
def environment(exchange: Exchange, account: Account) -> dict[str, str]:
    """The variables with which a program finds its account on the simulated exchange."""
    assert account.key == KEY
    keys = {"BYBIT_API_KEY": KEY, "BYBIT_API_SECRET": SECRET, "BYBIT_ENVIRONMENT": exchange.url}
    return {**os.environ, **keys, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def recipe(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The recipe that the test names, as a file."""
    block = RECIPES[request.param]
    need(block)
    path = tmp_path / "trading.py"
    path.write_text(block, encoding="utf-8")
    return path


def of(name: str) -> pytest.MarkDecorator:
    """Give the test the recipe *name*."""
    return pytest.mark.parametrize("recipe", [name], indirect=True)


@contextlib.contextmanager
def running(*command: str | Path, folder: Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run Python with *command* in *folder*; it is ended by SIGTERM."""
    with subprocess.Popen([sys.executable, *command], cwd=folder, text=True, **options) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def is_logged_in(exchange: Exchange, processes: int) -> bool:
    """Return whether so many clients have subscribed."""
    return sum(bool(connection.topics) for connection in exchange.connections) == processes


def order(account: Account) -> None:
    """Place one."""
    account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000")


def fill(exchange: Exchange, account: Account, over: threading.Event, made: list[Client]) -> None:
    """Fill an order once everything is subscribed; close the clients when they have delivered something."""

    def both() -> bool:
        return over.is_set() or any(len(connection.topics) == 2 for connection in account.connections)

    def delivered() -> bool:
        return over.is_set() or any(total.delivered for client in made for total in client.health().totals.values())

    exchange.wait_for(both, timeout=60)
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
    exchange.wait_for(delivered, timeout=60)
    for client in made:
        client.close()


@pytest.mark.parametrize(("name", "kind"), [("pandas", float), ("polars", Decimal)])
def test_a_frame_has_numbers_to_compute_with(name: str, kind: type, exchange: Exchange, readers: list[Client]) -> None:
    """Floats in pandas, decimals in polars."""
    need(RECIPES[name])
    frame = run(RECIPES[name], exchange, readers, fill)["frame"]
    assert list(frame["symbol"]) == ["BTCUSDT"]
    assert (frame["exec_qty"] * frame["exec_price"]).sum() == 10000
    assert all(isinstance(frame[name][0], kind) for name in ("exec_qty", "exec_price", "exec_fee"))


def test_the_table_of_orders_has_the_last_row_of_each(exchange: Exchange, readers: list[Client]) -> None:
    """The order is there once, with its number as the exchange wrote it."""
    run(RECIPES["sqlite"], exchange, readers, fill)
    with contextlib.closing(sqlite3.connect("orders.db")) as db:
        assert db.execute("SELECT symbol, qty FROM orders").fetchall() == [("BTCUSDT", "0.5")]


@of("gevent")
def test_a_client_of_greenlets_gets_events(
    recipe: Path, exchange: Exchange, account: Account, environment: dict[str, str]
) -> None:
    """It connects, receives and closes with everything patched; a warning is an error."""
    with running("-W", "error", recipe, folder=recipe.parent, env=environment, stdout=subprocess.PIPE) as process:
        exchange.wait_for(partial(is_logged_in, exchange, 1), timeout=60)
        order(account)
        out, _ = process.communicate(timeout=60)
    assert out.startswith("got Event(orders, 1 row")
    assert process.returncode == 0


@of("structlog")
def test_each_log_record_is_an_object_in_json(recipe: Path, environment: dict[str, str]) -> None:
    """With its level, its logger and its time."""
    done = subprocess.run([sys.executable, recipe], env=environment, capture_output=True, text=True, timeout=60, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(line.keys() >= {"event", "level", "logger", "timestamp"} for line in lines)
    assert "bybit_sync" in {line["logger"] for line in lines}


@of("gunicorn")
def test_each_worker_of_gunicorn_has_a_client(recipe: Path, exchange: Exchange, environment: dict[str, str]) -> None:
    """Made after the fork; the application tells that it is LIVE."""
    need("import gunicorn")  # its configuration does not
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = f"127.0.0.1:{free.getsockname()[1]}"
    command = ("-m", "gunicorn", "--no-control-socket", "-c", "python:trading", "-b", place, "trading:app")
    with running(*command, folder=recipe.parent, env=environment):
        exchange.wait_for(partial(is_logged_in, exchange, 2), timeout=60)

        def answer() -> bool:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{place}", timeout=10) as response:
                return bool(response.read() == b"LIVE")
            return False

        exchange.wait_for(answer, timeout=60)


ASK = "import trading; print(trading.state.delay().get(timeout=60))"


@of("celery")
def test_each_process_of_celery_has_a_client(
    recipe: Path, exchange: Exchange, environment: dict[str, str], redis_url: str
) -> None:
    """Made after the fork; a task tells that it is LIVE."""
    # Celery has a scheme of its own for the socket of a server on this machine.
    environment["REDIS_URL"] = redis_url.replace("unix://", "redis+socket://")
    command = ("-m", "celery", "-A", "trading", "worker", "--pool", "prefork", "--concurrency", "2")
    with running(*command, folder=recipe.parent, env=environment):
        exchange.wait_for(partial(is_logged_in, exchange, 2), timeout=60)
        with running("-c", ASK, folder=recipe.parent, env=environment, stdout=subprocess.PIPE) as asking:
            out, _ = asking.communicate(timeout=90)
    assert out == "LIVE\n"


@of("Jupyter")
def test_the_cells_of_a_notebook_show_the_events(
    recipe: Path, exchange: Exchange, account: Account, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a real kernel: the order of between two cells is in the output of the second."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    for name in ("BYBIT_API_KEY", "BYBIT_API_SECRET", "BYBIT_ENVIRONMENT", "PYTHONPATH"):
        monkeypatch.setenv(name, environment[name])
    texts = re.split(r"^# %%.*$", recipe.read_text(), flags=re.MULTILINE)
    # What a callback is told between two cells is told before the second of them runs.
    texts.insert(1, "while not latest: client.wait(timeout=0.05)")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in texts])
    # After the first cell an order is placed.
    told = {"on_cell_executed": lambda cell_index, **_: cell_index or order(account)}
    client = nbclient.NotebookClient(notebook, timeout=60, **told)
    client.execute(cwd=str(recipe.parent))
    exchange.wait_for(lambda: not exchange.connections, timeout=60)
    assert "Event(orders, 1 row" in str(notebook.cells[2].outputs)
