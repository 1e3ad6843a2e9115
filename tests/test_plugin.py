"""The pytest plugin: a user's tests, run by a pytest of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLUGIN = "bybit_sync.pytest_plugin"


def pytest(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with the plugin and no other."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", PLUGIN, "-p", "no:cacheprovider", "-W", "error", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def user_s_test(path: Path, text: str) -> Path:
    """Write the tests of a user, with a configuration of their own."""
    (path / "pytest.ini").write_text("[pytest]\n")
    (path / "test_it.py").write_text(text)
    return path


def test_a_bot_is_tested_as_the_example_shows() -> None:
    """Its tests pass as they stand in the examples."""
    done = pytest("-c", os.devnull, "--rootdir", ".", ".", cwd=ROOT / "examples" / "bot")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_each_test_has_an_exchange_of_its_own(tmp_path: Path) -> None:
    """Nothing of one test is there in the next, the account is on the exchange, and its REST host answers for it."""
    text = (
        "def use(exchange, account):\n"
        "    assert not account.orders()\n"
        "    account.place_order('BTCUSDT', 'Buy', qty=1, price=1)\n"
        "    assert exchange.url.startswith('ws://127.0.0.1:')\n"
        "    assert (account.key, account.secret) == ('KEY', 'SECRET')\n"
        "def test_one(bybit_exchange, bybit_account): use(bybit_exchange, bybit_account)\n"
        "def test_two(bybit_exchange, bybit_account): use(bybit_exchange, bybit_account)\n"
        "def test_recovery(bybit_exchange, bybit_recovery):\n"
        "    assert bybit_recovery.base_url == bybit_exchange.rest_url\n"
        "    assert type(bybit_recovery).__name__ == 'Recovery'\n"
    )
    done = pytest(cwd=user_s_test(tmp_path, text))
    assert "3 passed" in done.stdout, done.stdout


def test_who_does_not_use_it_does_not_pay_for_it(tmp_path: Path) -> None:
    """Only the plugin is imported: a conftest that patches ssl, as gevent's, comes before it, whatever plugin there is."""
    (tmp_path / "conftest.py").write_text("import sys\nassert 'ssl' not in sys.modules\n")
    text = (
        "import sys\n"
        "def test_nothing_is_there():\n"
        "    loaded = {module.__name__ for module in sys.modules.values()}\n"
        "    mine = {name for name in loaded if name.partition('.')[0] in ('bybit_sync', 'websocket', 'websockets')}\n"
        "    assert mine == {'bybit_sync', 'bybit_sync._version', 'bybit_sync.pytest_plugin'}\n"
    )
    done = pytest(cwd=user_s_test(tmp_path, text))
    assert "1 passed" in done.stdout, done.stdout


def test_without_the_extra_only_the_fixtures_fail(tmp_path: Path) -> None:
    """And say what to install."""
    text = "import sys; sys.modules['websockets'] = None\ndef test_mine(): pass\ndef test_theirs(bybit_account): pass\n"
    done = pytest(cwd=user_s_test(tmp_path, text))
    assert "1 passed, 1 error" in done.stdout, done.stdout
    assert "websockets is not installed: pip install 'bybit-sync[simulator]'" in done.stdout


def test_the_fixtures_are_listed_with_what_they_are(tmp_path: Path) -> None:
    """As ``pytest --fixtures`` shows them."""
    done = pytest("--fixtures", cwd=user_s_test(tmp_path, ""))
    assert "bybit_exchange -- " in done.stdout
    assert "A simulated Bybit private stream on loopback" in done.stdout
