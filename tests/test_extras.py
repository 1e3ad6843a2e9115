"""Without the extras: what an extra would only make faster works as well, and what needs one says which."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FRAME = '{"price": 0.10000000000000000001, "text": "\\\\ud800", "list": [1, true, null]}'


def printed(script: str) -> str:
    """Run *script* in an interpreter of its own, and return what it printed."""
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    command = [sys.executable, "-W", "error", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=path).stdout.strip()


def without(package: str, script: str) -> str:
    """Return what *script* prints where *package* is not installed."""
    return printed(f"import sys; sys.modules[{package!r}] = None\n{script}")


def test_without_msgspec_frames_are_read_as_exactly() -> None:
    """The standard library's parser takes over: every number exact, every text as it came."""
    read = f"from bybit_sync.decoding.parsing import PARSERS, parse; print(ascii(parse({FRAME!r})), *PARSERS)"
    value, _, parsers = without("msgspec", read).rpartition("} ")
    assert parsers == "json"
    assert value == printed(read).rpartition("} ")[0]
    assert "Decimal('0.10000000000000000001')" in value


def test_without_cryptography_an_rsa_key_is_refused_with_the_remedy() -> None:
    """As a mistake of the installation, before anything is connected."""
    script = """
from bybit_sync import ConfigurationError, rsa_signer
try:
    rsa_signer("a key")
except ConfigurationError as error:
    print(error)
"""
    assert "pip install 'bybit-sync[rsa]'" in without("cryptography", script)


def test_without_urllib3_recovery_is_refused_with_the_remedy() -> None:
    """When the client is made; without recovery it needs none."""
    script = """
from bybit_sync import Client, ConfigurationError
Client("KEY", "SECRET")
try:
    Client("KEY", "SECRET", recover=True)
except ConfigurationError as error:
    print(error)
"""
    assert "pip install 'bybit-sync[rest]'" in without("urllib3", script)


@pytest.mark.parametrize(
    ("package", "module", "extra"),
    [("prometheus_client", "prometheus", "prometheus"), ("redis", "redis_streams", "redis")],
)
def test_without_its_package_an_integration_is_refused_with_the_remedy(package: str, module: str, extra: str) -> None:
    """When the module is imported; the client needs none."""
    script = f"""
try:
    import bybit_sync.integrations.{module}
except ImportError as error:
    print(error.name, error)
"""
    told = without(package, script)
    assert told.startswith(f"{package} ")
    assert f"pip install 'bybit-sync[{extra}]'" in told


@pytest.mark.parametrize("package", ["pdoc", "redis"])
def test_without_its_packages_the_site_is_refused_with_the_remedy(package: str) -> None:
    """No traceback: the extra is named."""
    script = """
import runpy
sys.argv[1:] = ["site"]
try:
    runpy.run_module("bybit_sync.docs", run_name="__main__")
except SystemExit as end:
    print(end.code)
"""
    assert without(package, script) == f"{package} is not installed: pip install '.[docs]', in a copy of the source"


WITHOUT = ("msgspec", "cryptography", "rich", "websockets", "python_socks", "trustme", "urllib3", "prometheus_client", "redis")


def test_the_library_is_imported_without_any_extra() -> None:
    """None of them is touched by `import bybit_sync`."""
    gone = f"import sys; sys.modules.update(dict.fromkeys({WITHOUT}))\n"
    assert printed(gone + "import bybit_sync; print(bybit_sync.Client.__name__)") == "Client"
