"""Triton's client over gRPC: what the tests of `portfire serve` send and expect."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

SECONDS = 60


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


def collected(client: triton.InferenceServerClient) -> queue.Queue[tuple[Any, Any]]:
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    return answers
