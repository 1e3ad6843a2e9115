"""The steps of ``bybit-sync check`` at the REST host: its clock, the key's reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bybit_sync.cli.status_line import seconds_text
from bybit_sync.cli.target import Target
from bybit_sync.cli.views import note
from bybit_sync.clock import Moment
from bybit_sync.config.timings import Timings
from bybit_sync.errors import ConfigurationError
from bybit_sync.logs import ClientLog
from bybit_sync.network.proxy import Proxy
from bybit_sync.recovery.asking.scopes import ALL, scopes
from bybit_sync.recovery.options import Recovery, recovery_options
from bybit_sync.recovery.reading import make_reader
from bybit_sync.rest.endpoints import EXECUTIONS, KEY_INFO, OPEN_ORDERS, ORDER_HISTORY, POSITIONS, WALLET, Endpoint
from bybit_sync.session.dialects import DIALECTS
from bybit_sync.signing.credentials import Credentials, hmac_signer

if TYPE_CHECKING:  # it needs urllib3, an extra
    from bybit_sync.rest.reader import RestReader

__all__ = ["RestProbe"]

_NAMES: Final = {
    POSITIONS: "positions",
    OPEN_ORDERS: "open orders",
    ORDER_HISTORY: "ended orders",
    EXECUTIONS: "executions",
    WALLET: "balances",
}
# The clock that signs requests may be a second ahead.
_SKEW: Final = 1.0


class RestProbe:
    """The steps at one REST host, one method each, as in `cli.inspection`."""

    def __init__(self, target: Target, reader: RestReader) -> None:
        self._reader = reader
        self._categories = ALL if target.categories is None else target.categories

    @classmethod
    def find(cls, target: Target) -> RestProbe | None:
        """Return the probe of *target*.

        None without REST host or extra ``rest``, which is told on the standard error.
        """
        options = Recovery(base_url=target.rest_url)
        try:
            recovery_options(options, target.environment, DIALECTS[target.dialect])
            return cls(target, _reader(target, options))
        except ConfigurationError as error:
            note(f"the REST host is not checked: {error}")
            return None

    def close(self) -> None:
        """Close the connections."""
        self._reader.close()

    def host(self) -> str:
        """Measure the host's clock."""
        offset = self._reader.measure_clock()
        which = "behind" if offset > 0 else "ahead of"
        remedy = ": set it (NTP)" if abs(offset) >= _SKEW else ""
        return f"it answers; this machine is {seconds_text(abs(offset))} {which} its clock{remedy}"

    def key(self) -> str:
        """Read of each listing that recovery needs; a refusal names the endpoint."""
        can_trade = not self._reader.ask(KEY_INFO).result.get("readOnly")
        for endpoint in _NAMES:
            self._read(endpoint)
        advice = "; a read-only key is enough" if can_trade else ""
        return f"the key may read {', '.join(_NAMES.values())}{advice}"

    def _read(self, endpoint: Endpoint) -> None:
        account = [{"accountType": "UNIFIED"}]
        for scope in account if endpoint is WALLET else scopes(endpoint, self._categories):
            self._reader.ask(endpoint, {**scope, "limit": 1})


def _reader(target: Target, options: Recovery) -> RestReader:
    key, secret = target.key
    return make_reader(
        options,
        target.environment,
        Credentials(key, hmac_signer(secret)),
        name="bybit-sync",
        external_signer=False,
        now=lambda: Moment.now().utc,
        timings=Timings(),
        proxy=Proxy.parse(target.proxy),
        ssl_context=None,
        log=ClientLog("bybit-sync"),
    )
