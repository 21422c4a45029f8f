"""`portfire serve` as a user starts it, and clients that send bytes and see bytes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import tritonclient.http as triton
from faces import Program
from small_models import DigitsWorld
from small_texts import make_writer

import portfire

WAIT = 60  # seconds that anything may take on a slow machine before a test gives up


def wait_until(holds: Callable[[], object], what: str = "that") -> None:
    end = time.monotonic() + WAIT
    while not holds():
        assert time.monotonic() < end, f"waited {WAIT} s for {what}"
        time.sleep(0.01)


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """A server of its own on ports that are free, ended with `with`; HTTP alone unless `grpc`."""

    def __init__(
        self,
        program: Program,
        models: Path,
        *options: object,
        grpc: bool = False,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        other = ("--grpc-port", 0) if grpc else ("--no-grpc",)
        self.process = subprocess.Popen(
            program.command("serve", models, "--port", 0, *other, *options),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            cwd=cwd,
            env={**os.environ, **(env or {})},
        )
        self._log: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        tls = "--tls-certificate" in options
        self.port = self._port("https" if tls else "http")
        self.grpc_port = self._port("grpc") if grpc else 0
        if not tls:
            wait_until(lambda: self.get("/v2/health/ready")[0] == 200, "readiness")

    def _port(self, scheme: str) -> int:
        found: list[re.Match[str]] = []
        line = re.compile(rf"listening on {scheme}://[0-9.]+:(\d+)")

        def listening() -> bool:
            found.extend(match for match in map(line.search, self.log) if match)
            return bool(found) or self.process.poll() is not None

        wait_until(listening, "the port")
        assert found, "\n".join(self.log)
        return int(found[0][1])

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._log.append(line.rstrip("\n"))

    @property
    def log(self) -> list[str]:
        return list(self._log)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log with `--json`; a line that is no JSON is an event "error"."""
        return [
            json.loads(line) if line.startswith("{") else {"event": "error", "text": line}
            for line in self.log
        ]

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()

    def ask_to_stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """For its end; gives the exit status."""
        return self.process.wait(WAIT)

    def stop(self) -> int:
        self.ask_to_stop()
        return self.wait()

    def ask(
        self,
        path: str,
        body: bytes | str | None = None,
        method: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """GET, or POST where there is a body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
            reply = connection.getresponse()
            told = {name.lower(): value for name, value in reply.getheaders()}
            return Reply(status=reply.status, headers=told, body=reply.read())
        finally:
            connection.close()

    def request(
        self, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        reply = self.ask(path, body, method, headers)
        return reply.status, reply.body

    def get(self, path: str) -> tuple[int, bytes]:
        return self.request("GET", path)

    def json(self, method: str, path: str, body: Any = None) -> Any:
        status, reply = self.request(method, path, None if body is None else json.dumps(body))
        assert status == 200, reply
        return json.loads(reply) if reply else None

    def client(self) -> Raw:
        return Raw(self.port)

    def send(self, data: bytes) -> bytes:
        """Bytes on a connection of its own, and all that comes back until the server closes it."""
        with self.client() as client:
            client.send(data)
            return client.all()

    # What it holds

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208

    def resident(self) -> int:
        """Bytes of memory."""
        with Path(f"/proc/{self.pid}/statm").open() as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def texts(self, name: str) -> dict[str, int]:
        """What becomes of a model's texts."""
        stats = self.json("GET", f"/v2/models/{name}/stats")["model_stats"][0]["text_stats"]
        assert isinstance(stats, dict)
        return stats


class Raw:
    """A client on a TCP socket."""

    def __init__(self, port: int, source: socket.socket | None = None) -> None:
        self.socket = source or socket.create_connection(("127.0.0.1", port), timeout=WAIT)
        self._got = b""

    def __enter__(self) -> Raw:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """As much as the server takes: where it has closed, its reply is what counts."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def _more(self) -> bool:
        got = self.socket.recv(65536)
        self._got += got
        return bool(got)

    def all(self) -> bytes:
        while self._more():
            pass
        got, self._got = self._got, b""
        return got

    def until(self, part: bytes) -> bytes:
        while part not in self._got:
            assert self._more(), f"{part!r} never came; {self._got!r} did"
        end = self._got.index(part) + len(part)
        got, self._got = self._got[:end], self._got[end:]
        return got

    def reply(self) -> tuple[int, bytes]:
        """One reply with a Content-Length."""
        head = self.until(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)\r\n", head)
        assert length, head
        while len(self._got) < int(length[1]):
            assert self._more(), "the reply ends too soon"
        body, self._got = self._got[: int(length[1])], self._got[int(length[1]) :]
        return status_of(head), body


def status_of(reply: bytes) -> int:
    """0 where there is none."""
    return int(reply.split(b" ", 2)[1]) if reply.startswith(b"HTTP/1.1 ") else 0


def post(path: str, body: bytes = b"", *headers: str) -> bytes:
    """A request as bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def make_keys(program: Program, path: Path, **options: str) -> dict[str, str]:
    """Keys by whose they are, for `--keys path`; an option is what follows the name, as in ":control"."""
    made = {
        name: subprocess.run(program.command("key", name), capture_output=True, text=True, check=True)
        for name in options
    }
    path.write_text("".join(f"{one.stderr.strip()}{options[name]}\n" for name, one in made.items()))
    keys = {name: one.stdout.strip() for name, one in made.items()}
    assert not any(key in path.read_text() for key in keys.values())
    return keys


# Tensors for tritonclient


def names(model: portfire.Model) -> tuple[str, str]:
    forward = json.loads(model.info.to_json())["manifest"]["methods"]["forward"]
    return forward["inputs"][0]["name"], forward["outputs"][0]["name"]


def batch(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 1, 8, 8), dtype=np.float32)


def asked(name: str, x: np.ndarray, *, binary: bool) -> list[triton.InferInput]:
    made = triton.InferInput(name, list(x.shape), "FP32")
    made.set_data_from_numpy(x, binary_data=binary)
    return [made]


def make_models(folder: Path, digits: DigitsWorld) -> Path:
    """A repository with a classifier, digits/10, and a model that writes, writer/1."""
    shutil.copytree(digits.package.parent, folder / "digits" / "10")
    make_writer(folder / "writer", "gpt")
    return folder
