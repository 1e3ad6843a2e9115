"""What is logged, whatever the client is called and whatever went wrong."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from bybit_sync import Client, ConfigurationError, ConnectionFailed
from bybit_sync.errors import describe
from bybit_sync.logs import ClientLog
from bybit_sync.redaction import get_logger
from bybit_sync.simulator import Account

NAMES = ["hedge 50%", "%s", "100%% %d", "{name} {0}", "%(client)s", "{", "ü", "a\\nb"]


@pytest.mark.parametrize("name", NAMES)
def test_a_record_says_whose_it_is_whatever_that_is_called(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """With arguments and without."""
    log = ClientLog(name)
    log.warning("lost after %d s: %s", 5, "100%")
    log.error("100% lost", extra={"more": 1})
    assert [record.getMessage() for record in caplog.records] == [f"{name}: lost after 5 s: 100%", f"{name}: 100% lost"]
    assert [vars(record)["client"] for record in caplog.records] == [name, name]


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2J", "\ud800", "", "x" * 201, 7])
def test_a_name_that_breaks_lines_or_fills_them_is_refused(name: str) -> None:
    """It stands in every record and every thread's name."""
    with pytest.raises(ConfigurationError, match="name=") as raised:
        Client("KEY", "SECRET", name=name)
    assert len(str(raised.value)) < 500


def test_a_recording_makes_no_secret_of_names(
    account: Account, make_client: Callable[..., Client], caplog: pytest.LogCaptureFixture
) -> None:
    """Client and environment stand in it where key and signature did, and in the log as everywhere."""
    client = make_client(record=io.StringIO(), name="a-long-name")
    client.subscribe_orders()
    text = f"{client.name} {client._config.session_config.environment}"
    get_logger("bybit_sync").warning(text)
    assert caplog.messages[-1] == text


class Mute(Exception):
    """An error that fails to say what it is."""

    def __str__(self) -> str:
        raise ValueError


ERRORS = [
    (ConnectionFailed("no way"), "no way"),
    (ConnectionFailed(), "ConnectionFailed"),
    (OSError(), "OSError"),
    (KeyError("a"), "KeyError: 'a'"),
    (Mute(), "Mute"),
]


@pytest.mark.parametrize(("error", "text"), ERRORS)
def test_an_error_is_never_told_as_nothing(error: Exception, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its class stands for it where it has no text, and beside a text that is not ours."""
    ClientLog("main").error("it ended: %s", error)
    assert caplog.messages == [f"main: it ended: {text}"]
    assert describe(error) == text
