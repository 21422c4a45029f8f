"""`portfire serve` with the clients that people use."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import pytest
import tritonclient.http as triton
from faces import Program
from serving import WAIT, Raw, Server, asked, batch, make_models, names, post, status_of
from small_models import DigitsWorld

import portfire


@pytest.fixture(scope="module")
def models(digits: DigitsWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_models(tmp_path_factory.mktemp("served"), digits)


@pytest.fixture(scope="module")
def server(program: Program, models: Path) -> Iterator[Server]:
    with Server(program, models) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture(scope="module")
def model(digits: DigitsWorld) -> portfire.Model:
    return portfire.load(digits.package)


@pytest.fixture
def client(server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.address, concurrency=4) as made:
        yield made


# tritonclient


def test_health_and_metadata(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("digits")
    assert client.is_model_ready("digits", "10") and not client.is_model_ready("digits", "9")
    assert not client.is_model_ready("nothing")
    assert client.get_server_metadata()["name"] == "portfire"
    metadata = client.get_model_metadata("digits")
    assert metadata["versions"] == ["10"] and metadata["inputs"][0]["datatype"] == "FP32"
    assert client.get_model_config("digits")["max_batch_size"] > 1
    assert {m["name"] for m in client.get_model_repository_index()} == {"digits", "writer"}


@pytest.mark.parametrize("sends", [False, True], ids=["json-in", "binary-in"])
@pytest.mark.parametrize("takes", [False, True], ids=["json-out", "binary-out"])
@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
def test_infers_as_the_library_does(
    client: triton.InferenceServerClient, model: portfire.Model, sends: bool, takes: bool, packed: str | None
) -> None:
    name, output = names(model)
    x = batch(5)
    wanted = [triton.InferRequestedOutput(output, binary_data=takes)]
    got = client.infer(
        "digits",
        asked(name, x, binary=sends),
        outputs=wanted,
        request_id="seven",
        request_compression_algorithm=packed,
        response_compression_algorithm=packed,
    )
    np.testing.assert_allclose(got.as_numpy(output), np.asarray(model.forward(x)), atol=1e-5, rtol=1e-5)
    assert got.get_response()["id"] == "seven" and got.get_response()["model_version"] == "10"


def test_classification(client: triton.InferenceServerClient, model: portfire.Model) -> None:
    name, output = names(model)
    x = batch(3)
    expected = np.asarray(model.forward(x))
    for binary in (False, True):
        wanted = [triton.InferRequestedOutput(output, binary_data=binary, class_count=2)]
        got = client.infer("digits", asked(name, x, binary=True), outputs=wanted).as_numpy(output)
        assert got.shape == (3, 2)
        for row in range(3):
            first = got[row, 0].decode() if binary else got[row, 0]
            value, index, label = str(first).split(":")
            assert int(index) == expected[row].argmax() and label == index
            assert float(value) == pytest.approx(float(expected[row].max()), abs=1e-5)


def test_many_at_once_get_each_their_own(client: triton.InferenceServerClient, model: portfire.Model) -> None:
    name, output = names(model)
    inputs = [batch(1 + k % 3, k) for k in range(40)]
    calls = [client.async_infer("digits", asked(name, x, binary=k % 2 == 0)) for k, x in enumerate(inputs)]
    for call, x in zip(calls, inputs, strict=True):
        np.testing.assert_allclose(
            call.get_result().as_numpy(output), np.asarray(model.forward(x)), atol=1e-5
        )


def test_triton_sees_errors(client: triton.InferenceServerClient, model: portfire.Model) -> None:
    name, _ = names(model)
    for what, call in {
        "no model": lambda: client.infer("nothing", asked(name, batch(1), binary=True)),
        "no version": lambda: client.infer("digits", asked(name, batch(1), binary=True), model_version="9"),
        "z": lambda: client.infer("digits", asked("z", batch(1), binary=True)),
        "shape": lambda: client.infer("digits", asked(name, np.zeros((1, 2), np.float32), binary=True)),
        "no output": lambda: client.infer(
            "digits", asked(name, batch(1), binary=True), outputs=[triton.InferRequestedOutput("zzz")]
        ),
    }.items():
        with pytest.raises(triton.InferenceServerException, match=what):
            call()


def test_statistics_and_repository(client: triton.InferenceServerClient, model: portfire.Model) -> None:
    name, _ = names(model)
    before = client.get_inference_statistics("digits")["model_stats"][0]["inference_stats"]["success"][
        "count"
    ]
    client.infer("digits", asked(name, batch(1), binary=True))
    after = client.get_inference_statistics("digits")["model_stats"][0]["inference_stats"]["success"]["count"]
    assert after == before + 1
    client.unload_model("digits")
    assert not client.is_model_ready("digits")
    client.load_model("digits")
    assert client.is_model_ready("digits")
    with pytest.raises(triton.InferenceServerException, match="no model"):
        client.load_model("nothing")


def test_raw_inputs(server: Server, digits: DigitsWorld, model: portfire.Model) -> None:
    for picture in digits.pictures[:5]:
        status, reply = server.request("POST", "/v1/models/digits:run?top_k=3", picture.read_bytes())
        expected = model.run(picture, top_k=3)
        assert status == 200 and json.loads(reply)["label"] == expected.label
    status, reply = server.request("POST", "/v1/models/digits:run", b"no picture")
    assert status == 400 and json.loads(reply)["code"] == "invalid-input"
    assert server.request("POST", "/v1/models/digits/versions/10:run", picture.read_bytes())[0] == 200
    assert server.request("POST", "/v1/models/digits:run")[0] == 400
    assert server.request("POST", "/v1/models/digits:run?top_k=0", picture.read_bytes())[0] == 400


# OpenAI's client


@pytest.fixture(scope="module")
def writer(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://{server.address}/v1", api_key="none", max_retries=0, timeout=WAIT)


def test_completions(writer: openai.OpenAI) -> None:
    assert {m.id for m in writer.models.list()} >= {"writer"}
    first = writer.completions.create(model="writer", prompt="once", max_tokens=8, seed=3, temperature=0.9)
    again = writer.completions.create(model="writer", prompt="once", max_tokens=8, seed=3, temperature=0.9)
    assert first.choices[0].text == again.choices[0].text
    assert first.choices[0].finish_reason in ("length", "stop")
    assert first.usage is not None and first.usage.prompt_tokens == 4
    several = writer.completions.create(
        model="writer", prompt=["a", "b"], n=2, max_tokens=4, seed=1, echo=True
    )
    assert [c.index for c in several.choices] == [0, 1, 2, 3]
    assert [c.text[0] for c in several.choices] == ["a", "a", "b", "b"]
    cut = writer.completions.create(
        model="writer", prompt="once", max_tokens=8, seed=3, temperature=0.9, stop=first.choices[0].text[2:4]
    )
    assert cut.choices[0].text == first.choices[0].text[:2] and cut.choices[0].finish_reason == "stop"


def test_streams_say_what_completions_say(writer: openai.OpenAI) -> None:
    whole = writer.completions.create(model="writer", prompt="once", max_tokens=20, seed=5, n=2)
    texts = ["", ""]
    usage = None
    for event in writer.completions.create(
        model="writer",
        prompt="once",
        max_tokens=20,
        seed=5,
        n=2,
        stream=True,
        stream_options={"include_usage": True},
    ):
        usage = event.usage or usage
        for choice in event.choices:
            texts[choice.index] += choice.text
    assert texts == [c.text for c in whole.choices]
    assert usage is not None and usage == whole.usage


def test_openai_sees_errors(writer: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="no model"):
        writer.completions.create(model="nothing", prompt="a")
    with pytest.raises(openai.BadRequestError, match="temperature"):
        writer.completions.create(model="writer", prompt="a", temperature=-1)
    with pytest.raises(openai.APIStatusError, match="only models of text-generation"):
        writer.completions.create(model="digits", prompt="a")
    with pytest.raises(openai.BadRequestError):
        writer.completions.create(model="writer", prompt="x" * 500)
    with pytest.raises(openai.APIStatusError, match="chat template"):
        writer.chat.completions.create(model="writer", messages=[{"role": "user", "content": "a"}])


def test_generate_as_triton_has_it(server: Server) -> None:
    asked_for = {"text_input": "once", "parameters": {"max_tokens": 6, "seed": 2}}
    whole = server.json("POST", "/v2/models/writer/generate", asked_for)
    status, events = server.request(
        "POST", "/v2/models/writer/versions/1/generate_stream", json.dumps(asked_for)
    )
    parts = [json.loads(line.removeprefix("data: ")) for line in events.decode().split("\n\n") if line]
    assert status == 200 and "".join(p["text_output"] for p in parts) == whole["text_output"]
    assert parts[-1]["finish_reason"] == whole["finish_reason"]


# HTTP


def test_connections_are_kept_and_requests_pipelined(server: Server) -> None:
    with server.client() as client:
        client.send(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)
        assert [client.reply() for _ in range(50)] == [(200, b'{"live":true}')] * 50


def test_methods_and_paths(server: Server) -> None:
    assert server.get("/nothing")[0] == 404 and server.get("/v2/models/nothing")[0] == 404
    assert server.get("/v2/models/digits/infer")[0] == 405
    assert server.request("DELETE", "/v2")[0] == 405
    assert server.request("OPTIONS", "/v2/models/digits/infer") == (204, b"")
    assert server.request("HEAD", "/v2/models/digits") == (200, b"")
    assert server.send(b"GET /v2 HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 OK")
    for path in (
        "/v2/../v2",
        "/%2e%2e/etc/passwd",
        "/v2/models/..%2f..%2fdigits",
        "/v2/models/digits%00",
        "//v2",
    ):
        assert server.get(path)[0] in (400, 404), path
    assert (
        status_of(server.send(b"GET http://h/v2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
        == 200
    )


def test_replies_are_compressed_where_that_is_accepted(server: Server, model: portfire.Model) -> None:
    name, _ = names(model)
    x = batch(64)
    body = {
        "inputs": [{"name": name, "shape": list(x.shape), "datatype": "FP32", "data": x.ravel().tolist()}]
    }
    data = gzip.compress(json.dumps(body).encode())
    head = ("Content-Encoding: gzip", "Accept-Encoding: br, gzip", "Connection: close")
    head_of_reply, packed = server.send(post("/v2/models/digits/infer", data, *head)).split(b"\r\n\r\n", 1)
    assert b"Content-Encoding: gzip" in head_of_reply
    assert json.loads(gzip.decompress(packed))["outputs"][0]["shape"][0] == 64


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    openssl(
        *[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=authority",
        ],
        *["-keyout", "ca.key", "-out", "ca.pem"],
    )
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for who in ("server", "client"):
        openssl(
            *["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
            *f"-subj /CN={who} -keyout {who}.key -out {who}.csr".split(),
        )
        openssl(
            *f"x509 -req -in {who}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2".split(),
            *f"-extfile names -out {who}.pem".split(),
        )
    return folder


def over_tls(server: Server, context: ssl.SSLContext, data: bytes) -> bytes:
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=WAIT) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        secure.sendall(data)
        return Raw(server.port, secure).all()


def test_tls_and_clients_with_certificates(program: Program, models: Path, certificates: Path) -> None:
    own = ("--tls-certificate", certificates / "server.pem", "--tls-key", certificates / "server.key")
    ask = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    trusting = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    with Server(program, models / "digits", *own) as server:
        assert status_of(over_tls(server, trusting, ask)) == 200
        server.send(ask)  # in the clear: whatever comes, the server goes on
        server.send(b"\x16\x03\x01\xff\xff" + bytes(300))
        with pytest.raises(ssl.SSLError):
            over_tls(server, ssl.create_default_context(), ask)
        assert status_of(over_tls(server, trusting, ask)) == 200
        assert server.stop() == 0
    with Server(program, models / "digits", *own, "--tls-clients", certificates / "ca.pem") as server:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            assert over_tls(server, trusting, ask) == b""
            raise ConnectionResetError
        trusting.load_cert_chain(certificates / "client.pem", certificates / "client.key")
        assert status_of(over_tls(server, trusting, ask)) == 200
        assert server.stop() == 0


def test_unix_socket(program: Program, models: Path, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with Server(program, models / "digits", "--unix-socket", path) as server:
        with socket.socket(socket.AF_UNIX) as plain:
            plain.settimeout(WAIT)
            plain.connect(str(path))
            plain.sendall(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert status_of(Raw(0, plain).all()) == 200
        assert server.stop() == 0
    assert not path.exists()
