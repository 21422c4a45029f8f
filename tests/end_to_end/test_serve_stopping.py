"""How `portfire serve` starts and ends."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from faces import Program
from serving import WAIT, Server, batch, make_models, names, post, wait_until
from small_models import DigitsWorld

import portfire


@pytest.fixture(scope="module")
def models(digits: DigitsWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_models(tmp_path_factory.mktemp("served"), digits)


@pytest.fixture(scope="module")
def model(digits: DigitsWorld) -> portfire.Model:
    return portfire.load(digits.package)


@pytest.mark.parametrize(
    "options",
    [
        ("--address", "nowhere"),
        ("--port", 70000),
        ("--tls-certificate", "/nothing"),
        ("--latest", 0),
        ("--versions", "digits"),
        ("--versions", "digits=0"),
        ("--versions", "digits=latest:x"),
        ("--versions", "digits=1", "--versions", "digits=2"),
        ("--name", "../digits"),
        ("--max-waiting", 0),
        ("--unix-socket", "/nothing/socket"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    program: Program, models: Path, options: tuple[object, ...]
) -> None:
    done = program("serve", models, *options)
    assert done.status not in (0, None) and done.err


def test_a_folder_that_is_not_there_is_refused(program: Program, tmp_path: Path) -> None:
    assert program("serve", tmp_path / "nothing").status == 66


def test_requests_that_have_begun_are_answered_at_the_end(
    program: Program, models: Path, model: portfire.Model
) -> None:
    name, _output = names(model)
    with Server(program, models) as server:
        body = json.dumps({"model": "writer", "prompt": "once", "max_tokens": 40, "n": 8, "seed": 1}).encode()
        x = batch(2)
        tensors = {"name": name, "shape": list(x.shape), "datatype": "FP32", "data": x.ravel().tolist()}
        infer = json.dumps({"inputs": [tensors]}).encode()
        clients = [server.client() for _ in range(12)]
        for k, client in enumerate(clients):
            if k % 3 == 0:
                client.send(post("/v1/completions", body))
            elif k % 3 == 1:
                client.send(post("/v2/models/digits/infer", infer))
            else:
                client.send(post("/v2/models/digits/infer", infer)[:-20])  # the rest comes later
        idle = server.client()
        idle.send(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        idle.reply()
        server.process.send_signal(signal.SIGTERM)
        assert idle.all() == b""
        for k, client in enumerate(clients):
            if k % 3 == 2:
                client.send(infer[-20:])
            status, reply = client.reply()
            assert status == 200, (k, reply)
            assert ("choices" if k % 3 == 0 else "outputs") in json.loads(reply)
            assert client.all() == b""
            client.socket.close()
        idle.socket.close()
        assert server.process.wait(WAIT) == 0
        wait_until(lambda: any(line.endswith("stopped") for line in server.log))


def test_what_never_ends_does_not_hold_up_the_end(program: Program, models: Path) -> None:
    with Server(program, models, "--drain-seconds", 1) as server, server.client() as slow:
        slow.send(post("/v2/models/digits/infer", b"x" * 100)[:-1])
        time.sleep(0.1)
        assert server.stop() == 0


def test_a_second_signal_ends_at_once(program: Program, models: Path) -> None:
    with Server(program, models) as server, server.client() as slow:
        slow.send(post("/v2/models/digits/infer", b"x" * 100)[:-1])
        wait_until(lambda: server.get("/v2")[0] == 200)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: any("stopping" in line for line in server.log))
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(WAIT) == -signal.SIGTERM
