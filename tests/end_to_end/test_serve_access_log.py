"""What --access-log says of each request, over HTTP and gRPC."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from faces import Program
from serving import Server, make_keys, wait_until
from small_models import make_scale
from small_texts import make_writer
from tritonclient.utils import InferenceServerException

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def alice(program: Program, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The file of a key, and the key."""
    path = tmp_path_factory.mktemp("keys") / "keys.txt"
    return path, make_keys(program, path, alice="")["alice"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "scale" / "1").mkdir(parents=True)
    make_scale(folder / "scale" / "1" / "model.pt")
    make_writer(folder / "writer", "gpt")
    return folder


@pytest.fixture(scope="module")
def server(program: Program, models: Path, alice: tuple[Path, str]) -> Iterator[Server]:
    with Server(program, models, "--json", "--access-log", "--keys", alice[0], grpc=True) as running:
        yield running
        assert not any(alice[1] in one for one in running.log)


def accesses(server: Server) -> list[dict[str, Any]]:
    return [one for one in server.events if one["event"] == "access"]


def line(server: Server, request_id: str) -> dict[str, Any]:
    """The one of that request."""

    def found() -> list[dict[str, Any]]:
        return [one for one in accesses(server) if one["id"] == request_id]

    wait_until(found, f"the line of {request_id}")
    (one,) = found()
    return one


def ask(server: Server, path: str, body: bytes | None = None, **headers: str) -> bytes:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.ask(path, body, headers=names).body


