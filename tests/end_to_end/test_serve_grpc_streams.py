"""Streams, texts, deadlines and clients that go away: `portfire serve` over gRPC."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from faces import Program
from grpc_client import SECONDS, collected, pictures, refused, tensor, text
from serving import Server
from small_texts import CONTEXT

import portfire


@pytest.fixture
def client(grpc_server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(grpc_server.grpc) as opened:
        yield opened


def test_a_stream_answers_a_hundred_requests_in_order(
    client: triton.InferenceServerClient, served_models: Path
) -> None:
    batch = pictures(100)
    expected = np.asarray(portfire.load(str(served_models / "digits")).forward(batch))
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


def test_a_text_comes_in_parts(client: triton.InferenceServerClient, served_models: Path) -> None:
    answers = collected(client)
    writer = portfire.load(str(served_models / "writer"))
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


def test_a_text_comes_whole_without_a_stream(
    client: triton.InferenceServerClient, served_models: Path
) -> None:
    result = client.infer("writer", [text("text_input", "the")], parameters={"max_tokens": 12})
    expected = portfire.load(str(served_models / "writer")).generate("the", max_new_tokens=12)
    assert result.as_numpy("text_output")[0].decode() == expected.text
    prompt = text("text_input", "the")
    refused(lambda: client.infer("writer", [prompt], parameters={"top_p": "x"}), "INVALID_ARGUMENT", "top_p")
    refused(lambda: client.infer("writer", [text("text_input", "a", "b")]), "INVALID_ARGUMENT", "one element")
    long = text("text_input", "a" * (CONTEXT + 1))
    refused(lambda: client.infer("writer", [long]), "INVALID_ARGUMENT", str(CONTEXT))


def test_what_is_late_is_not_begun(grpc_server: Server, client: triton.InferenceServerClient) -> None:
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


def test_what_nobody_waits_for_is_not_begun(program: Program, served_models: Path) -> None:
    zeros = tensor("x", np.zeros((256, 256), np.float32))
    errors: queue.Queue[Any] = queue.Queue()
    with Server(program, served_models, grpc=True) as own, triton.InferenceServerClient(own.grpc) as client:
        running = [
            client.async_infer("slow", [zeros], callback=lambda result, error: errors.put(error))
            for _ in range(12)
        ]
        client.is_server_live()
        for call in running:
            call.cancel()
        for _ in running:
            assert "CANCELLED" in str(errors.get(timeout=SECONDS))
        began = dropped = 0
        while began + dropped < len(running):
            stats = client.get_inference_statistics("slow").model_stats[0]
            began, dropped = stats.execution_count, stats.inference_stats.fail.count
        assert dropped >= 6


def test_calls_of_a_slow_model_hold_up_no_other(program: Program, served_models: Path) -> None:
    zeros = tensor("x", np.zeros((256, 256), np.float32))
    errors: queue.Queue[Any] = queue.Queue()
    with Server(program, served_models, grpc=True) as own, triton.InferenceServerClient(own.grpc) as client:
        for _ in range(150):
            client.async_infer("slow", [zeros], callback=lambda result, error: errors.put(error))
        client.infer("digits", [tensor("x", pictures(1))], client_timeout=SECONDS)
        assert errors.qsize() < 75
