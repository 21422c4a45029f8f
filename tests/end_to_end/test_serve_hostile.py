"""`portfire serve` and clients that mean it harm: each is answered as it should be and leaves nothing."""

from __future__ import annotations

import gzip
import json
import os
import resource
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from faces import Program
from serving import Raw, Server, post, status_of, wait_until
from small_models import DigitsWorld
from small_texts import make_writer

MAX_BODY = 1 << 20
INFER = "/v2/models/digits/infer"
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def server(
    program: Program, digits: DigitsWorld, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(digits.package.parent, folder / "digits" / "1")
    shutil.copytree(make_writer(tmp_path_factory.mktemp("writer"), "gpt").folder, folder / "writer")
    with Server(program, folder, "--max-body", MAX_BODY) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture(autouse=True)
def nothing_is_left(server: Server) -> Iterator[None]:
    before = server.descriptors()
    yield
    assert server.process.poll() is None, "\n".join(server.log)
    assert server.get("/v2/health/ready")[0] == 200
    wait_until(lambda: server.descriptors() <= before + 1, "descriptors to be given back")


def deep(depth: int) -> bytes:
    return b"[" * depth


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        pytest.param(deep(200_000), (), 400, id="an-array-200000-deep"),
        pytest.param(
            b'{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":' + deep(200_000),
            (),
            400,
            id="tensor-data-200000-deep",
        ),
        pytest.param(b'{"inputs":' + b'{"a":' * 100_000, (), 400, id="an-object-100000-deep"),
        pytest.param(b"", (), 400, id="empty"),
        pytest.param(b"\xff\xfe{", (), 400, id="not-UTF-8"),
        pytest.param(b"{}", ("Inference-Header-Content-Length: 3",), 400, id="a-head-shorter-than-the-JSON"),
        pytest.param(b"{}", ("Inference-Header-Content-Length: -1",), 400, id="a-negative-head"),
        pytest.param(
            b"{}", ("Inference-Header-Content-Length: 99999999999999999999",), 400, id="a-head-past-64-bits"
        ),
        pytest.param(b"no gzip", ("Content-Encoding: gzip",), 400, id="no-gzip"),
        pytest.param(
            gzip.compress(b"{}", mtime=0)[:-3], ("Content-Encoding: gzip",), 400, id="a-gzip-cut-short"
        ),
        pytest.param(b"{}", ("Content-Encoding: br",), 501, id="an-unknown-encoding"),
        pytest.param(
            gzip.compress(bytes(100 << 20), 1, mtime=0),
            ("Content-Encoding: gzip",),
            413,
            id="a-gzip-bomb",
        ),
        pytest.param(b"x" * (MAX_BODY + 1), (), 413, id="too-long"),
        pytest.param(
            b"\x89PNG\r\n\x1a\n" + os.urandom(1000), ("Content-Type: image/png",), 400, id="half-a-picture"
        ),
    ],
)
def test_bodies(server: Server, body: bytes, headers: tuple[str, ...], status: int) -> None:
    reply = server.send(post(INFER, body, "Connection: close", *headers))
    assert status_of(reply) == status, reply[:300]
    assert json.loads(reply.split(b"\r\n\r\n", 1)[1])["code"]


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions", "/v2/models/writer/generate"])
def test_bodies_of_texts(server: Server, path: str) -> None:
    for body in (
        deep(500_000),
        b'{"model":' + deep(400_000) + b"]" * 400_000 + b"}",
        b'{"text_input":"a","parameters":{"a":' + b'{"a":' * 150_000 + b"1" + b"}" * 150_000 + b"}}",
        b'{"model":"writer","prompt":"\xff"}',
        b"{}",
        b"null",
        b'{"model":"writer","prompt":["a"],"n":1000000}',
        b'{"model":"writer","text_input":"a","prompt":"a","max_tokens":-5,"parameters":{"max_tokens":-5}}',
    ):
        reply = server.send(post(path, body, "Connection: close"))
        assert status_of(reply) in (400, 501), (body[:50], reply[:300])
        assert b'"error"' in reply
    assert status_of(server.send(post("/v2/repository/index", deep(500_000), "Connection: close"))) == 400


@pytest.mark.uninstrumented
def test_a_body_of_fifty_megabytes_is_refused_and_the_refusal_seen(server: Server) -> None:
    before = server.resident()
    for _ in range(3):
        reply = server.send(post(INFER, b"x" * (50 << 20)))
        assert status_of(reply) == 413 and b"--max-body" in reply
    assert server.resident() < before + (20 << 20)


