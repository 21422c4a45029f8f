"""`portfire serve`, started on free ports for a test."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from faces import Program

_PATIENCE = 60  # seconds


@dataclass(kw_only=True)
class Server:
    """A server that answers, and what it has logged."""

    process: subprocess.Popen[str]
    http_port: int = 0
    grpc_port: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    @staticmethod
    @contextmanager
    def start(program: Program, models: Path, *arguments: object) -> Iterator[Server]:
        """A server of the folder, once each of its models answers or has failed."""
        command = program.command("serve", "--json", "--port", 0, "--grpc-port", 0, *arguments, models)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        server = Server(process=process)
        events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        reader = threading.Thread(target=server._read, args=[events], daemon=True)
        reader.start()
        try:
            loading = {path.name for path in models.iterdir() if path.is_dir()}
            while loading or not server.http_port or not (server.grpc_port or "--no-grpc" in arguments):
                event = events.get(timeout=_PATIENCE)
                assert event is not None, f"the server has ended: {server.log}"
                if event["event"] == "listening":
                    server.http_port = event["port"]
                elif event["event"] == "listening-grpc":
                    server.grpc_port = event["port"]
                elif event["event"] in {"ready", "failed"}:
                    loading.discard(event["model"])
            while "--tls-certificate" not in arguments and not server.is_ready():
                time.sleep(0.01)
            yield server
        finally:
            process.kill()
            process.wait(_PATIENCE)
            reader.join(_PATIENCE)

    def is_ready(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.http_port}/v2/health/ready", timeout=_PATIENCE):
                return True
        except HTTPError:
            return False

    def ask_to_stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """For its end; gives its exit status."""
        return self.process.wait(_PATIENCE)

    def _read(self, events: queue.Queue[dict[str, Any] | None]) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            event = json.loads(line) if line.startswith("{") else {"event": "error", "text": line.rstrip()}
            self.log.append(event)
            events.put(event)
        events.put(None)
