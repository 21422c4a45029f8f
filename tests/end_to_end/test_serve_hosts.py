"""The names by which a server is asked: pages of other sites may have theirs point here (DNS rebinding)."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import tritonclient.http as triton
from faces import Program
from serving import Server


@pytest.fixture(scope="module")
def server(
    program: Program, served_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    path = tmp_path_factory.mktemp("socket") / "s"
    with Server(program, served_models, "--unix-socket", path) as running:
        yield running


def _status(server: Server, host: str, path: str = "/v2/models/nothing") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.putrequest("GET", path, skip_host=True)
        connection.putheader("Host", host)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "a.localhost", "127.0.0.1:80", "127.1.2.3", "[::1]"]
)
def test_this_machine_s_names_are_heard(server: Server, host: str) -> None:
    assert _status(server, host) == 404


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "0.0.0.0:8000",
        "localhost@evil.example",
        "%6cocalhost",
        "[::1",
        "x" * 5000,
    ],
)
def test_other_names_are_refused(server: Server, host: str) -> None:
    for path in ("/v2/models/nothing", "/", "/page/state", "/v2/health/ready"):
        assert _status(server, host, path) == 403


def test_the_refusal_says_what_to_do(server: Server) -> None:
    request = b"POST /v2/models/scale/infer HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 9999\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(request)  # and no body
        answer = client.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 403 ") and "--allow-host NAME" in answer and "evil.example" in answer


def test_clients_as_they_are(server: Server, tmp_path: Path) -> None:
    assert triton.InferenceServerClient(f"localhost:{server.port}").is_server_live()
    assert triton.InferenceServerClient(f"127.0.0.1:{server.port}").is_server_live()
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as old:
        old.sendall(b"GET /v2/health/live HTTP/1.0\r\n\r\n")
        assert old.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert shutil.which("curl")
    arguments = [str(one) for one in server.process.args]  # type: ignore[union-attr]
    socket_path = arguments[arguments.index("--unix-socket") + 1]
    for url in (
        [f"http://localhost:{server.port}/v2"],
        [f"http://127.0.0.1:{server.port}/v2"],
        ["--unix-socket", socket_path, "http://portfire/v2"],
    ):
        done = subprocess.run(["curl", "-sS", "--fail", *url], capture_output=True, text=True)
        assert done.returncode == 0 and "portfire" in done.stdout, done.stderr


def test_a_name_may_be_allowed(program: Program, served_models: Path) -> None:
    options = ("--allow-host", "models.example", "--allow-host", "192.168.1.5")
    with Server(program, served_models, *options) as server:
        for host in ("Models.Example:8000", "192.168.1.5", "localhost"):
            assert _status(server, host) == 404
        assert _status(server, "other.example") == 403


def test_who_listens_on_all_networks_goes_by_any_name(program: Program, served_models: Path) -> None:
    with Server(program, served_models, "--address", "0.0.0.0") as server:
        assert _status(server, "models.example") == 404
    with Server(program, served_models, "--address", "0.0.0.0", "--allow-host", "a.example") as server:
        assert _status(server, "models.example") == 403


@pytest.mark.parametrize("name", ["http://a.example", "a.example:80", "*", ""])
def test_what_is_no_name_is_not_allowed(program: Program, served_models: Path, name: str) -> None:
    done = program("serve", served_models, "--port", 0, "--no-grpc", "--allow-host", name)
    assert done.status == 64 and len(done.err.strip().splitlines()) == 1 and "no host" in done.err