def test_long_heads_are_refused(server: Server) -> None:
    assert status_of(server.send(LIVE + b"A: " + b"x" * 100_000 + b"\r\n\r\n")) == 431
    assert status_of(server.send(LIVE + b"A: b\r\n" * 50_000 + b"\r\n")) == 431
    assert status_of(server.send(b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")) == 431


def test_nothing_is_smuggled(server: Server) -> None:
    inner = b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for head in (
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        b"Content-Length: 0\r\nContent-Length: 29\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: +0\r\n\r\n",
        b"Content-Length: 0,0\r\n\r\n",
    ):
        reply = server.send(b"POST " + INFER.encode() + b" HTTP/1.1\r\nHost: localhost\r\n" + head + inner)
        assert status_of(reply) in (400, 501), (head, reply)
        assert reply.count(b"HTTP/1.1 ") == 1, (head, reply)


def test_rubbish(server: Server) -> None:
    for seed in range(20):
        reply = server.send(np.random.default_rng(seed).bytes(2000) + b"\r\n\r\n")
        assert status_of(reply) in (0, 400, 431, 505), reply[:200]


def test_clients_that_come_and_go(server: Server) -> None:
    for data in (b"", b"G", LIVE, post(INFER, b"x" * 1000)[:-1], post(INFER, b"{}"), LIVE + b"\r\n"):
        for _ in range(50):
            with server.client() as client:
                client.send(data)


def test_half_closed_clients_are_answered_or_closed(server: Server) -> None:
    for data in (LIVE + b"\r\n", post("/v2/repository/index"), post(INFER, b"x" * 1000)[:-1]):
        with server.client() as client:
            client.send(data)
            client.socket.shutdown(socket.SHUT_WR)
            assert status_of(client.all()) in (0, 200)


@pytest.mark.uninstrumented
def test_idle_connections(server: Server) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(2000, hard - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 200), hard))
    before = server.resident()
    clients = [server.client() for _ in range(count)]
    for client in clients[::2]:
        client.send(LIVE)  # half of them have begun
    assert server.get("/v2/health/ready")[0] == 200
    wait_until(lambda: server.descriptors() > count)
    assert (server.resident() - before) / count < 64 << 10
    for client in clients:
        client.socket.close()


def test_a_client_that_goes_away_ends_its_text(server: Server) -> None:
    body = {"model": "writer", "prompt": "once", "max_tokens": 40, "n": 64, "stream": True, "seed": 1}
    before = server.texts("writer")
    for stream in (True, False):
        for _ in range(5):
            with server.client() as client:
                client.send(post("/v1/completions", json.dumps({**body, "stream": stream}).encode()))
                if stream:
                    client.until(b"data: ")
    wait_until(lambda: sum(server.texts("writer")[k] for k in ("sequences", "waiting")) == 0)
    after = server.texts("writer")
    assert after["cancelled"] > before["cancelled"]
    assert after["failed"] == before["failed"]


def test_a_slow_reader_holds_up_nobody(server: Server) -> None:
    slow = socket.create_connection(("127.0.0.1", server.port))
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    body = {"model": "writer", "prompt": "once", "max_tokens": 40, "n": 16, "stream": True}
    slow.sendall(post("/v1/completions", json.dumps(body).encode()))
    quick = server.json("POST", "/v1/completions", {"model": "writer", "prompt": "once", "max_tokens": 5})
    assert quick["choices"][0]["text"]
    wait_until(lambda: server.texts("writer")["sequences"] == 0)
    with Raw(0, slow) as reader:
        assert b"[DONE]" in reader.until(b"0\r\n\r\n")  # and it gets all in its own time


def test_slow_senders_hold_up_nobody(server: Server) -> None:
    stop = threading.Event()

    def drip() -> None:
        with server.client() as client:
            client.send(LIVE)
            while not stop.wait(0.05):
                client.send(b"A: b\r\n")

    threads = [threading.Thread(target=drip) for _ in range(50)]
    for thread in threads:
        thread.start()
    start = time.monotonic()
    for _ in range(20):
        assert server.get("/v2/health/live")[0] == 200
    assert time.monotonic() - start < 20
    stop.set()
    for thread in threads:
        thread.join()


@pytest.mark.uninstrumented
def test_memory_does_not_grow(server: Server) -> None:
    x = np.zeros((64, 1, 8, 8), np.float32)
    tensors = {"name": "x", "shape": list(x.shape), "datatype": "FP32", "data": x.ravel().tolist()}
    good = post(INFER, json.dumps({"inputs": [tensors]}).encode(), "Connection: close")
    packed = post(INFER, gzip.compress(bytes(900_000)), "Content-Encoding: gzip", "Connection: close")

    def round_of() -> int:
        for _ in range(40):
            for data in (good, packed, good[:-50], post(INFER, deep(1000), "Connection: close")):
                with server.client() as client:
                    client.send(data)
                    if data is not good[:-50]:
                        client.socket.shutdown(socket.SHUT_WR)
                        client.all()
        return server.resident()

    round_of()
    before = round_of()
    for _ in range(3):
        after = round_of()
    assert after < before + (8 << 20)


@pytest.mark.slow
def test_ten_thousand_idle_connections(program: Program, tmp_path: Path) -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 11_000:
        pytest.skip(f"only {hard} descriptors may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    (tmp_path / "models").mkdir()
    with Server(program, tmp_path / "models") as server:
        before = server.resident()
        clients = [server.client() for _ in range(10_000)]
        assert server.get("/v2/health/live")[0] == 200
        wait_until(lambda: server.descriptors() > 10_000)
        assert (server.resident() - before) / 10_000 < 32 << 10
        for client in clients:
            client.socket.close()
        wait_until(lambda: server.descriptors() < 100)
        assert server.stop() == 0
