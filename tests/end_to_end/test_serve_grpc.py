"""`portfire serve` over gRPC, asked by Triton's clients as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from grpc_client import SECONDS, pictures, refused, tensor, text
from serving import Server
from small_served import KINDS
from tritonclient.grpc import service_pb2, service_pb2_grpc

import portfire


@pytest.fixture
def client(grpc_server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(grpc_server.grpc) as opened:
        yield opened


@pytest.fixture
def stub(grpc_server: Server) -> Iterator[Any]:
    with grpc.insecure_channel(grpc_server.grpc) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def test_answers_are_those_of_the_module(client: triton.InferenceServerClient, served_models: Path) -> None:
    batch = pictures(5)
    result = client.infer("digits", [tensor("x", batch)], request_id="mine")
    expected = np.asarray(portfire.load(str(served_models / "digits")).forward(batch))
    np.testing.assert_allclose(result.as_numpy("logits"), expected, rtol=1e-5, atol=1e-5)
    response = result.get_response()
    assert (response.id, response.model_name, response.model_version) == ("mine", "digits", "10")
    again = client.infer("digits", [tensor("x", batch)], model_version="10")
    np.testing.assert_array_equal(again.as_numpy("logits"), result.as_numpy("logits"))


def test_answers_to_an_asynchronous_client_come_side_by_side(
    grpc_server: Server, served_models: Path
) -> None:
    batch = pictures(40)
    expected = np.asarray(portfire.load(str(served_models / "digits")).forward(batch))

    async def ask() -> list[Any]:
        async with triton_aio.InferenceServerClient(grpc_server.grpc) as opened:
            calls = [opened.infer("digits", [tensor("x", batch[k : k + 1])]) for k in range(len(batch))]
            return list(await asyncio.gather(*calls))

    for row, result in zip(expected, asyncio.run(ask()), strict=True):
        np.testing.assert_allclose(result.as_numpy("logits")[0], row, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("typed", [False, True])
def test_every_datatype_goes_and_comes(stub: Any, served_models: Path, typed: bool) -> None:
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
    expected = portfire.load(str(served_models / "kinds")).forward(*values.values())
    result = triton.InferResult(stub.ModelInfer(request, timeout=SECONDS))
    for name in KINDS:
        np.testing.assert_array_equal(result.as_numpy(f"{name}_out"), np.asarray(expected[f"{name}_out"]))


def test_typed_contents_are_answered_with_typed_contents(stub: Any, served_models: Path) -> None:
    batch = pictures(2)
    request = service_pb2.ModelInferRequest(model_name="digits")
    given = request.inputs.add(name="x", datatype="FP32", shape=batch.shape)
    given.contents.fp32_contents.extend(batch.ravel().tolist())
    response = stub.ModelInfer(request, timeout=SECONDS)
    expected = np.asarray(portfire.load(str(served_models / "digits")).forward(batch))
    assert not response.raw_output_contents
    np.testing.assert_allclose(
        np.reshape(response.outputs[0].contents.fp32_contents, expected.shape), expected, rtol=1e-5, atol=1e-5
    )


def test_the_best_classes_are_named(client: triton.InferenceServerClient, served_models: Path) -> None:
    batch = pictures(3)
    wanted = triton.InferRequestedOutput("logits", class_count=2)
    given = client.infer("digits", [tensor("x", batch)], outputs=[wanted]).as_numpy("logits")
    logits = np.asarray(portfire.load(str(served_models / "digits")).forward(batch))
    assert given.shape == (3, 2)
    for row, expected in zip(given, logits, strict=True):
        for cell, index in zip(row, np.argsort(-expected, kind="stable"), strict=False):
            value, number, label = cell.decode().split(":")
            assert (int(number), label) == (index, str(index))
            assert float(value) == pytest.approx(expected[index], abs=1e-4)


def test_what_the_server_says_of_itself(client: triton.InferenceServerClient, grpc_server: Server) -> None:
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


def test_statistics_count(client: triton.InferenceServerClient, served_models: Path) -> None:
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
    assert names == {path.name for path in served_models.iterdir()}


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


def test_what_is_no_message_is_refused(grpc_server: Server) -> None:
    with grpc.insecure_channel(grpc_server.grpc) as channel:
        for method, code in (
            ("ModelInfer", grpc.StatusCode.INTERNAL),  # gRPC's own status for a message that it cannot read
            ("ModelMetadata", grpc.StatusCode.INVALID_ARGUMENT),
            ("Nothing", grpc.StatusCode.UNIMPLEMENTED),
        ):
            call = channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
            with pytest.raises(grpc.RpcError) as raised:
                call(b"\xff\xff\xff", timeout=SECONDS)
            assert raised.value.code() == code, raised.value


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_message_over_the_limit_is_refused(
    client: triton.InferenceServerClient, compression: str | None
) -> None:
    inputs = [tensor("x", np.zeros((5000, 1, 8, 8), np.float32))]
    infer = partial(client.infer, "digits", inputs, compression_algorithm=compression)
    refused(infer, "RESOURCE_EXHAUSTED", "larger than max")
    fits = [tensor("x", pictures(2))]
    assert client.infer("digits", fits, compression_algorithm=compression).as_numpy("logits").shape == (2, 10)
