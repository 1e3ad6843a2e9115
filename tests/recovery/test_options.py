"""What a user chooses about recovery is checked where it is given."""

from __future__ import annotations

import math
import pickle
from typing import Any

import pytest

from bybit_sync import DIALECTS, ConfigurationError, Environment, Recovery
from bybit_sync.recovery.options import recovery_at, recovery_options

MAINNET = Environment.find("mainnet")
GATEWAY = Environment.find("wss://gateway.example.com")
V5 = DIALECTS["v5"]


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"hold": -1}, "hold=-1 cannot work"),
        ({"hold": math.nan}, "hold=nan cannot work"),
        ({"hold": "5"}, "hold='5' cannot work"),
        ({"overlap": -0.1}, "overlap=-0.1 cannot work"),
        ({"rate": 0}, "rate=0 cannot work: give a number above 0"),
        ({"confirm_after": 3.0}, r"confirm_after=3.0 cannot work: give seconds"),
        ({"confirm_after": [3.0]}, r"confirm_after=\[3.0\] cannot work"),
        ({"confirm_after": (3.0, 3.0)}, r"confirm_after=\(3.0, 3.0\) cannot work.* each more than the one before"),
        ({"confirm_after": (-1.0,)}, r"confirm_after=-1.0 cannot work"),
        ({"base_url": "http://api.example.com"}, r"base_url is no URL of a REST host: give Recovery\(base_url="),
        ({"base_url": "https://api.example.com/v5"}, "base_url is no URL"),
    ],
)
def test_an_option_that_cannot_work_is_refused(options: dict[str, Any], remedy: str) -> None:
    """With its name and what can work."""
    with pytest.raises(ConfigurationError, match=remedy):
        Recovery(**options)


@pytest.mark.parametrize("options", [{}, {"hold": 0, "overlap": 0, "confirm_after": ()}, {"base_url": "http://localhost:8080"}])
def test_an_option_that_can_work_is_taken(options: dict[str, Any]) -> None:
    """The options are a value: equal, hashable, pickled."""
    recovery = Recovery(**options)
    assert pickle.loads(pickle.dumps(recovery)) == recovery
    assert len({recovery, Recovery(**options)}) == 1


@pytest.mark.parametrize(("recover", "meant"), [(False, None), (True, Recovery()), (Recovery(hold=1.0), Recovery(hold=1.0))])
def test_true_means_the_defaults(recover: object, meant: Recovery | None) -> None:
    """And False that there is no recovery, wherever the client is."""
    assert recovery_options(recover, MAINNET, V5) == meant
    assert recovery_options(False, GATEWAY, DIALECTS["v3"]) is None


@pytest.mark.parametrize("recover", [None, 1, "yes", Recovery])
def test_what_is_no_choice_is_refused(recover: object) -> None:
    """Nothing is guessed."""
    with pytest.raises(ConfigurationError, match="recover=.* cannot work: give True, False or a Recovery"):
        recovery_options(recover, MAINNET, V5)


def test_a_place_without_a_known_rest_host_needs_its_base_url() -> None:
    """The error names the option."""
    with pytest.raises(
        ConfigurationError, match=r"REST host of wss://gateway.example.com is not known: give Recovery\(base_url="
    ):
        recovery_options(True, GATEWAY, V5)
    options = Recovery(base_url="https://rest.example.com")
    assert recovery_options(options, GATEWAY, V5) is options


def test_a_named_environment_is_known_by_its_url_too() -> None:
    """Both have a REST host."""
    assert recovery_options(True, Environment.find("wss://stream-testnet.bybit.com"), V5) == Recovery()


def test_a_dialect_without_rest_cannot_recover() -> None:
    """V3's REST is gone."""
    with pytest.raises(ConfigurationError, match="no REST API of v3 any more"):
        recovery_options(True, MAINNET, DIALECTS["v3"])


@pytest.mark.parametrize(
    ("recover", "meant"),
    [
        (True, Recovery(base_url="http://localhost:1")),
        (Recovery(hold=1.0), Recovery(hold=1.0, base_url="http://localhost:1")),
        (Recovery(base_url="http://localhost:2"), Recovery(base_url="http://localhost:2")),
        (False, False),
        ("nonsense", "nonsense"),
    ],
)
def test_a_simulated_exchange_gives_its_rest_host(recover: object, meant: object) -> None:
    """To options that name none; what makes no sense is left for the client to refuse."""
    assert recovery_at("http://localhost:1", recover) == meant
