"""``bybit-sync simulate``: the exchange for clients of any language."""

from __future__ import annotations

import contextlib
import logging
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from bybit_sync.simulator.books.account import Account
from bybit_sync.simulator.dialects import DIALECTS
from bybit_sync.simulator.exchange import EVERY_ADDRESS, Exchange
from bybit_sync.simulator.scenarios import SCENARIOS
from bybit_sync.simulator.scheduling import on_time, paused
from bybit_sync.simulator.script import Script, ScriptError

__all__ = ["plan", "simulate"]

# The seconds to wait for a step after Ctrl-C; the step may wait for a client.
_PATIENCE = 0.5
KEY, SECRET = "DEMO-KEY", "DEMO-SECRET"
_log = logging.getLogger("bybit_sync.simulator")
_ELSEWHERE = (
    "clients of other machines need --tls and --name NAME (this machine as they call it), and a copy of the authority's file"
)


def simulate(*, host: str, port: int, tls: bool, names: Sequence[str], scenario: str, rate: float | None) -> str:
    """Run an exchange until ``KeyboardInterrupt``.

    Returns the reason why it cannot start, in one line; "" otherwise.

    *names* are those of `Exchange`; *scenario* is one of `SCENARIOS` or a script's
    file; *rate* is how many steps a second, None for the scenario's own pace.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        with Exchange(host=host, port=port, tls=tls, names=names) as exchange, _authority_file(exchange) as file:
            accounts, steps = plan(exchange, scenario, rate)
            _introduce(exchange, accounts, scenario, file)
            if host in EVERY_ADDRESS and not (tls and names):
                _log.warning(_ELSEWHERE)
            _play(steps)
    except (OSError, ScriptError) as error:
        return str(error)
    return ""


def _play(steps: Iterator[float]) -> None:
    """Play *steps* and wait for ever; raise the error of a step.

    The steps run on a thread of their own: Ctrl-C interrupts the waiting main thread,
    never a push.
    """
    stop, over = threading.Event(), threading.Event()
    wrong: list[Exception] = []

    def play() -> None:
        try:
            on_time(steps, stop)
        except Exception as error:  # noqa: BLE001 - raised below, on the main thread
            wrong.append(error)
            over.set()

    player = threading.Thread(target=play, name="exchange-scenario", daemon=True)
    player.start()
    try:
        over.wait()
    finally:
        stop.set()
        player.join(_PATIENCE)
    raise wrong[0]


def plan(exchange: Exchange, scenario: str, rate: float | None) -> tuple[list[Account], Iterator[float]]:
    """Open the accounts; return them and the steps.

    A step yields its due time in seconds from the start.
    """
    if scenario in SCENARIOS:
        account = exchange.account(KEY, SECRET)
        return [account], paused(SCENARIOS[scenario](exchange, account), rate=rate)
    if not Path(scenario).exists():
        raise ScriptError(f"--scenario: {scenario!r} is none of {', '.join(SCENARIOS)}, and no file either")
    script = Script.read(scenario)
    wanted = script.accounts or ({"key": KEY, "secret": SECRET},)
    accounts = {account["key"]: exchange.account(**account) for account in wanted}
    steps = script.play(exchange, accounts)
    return list(accounts.values()), steps if rate is None else paused(steps, rate=rate)


def _introduce(exchange: Exchange, accounts: list[Account], scenario: str, authority: str) -> None:
    """Print address and keys, one a line, so that programs can read them."""
    lines = [("url", exchange.url), *(("path", f"{path} ({dialect.name})") for path, dialect in DIALECTS.items())]
    lines += [("rest", exchange.rest_url)]
    lines += [line for account in accounts for line in (("key", account.key), ("secret", account.secret))]
    lines += [("authority", authority)] if authority else []
    lines += [("client", _client(exchange.url, accounts[0], authority))]
    lines += [("scenario", f"{scenario}; Ctrl-C ends")]
    sys.stdout.write("".join(f"{name:<10}{value}\n" for name, value in lines))
    sys.stdout.flush()


def _client(url: str, account: Account, authority: str) -> str:
    """Return the line of code that makes a client of the exchange."""
    trust = f", ssl_context=ssl.create_default_context(cafile={authority!r})" if authority else ""
    return f"bybit_sync.Client({account.key!r}, {account.secret!r}, environment={url!r}{trust})"


@contextlib.contextmanager
def _authority_file(exchange: Exchange) -> Iterator[str]:
    """Yield the name of a file with the authority's certificate.

    It is "" without TLS.
    """
    pem = exchange.authority_pem
    if pem is None:
        yield ""
        return
    with tempfile.NamedTemporaryFile(prefix="bybit-sync-authority-", suffix=".pem") as file:
        file.write(pem)
        file.flush()
        yield file.name