def test_an_answer_over_http(server: Server, alice: tuple[Path, str]) -> None:
    x = {"name": "x", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": [0.5] * 64}
    body = json.dumps({"inputs": [x]}).encode()
    path = "/v2/models/scale/infer"
    reply = ask(server, path + "?secret=1", body, X_API_Key=alice[1], X_Request_Id="h-1", traceparent=PARENT)
    assert b"outputs" in reply
    one = line(server, "h-1")
    assert one["method"] == "POST" and one["path"] == path and one["protocol"] == "http"
    assert (one["status"], one["complete"]) == (200, True)
    assert (one["model"], one["version"], one["key"], one["trace_id"]) == ("scale", 1, "alice", TRACE)
    assert len(body) < one["bytes_in"] < len(body) + 1000
    assert len(reply) < one["bytes_out"] < len(reply) + 1000
    assert 0 < one["milliseconds"] < 60_000
    assert one["time"].startswith("20") and one["time"].endswith("Z")


def test_a_text_in_parts_is_one_line(server: Server, alice: tuple[Path, str]) -> None:
    body = json.dumps({"model": "writer", "prompt": "once", "max_tokens": 5, "stream": True}).encode()
    reply = ask(server, "/v1/completions", body, X_API_Key=alice[1], X_Request_Id="t-1")
    one = line(server, "t-1")
    assert (one["status"], one["complete"], one["model"], one["version"]) == (200, True, "writer", 1)
    assert one["bytes_out"] > len(reply)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        longer = json.dumps({"model": "writer", "prompt": "once", "max_tokens": 40, "n": 64, "stream": True})
        head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {alice[1]}\r\n"
        head += f"X-Request-Id: t-2\r\nContent-Length: {len(longer)}\r\n\r\n"
        client.sendall((head + longer).encode())
        client.recv(100)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # a reset
    one = line(server, "t-2")
    assert (one["status"], one["complete"], one["model"]) == (200, False, "writer")


def test_who_is_turned_away_leaves_a_line(server: Server, alice: tuple[Path, str]) -> None:
    ask(server, "/v2", X_Request_Id="h-2", Authorization="Bearer wrong")
    one = line(server, "h-2")
    assert (one["status"], one["key"], one["model"], one["trace_id"]) == (401, None, None, None)
    ask(server, "/v2/models/nothing", X_Request_Id="h-3", Authorization=f"Bearer {alice[1]}")
    assert (line(server, "h-3")["status"], line(server, "h-3")["key"]) == (404, "alice")


@pytest.mark.parametrize(
    "parent",
    [
        pytest.param(f"00-{'0' * 32}-b7ad6b7169203331-01", id="no-trace"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", id="no-parent"),
        pytest.param(f"ff-{TRACE}-b7ad6b7169203331-01", id="a-version-that-is-none"),
        pytest.param(f"00-{TRACE.upper()}-b7ad6b7169203331-01", id="capitals"),
        pytest.param(PARENT + "-what", id="more-than-version-0-has"),
        pytest.param("x" * 55, id="rubbish"),
    ],
)
def test_an_invalid_trace_is_ignored(server: Server, parent: str) -> None:
    name = f"trace-{parent[-40:]}"
    ask(server, "/v2/health/live", X_Request_Id=name, traceparent=parent)
    assert line(server, name)["trace_id"] is None and line(server, name)["status"] == 200


def test_rubbish_leaves_one_line_without_control_characters(server: Server) -> None:
    before = len(accesses(server))
    for rubbish in (
        b"\x00\x1b[31m\r\n\r\n",
        b"GET /v2/health/live\x85\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
            client.sendall(rubbish)
            assert client.recv(65536).startswith(b"HTTP/1.1 4")
    wait_until(lambda: len(accesses(server)) >= before + 2, "their lines")
    first = accesses(server)[before]
    assert first["method"] is None and first["status"] == 400
    assert not [one for one in server.events if one["event"] == "error"], "a line was no JSON"


def test_a_client_that_goes_away_is_seen(server: Server, alice: tuple[Path, str]) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        head = f"POST /v2/models/scale/infer HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {alice[1]}\r\n"
        client.sendall((head + "X-Request-Id: gone\r\nContent-Length: 1000\r\n\r\nabc").encode())
        time.sleep(0.2)
    one = line(server, "gone")
    assert one["status"] is None and not one["complete"] and one["key"] == "alice"


def test_calls_over_grpc(server: Server, alice: tuple[Path, str]) -> None:
    x = triton.InferInput("x", [1, 1, 8, 8], "FP32")
    x.set_data_from_numpy(np.full((1, 1, 8, 8), 0.5, np.float32))
    own = {"authorization": f"Bearer {alice[1]}", "traceparent": PARENT}
    service = "/inference.GRPCInferenceService/"
    with triton.InferenceServerClient(server.grpc) as client:
        client.infer("scale", [x], headers=own | {"x-request-id": "g-1"})
        one = line(server, "g-1")
        assert one["protocol"] == "grpc" and one["path"] == service + "ModelInfer"
        assert (one["status"], one["code"], one["complete"]) == (0, "OK", True)
        assert (one["model"], one["version"], one["key"], one["trace_id"]) == ("scale", 1, "alice", TRACE)
        assert one["bytes_in"] > 256 and one["bytes_out"] > 256
        client.get_server_metadata(headers=own | {"x-request-id": "g-2"})
        assert (line(server, "g-2")["code"], line(server, "g-2")["path"]) == (
            "OK",
            service + "ServerMetadata",
        )
        for name, call, headers in (
            ("g-3", lambda h: client.infer("nothing", [x], headers=h), own),
            ("g-4", lambda h: client.infer("scale", [x], headers=h), {}),
            ("g-5", lambda h: client.get_model_metadata("nothing", headers=h), own),
        ):
            with pytest.raises(InferenceServerException):
                call(headers | {"x-request-id": name})
        assert line(server, "g-3")["code"] == line(server, "g-5")["code"] == "NOT_FOUND"
        assert line(server, "g-4")["code"] == "UNAUTHENTICATED" and line(server, "g-4")["key"] is None


def test_lines_for_people(program: Program, served_models: Path) -> None:
    with Server(program, served_models, "--access-log", "--no-watch", grpc=True) as server:
        server.ask("/v2/health/live", headers={"X-Request-Id": "p-1", "traceparent": PARENT})
        wait_until(lambda: any("id=p-1" in one for one in server.log), "the line")
        (found,) = [one for one in server.log if "id=p-1" in one]
    assert '"GET /v2/health/live" 200 ' in found and " ms in=" in found
    assert found.endswith(f" id=p-1 trace={TRACE}")


def test_nothing_is_said_unless_it_is_asked_for(program: Program, served_models: Path) -> None:
    with Server(program, served_models, "--json") as server:
        ask(server, "/v2", X_Request_Id="off")
        assert server.stop() == 0
        assert accesses(server) == []
