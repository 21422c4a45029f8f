"""Who may come in, over HTTP and gRPC."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton
from faces import Program
from serving import Server, make_keys
from tritonclient.utils import InferenceServerException


@pytest.fixture(scope="module")
def keys(
    program: Program, served_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, dict[str, str]]]:
    path = tmp_path_factory.mktemp("keys") / "keys.txt"
    made = make_keys(program, path, plain="", slow=":rate=1", control=":control")
    path.write_text(f"# who\n{path.read_text()}")
    with Server(program, served_models, "--keys", path, grpc=True) as server:
        yield server, made


def _status(server: Server, path: str, headers: dict[str, str], method: str = "GET") -> int:
    return server.ask(path, None, method, headers).status


def test_http_asks_for_a_key(keys: tuple[Server, dict[str, str]]) -> None:
    server, key = keys
    assert _status(server, "/v2/health/ready", {}) == 200
    for path in ("/v2", "/v1/models", "/metrics", "/v2/models/nothing"):
        assert _status(server, path, {}) == 401
        assert _status(server, path, {"Authorization": "Bearer wrong"}) == 401
    assert _status(server, "/v1/models", {"Authorization": f"Bearer {key['plain']}"}) == 200
    assert _status(server, "/v1/models", {"X-API-Key": key["plain"]}) == 200
    slow = [_status(server, "/v2", {"X-API-Key": key["slow"]}) for _ in range(4)]
    assert slow[0] == 200 and 429 in slow


def _answer(server: Server, request: bytes, then: bytes = b"") -> bytes:
    """All that comes back before the server closes; an error where it is lost by a reset."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(request)
        got = client.recv(65536) if not then else b""
        with contextlib.suppress(BrokenPipeError):
            client.sendall(then)
        client.shutdown(socket.SHUT_WR)
        while part := client.recv(65536):
            got += part
    return got


@pytest.mark.parametrize(
    "length",
    [
        pytest.param("Content-Length: 50000000", id="a-length"),
        pytest.param("Transfer-Encoding: chunked", id="chunks"),
        pytest.param("Content-Length: 50000000\r\nExpect: 100-continue", id="a-client-that-waits"),
    ],
)
def test_no_body_is_read_of_who_has_no_key(keys: tuple[Server, dict[str, str]], length: str) -> None:
    server, key = keys
    head = f"POST /v2/models/scale/infer HTTP/1.1\r\nHost: localhost\r\n{length}\r\n".encode()
    assert _answer(server, head + b"\r\n").startswith(b"HTTP/1.1 401 ")  # none of it has been sent
    for _ in range(20):
        slow = _answer(server, head + f"X-API-Key: {key['slow']}\r\n\r\n".encode())
        if slow.startswith(b"HTTP/1.1 429 "):
            break
    assert b"\r\nRetry-After: 1\r\n" in slow


def test_who_sends_on_without_a_key_is_told_why(keys: tuple[Server, dict[str, str]]) -> None:
    server, _ = keys
    head = b"POST /v2/models/scale/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\n\r\n"
    hidden = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = _answer(server, head, then=bytes(50_000_000) + hidden)
    assert answer.startswith(b"HTTP/1.1 401 ") and answer.count(b"HTTP/1.1 ") == 1
    assert b"a key is needed" in answer


def test_only_some_keys_load_and_unload(keys: tuple[Server, dict[str, str]]) -> None:
    server, key = keys
    for path in ("/v2/repository/models/nothing/load", "/v2/%72epository/models/nothing/unload"):
        assert _status(server, path, {"X-API-Key": key["plain"]}, "POST") == 403
        assert _status(server, path, {"X-API-Key": key["control"]}, "POST") == 404


def test_pages_of_other_sites_may_not_ask(keys: tuple[Server, dict[str, str]]) -> None:
    server, key = keys
    known = {"X-API-Key": key["plain"]}
    assert _status(server, "/v2", known | {"Origin": "http://elsewhere.example"}) == 403
    assert _status(server, "/v2", known | {"Origin": f"http://127.0.0.1:{server.port}"}) == 200


def test_grpc_asks_for_a_key(keys: tuple[Server, dict[str, str]]) -> None:
    server, key = keys
    x = triton.InferInput("x", [1], "FP32")
    x.set_data_from_numpy(np.zeros(1, np.float32))
    with triton.InferenceServerClient(server.grpc) as client:
        assert client.is_server_live() and client.is_server_ready()

        def code(call: str, *arguments: object, **headers: str) -> str:
            try:
                getattr(client, call)(*arguments, headers=headers)
            except InferenceServerException as error:
                return str(error.status()).removeprefix("StatusCode.")
            return "OK"

        assert code("get_server_metadata") == code("infer", "nothing", [x]) == "UNAUTHENTICATED"
        assert code("get_server_metadata", authorization=f"Bearer {key['plain']}") == "OK"
        assert code("infer", "nothing", [x], **{"x-api-key": key["plain"]}) == "NOT_FOUND"
        assert code("load_model", "nothing", **{"x-api-key": key["plain"]}) == "PERMISSION_DENIED"
        assert code("load_model", "nothing", **{"x-api-key": key["control"]}) == "NOT_FOUND"


@pytest.mark.parametrize(
    "line", ["", "alice", "alice:abc", "alice:" + "0" * 64 + ":rate=-1", "alice:" + "0" * 64 + ":all"]
)
def test_a_file_that_holds_no_keys_is_refused(
    program: Program, served_models: Path, tmp_path: Path, line: str
) -> None:
    (tmp_path / "keys").write_text(line + "\n")
    done = program("serve", served_models, "--port", 0, "--no-grpc", "--keys", tmp_path / "keys")
    assert done.status == 64 and len(done.err.strip().splitlines()) == 1
