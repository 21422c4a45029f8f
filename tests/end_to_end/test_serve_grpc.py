"""`portfire serve` over gRPC, asked by Triton's and gRPC's own clients as they are."""

from __future__ import annotations

import asyncio
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from faces import Program
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from served import Server
from small_models import DigitsWorld
from small_served import KINDS, make_kinds, make_slow
from small_texts import CONTEXT, make_writer
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

import portfire

SECONDS = 60


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, digits: DigitsWorld) -> Path:
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(digits.folder / "10", folder / "digits" / "10")
    make_writer(folder / "writer", "gpt")
    make_kinds(folder / "kinds")
    make_slow(folder / "slow")
    return folder


@pytest.fixture(scope="module")
def server(program: Program, models: Path) -> Iterator[Server]:
    with Server.start(program, models, "--max-body", 1 << 20) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.grpc) as opened:
        yield opened


@pytest.fixture
def stub(server: Server) -> Iterator[Any]:
    with grpc.insecure_channel(server.grpc) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def tensor(name: str, values: np.ndarray) -> triton.InferInput:
    datatypes = {"bool": "BOOL", "float16": "FP16", "float32": "FP32", "float64": "FP64"}
    made = triton.InferInput(name, values.shape, datatypes.get(str(values.dtype), str(values.dtype).upper()))
    made.set_data_from_numpy(values)
    return made


def text(name: str, *values: str) -> triton.InferInput:
    made = triton.InferInput(name, [len(values)], "BYTES")
    made.set_data_from_numpy(np.array([value.encode() for value in values], dtype=object))
    return made


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, 1, 8, 8), dtype=np.float32)


def refused(call: Callable[[], object], code: str, *parts: str) -> None:
    """The call fails with that status and one line that has all parts."""
    with pytest.raises(InferenceServerException) as raised:
        call()
    message = str(raised.value.message())
    assert raised.value.status() == f"StatusCode.{code}", message
    assert "\n" not in message and message
    for part in parts:
        assert part in message


def test_answers_are_those_of_the_module(client: triton.InferenceServerClient, models: Path) -> None:
    batch = pictures(5)
    result = client.infer("digits", [tensor("x", batch)], request_id="mine")
    expected = np.asarray(portfire.load(str(models / "digits")).forward(batch))
    np.testing.assert_allclose(result.as_numpy("logits"), expected, rtol=1e-5, atol=1e-5)
    response = result.get_response()
    assert (response.id, response.model_name, response.model_version) == ("mine", "digits", "10")
    again = client.infer("digits", [tensor("x", batch)], model_version="10")
    np.testing.assert_array_equal(again.as_numpy("logits"), result.as_numpy("logits"))


