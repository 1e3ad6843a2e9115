"""The exchange of the benchmarks: a process that has rendered everything before it is asked to send.

It speaks what a private connection of V5 needs (login, subscribe, ping), believes every signature, and hands precomputed bytes
to the kernel in large pieces, so that it is never what is measured.
"""

from __future__ import annotations

import itertools
import json
import os
import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from tests.benchmarks.payloads import KINDS, STAMP, mark_of, pushes, renamed
from tests.benchmarks.peer import Peer, frame
from tests.benchmarks.processes import own_output

DELAY = 0.02
"""Seconds until a subscription is answered: pybit stumbles over an answer that comes before it has noted its question."""


class Reel:
    """Frames of one kind and topic, one behind the other, with where each begins."""

    def __init__(self, frames: Iterable[bytes]) -> None:
        whole = list(frames)
        self._starts = [0, *itertools.accumulate(len(one) for one in whole)]
        self._all = memoryview(b"".join(whole))

    def cut(self, first: int, count: int) -> memoryview:
        """Return *count* frames from *first* on."""
        assert 0 <= first <= first + count < len(self._starts), "that many have not been rendered"
        return self._all[self._starts[first] : self._starts[first + count]]


class Server:
    """One thread that serves every connection and one commander."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._peers: dict[Peer, None] = {}
        self._later: deque[tuple[float, Peer, bytes]] = deque()
        self._payloads: dict[str, list[bytes]] = {}
        self._reels: dict[tuple[str, str], Reel] = {}
        self._stamped: dict[str, list[tuple[bytes, bytes]]] = {}
        self._sent_at: list[int] = []
        self._port = 0
        self._listen()
        self._orders = b""
        self._output = own_output()
        os.set_blocking(0, False)
        self._selector.register(0, selectors.EVENT_READ, self._obey)

    def run(self) -> None:
        """Serve until the commander leaves."""
        while True:
            self._turn(None)

    def _turn(self, timeout: float | None) -> None:
        if self._later:
            left = max(0.0, self._later[0][0] - time.monotonic())
            timeout = left if timeout is None else min(left, timeout)
        for key, events in self._selector.select(timeout):
            if not isinstance(key.data, Peer):
                key.data()
            elif key.data in self._peers:  # and was not dropped meanwhile
                self._serve(key.data, events)
        while self._later and self._later[0][0] <= time.monotonic():
            _, peer, answer = self._later.popleft()
            if peer in self._peers:
                peer.outbox.append(memoryview(answer))
                self._serve(peer, selectors.EVENT_WRITE)
        for peer in self._peers:
            if peer.is_stuck != bool(peer.outbox):
                peer.is_stuck = bool(peer.outbox)
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.is_stuck else 0)
                self._selector.modify(peer.sock, events, peer)

    # -- connections

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=1024)
        self._listener.setblocking(False)
        self._port = self._listener.getsockname()[1]
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return  # whoever it was has gone, or knocked before a restart
        peer = Peer(sock, self._answer_later)
        self._peers[peer] = None
        self._selector.register(peer.sock, selectors.EVENT_READ, peer)

    def _answer_later(self, peer: Peer, answer: bytes) -> None:
        self._later.append((time.monotonic() + DELAY, peer, answer))

    def _serve(self, peer: Peer, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                peer.hear()
            peer.flush()
        except ConnectionError:
            self._drop(peer)

    def _drop(self, peer: Peer) -> None:
        self._selector.unregister(peer.sock)
        del self._peers[peer]
        peer.sock.close()

    # -- commands

    def _obey(self) -> None:
        data = os.read(0, 65536)
        if not data:
            sys.exit()
        *lines, self._orders = (self._orders + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            self._say(getattr(self, f"do_{order.pop('do')}")(**order))

    def _say(self, answer: dict[str, Any]) -> None:
        self._output.write(json.dumps(answer) + "\n")

    def do_url(self) -> dict[str, Any]:
        """Tell where the server is."""
        return {"url": f"ws://127.0.0.1:{self._port}"}

    def do_topics(self) -> dict[str, Any]:
        """Tell how many streams each connection is subscribed to."""
        return {"streams": [len({topic.partition(".")[0] for topic in peer.topics}) for peer in self._peers]}

    def do_cost(self) -> dict[str, Any]:
        """Tell what CPU time has been spent here, in seconds."""
        return {"cpu": time.process_time()}

    def do_prepare(self, kind: str, count: int) -> dict[str, Any]:
        """Render at least *count* pushes of *kind*."""
        if len(self._payloads.get(kind, ())) < count:
            self._payloads[kind] = list(itertools.islice(pushes(KINDS[kind]), count))
            self._reels = {key: reel for key, reel in self._reels.items() if key[0] != kind}
        return {}

    def do_blast(self, kind: str, first: int, count: int) -> dict[str, Any]:
        """Send that part of what was prepared, back to back, to every subscriber of its stream."""
        aims = [(peer, self._reel(kind, topic)) for peer in self._peers if (topic := peer.topic(KINDS[kind].stream))]
        at = time.monotonic_ns()
        for peer, reel in aims:
            peer.say(reel.cut(first, count))
        return self._sent(at, aims, kind, first + count - 1)

    def _sent(self, at: int, aims: Sequence[object], kind: str, last: int) -> dict[str, Any]:
        return {"at": at, "peers": len(aims), "mark": mark_of(KINDS[kind], self._payloads[kind][last])}

    def do_deal(self, kind: str, first: int, count: int, rate: float) -> dict[str, Any]:
        """Send that part of what was prepared to every subscriber, one message to each in turn, *rate* a second in all."""
        aims = [(peer, self._reel(kind, topic)) for peer in self._peers if (topic := peer.topic(KINDS[kind].stream))]
        at, due = time.monotonic_ns(), time.monotonic()
        for number in range(first, first + count):
            for peer, reel in aims:
                self._wait_until(due)
                peer.say(reel.cut(number, 1))
                due += 1 / rate
        return self._sent(at, aims, kind, first + count - 1)

    def _wait_until(self, due: float) -> None:
        """Serve whoever pings, and wait."""
        if time.monotonic() < due:
            self._turn(0)
            time.sleep(max(0.0, due - time.monotonic()))

    def do_pace(self, count: int, burst: int, rate: float) -> dict[str, Any]:
        """Send *count* stamped pushes, *burst* at a time, *rate* a second, each with the time of its sending as its id."""
        ((peer, topic),) = [(peer, topic) for peer in self._peers if (topic := peer.topic(KINDS["stamped"].stream))]
        frames = itertools.cycle(self._stamped_frames(topic))
        self._sent_at.clear()
        due = time.monotonic()
        for number in range(count):
            if number % burst == 0:
                self._wait_until(due)
                due += burst / rate
            before, after = next(frames)
            peer.say(before + b"%019d" % time.monotonic_ns() + after)
            self._sent_at.append(time.monotonic_ns())
        return {"sent": count}

    def do_sent_at(self) -> dict[str, Any]:
        """Tell when each of the last stamped pushes had been given to the kernel."""
        return {"ns": self._sent_at}

    def do_restart(self, after: float) -> dict[str, Any]:
        """Drop every connection, be away for *after* seconds, and listen again."""
        self._selector.unregister(self._listener)
        self._listener.close()
        for peer in list(self._peers):
            self._drop(peer)
        at = time.monotonic_ns()
        time.sleep(after)
        self._listen()
        return {"dropped_at": at, "back_at": time.monotonic_ns()}

    # -- what is sent

    def _reel(self, kind: str, topic: str) -> Reel:
        if (kind, topic) not in self._reels:
            stream = KINDS[kind].stream
            self._reels[kind, topic] = Reel(frame(renamed(push, stream, topic)) for push in self._payloads[kind])
        return self._reels[kind, topic]

    def _stamped_frames(self, topic: str) -> list[tuple[bytes, bytes]]:
        stream = KINDS["stamped"].stream
        if topic not in self._stamped:
            cut = (frame(renamed(push, stream, topic)).partition(STAMP) for push in self._payloads["stamped"])
            self._stamped[topic] = [(before, after) for before, _, after in cut]
        return self._stamped[topic]


if __name__ == "__main__":
    Server().run()
