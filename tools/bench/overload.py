#!/usr/bin/env python3
"""A server that is asked for ten times what it can give.

First as many clients as it takes to keep it busy, each waiting for its answer: the best it can do. Then
requests at ten times that rate, sent when they are due whether or not earlier ones were answered. Then the
clients of the beginning again. Printed: answers a second, what became of the others, how long the refused
ones waited, and how long after the end an answer came. The client is one process and shares the processors
with the server.

Usage: .venv/bin/python tools/bench/overload.py --seconds 60     (after tools/build; exit status 1 if an
answer was wrong or a request failed otherwise than by 429 or 503)
"""

from __future__ import annotations

import argparse
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from engines import end_with_parent
from serving import infer_ways, wait_for
from serving_clients import Way

from models import inputs

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MODEL = "dcgan"  # a small request and many milliseconds of work, so that the client is no load to speak of
SAMPLES = 4  # of a request
MOST_CONNECTIONS = 8192


@dataclass(kw_only=True)
class Figures:
    """Of one stretch. Times are seconds."""

    seconds: float
    asked: int = 0
    answered: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    waited: dict[int, list[float]] = field(default_factory=dict)  # by status

    @property
    def rate(self) -> float:
        return self.answered / self.seconds

    def of(self, status: int, percent: float) -> float:
        """Milliseconds."""
        return float(np.percentile(self.waited[status], percent)) * 1e3


class Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.began = 0.0
        self.got = b""

    def fileno(self) -> int:
        return self.socket.fileno()

    def ask(self, request: bytes) -> None:
        self.began = time.monotonic()
        self.got = b""
        assert self.socket.send(request) == len(request)

    def reply(self) -> tuple[int, bytes] | None:
        """Status and body, once they are whole."""
        part = self.socket.recv(1 << 16)
        if not part:
            raise ConnectionResetError("closed by the server")
        self.got += part
        head, end, body = self.got.partition(b"\r\n\r\n")
        if not end:
            return None
        at = head.index(b"Content-Length: ") + 16
        if len(body) < int(head[at:].split(b"\r\n", 1)[0]):
            return None
        return int(head[9:12]), body


class Client:
    """Sends one request again and again, and holds each answer against the first."""

    def __init__(self, port: int, way: Way) -> None:
        self._port = port
        lines = [f"POST /{way.url.split('/', 3)[3]} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [
            f"Content-Length: {len(way.body)}",
            *(f"{name}: {value}" for name, value in way.headers.items()),
        ]
        self._request = "\r\n".join([*lines, "", ""]).encode() + way.body
        self._idle: list[Connection] = []
        self._busy = selectors.EpollSelector()
        self._expected: np.ndarray | None = None

    def closed(self, clients: int, seconds: float) -> Figures:
        """`clients` that each ask when they have been answered."""
        figures = Figures(seconds=seconds)
        end = time.monotonic() + seconds
        for _ in range(clients):
            self._ask(figures)
        while (now := time.monotonic()) < end:
            for _ in self._replies(end - now, figures):
                self._ask(figures)
        self._forget()
        return figures

    def open(self, rate: float, seconds: float) -> Figures:
        """`rate` requests a second, whatever becomes of them."""
        figures = Figures(seconds=seconds)
        begin = time.monotonic()
        while (now := time.monotonic()) < begin + seconds:
            for _ in range(min(int((now - begin) * rate) - figures.asked, 16)):  # replies wait for none of us
                self._ask(figures)
            for _ in self._replies(2e-4, figures):
                pass
        self._forget()
        return figures

    def first(self) -> float:
        """Seconds until one request is answered with 200; refused ones are sent again."""
        begin = time.monotonic()
        figures = Figures(seconds=0)
        while not figures.answered:
            self._ask(figures)
            while not list(self._replies(1, figures)):
                pass
        return time.monotonic() - begin

    def _ask(self, figures: Figures) -> None:
        figures.asked += 1
        try:
            if not self._idle and len(self._busy.get_map()) >= MOST_CONNECTIONS:
                raise ConnectionError(f"no answer on {MOST_CONNECTIONS} connections")
            one = self._idle.pop() if self._idle else Connection(self._port)
            one.ask(self._request)
        except OSError as error:
            self._fail(error, figures)
            return
        self._busy.register(one, selectors.EVENT_READ)

    def _fail(self, error: OSError, figures: Figures) -> None:
        figures.failed[repr(error)] = figures.failed.get(repr(error), 0) + 1

    def _replies(self, timeout: float, figures: Figures) -> Iterator[int]:
        for key, _ in self._busy.select(timeout):
            one = key.fileobj
            assert isinstance(one, Connection)
            try:
                reply = one.reply()
            except OSError as error:
                self._busy.unregister(one)
                one.socket.close()
                self._fail(error, figures)
                yield 0
                continue
            if not reply:
                continue
            self._busy.unregister(one)
            self._idle.append(one)
            status, body = reply
            figures.waited.setdefault(status, []).append(time.monotonic() - one.began)
            if status == 200:
                figures.answered += 1
                answer = np.frombuffer(body[-8:], np.float32)  # the last of the outputs
                if self._expected is None:
                    self._expected = answer
                if not np.allclose(answer, self._expected, atol=1e-4, rtol=1e-4):
                    self._fail(OSError("a wrong answer"), figures)
            elif status not in {429, 503}:
                self._fail(OSError(f"{status} {body[:200]!r}"), figures)
            yield status

    def _forget(self) -> None:
        """Those that wait still: the client goes away."""
        for key in list(self._busy.get_map().values()):
            assert isinstance(key.fileobj, Connection)
            self._busy.unregister(key.fileobj)
            key.fileobj.socket.close()