def test_answers_to_an_asynchronous_client_come_side_by_side(server: Server, models: Path) -> None:
    batch = pictures(40)
    expected = np.asarray(portfire.load(str(models / "digits")).forward(batch))

    async def ask() -> list[Any]:
        async with triton_aio.InferenceServerClient(server.grpc) as opened:
            calls = [opened.infer("digits", [tensor("x", batch[k : k + 1])]) for k in range(len(batch))]
            return list(await asyncio.gather(*calls))

    for row, result in zip(expected, asyncio.run(ask()), strict=True):
        np.testing.assert_allclose(result.as_numpy("logits")[0], row, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("typed", [False, True])
def test_every_datatype_goes_and_comes(stub: Any, models: Path, typed: bool) -> None:
    values = {
        "truth": np.array([True, False, True]),
        "tiny": np.array([0, 7, 254], np.uint8),
        "small": np.array([-128, 0, 5], np.int8),
        "middle": np.array([-4, 0, 30000], np.int16),
        "whole": np.array([-(2**31), 0, 5], np.int32),
        "long": np.array([-(2**62), 0, 2**53 + 1], np.int64),
        "double": np.array([0.1, -1e300, 3], np.float64),
        "half": np.array([0.5, -2, 100], np.float16),
    }
    assert {name: str(value.dtype) for name, value in values.items()} == KINDS
    fields = {"truth": "bool", "tiny": "uint", "long": "int64", "double": "fp64"}
    request = service_pb2.ModelInferRequest(model_name="kinds", id="k")
    for name, value in values.items():
        if typed and name == "half":
            continue
        made = tensor(name, value)
        request.inputs.append(made._get_tensor())
        if typed:
            field = getattr(request.inputs[-1].contents, fields.get(name, "int") + "_contents")
            field.extend(value.tolist())
        else:
            request.raw_input_contents.append(value.tobytes())
    if typed:  # the protocol has no contents for FP16
        half = request.inputs.add(name="half", datatype="FP16", shape=[3])
        half.contents.fp32_contents.extend([0.5, -2, 100])
        with pytest.raises(grpc.RpcError) as raised:
            stub.ModelInfer(request, timeout=SECONDS)
        assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert raised.value.details() == 'the input "half" is FP16, which raw_input_contents alone can carry'
        return
    expected = portfire.load(str(models / "kinds")).forward(*values.values())
    result = triton.InferResult(stub.ModelInfer(request, timeout=SECONDS))
    for name in KINDS:
        np.testing.assert_array_equal(result.as_numpy(f"{name}_out"), np.asarray(expected[f"{name}_out"]))


def test_typed_contents_are_answered_with_typed_contents(stub: Any, models: Path) -> None:
    batch = pictures(2)
    request = service_pb2.ModelInferRequest(model_name="digits")
    given = request.inputs.add(name="x", datatype="FP32", shape=batch.shape)
    given.contents.fp32_contents.extend(batch.ravel().tolist())
    response = stub.ModelInfer(request, timeout=SECONDS)
    expected = np.asarray(portfire.load(str(models / "digits")).forward(batch))
    assert not response.raw_output_contents
    np.testing.assert_allclose(
        np.reshape(response.outputs[0].contents.fp32_contents, expected.shape), expected, rtol=1e-5, atol=1e-5
    )


def test_the_best_classes_are_named(client: triton.InferenceServerClient, models: Path) -> None:
    batch = pictures(3)
    wanted = triton.InferRequestedOutput("logits", class_count=2)
    given = client.infer("digits", [tensor("x", batch)], outputs=[wanted]).as_numpy("logits")
    logits = np.asarray(portfire.load(str(models / "digits")).forward(batch))
    assert given.shape == (3, 2)
    for row, expected in zip(given, logits, strict=True):
        for cell, index in zip(row, np.argsort(-expected, kind="stable"), strict=False):
            value, number, label = cell.decode().split(":")
            assert (int(number), label) == (index, str(index))
            assert float(value) == pytest.approx(expected[index], abs=1e-4)


def test_what_the_server_says_of_itself(client: triton.InferenceServerClient, server: Server) -> None:
    assert client.is_server_live() and client.is_server_ready()
    about = client.get_server_metadata()
    assert about.name == "portfire" and "classification" in about.extensions
    assert client.is_model_ready("digits") and client.is_model_ready("digits", "10")
    assert not client.is_model_ready("digits", "11") and not client.is_model_ready("nothing")
    metadata = client.get_model_metadata("digits")
    assert (metadata.name, list(metadata.versions)) == ("digits", ["10"])
    assert [(one.name, one.datatype, list(one.shape)) for one in metadata.inputs] == [
        ("x", "FP32", [-1, 1, 8, 8])
    ]
    config = client.get_model_config("digits").config
    assert (config.max_batch_size, config.backend) == (16, "portfire")
    assert config.input[0].data_type == triton.model_config_pb2.TYPE_FP32
    assert list(config.input[0].dims) == [1, 8, 8]
    assert not config.model_transaction_policy.decoupled
    assert client.get_model_config("writer").config.model_transaction_policy.decoupled


def test_statistics_count(client: triton.InferenceServerClient) -> None:
    def counted() -> Any:
        return client.get_inference_statistics("digits").model_stats[0]

    before = counted()
    client.infer("digits", [tensor("x", pictures(3))])
    assert counted().inference_count == before.inference_count + 3
    refused(lambda: client.infer("digits", [tensor("x", pictures(3)[:, :, :7])]), "INVALID_ARGUMENT")
    after = counted()
    assert after.inference_stats.success.count == before.inference_stats.success.count + 1
    assert after.inference_stats.fail.count == before.inference_stats.fail.count + 1
    assert after.inference_stats.compute_infer.ns > before.inference_stats.compute_infer.ns
    names = {one.name for one in client.get_inference_statistics().model_stats}
    assert names == {"digits", "kinds", "slow", "writer"}


def test_models_are_unloaded_and_loaded(client: triton.InferenceServerClient) -> None:
    def state() -> str:
        return {one.name: one.state for one in client.get_model_repository_index().models}["kinds"]

    assert state() == "READY"
    client.unload_model("kinds")
    assert state() == "UNAVAILABLE" and not client.is_model_ready("kinds")
    refused(lambda: client.get_model_metadata("kinds"), "UNAVAILABLE", "kinds")
    client.load_model("kinds")
    assert state() == "READY" and client.is_model_ready("kinds")
    refused(lambda: client.load_model("nothing"), "NOT_FOUND", "nothing")
    refused(lambda: client.load_model("kinds", config="{}"), "UNIMPLEMENTED", "config")


def test_what_is_wrong_is_one_line(client: triton.InferenceServerClient) -> None:
    def infer(*inputs: triton.InferInput, model: str = "digits", **more: Any) -> Callable[[], object]:
        return lambda: client.infer(model, list(inputs), **more)

    good = tensor("x", pictures(1))
    refused(infer(good, model="nothing"), "NOT_FOUND", "nothing")
    refused(infer(good, model_version="7"), "NOT_FOUND", "7")
    refused(infer(good, model_version="seven"), "NOT_FOUND", "seven")
    refused(infer(tensor("x", pictures(1)[0])), "INVALID_ARGUMENT", "x")
    refused(infer(tensor("x", pictures(1).astype(np.float64))), "INVALID_ARGUMENT", "float64")
    refused(infer(tensor("y", pictures(1))), "INVALID_ARGUMENT", "y")
    refused(infer(good, outputs=[triton.InferRequestedOutput("z")]), "INVALID_ARGUMENT", "z", "logits")
    refused(infer(text("x", "one")), "INVALID_ARGUMENT", "BYTES")
    refused(infer(good, sequence_id=7, sequence_start=True), "UNIMPLEMENTED", "sequence")
    refused(infer(good, timeout=-1), "INVALID_ARGUMENT", "timeout")
    shared = triton.InferInput("x", [1, 1, 8, 8], "FP32")
    shared.set_shared_memory("region", 256)
    refused(infer(shared), "UNIMPLEMENTED", "shared memory")
    refused(
        lambda: client.register_system_shared_memory("a", "b", 1),
        "UNIMPLEMENTED",
        "SystemSharedMemoryRegister",
    )


@pytest.mark.parametrize(
    ("shape", "raw", "contents", "message"),
    [
        ([1, 1, 8, 8], [b"\0" * 255], 0, "has 255 bytes of raw contents; FP32 [1, 1, 8, 8] takes 256"),
        ([1, 1, 8, 8], [b"\0" * 257], 0, "has 257 bytes of raw contents; FP32 [1, 1, 8, 8] takes 256"),
        ([1, 1, 8, 8], [b"\0" * 256] * 2, 0, "there are 1 inputs and 2 raw_input_contents"),
        ([1, 1, 8, 8], [b"\0" * 256], 64, "has contents beside raw_input_contents"),
        ([1, 1, 8, 8], [], 63, "has 63 elements in fp32_contents; its shape [1, 1, 8, 8] has 64"),
        ([1, 1, 8, 8], [], 0, "has 0 elements in fp32_contents; its shape [1, 1, 8, 8] has 64"),
        ([-1, 1, 8, 8], [b"\0" * 256], 0, "has a size of -1"),
        ([2**31, 2**31, 2**31, 2], [b""], 0, "has a shape of more elements than a machine holds"),
        ([1] * 17, [b"\0" * 4], 0, "has 17 axes; at most 16"),
    ],
)
def test_sizes_that_lie_are_refused(
    stub: Any, shape: Sequence[int], raw: Sequence[bytes], contents: int, message: str
) -> None:
    request = service_pb2.ModelInferRequest(model_name="digits", raw_input_contents=raw)
    given = request.inputs.add(name="x", datatype="FP32", shape=shape)
    if contents:
        given.contents.fp32_contents.extend([0.0] * contents)
    with pytest.raises(grpc.RpcError) as raised:
        stub.ModelInfer(request, timeout=SECONDS)
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert message in raised.value.details() and "\n" not in raised.value.details()


def test_what_is_no_message_is_refused(server: Server) -> None:
    with grpc.insecure_channel(server.grpc) as channel:
        for method, code in (
            ("ModelInfer", grpc.StatusCode.INTERNAL),  # gRPC's own status for a message that it cannot read
            ("ModelMetadata", grpc.StatusCode.INVALID_ARGUMENT),
            ("Nothing", grpc.StatusCode.UNIMPLEMENTED),
        ):
            call = channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
            with pytest.raises(grpc.RpcError) as raised:
                call(b"\xff\xff\xff", timeout=SECONDS)
            assert raised.value.code() == code, raised.value


def test_a_message_over_the_limit_is_refused(client: triton.InferenceServerClient) -> None:
    refused(
        lambda: client.infer("digits", [tensor("x", pictures(5000))]), "RESOURCE_EXHAUSTED", "larger than max"
    )
    assert client.is_server_live()


def busy(client: triton.InferenceServerClient, stop: threading.Event) -> None:
    while not stop.is_set():
        client.infer("slow", [tensor("x", np.zeros((256, 256), np.float32))])


def test_what_is_late_is_not_begun(server: Server, client: triton.InferenceServerClient) -> None:
    zeros = tensor("x", np.zeros((256, 256), np.float32))
    client.infer("slow", [zeros])
    calls = [client.async_infer("slow", [zeros], callback=lambda result, error: None) for _ in range(3)]
    time.sleep(0.05)
    # The server's own timeout, in microseconds; it says so itself, while the client would wait.
    refused(lambda: client.infer("slow", [zeros], timeout=1000), "DEADLINE_EXCEEDED", "nothing was computed")
    del calls
    failed = [one.inference_stats.fail.count for one in client.get_inference_statistics("slow").model_stats]
    assert failed == [1]
    refused(lambda: client.infer("slow", [zeros] * 1, client_timeout=0.02), "DEADLINE_EXCEEDED")


def test_what_nobody_waits_for_is_not_begun(client: triton.InferenceServerClient) -> None:
    def counts() -> tuple[int, int]:
        stats = client.get_inference_statistics("slow").model_stats[0]
        return stats.execution_count, stats.inference_stats.fail.count

    zeros = tensor("x", np.zeros((256, 256), np.float32))
    started, failed = counts()
    errors: queue.Queue[Any] = queue.Queue()
    running = [
        client.async_infer("slow", [zeros], callback=lambda result, error: errors.put(error))
        for _ in range(12)
    ]
    time.sleep(0.02)
    for call in running:
        call.cancel()
    for _ in running:
        assert "CANCELLED" in str(errors.get(timeout=SECONDS))
    client.infer("slow", [zeros])
    began, dropped = counts()
    assert began + dropped - started - failed == 13
    assert dropped - failed >= 6


def collected(client: triton.InferenceServerClient) -> queue.Queue[tuple[Any, Any]]:
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    return answers


def test_a_stream_answers_a_hundred_requests_in_order(
    client: triton.InferenceServerClient, models: Path
) -> None:
    batch = pictures(100)
    expected = np.asarray(portfire.load(str(models / "digits")).forward(batch))
    answers = collected(client)
    for k in range(100):
        wrong = k % 10 == 9
        client.async_stream_infer(
            "nothing" if wrong else "digits", [tensor("x", batch[k : k + 1])], request_id=str(k)
        )
    for k in range(100):
        result, error = answers.get(timeout=SECONDS)
        if k % 10 == 9:
            assert "nothing" in str(error)
            continue
        assert error is None
        assert result.get_response().id == str(k)
        assert result.get_response().parameters["triton_final_response"].bool_param
        np.testing.assert_allclose(result.as_numpy("logits")[0], expected[k], rtol=1e-4, atol=1e-4)
    client.stop_stream()


def streamed(answers: queue.Queue[tuple[Any, Any]]) -> tuple[list[str], str]:
    """The parts of a text up to its last, and why it ended."""
    parts = []
    while True:
        result, error = answers.get(timeout=SECONDS)
        assert error is None, error
        parts.append(result.as_numpy("text_output")[0].decode())
        parameters = result.get_response().parameters
        if parameters["triton_final_response"].bool_param:
            return parts, parameters["finish_reason"].string_param


def test_a_text_comes_in_parts(client: triton.InferenceServerClient, models: Path) -> None:
    answers = collected(client)
    writer = portfire.load(str(models / "writer"))
    for parameters in ({"max_tokens": 20}, {"max_tokens": 20, "temperature": 0.9, "seed": 3}):
        client.async_stream_infer("writer", [text("text_input", "a lazy")], parameters=parameters)
        parts, reason = streamed(answers)
        options = {"max_new_tokens": 20, **{k: v for k, v in parameters.items() if k != "max_tokens"}}
        expected = writer.generate("a lazy", **options)
        assert "".join(parts) == expected.text and reason == "length"
        assert len(parts) > 5
    # Options as inputs, as Triton's text models have them; the next in line waits for its turn.
    inputs = [text("text_input", "é"), tensor("max_tokens", np.array([7], np.int32)), text("stop", "q", "z")]
    client.async_stream_infer("writer", inputs)
    client.async_stream_infer("writer", [text("text_input", "b")], parameters={"max_tokens": 3})
    first, _ = streamed(answers)
    second, _ = streamed(answers)
    assert "".join(first) == writer.generate("é", max_new_tokens=7, stop=["q", "z"]).text
    assert "".join(second) == writer.generate("b", max_new_tokens=3).text
    client.stop_stream()


def test_a_text_comes_whole_without_a_stream(client: triton.InferenceServerClient, models: Path) -> None:
    result = client.infer("writer", [text("text_input", "the")], parameters={"max_tokens": 12})
    expected = portfire.load(str(models / "writer")).generate("the", max_new_tokens=12)
    assert result.as_numpy("text_output")[0].decode() == expected.text
    prompt = text("text_input", "the")
    refused(lambda: client.infer("writer", [prompt], parameters={"top_p": "x"}), "INVALID_ARGUMENT", "top_p")
    refused(lambda: client.infer("writer", [text("text_input", "a", "b")]), "INVALID_ARGUMENT", "one element")
    long = text("text_input", "a" * (CONTEXT + 1))
    refused(lambda: client.infer("writer", [long]), "INVALID_ARGUMENT", str(CONTEXT))


def test_health_is_checked_and_watched(program: Program, models: Path) -> None:
    with Server.start(program, models) as own, grpc.insecure_channel(own.grpc) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "inference.GRPCInferenceService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as raised:
            health.Check(health_pb2.HealthCheckRequest(service="other"), timeout=SECONDS)
        assert raised.value.code() == grpc.StatusCode.NOT_FOUND
        watched = health.Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
        own.ask_to_stop()
        assert next(watched).status == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.RpcError) as raised:
            next(watched)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
        assert own.wait() == 0


