"""The REST host without its socket: a request comes in, a reply goes out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from bybit_sync.simulator.books.account import Account
from bybit_sync.simulator.books.tables import Books
from bybit_sync.simulator.rest import entry, listings, pages, signatures, statements
from bybit_sync.simulator.rest.endpoints import ROUTES, Endpoint
from bybit_sync.simulator.rest.limits import Standing
from bybit_sync.simulator.rest.plans import Plan, Plans
from bybit_sync.simulator.rest.refusals import RestRefusal
from bybit_sync.simulator.rest.requests import Reply, RestCall, RestRequest
from bybit_sync.simulator.rest.spellings import spell

__all__ = ["RestHost"]

Row = Mapping[str, Any]
_JSON: Final = {"Content-Type": "application/json; charset=utf-8"}
_ENTRY: Final[Mapping[str, Callable[[Account, Row], Row]]] = {
    "order/create": entry.create,
    "order/amend": entry.amend,
    "order/cancel": entry.cancel,
    "order/cancel-all": entry.cancel_all,
}


@attrs.frozen(kw_only=True)
class _Asked:
    """An accepted request: its account, parameters and time, and the answer's plan."""

    account: Account
    parameters: Row
    now: int
    plan: Plan


class RestHost:
    """The REST host: answers requests from the books of *accounts*. Any thread.

    *accounts* are by key, *now* returns the exchange's clock in ms.
    """

    def __init__(self, accounts: Mapping[str, Account], now: Callable[[], int], plans: Plans) -> None:
        self._accounts = accounts
        self._now = now
        self._plans = plans

    def answer(self, request: RestRequest) -> Reply:
        """Return the reply to *request*, and count the request in `Plans.calls`."""
        name = request.path.removeprefix("/v5/")
        arrived = time.monotonic()
        reply = self._plans.replies.take(name) or self._reply(request)
        reply = attrs.evolve(reply, cut_after=self._plans.cuts.take(name))
        self._plans.calls.append(RestCall(arrived, name, _parameters_of(request), reply.status, _code_of(reply)))
        return reply

    def _reply(self, request: RestRequest) -> Reply:
        endpoint = ROUTES.get((request.method, request.path))
        if self._plans.address_limit.is_banned(time.monotonic()) or (request.method == "GET" and request.body):
            return Reply(status=403, body=b"<html><body>403 Forbidden</body></html>", headers={"Content-Type": "text/html"})
        if endpoint is None:
            return Reply(status=404, body=b"404 page not found", headers={"Content-Type": "text/plain"})
        headers = dict(_JSON)
        try:
            body = self._envelope(0, "OK", self._result(request, endpoint, headers))
            status = 200
        except RestRefusal as refusal:
            body = self._envelope(refusal.code, refusal.text, {})
            status = refusal.status
        return Reply(status=status, body=body, headers=headers, delay=lambda: self._plans.of(endpoint.name).delay)

    def _envelope(self, code: int, text: str, result: Row) -> bytes:
        envelope = {"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": self._now()}
        return json.dumps(envelope, separators=(",", ":")).encode()

    # --- accepting a request ---

    def _result(self, request: RestRequest, endpoint: Endpoint, headers: dict[str, str]) -> Row:
        if endpoint.limit is None:
            self._plans.raise_refusal(endpoint.name)
            return self._public(endpoint, request.parameters())
        key = signatures.check(request, self._secret_of, self._now())
        self._plans.raise_refusal(endpoint.name)
        plan = self._plans.of(endpoint.name)
        self._take_turn(key, endpoint, plan, headers)
        account = self._accounts[key]
        if account.kind != "UNIFIED" and not endpoint.is_for_classic:
            raise RestRefusal(10028)
        try:
            parameters = request.parameters()
        except ValueError:
            raise RestRefusal(10001, "params error: the body is not JSON") from None
        return self._private(endpoint, _Asked(account=account, parameters=parameters, now=self._now(), plan=plan))

    def _secret_of(self, key: str) -> str | None:
        account = self._accounts.get(key)
        return account.secret if account else None

    def _take_turn(self, key: str, endpoint: Endpoint, plan: Plan, headers: dict[str, str]) -> None:
        """Count the request against the key's limit, and report it in *headers*.

        Raises `RestRefusal` 10006.
        """
        limit = plan.limit or endpoint.limit or 0
        standing = self._plans.key_limits.take(key, endpoint.name, limit, time.monotonic())
        is_exhausted = self._plans.exhausted.take(endpoint.name)
        if is_exhausted is not None:
            standing = Standing(limit, 0, 1.0, is_over=True)
        if is_exhausted is not False:
            headers["X-Bapi-Limit"] = str(standing.limit)
            headers["X-Bapi-Limit-Status"] = str(standing.left)
            headers["X-Bapi-Limit-Reset-Timestamp"] = str(self._now() + int(standing.wait * 1000))
        if standing.is_over:
            raise RestRefusal(10006)

    # --- answers ---

    def _public(self, endpoint: Endpoint, parameters: Row) -> Row:
        if endpoint.name == "market/time":
            return statements.market_time(self._now() * 1_000_000)
        ordered = [account.read(lambda books: list(books.positions)) for account in list(self._accounts.values())]
        return statements.instruments([symbol for keys in ordered for symbol, _ in keys], parameters)

    def _private(self, endpoint: Endpoint, asked: _Asked) -> Row:
        account = asked.account
        if endpoint.name in _ENTRY:
            return _ENTRY[endpoint.name](account, asked.parameters)
        if endpoint.name == "account/info":
            return statements.account_info(account.kind)
        if endpoint.name == "user/query-api":
            return statements.key_info(account.key, account.uid, account.kind)
        return account.read(lambda books: self._read(endpoint, books, asked), lag=asked.plan.lag)

    def _read(self, endpoint: Endpoint, books: Books, asked: _Asked) -> Row:
        if endpoint.name == "asset/coin/query-info":
            return statements.coins(books)
        if endpoint.name == "account/wallet-balance":
            row = spell("wallet", listings.wallet(books, asked.parameters, asked.account.kind), way=asked.plan.spelling)
            return {"list": [_rewritten(row, asked.plan)]}
        return _paged(endpoint, self._listed(endpoint, books, asked), asked)

    def _listed(self, endpoint: Endpoint, books: Books, asked: _Asked) -> listings.Listing:
        omissions = self._plans.omissions
        if endpoint.name == "position/list":
            return listings.positions(books, asked.parameters)
        if endpoint.name == "order/realtime":
            return listings.open_orders(books, asked.parameters, omissions)
        if endpoint.name == "order/history":
            return listings.closed_orders(books, asked.parameters, omissions, asked.now)
        return listings.executions(books, asked.parameters, asked.now)


def _paged(endpoint: Endpoint, listing: listings.Listing, asked: _Asked) -> Row:
    assert endpoint.pages is not None
    plan = asked.plan
    size = attrs.evolve(endpoint.pages, is_strict=plan.is_strict).of(asked.parameters)
    page = pages.cut(listing.items, size, str(asked.parameters.get("cursor", "")), kind=plan.cursors)
    rows = [_rewritten(spell(endpoint.kind, listing.values(item), way=plan.spelling), plan) for item in page.rows]
    if plan.is_reversed:
        rows.reverse()
    return {"category": asked.parameters["category"], "list": rows, "nextPageCursor": page.next}


def _rewritten(row: Row, plan: Plan) -> Row:
    return {key: value for key, value in {**row, **plan.changes}.items() if key not in plan.without}


def _parameters_of(request: RestRequest) -> Row:
    try:
        return request.parameters()
    except ValueError:
        return {}


def _code_of(reply: Reply) -> int | None:
    try:
        code = json.loads(reply.body)["retCode"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return code if isinstance(code, int) else None
