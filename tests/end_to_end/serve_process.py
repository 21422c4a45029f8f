"""A `portfire serve` of its own for a test, and what asks it."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from faces import Program


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Server:
    url: str  # without a slash at its end
    pid: int
    keys: dict[str, str] = field(default_factory=dict)  # by whose they are

    def ask(
        self, path: str, body: bytes | None = None, method: str | None = None, key: str | None = None
    ) -> Reply:
        """GET, or POST where there is a body."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        request = Request(self.url + path, data=body, headers=headers, method=method)
        try:
            with urlopen(request, timeout=60) as answer:
                return _reply(answer)
        except HTTPError as refused:
            return _reply(refused)

    def wait_until_ready(self) -> None:
        end = time.monotonic() + 60
        while self.ask("/v2/health/ready").status != 200:
            assert time.monotonic() < end, "the server did not become ready"
            time.sleep(0.05)


def _reply(answer: Any) -> Reply:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Reply(status=answer.status, headers=headers, body=answer.read())


@contextmanager
def serving(program: Program, folder: Path, *options: str) -> Iterator[Server]:
    """On a free port, ready, and ended with SIGTERM."""
    process = subprocess.Popen(
        [program.path, "serve", folder, "--port", "0", "--no-grpc", "--threads", "1", *options],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        url = ""
        for line in process.stderr:
            if found := re.search(r"listening on (https?://[^/]+)/", line):
                url = found[1]
                break
        assert url, "the server did not say where it listens"
        # Nobody reads on: what is said later fits into the pipe.
        server = Server(url=url, pid=process.pid)
        server.wait_until_ready()
        yield server
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def serving_with_keys(program: Program, folder: Path, path: Path, *names: str) -> Iterator[Server]:
    """One that asks for keys, which these have."""
    made = {
        name: subprocess.run(program.command("key", name), capture_output=True, text=True, check=True)
        for name in names
    }
    path.write_text("".join(one.stderr for one in made.values()))
    keys = {name: one.stdout.strip() for name, one in made.items()}
    with serving(program, folder, "--keys", str(path)) as server:
        yield replace(server, keys=keys)
