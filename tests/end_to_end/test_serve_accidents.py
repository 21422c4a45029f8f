"""`portfire serve` killed, on a full disk, with a log that nobody takes, under a clock that jumps."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import threading
import time
from pathlib import Path

import pytest
from faces import Program
from serving import WAIT, Raw, Server, make_models, names, post, wait_until
from small_models import DigitsWorld

import portfire

DAY = 86400


@pytest.fixture
def models(digits: DigitsWorld, tmp_path: Path) -> Path:
    return make_models(tmp_path / "models", digits)


@pytest.fixture(scope="module")
def body(digits: DigitsWorld) -> str:
    name, _ = names(portfire.load(digits.package))
    pixels = {"name": name, "shape": [1, 1, 8, 8], "datatype": "FP32", "data": [0.5] * 64}
    return json.dumps({"inputs": [pixels], "parameters": {"timeout": 30_000_000}})


def answers(server: Server, body: str) -> bool:
    return server.request("POST", "/v2/models/digits/infer", body)[0] == 200


def files_below(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_killed_while_it_loads_and_answers(
    program: Program, models: Path, digits: DigitsWorld, body: str, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    path = tmp_path / "socket"
    before = files_below(models)
    for version in range(11, 15):
        with Server(program, models, "--unix-socket", path, env={"TMPDIR": str(temporary)}) as server:
            assert answers(server, body)
            with socket.socket(socket.AF_UNIX) as beside:  # what the one before left is no hindrance
                beside.connect(str(path))
            asking = [server.client() for _ in range(4)]
            for client in asking:
                client.send(post("/v2/models/digits/infer", body.encode()))
            shutil.copytree(digits.package.parent, models / "digits" / str(version))
            wait_until(
                lambda v=version: any(f"digits/{v}: loading" in line for line in server.log), "loading"
            )
            server.process.kill()
            server.process.wait(WAIT)
        assert not list(temporary.iterdir())
        shutil.rmtree(models / "digits" / str(version))
    assert files_below(models) == before
    assert path.is_socket()
    with Server(program, models, "--unix-socket", path) as server:
        assert answers(server, body)
        assert server.stop() == 0
    assert not path.exists()


@pytest.mark.parametrize("log", ["full", "closed"])
def test_a_log_that_nobody_takes(
    program: Program, models: Path, digits: DigitsWorld, body: str, log: str
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    reading, writing = os.pipe()
    errors = os.open("/dev/full", os.O_WRONLY) if log == "full" else os.dup(writing)
    os.close(writing)
    command = program.command("serve", models, "--port", port, "--no-grpc", "--latest", 2)
    server = subprocess.Popen(command, stderr=errors)
    os.close(errors)
    os.close(reading)
    try:

        def ready(path: str) -> bool:
            with contextlib.suppress(ConnectionRefusedError), Raw(port) as client:
                client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                return client.reply()[0] == 200
            return False

        wait_until(lambda: ready("/v2/models/digits/ready"))
        shutil.copytree(digits.package.parent, models / "digits" / "11")
        wait_until(lambda: ready("/v2/models/digits/versions/11/ready"))
        server.send_signal(signal.SIGTERM)
        assert server.wait(WAIT) == 0
    finally:
        server.kill()
        server.wait(WAIT)


def test_a_disk_that_fills_while_a_version_is_copied(
    program: Program, models: Path, digits: DigitsWorld, body: str
) -> None:
    """What then stands there is the beginning of a file."""
    with Server(program, models) as server:
        target = models / "digits" / "11" / digits.package.name
        target.parent.mkdir()
        target.write_bytes(digits.package.read_bytes()[:5000])
        wait_until(
            lambda: any("digits/11" in line and "failed" in line for line in server.log), "the failure"
        )
        assert answers(server, body)
        shutil.copy(digits.package, target)  # once there is room
        wait_until(lambda: server.get("/v2/models/digits/versions/11/ready")[0] == 200, "the new version")
        assert answers(server, body)
        assert server.stop() == 0


@pytest.mark.uninstrumented
@pytest.mark.parametrize("jump", [400 * DAY, -400 * DAY])
def test_a_clock_that_jumps(
    program: Program, models: Path, digits: DigitsWorld, body: str, tmp_path: Path, jump: int
) -> None:
    library = Path("/usr/lib", sysconfig.get_config_var("MULTIARCH"), "faketime/libfaketimeMT.so.1")
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    fake = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    failed: list[tuple[int, bytes]] = []
    stop = threading.Event()

    with Server(program, models, env=fake) as server:

        def ask() -> None:
            while not stop.is_set():
                status, reply = server.request("POST", "/v2/models/digits/infer", body)
                if status != 200:
                    failed.append((status, reply))

        idle = server.client()
        asking = [threading.Thread(target=ask) for _ in range(4)]
        for one in asking:
            one.start()
        time.sleep(0.3)
        clock.write_text(f"{jump:+d}\n")
        time.sleep(0.5)
        shutil.copytree(digits.package.parent, models / "digits" / "11")  # its times are another day's
        wait_until(lambda: server.get("/v2/models/digits/versions/11/ready")[0] == 200, "the new version")
        text = json.dumps({"model": "writer", "prompt": "once", "max_tokens": 5})
        assert server.request("POST", "/v1/completions", text)[0] == 200
        stop.set()
        for one in asking:
            one.join()
        idle.send(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")  # it was not closed for its age
        assert idle.reply()[0] == 200
        year = time.gmtime(time.time() + jump).tm_year
        assert any(line.startswith(str(year)) for line in server.log), "the clock did not jump"
        assert server.stop() == 0
    assert not failed