def test_reflection_describes_every_service(server: Server) -> None:
    with grpc.insecure_channel(server.grpc) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(database)
        services = {"inference.GRPCInferenceService", "grpc.health.v1.Health"}
        assert services <= set(database.get_services())
        for name in database.get_services():
            assert pool.FindServiceByName(name).methods
        # What both describe is the same on the wire.
        for name, ours in (
            (name, pool.FindMessageTypeByName(f"inference.{name}"))
            for name in ("ModelInferRequest", "ModelInferResponse", "ModelConfig", "ModelStatistics")
        ):
            known = service_pb2.DESCRIPTOR.message_types_by_name.get(name)
            known = known or triton.model_config_pb2.DESCRIPTOR.message_types_by_name[name]
            for field in ours.fields:
                other = known.fields_by_number[field.number]
                assert (other.name, other.type) == (field.name, field.type)
        with pytest.raises(KeyError):
            pool.FindMessageTypeByName("inference.Nothing")


def test_stopping_lets_calls_end(program: Program, models: Path) -> None:
    with Server.start(program, models) as own, triton.InferenceServerClient(own.grpc) as opened:
        ended: queue.Queue[Any] = queue.Queue()
        answers = collected(opened)  # an open stream holds nothing up
        opened.async_stream_infer("digits", [tensor("x", pictures(1))])
        assert answers.get(timeout=SECONDS)[1] is None
        zeros = tensor("x", np.zeros((256, 256), np.float32))
        for _ in range(3):
            opened.async_infer("slow", [zeros], callback=lambda result, error: ended.put(error))
        time.sleep(0.05)
        own.ask_to_stop()
        assert [ended.get(timeout=SECONDS) for _ in range(3)] == [None] * 3
        assert own.wait() == 0
        assert any(line["event"] == "stopped" for line in own.log)


