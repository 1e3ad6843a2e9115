"""The requests of a session, and the request that an answer belongs to."""

from __future__ import annotations

from typing import Literal

from bybit_sync.session.messages import Answer, Request

__all__ = ["PendingRequests"]


class PendingRequests:
    """The requests of one session: those to be sent, and those without an answer."""

    def __init__(self, mark: str) -> None:
        # Unique to this session: an answer that arrives late, on the next connection,
        # matches nothing.
        self._mark = mark
        self._numbers = 0
        self._outbox: list[Request] = []
        # In the order of sending: an answer without req_id belongs to the oldest of its
        # kind.
        self._unanswered: dict[str, Request] = {}

    def send(self, op: Literal["auth", "subscribe", "unsubscribe"], argument: str | int) -> str:
        """Queue a request that expects an answer; return its req_id."""
        req_id = self._number()
        self._outbox.append(Request(op, argument, req_id))
        return req_id

    def ping(self) -> None:
        """Queue a ping with a req_id; its pong repeats it."""
        self._outbox.append(Request("ping", req_id=self._number()))

    def _number(self) -> str:
        self._numbers += 1
        return f"{self._mark}-{self._numbers}"

    def take_outgoing(self) -> list[Request]:
        """Return the queued requests in order, and empty the queue."""
        taken, self._outbox = self._outbox, []
        # Register each request just before it is sent, so that its answer always
        # matches.
        for request in taken:
            self.expect(request)
        return taken

    def expect(self, request: Request) -> None:
        """Expect the answer to *request*, which was sent.

        The heartbeat matches pongs.
        """
        if request.op != "ping":
            self._unanswered[str(request.req_id)] = request

    def is_pending(self, op: str, argument: str) -> bool:
        """Return whether such a request has no answer yet."""
        requests = (*self._unanswered.values(), *self._outbox)
        return any(request.op == op and request.argument == argument for request in requests)

    def match(self, answer: Answer) -> Request | None:
        """Return the request that *answer* belongs to; None when there is none.

        The request is not pending afterwards.
        """
        req_id = next((req_id for req_id, request in self._unanswered.items() if _fits(request, answer)), None)
        return None if req_id is None else self._unanswered.pop(req_id)


def _fits(request: Request, answer: Answer) -> bool:
    if request.op not in (("subscribe", "unsubscribe") if answer.op == "command" else (answer.op,)):
        return False
    if answer.req_id is not None:
        return request.req_id == answer.req_id
    return answer.topic in (None, request.argument)