def report(name: str, figures: Figures) -> None:
    counts = ", ".join(
        f"{len(times)} x {status} (p50 {figures.of(status, 50):.1f}, p99 {figures.of(status, 99):.1f}, "
        f"most {figures.of(status, 100):.1f} ms)"
        for status, times in sorted(figures.waited.items())
    )
    print(f"{name}: asked {figures.asked / figures.seconds:.0f}/s, answered {figures.rate:.1f}/s; {counts}")
    for what, count in figures.failed.items():
        print(f"  {count} x {what}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--times", type=float, default=10, help="how many times its best it is asked for")
    parser.add_argument("--clients", type=int, default=32, help="that keep it busy")
    parser.add_argument("--max-waiting", type=int, default=0, help="of the server; 0 is its own")
    options = parser.parse_args()
    program = os.environ.get("PORTFIRE_BIN", str(ROOT / "build/dev/bin/portfire"))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        script = [sys.executable, str(HERE / "models.py"), "torch", MODEL, "float32", scratch, "1"]
        subprocess.run(script, check=True)
        (folder / "models" / MODEL / "1").mkdir(parents=True)
        shutil.copy(folder / "model.pt2", folder / "models" / MODEL / "1" / "model.pt2")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = folder / "log"
        command = [
            program,
            "serve",
            str(folder / "models"),
            "--port",
            str(port),
            "--no-grpc",
            "--max-batch",
            "16",
        ]
        if options.max_waiting:
            command += ["--max-waiting", str(options.max_waiting)]
        with log.open("wb") as output:
            server = subprocess.Popen(command, stderr=output, preexec_fn=end_with_parent)
        try:
            wait_for(f"http://127.0.0.1:{port}/v2/health/ready", server, log)
            client = Client(port, infer_ways(port, 0, MODEL, inputs(MODEL, SAMPLES).numpy(), "input")[0])
            client.closed(options.clients, 2)  # to warm up
            best = client.closed(options.clients, min(15, options.seconds))
            report(f"{options.clients} clients", best)
            over = client.open(options.times * best.rate, options.seconds)
            report(f"{options.times:.0f} times that", over)
            first = client.first()
            after = client.closed(options.clients, min(15, options.seconds))
            print(f"then the first answer after {first * 1e3:.1f} ms")
            report(f"{options.clients} clients again", after)
            around = (best.rate + after.rate) / 2
            print(f"answers under overload: {over.rate / around:.1%} of the best before and after")
            bad = best.failed or over.failed or after.failed or server.poll() is not None
        finally:
            server.terminate()
            server.wait(60)
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