def test_what_takes_longer_than_the_limit_is_cancelled(program: Program, models: Path) -> None:
    with Server.start(program, models, "--drain-seconds", 0) as own:
        opened = triton.InferenceServerClient(own.grpc)
        ended: queue.Queue[Any] = queue.Queue()
        zeros = tensor("x", np.zeros((256, 256), np.float32))
        for _ in range(40):
            opened.async_infer("slow", [zeros], callback=lambda result, error: ended.put(error))
        time.sleep(0.05)
        own.ask_to_stop()
        assert any(ended.get(timeout=SECONDS) is not None for _ in range(40))
        assert own.wait() == 0
        opened.close()


def test_a_port_that_is_taken_is_said_in_one_line(server: Server, program: Program, models: Path) -> None:
    done = program("serve", models, "--port", 0, "--grpc-port", server.grpc_port)
    assert done.status == 74 and str(server.grpc_port) in done.error


def test_http_alone(program: Program, models: Path) -> None:
    with Server.start(program, models, "--no-grpc") as own:
        assert own.http_port and not own.grpc_port


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and a server and a client that it signed."""
    folder = tmp_path_factory.mktemp("keys")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    openssl(*new, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
    for name in ("server", "client"):
        more = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-CA", "ca.pem", "-CAkey", "ca.key"]
        openssl(*new, *more, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    return folder


def test_tls_with_certificates_of_both_sides(program: Program, models: Path, keys: Path) -> None:
    options = ["--tls-certificate", keys / "server.pem", "--tls-key", keys / "server.key"]
    with Server.start(program, models, *options, "--tls-clients", keys / "ca.pem") as own:
        address = f"localhost:{own.grpc_port}"
        files = {"root_certificates": str(keys / "ca.pem")}
        mine = {"private_key": str(keys / "client.key"), "certificate_chain": str(keys / "client.pem")}
        with triton.InferenceServerClient(address, ssl=True, **files, **mine) as opened:
            assert opened.infer("digits", [tensor("x", pictures(1))]).as_numpy("logits").shape == (1, 10)
        with triton.InferenceServerClient(address, ssl=True, **files) as opened:
            refused(lambda: opened.is_server_live(client_timeout=5), "UNAVAILABLE")
        with triton.InferenceServerClient(address) as opened:
            refused(lambda: opened.is_server_live(client_timeout=5), "UNAVAILABLE")


def test_protocol_buffers_of_other_libraries_are_not_mixed_in(program: Program) -> None:
    listed = subprocess.run(["nm", "-D", program.path], check=True, capture_output=True, text=True).stdout
    assert not [line for line in listed.splitlines() if "google8protobuf" in line]
