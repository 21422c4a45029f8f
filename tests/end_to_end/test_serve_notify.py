"""What `portfire serve` tells the service manager that started it, over a socket as systemd gives it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faces import Program
from small_models import DigitsWorld

READY = "READY=1\nSTATUS=answering"
ALIVE = "WATCHDOG=1"


class Manager:
    """The service manager's end: a datagram socket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + name[1:] if name.startswith("@") else name)

    def next(self, seconds: float = 60.0) -> str:
        self._socket.settimeout(seconds)
        return self._socket.recv(4096).decode()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    name = str(tmp_path / "notify")
    made = Manager(name if request.param == "path" else f"@portfire-test-{os.getpid()}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def repository(digits: DigitsWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(digits.folder, folder / "digits")
    return folder


@contextmanager
def served(program: Program, *arguments: object, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        program.command("serve", "--port", "0", "--no-grpc", "--drain-seconds", "5", *arguments),
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_ready_is_said_once_when_the_models_answer_and_stopping_at_the_end(
    manager: Manager, repository: Path, program: Program
) -> None:
    with served(program, repository, NOTIFY_SOCKET=manager.name) as process:
        assert manager.next() == READY
        process.terminate()
        assert manager.next() == "STOPPING=1"
        assert process.wait(60) == 0
        assert process.stderr is not None
        lines = process.stderr.read().decode().splitlines()
    assert any("digits/" in line for line in lines), "it was ready before its model was looked at"
    with pytest.raises(TimeoutError):
        manager.next(0.1)


def test_a_watchdog_is_fed_twice_in_its_time(tmp_path: Path, program: Program) -> None:
    manager = Manager(str(tmp_path / "notify"))
    (tmp_path / "empty").mkdir()
    settings = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "2000000"}
    with served(program, tmp_path / "empty", **settings) as process:
        assert {manager.next(), manager.next()} == {READY, ALIVE}
        began = time.monotonic()
        assert [manager.next(), manager.next()] == [ALIVE, ALIVE]
        assert time.monotonic() - began > 1.0, "it is not fed at every turn"
        process.terminate()
        said = manager.next()
        while said == ALIVE:
            said = manager.next()
        assert said == "STOPPING=1"
        assert process.wait(60) == 0
    manager.close()


def test_a_server_that_hangs_no_longer_feeds_the_watchdog(tmp_path: Path, program: Program) -> None:
    manager = Manager(str(tmp_path / "notify"))
    (tmp_path / "empty").mkdir()
    settings = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "800000"}
    with served(program, tmp_path / "empty", **settings) as process:
        assert {manager.next(), manager.next()} == {READY, ALIVE}
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            while True:
                manager.next(3.0)
        process.send_signal(signal.SIGCONT)
        assert manager.next() == ALIVE
    manager.close()


@pytest.mark.parametrize(
    "environment",
    [
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "relative"},
        {"NOTIFY_SOCKET": "/missing/notify"},
        {"NOTIFY_SOCKET": "/" + "x" * 200},
        {"WATCHDOG_USEC": "often"},
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
    ],
)
def test_without_a_service_manager_it_serves_all_the_same(
    environment: dict[str, str], tmp_path: Path, program: Program
) -> None:
    with served(program, tmp_path, **environment) as process:
        assert process.stderr is not None
        assert b"listening on http://127.0.0.1:" in process.stderr.readline()
        time.sleep(0.5)
        process.terminate()
        assert process.wait(60) == 0
