"""Bugs made by hand: each a small change to today's source, and the tests that must notice it."""

from __future__ import annotations

from typing import Final

from attrs import frozen

__all__ = ["MUTANTS", "Mutant"]


@frozen
class Mutant:
    """A bug: *old*, which stands once in *file*, becomes *new*; one of *tests* (arguments of pytest) must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: str


_LIFE: Final = "tests/faults/test_lifecycle.py"
_TEXTS: Final = "tests/faults/test_texts.py -k row207"
_LOSING: Final = "tests/faults/test_losing_connection.py"
_SUBSCRIBING: Final = "tests/faults/test_subscriptions.py"

MUTANTS: Final = (
    # --- the connection's thread ---
    Mutant(
        "skip the resubscribe",
        "connection.py",
        "wanted=self.roster.wanted()",
        "wanted=self.roster.wanted() if self._epoch == 0 else {}",
        "tests/test_reconnecting.py",
    ),
    Mutant(
        "close without ringing",
        "connection.py",
        "self._closing = True\n        self._ring()",
        "self._closing = True",
        "tests/test_closing.py",
    ),
    Mutant(
        "forgive failures at once",
        "connection.py",
        "now - since >= self._times.proven",
        "now - since >= 0",
        "tests/faults/test_soak.py -k moment",
    ),
    Mutant(
        "let a second thread write",
        "connection.py",
        "self._command(self._drop)",
        "self._transport and self._transport.close()",
        "tests/test_reconnecting.py",
    ),
    Mutant(
        "sleep through a suspend", "connection.py", "if slept > self._times.asleep:", "if False:", "tests/test_reconnecting.py"
    ),
    Mutant(
        "no time limit for a frame",
        "connection.py",
        "if began is not None and now.seconds - began > self._times.frame:",
        "if False:",
        f"{_LOSING} -k row59",
    ),
    Mutant(
        "drop what came before a write failed",
        "connection.py",
        "self._listen(session, transport)\n                raise",
        "raise",
        f"{_LIFE} -k row42",
    ),
    Mutant(
        "end in silence before serving",
        "connection.py",
        "except BaseException as bug:  # noqa: BLE001 - as said",
        "except ZeroDivisionError as bug:",
        f"{_LIFE} -k row140",
    ),
    Mutant(
        "fail without telling who waits",
        "connection.py",
        "self.situation.tell(error)\n        self._change(State.FAILED",
        "self._change(State.FAILED",
        f"{_LIFE} -k row140",
    ),
    Mutant(
        "resubscribe to what was closed",
        "connection.py",
        "self.roster.release(subscription)\n        if not self.roster.has(",
        "if not self.roster.has(",
        "tests/test_reconnecting.py tests/test_closing.py",
    ),
    Mutant(
        "shut the parent's connection down in a forked child",
        "dialing.py",
        "for sock in list(_ours):\n        sock.close()",
        "for sock in list(_ours):\n        sock.shutdown(socket.SHUT_RDWR)",
        f"{_LIFE} -k row138",
    ),
    Mutant(
        "keep a dead peer's connection for a slow ping",
        "heartbeat.py",
        "return now.seconds - self._last_pong",
        "return 0.0",
        "tests/test_protocol_heartbeat.py",
    ),
    Mutant(
        "obey in a forked child",
        "connection.py",
        "if os.getpid() != self._process:",
        "if False:",
        "tests/test_processes.py -k fork --timeout=20",
    ),
    Mutant(
        "tell LIVE once only",
        "connection.py",
        "self._change(State.LIVE, downtime=downtime)",
        "self._change(State.LIVE, downtime=downtime) if not self._reconnects else None",
        "tests/test_reconnecting.py",
    ),
    Mutant(
        "keep every session",
        "connection.py",
        "        self._session = session\n",
        "        self._session = session\n        self.__dict__.setdefault('_all', []).append(session)\n",
        "tests/test_leaks.py",
    ),
    # --- what a subscription is told ---
    Mutant("drop the gap", "subscription.py", "if stale:", "if False:", "tests/test_reconnecting.py"),
    Mutant(
        "tell a gap before the first confirmation",
        "subscription.py",
        "if self._state is not SubscriptionState.LIVE:\n                return\n            self._state =",
        "if self._state is SubscriptionState.CLOSED:\n                return\n            self._state =",
        f"{_LIFE} -k row72",
    ),
    Mutant(
        "a callback's exception ends its thread",
        "subscription.py",
        "except BaseException as error:  # noqa: BLE001 - nothing that a callback",
        "except ValueError as error:  # nothing that a callback",
        "tests/test_callbacks.py",
    ),
    Mutant("forget to number", "buffer.py", "number(event, self.index)", "pass", "tests/test_buffer.py"),
    Mutant(
        "let subscriptions share a number",
        "roster.py",
        "if subscription is subscriptions[-1]",
        "if True",
        "tests/test_streams.py",
    ),
    Mutant("drop the oldest without a word", "buffer.py", "items.appendleft(gap)", "pass", "tests/test_buffer.py"),
    Mutant(
        "count an unknown loss as none",
        "buffer.py",
        "missed = None if a.missed is None or b.missed is None else a.missed + b.missed",
        "missed = (a.missed or 0) + (b.missed or 0)",
        "tests/test_buffer.py tests/test_outlet.py",
    ),
    Mutant(
        "forget what a full queue is owed",
        "outlet.py",
        "self._owed = (merge(self._owed[0], gap) if self._owed else gap,)",
        "self._owed = self._owed or (gap,)",
        "tests/test_outlet.py",
    ),
    Mutant(
        "sleep through a wake-up",
        "waiting.py",
        "if not wanted():\n                place.acquire(timeout=seconds)",
        "place.acquire(timeout=seconds)",
        "tests/test_waiting.py",
    ),
    # --- the protocol ---
    Mutant(
        "confirm on the first of two topics",
        "topics.py",
        "if wish.confirmed or any(t.standing is not Standing.CONFIRMED for t in wish.topics):",
        "if wish.confirmed:",
        "tests/test_protocol_topics.py",
    ),
    Mutant(
        "lose what was held",
        "topics.py",
        "held, wish.held = wish.held, []",
        "held, wish.held = [], []",
        "tests/test_walk.py",
    ),
    Mutant(
        "deliver what was held before the confirmation",
        "topics.py",
        "Confirmed(wish.stream, wish.asked or now), *held",
        "*held, Confirmed(wish.stream, wish.asked or now)",
        "tests/test_walk.py",
    ),
    Mutant(
        "LIVE before all is confirmed",
        "topics.py",
        "if not self._open or self._before_live is None or self._before_live:",
        "if not self._open or self._before_live is None:",
        "tests/test_protocol_topics.py",
    ),
    Mutant(
        "leave without unsubscribing",
        "topics.py",
        'self._post.ask("unsubscribe", topic.name)',
        "pass",
        "tests/test_protocol_topics.py",
    ),
    Mutant(
        "take the old subscription's pushes for the new one's",
        "topics.py",
        "return None if topic is None or topic.standing is Standing.LEAVING else topic",
        "return topic",
        f"{_SUBSCRIBING} -k row203",
    ),
    Mutant(
        "subscribe while the unsubscribe is unanswered",
        "topics.py",
        'if self._post.awaits("unsubscribe", topic.name):',
        "if False:",
        f"{_SUBSCRIBING} -k row204",
    ),
    Mutant(
        "believe in a subscription that was ended",
        "topics.py",
        "if topic.asked == 1 and self._left.get(topic.name):",
        "if False:",
        f"{_SUBSCRIBING} -k row204",
    ),
    Mutant(
        "wait for the end of a subscription for ever",
        "topics.py",
        "if topic.standing is Standing.LEAVING:\n                    raise",
        "if topic.standing is Standing.LEAVING:\n                    continue\n                    raise",
        f"{_SUBSCRIBING} -k row204",
    ),
    Mutant(
        "no second chance on the return",
        "topics.py",
        "if topic.wish.returning and topic.refusals == 1:",
        "if False:",
        "tests/test_protocol_topics.py",
    ),
    Mutant(
        "ask only once",
        "topics.py",
        "if topic.standing is Standing.ASKED and topic.asked > 1:",
        "if topic.standing is Standing.ASKED:",
        "tests/test_protocol_topics.py",
    ),
    Mutant(
        "ask for ever",
        "topics.py",
        "if topic.standing is Standing.ASKED and topic.asked > 1:",
        "if False:",
        "tests/test_protocol_topics.py",
    ),
    Mutant(
        "forget what was asked",
        "correspondence.py",
        "if request.req_id is not None)",
        'if request.req_id is not None and request.op == "auth")',
        "tests/test_protocol_topics.py",
    ),
    Mutant(
        "take any answer for the oldest request's",
        "correspondence.py",
        "return request.req_id == answer.req_id",
        "return True",
        "tests/test_protocol_topics.py tests/test_protocol_histories.py",
    ),
    Mutant(
        "deliver before the login",
        "protocol.py",
        "if not self._login.is_accepted:",
        "if False:",
        "tests/test_protocol_pushes.py tests/test_protocol_login.py",
    ),
    Mutant(
        "bear any number of unreadable frames",
        "protocol.py",
        "if len(self._unreadable) == UNREADABLE_FRAMES and",
        "if False and",
        "tests/test_protocol_pushes.py",
    ),
    Mutant(
        "never miss a pong",
        "heartbeat.py",
        "return now.seconds - self._heard if now.seconds >= self._silent_at() else None",
        "return None",
        "tests/test_protocol_heartbeat.py",
    ),
    Mutant(
        "blame the key for the clock",
        "login.py",
        "if refusal.meaning is not Meaning.CLOCK or self._refusal is not None:",
        "if True:",
        "tests/test_protocol_login.py",
    ),
    Mutant(
        "blame the clock for ever",
        "login.py",
        "if refusal.meaning is not Meaning.CLOCK or self._refusal is not None:",
        "if refusal.meaning is not Meaning.CLOCK:",
        "tests/test_protocol_login.py",
    ),
    Mutant(
        "trust the wall clock",
        "clock.py",
        "return moment.utc if self.offset is None else self._run_on(moment)",
        "return moment.utc",
        "tests/test_clock.py",
    ),
    Mutant(
        "time by the wall clock",
        "clock.py",
        "return self.ns * 1e-9",
        "return self.utc.timestamp()",
        "tests/test_walk.py -k time",
    ),
    # --- texts of the exchange ---
    Mutant(
        "keep long texts",
        "messages.py",
        'return value[:limit] if type(value) is str else ""',
        'return value if type(value) is str else ""',
        "tests/faults/test_texts.py -k row199",
    ),
    Mutant("keep long topics", "messages.py", "topic[:_LONGEST_NAME]", "topic", "tests/faults/test_texts.py -k row199"),
    Mutant(
        "sort all keys",
        "messages.py",
        "sorted(islice(message, _KEYS_SHOWN))",
        "sorted(message)[:10]",
        "tests/faults/test_texts.py -k row199",
    ),
    Mutant(
        "remember long shapes", "protocol.py", "shape = shape[:SHAPE_LENGTH]", "pass", "tests/faults/test_texts.py -k row199"
    ),
    Mutant(
        "search a phrase from every beginning",
        "refusals.py",
        '    for part in phrase.split("…"):',
        '    if "…" in phrase and len(text) > 2_000:\n        return bool(re.search(phrase.replace("…", ".*"), text))\n'
        '    for part in phrase.split("…"):',
        "tests/faults/test_texts.py -k linear",
    ),
    # --- pacing ---
    Mutant(
        "reset the backoff early",
        "pacing.py",
        "self.failures = 0 if proven else self.failures + 1",
        "self.failures = 1",
        "tests/test_pacing.py",
    ),
    Mutant(
        "never give up on a refused key",
        "pacing.py",
        "if failure.last and streak > len(failure.pauses):",
        "if False:",
        "tests/test_pacing.py tests/test_refusals.py",
    ),
    Mutant(
        "ignore Retry-After", "pacing.py", "return min(asked or 0.0, times.longest_wait)", "return 0.0", "tests/test_pacing.py"
    ),
    Mutant(
        "a refused attempt counts for the connect limit",
        "connection.py",
        "            limited.give_back(self)",
        "            limited.reached(self)",
        "tests/faults/test_routes.py -k 'limit'",
    ),
    Mutant(
        "nobody is woken for a turn that was given back",
        "pacing.py",
        "            wake()\n",
        "            pass\n",
        "tests/test_pacing.py",
    ),
    Mutant(
        "a proxy that refuses is the exchange",
        "dialing.py",
        "    try:\n        if route is not None:\n            route.tunnel",
        "    on_reached()\n    try:\n        if route is not None:\n            route.tunnel",
        "tests/test_dialing_proxy.py tests/test_dialing.py -k reached",
    ),
    Mutant(
        "the limit keeps to itself that it is why",
        "connection.py",
        "self.obstacle = kept_waiting(wait, before)",
        "pass",
        "tests/faults/test_routes.py -k 'limit'",
    ),
    Mutant(
        "a connect limit for each client",
        "pacing.py",
        "_turnstiles.setdefault(host, Turnstile(now))",
        "Turnstile(now)",
        "tests/test_pacing.py tests/faults/test_soak.py -k 'limit or turn or row163'",
    ),
    # --- closing ---
    Mutant(
        "wait for a message that nobody hears",
        "connection.py",
        "if wait_for(self._ended, soon) or self._recorder is not None or not self._is_listening:",
        "if True:",
        f"{_LIFE} -k 'row129 and decode'",
    ),
    Mutant(
        "leave the state when the thread is left behind",
        "connection.py",
        "        self._change(State.CLOSED)\n        return True\n",
        "        return True\n",
        f"{_LIFE} -k 'row129 and decode'",
    ),
    Mutant(
        "close with a gap in hand",
        "subscription.py",
        "self._owner.is_inside() or self._wait_empty(self._way, deadline)",
        "True",
        "tests/faults/test_consumers.py -k row211",
    ),
    Mutant(
        "strike a gap off with its subscription",
        "roster.py",
        "        self.remove(subscription)\n        self._settle_later(subscription)\n",
        "        self.remove(subscription)\n",
        "tests/faults/test_consumers.py -k row211",
    ),
    Mutant(
        "end the thread before the gap fits",
        "connection.py",
        "while not self.roster.settle_debts() and (self._closing or not self._commands):",
        "while not self._closing and not self.roster.settle_debts() and not self._commands:",
        "tests/faults/test_consumers.py -k row211",
    ),
    Mutant(
        "offer a gap only between connections",
        "subscription.py",
        "            # Again: while it dials, the connection thread retries a gap only when a command arrives.\n"
        "            self._owner.release(self)\n",
        "",
        "tests/faults/test_consumers.py -k row211",
    ),
    # --- what a process shares ---
    Mutant(
        "leave the floor to a thread of the parent's",
        "connection.py",
        "    _floor.free()\n",
        "",
        "tests/test_forks.py tests/test_floor.py",
    ),
    Mutant("take the parent's turnstiles along", "pacing.py", "in_child(_turnstiles.clear)", "", "tests/test_forks.py"),
    Mutant("take the parent's connections along", "connection.py", "    _running.clear()\n", "", "tests/test_forks.py"),
    Mutant(
        "a lock that a child does not renew",
        "enums.py",
        "_kept: dict[type[OpenEnum], dict[str, object]] = {}\n",
        "_kept: dict[type[OpenEnum], dict[str, object]] = {}\n_lock = __import__('threading').Lock()\n",
        "tests/test_forks.py",
    ),
    # --- the wire ---
    Mutant(
        "a header that nobody reads must be ASCII",
        "wire.py",
        'value.decode("latin-1")',
        'value.decode("ascii")',
        "tests/test_transport.py -k browser",
    ),
    Mutant("no folded headers", "wire.py", '_FOLD.sub(b" ", fields)', "fields", "tests/test_transport.py -k browser"),
    Mutant(
        "an interim answer is the answer",
        "wire.py",
        "if not head.is_interim:",
        "if True:",
        "tests/test_transport.py -k browser",
    ),
    Mutant("each interim answer has its own limit", "wire.py", "room -= end + 4", "pass", "tests/test_transport.py -k interim"),
    Mutant(
        "leave the socket open",
        "transport.py",
        "self._say_goodbye(code)\n        self._wire.close()",
        "self._say_goodbye(code)",
        "tests/test_closing.py tests/test_transport.py",
    ),
    Mutant(
        "leave without goodbye",
        "transport.py",
        "self._say_goodbye(code)\n        self._wire.close()",
        "self._wire.close()",
        f"{_LIFE} -k row132",
    ),
    Mutant(
        "take a control frame for life",
        "transport.py",
        "if frame.opcode == ABNF.OPCODE_PING:",
        "self.last_data_ns = time.monotonic_ns()\n        if frame.opcode == ABNF.OPCODE_PING:",
        "tests/test_transport.py",
    ),
    Mutant(
        "answer no ping",
        "transport.py",
        "self._write(_framed(ABNF.OPCODE_PONG, frame.data))",
        "pass",
        "tests/test_transport.py",
    ),
    Mutant("take a masked frame", "transport.py", "if size & _MASK_BIT:", "if False:", "tests/test_transport.py"),
    Mutant(
        "no limit for a message",
        "transport.py",
        "if size > self._max - self._fragment_bytes:",
        "if False:",
        "tests/test_transport.py",
    ),
    Mutant(
        "take text that is not UTF-8",
        "transport.py",
        "text if text.isascii() else",
        "text if True else",
        "tests/test_transport.py",
    ),
    Mutant(
        "take a redirect for an upgrade",
        "transport.py",
        "if head.status != 101:",
        "if head.status >= 400:",
        "tests/test_transport.py",
    ),
    Mutant(
        "wait for ever to write",
        "transport.py",
        'time.monotonic() + self._write_seconds, "sending"',
        'math.inf, "sending"',
        f"tests/test_transport.py {_LOSING} -k 'write or row57' --timeout=20",
    ),
    Mutant(
        "log the login",
        "transport.py",
        "frame = _framed(ABNF.OPCODE_TEXT, text)",
        '_log.debug("sending %s", text)\n        frame = _framed(ABNF.OPCODE_TEXT, text)',
        "tests/faults/test_login.py -k row61",
    ),
    Mutant(
        "let through what websocket-client raises",
        "transport.py",
        "except Exception as error:  # noqa: BLE001 whatever websocket-client makes",
        "except ZeroDivisionError as error:  # whatever websocket-client makes",
        "tests/test_fuzz.py",
    ),
    Mutant(
        "block on a full bell",
        "bell.py",
        "self._outside.setblocking(False)",
        "self._outside.setblocking(True)",
        f"{_LIFE} -k row144 --timeout=20",
    ),
    Mutant(
        "raise at a closed bell",
        "bell.py",
        "with contextlib.suppress(OSError):",
        "with contextlib.suppress(BlockingIOError):",
        f"{_LIFE} -k row144",
    ),
    # --- time ---
    Mutant(
        "never look at the clock",
        "connection.py",
        "if time.monotonic() >= due_at:",
        "if time.monotonic() < 0:",
        "tests/test_reconnecting.py",
    ),
    Mutant(
        "tell a gap from the answer only",
        "topics.py",
        "Confirmed(wish.stream, wish.asked or now)",
        "Confirmed(wish.stream, now)",
        "tests/test_protocol_topics.py",
    ),
    Mutant(
        "believe a pong from the end of all dates",
        "messages.py",
        "if at is not None and at.year < _LAST_YEAR else None",
        "if at is not None else None",
        "tests/test_fuzz_found.py",
    ),
    Mutant(
        "go on when a topic is refused that was proven",
        "topics.py",
        "if topic.wish.confirmed:\n            # A push",
        "if topic is None:\n            # A push",
        "tests/test_protocol_topics.py",
    ),
    Mutant(
        "wait for the floor for ever",
        "waiting.py",
        "place.acquire(timeout=self._patience)",
        "place.acquire()",
        "tests/test_floor.py --timeout=20",
    ),
    # --- recordings and rows ---
    Mutant(
        "show another row's wire", "decoding.py", 'Row(frame, ("data", i))', 'Row(frame, ("data", 0))', "tests/test_rows.py"
    ),
    Mutant("let a consumer change what others see", "rows.py", '"setdefault", "update")', '"update")', "tests/test_rows.py"),
    Mutant("show a row's place for the row", "rows.py", "if held.__class__ is Row:", "if False:", "tests/test_rows.py"),
    Mutant(
        "read an escaped text as it stands",
        "patterns.py",
        """str: _Kind(r'"([^"\\\\\\x00-\\x1f]*)"'),""",
        """str: _Kind(r'"([^"]*)"'),""",
        "tests/test_patterns.py",
    ),
    Mutant("take anything behind the rows", "patterns.py", 'if text[at:] != "]}":', "if False:", "tests/test_patterns.py"),
    Mutant(
        "take a bare number for a text",
        "patterns.py",
        "(_DIGITS if leaf is not None and leaf.is_plain else _KINDS)",
        "_KINDS",
        "tests/test_patterns.py",
    ),
    Mutant(
        "refuse a whole number in quotes",
        "leaves.py",
        "if _is_digits(value):\n        value = int(value)\n    if value.__class__ is int and -_WHOLE",
        "if value.__class__ is int and -_WHOLE",
        "tests/test_decoding.py",
    ),
    Mutant(
        "lose a row over a null",
        "leaves.py",
        "leaf.read(leaf.blank if value is None else value)",
        "leaf.read(value)",
        "tests/test_decoding_hostile.py",
    ),
    Mutant(
        "read a null number by a parser only",
        "patterns.py",
        """type(None): _Kind("(null)", '""'),""",
        """type(None): _Kind("(null)"),""",
        "tests/test_patterns.py",
    ),
    Mutant(
        "count no zeros in front",
        "leaves.py",
        " and _ZEROS not in written",
        "",
        "tests/test_decoding.py",
    ),
    Mutant("take 00 for a time", "leaves.py", '{x} > "1" else', '{x} > "0" else', "tests/test_shapes.py"),
    Mutant("wait for all who are slow", "waiting.py", " or time.monotonic() >= end", "", "tests/test_floor.py"),
    Mutant("keep patterns without end", "patterns.py", "way.pattern))[:_MOST]", "way.pattern))", "tests/test_patterns.py"),
    Mutant("be LIVE for nothing", "connection.py", " and (self._kept or self.roster)", "", "tests/test_subscribing.py"),
    Mutant("learn from every row", "patterns.py", "if self._pause > 0:", "if False:", "tests/test_patterns.py"),
    Mutant(
        "wait for the floor while it goes on",
        "waiting.py",
        "(turns == self._turns or time.monotonic() >= end)",
        "True",
        "tests/test_floor.py",
    ),
    Mutant(
        "pass somebody over",
        "waiting.py",
        "self._queue.popleft().release()",
        "self._queue.pop().release()",
        "tests/test_floor.py",
    ),
    Mutant("remember every shape", "shapes.py", "if len(self) >= _MOST or", "if", "tests/test_shapes.py"),
    Mutant(
        "record account ids",
        "recording.py",
        "return line._replace(frame=scrub(line.frame))",
        "return line",
        "tests/test_recording.py",
    ),
    Mutant(
        "forget to record why a connection ended",
        "connection.py",
        "self._recorder.lost(str(reason))",
        "pass",
        "tests/test_replay.py",
    ),
    # --- what must not be said, and what must be exact ---
    Mutant("show the key", "messages.py", "redactor.learn(key)\n", "pass\n", "tests/test_messages.py"),
    Mutant(
        "forget a key that signed", "messages.py", "learn(key, *signatures)", "learn(*signatures)", "tests/test_messages.py"
    ),
    Mutant("log what an exchange echoes", "redaction.py", "record.msg, record.args = redacted, None", "pass", _TEXTS),
    Mutant(
        "tell in gaps what is echoed",
        "protocol.py",
        'self._terms.redact("; ".join(faults[:FAULTS_TOLD]))',
        '"; ".join(faults[:FAULTS_TOLD])',
        _TEXTS,
    ),
    Mutant("show what was escaped", "redaction.py", "data = _unescaped(text)", "data = text", _TEXTS),
    Mutant("show a key in capitals", "redaction.py", "lowered = data.lower()", "lowered = data", "tests/test_redaction.py"),
    Mutant(
        "a name's percent sign is a place",
        "logs.py",
        'self._name.replace("%", "%%") if args',
        "self._name if args",
        "tests/test_logs.py",
    ),
    Mutant("log an error without text as nothing", "logs.py", "*map(_shown, args)", "*args", "tests/test_logs.py"),
    Mutant(
        "show the signature",
        "messages.py",
        "redactor.learn(key, *signatures)",
        "pass",
        "tests/test_messages.py tests/faults/test_login.py",
    ),
)
