"""The examples in the docstrings and in README.md are true: each runs as it stands, against a simulated exchange."""

from __future__ import annotations

import ast
import doctest
import io
import os
import queue
import re
import runpy
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import bybit_sync
from bybit_sync import Client
from bybit_sync.integrations.sqlite_journal import Journal
from bybit_sync.recovery.options import recovery_at
from bybit_sync.simulator import Account, Exchange
from tests.conftest import FAST_ARGUMENTS, FastClient

ROOT = Path(__file__).parent.parent
# What every example may use without saying so; the package's docstring tells how `exchange`, `account` and `client` are made.
GIVEN: dict[str, Any] = {
    **{name: getattr(bybit_sync, name) for name in bybit_sync.__all__},
    "Decimal": Decimal,
    "Exchange": Exchange,
    "bybit_sync": bybit_sync,
    "os": os,
    "queue": queue,
}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def documented(path: Path, source: str) -> Iterator[tuple[str, str, int]]:
    """Yield name, docstring and first line of everything in *source*: the module, its classes, functions and methods."""

    def look(node: Any, name: str) -> Iterator[tuple[str, str, int]]:
        if (text := ast.get_docstring(node)) is not None:
            yield name, text, node.body[0].lineno - 1
        for child in node.body:
            if isinstance(child, (ast.ClassDef, ast.FunctionDef)):
                yield from look(child, f"{name}.{child.name}")

    yield from look(ast.parse(source), ".".join(path.relative_to(ROOT).with_suffix("").parts))


EXAMPLES = [
    pytest.param(doctest.DocTestParser().get_doctest(text, {}, name, str(path), line), id=name)
    for path in sorted((ROOT / "bybit_sync").rglob("*.py"))
    if ">>>" in (source := path.read_text(encoding="utf-8"))  # each worker would parse all others, too
    for name, text, line in documented(path, source)
    if ">>>" in text
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_true(
    example: doctest.DocTest,
    exchange: Exchange,
    make_client: Callable[..., Client],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """It prints what it says that it prints."""
    monkeypatch.chdir(tmp_path)
    server = {"redis_url": request.getfixturevalue("redis_url")} if "redis_url" in example.docstring else {}
    account, client = exchange.account("KEY", "SECRET"), make_client("KEY", "SECRET", name="main")
    example.globs = {**GIVEN, **server, "exchange": exchange, "account": account, "client": client}
    said = io.StringIO()
    with mock.patch.dict(os.environ):
        failed, tried = doctest.DocTestRunner(optionflags=FLAGS).run(example, out=said.write)
    assert failed == 0, said.getvalue()
    assert tried > 0


def test_there_are_examples() -> None:
    """They were found."""
    assert len(EXAMPLES) > 20


# --- README.md ---


def blocks() -> Iterator[Any]:
    """Yield the Python blocks of the README, named by what they begin with."""
    heading = ""
    for part in re.split(r"^(## .*$)", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE):
        heading = part[3:] if part.startswith("## ") else heading
        for number, found in enumerate(re.findall(r"^```python\n(.*?)^```$", part, flags=re.MULTILINE | re.DOTALL), start=1):
            yield pytest.param(found, id=f"{heading} {number}")


@pytest.fixture
def readers(exchange: Exchange, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[Client]]:
    """Every client that is made as the README makes it is one of the simulated exchange."""
    made: list[Client] = []
    raised: list[BaseException] = []

    class Reader(FastClient):
        """Is fast, and elsewhere."""

        def __init__(self, api_key: str, api_secret: str, **options: Any) -> None:
            told: dict[str, Any] = {"on_error": lambda error, *_: raised.append(error)}
            told["recover"] = recovery_at(exchange.rest_url, options.pop("recover", False))
            super().__init__(api_key, api_secret, **{"environment": exchange.url, **FAST_ARGUMENTS, **told, **options})
            made.append(self)

    monkeypatch.setattr(bybit_sync, "Client", Reader)
    monkeypatch.setenv("BYBIT_API_KEY", "KEY")
    monkeypatch.setenv("BYBIT_API_SECRET", "SECRET")
    monkeypatch.chdir(tmp_path)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    yield made
    signal.signal(signal.SIGTERM, on_sigterm)
    for client in made:
        client.close()
    assert raised == []


def trade(exchange: Exchange, account: Account, over: threading.Event, made: list[Client]) -> None:
    """Let something happen once somebody listens: an order is filled, the connection is lost. Then end what still runs."""

    def listening() -> bool:
        return over.is_set() or any(connection.topics for connection in account.connections)

    if exchange.wait_for(listening, timeout=30):
        account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
        exchange.drop()
        exchange.wait_for(listening, timeout=30)
    while not over.wait(0.2):
        for client in made:
            client.close(timeout=0)


def stay(_exchange: Exchange, account: Account, over: threading.Event, _made: list[Client]) -> None:
    """Let something be there, and end nothing."""
    account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
    over.wait(60)


Helper = Callable[[Exchange, Account, threading.Event, list[Client]], None]


def run(block: str, exchange: Exchange, made: list[Client], helps: Helper = trade) -> dict[str, Any]:
    """Run *block* as a file that holds nothing else, while *helps* trades, and return what it made."""
    account, over = exchange.account("KEY", "SECRET"), threading.Event()
    file = Path("copied.py")
    file.write_text(block, encoding="utf-8")
    helper = threading.Thread(target=helps, args=(exchange, account, over, made))
    if "with Exchange()" not in block:
        helper.start()
    try:
        return runpy.run_path(str(file))
    finally:
        over.set()
        if helper.ident:
            helper.join()


def use_server(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the streams of the README be those of the server at *url*, and their consumers end after a second."""
    from bybit_sync.integrations import redis_streams  # noqa: PLC0415 - without a server there may be no redis-py

    sink, consume = redis_streams.RedisStreams, redis_streams.consume
    # Blocks have the same names of clients, and share a server.
    own: dict[str, Any] = {"prefix": uuid.uuid4().hex}
    monkeypatch.setattr(redis_streams, "RedisStreams", lambda _: sink(url, **own))
    monkeypatch.setattr(redis_streams, "consume", lambda _, *names, **group: consume(url, *names, **group, **own, timeout=1.0))


@pytest.mark.parametrize("block", list(blocks()))
def test_what_the_readme_shows_runs(
    block: str, exchange: Exchange, readers: list[Client], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it stands, copied into an empty file; what would run for ever ends when its client or its source does."""
    if "redis://" in block:
        use_server(request.getfixturevalue("redis_url"), monkeypatch)
    run(block, exchange, readers, stay if "wait_current" in block else trade)


def test_the_readme_recovers_what_an_outage_hid(exchange: Exchange, readers: list[Client], tmp_path: Path) -> None:
    """Its journal has the fills that were pushed and those that were not, and then it ends."""
    (block,) = [block.values[0] for block in blocks() if "After a gap" in str(block.id)]

    def booked(number: int) -> bool:
        with Journal(tmp_path / "fills.db") as journal:
            return len(list(journal.trades())) == number

    def helps(exchange: Exchange, account: Account, _over: threading.Event, made: list[Client]) -> None:
        for number in (1, 2):
            account.fill(account.place_order("BTCUSDT", "Buy", qty="0.5", price="20000"))
            exchange.wait_for(lambda number=number: booked(number), timeout=30)  # type: ignore[misc]
            exchange.drop()
        for client in made:
            client.close()

    run(block, exchange, readers, helps)
    assert booked(2)
