"""One engine with one model in a process of its own, which tools/bench/engines.py starts and gives orders.

Runs in the interpreter that has the engine, so it imports nothing but numpy until it knows which.
"""

from __future__ import annotations

import gc
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOLERANCE = {"float32": 1e-3, "bfloat16": 1e-1}  # of the largest number in eager float32's answer

FOREVER = ExitStack()

Array = NDArray[Any]
Call = Callable[[], Any]
Prepare = Callable[[Array, Array], Call]  # from the input, and an array like the answer


class CannotRun(Exception):
    """The engine has no way to run this model."""


@dataclass(frozen=True)
class Job:
    name: str
    precision: str
    folder: Path
    threads: int


def torch_calls(job: Job, load: Callable[[], Any]) -> Prepare:
    """Any callable on tensors, under inference_mode."""
    import torch

    torch.set_num_threads(job.threads)
    FOREVER.enter_context(torch.inference_mode())
    module = load()

    def prepare(x: Array, _: Array) -> Call:
        tensor = torch.from_numpy(x)
        return lambda: module(tensor)

    return prepare


def eager(job: Job) -> Prepare:
    from models import restore

    return torch_calls(job, lambda: restore(job.name, job.precision, job.folder))


def torchscript(job: Job) -> Prepare:
    import torch

    load: Callable[[Path], Any] = torch.jit.load
    return torch_calls(job, lambda: load(job.folder / "model.pt"))


def aotinductor(job: Job) -> Prepare:
    import torch

    path = str(job.folder / f"aoti-{job.threads}.pt2")
    return torch_calls(job, lambda: torch._inductor.aoti_load_package(path))


def portfire_file(job: Job, file: str) -> Prepare:
    import portfire

    model = portfire.load(job.folder / file, threads=job.threads)
    return lambda x, _: lambda: model.forward(x)


def portfire_compiled(job: Job) -> Prepare:
    import portfire

    path = job.folder / "compiled"
    model = portfire.load(path, threads=job.threads, engine="compiled", trust_compiled=True)
    return lambda x, _: lambda: model.forward(x)


def portfire_static(job: Job) -> Prepare:
    import portfire

    def prepare(x: Array, _: Array) -> Call:
        model = portfire.load(job.folder / f"static-{len(x)}.pt2", threads=job.threads)
        return lambda: model.forward(x)

    return prepare


def onnxruntime(job: Job) -> Prepare:
    """Inputs and outputs bound, so that no call copies them."""
    if job.precision != "float32":
        raise CannotRun("it has no bfloat16 kernels for the CPU")
    import onnxruntime as ort  # type: ignore[import-not-found]

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = job.threads, 1
    path, providers = str(job.folder / "model.onnx"), ["CPUExecutionProvider"]
    session = ort.InferenceSession(path, options, providers=providers)

    def prepare(x: Array, like: Array) -> Call:
        y = np.zeros_like(like)
        binding = session.io_binding()
        for value, bind, array in (
            (session.get_inputs()[0], binding.bind_input, x),
            (session.get_outputs()[0], binding.bind_output, y),
        ):
            bind(value.name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)

        def call() -> Array:
            session.run_with_iobinding(binding)  # run options of one's own cost 36 µs
            return y

        return call

    return prepare


def openvino(job: Job, dynamic: bool = False) -> Prepare:
    """Input and output shared, and reshaped to the batch unless `dynamic`."""
    import openvino as ov  # type: ignore[import-not-found]

    core = ov.Core()
    options = {
        "INFERENCE_NUM_THREADS": job.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[job.precision],
    }

    def prepare(x: Array, _: Array) -> Call:
        model = core.read_model(str(job.folder / "model.onnx"))
        if not dynamic:
            model.reshape(x.shape)
        request = core.compile_model(model, "CPU", options).create_infer_request()
        request.set_input_tensor(ov.Tensor(x, shared_memory=True))
        return lambda: request.infer(share_outputs=True)

    return prepare


# Each with the module that is imported before its load is timed.
ENGINES: dict[str, tuple[str, Callable[[Job], Prepare]]] = {
    "eager": ("models", eager),
    "torchscript": ("torch", torchscript),
    "portfire torchscript": ("portfire", lambda job: portfire_file(job, "model.pt")),
    "portfire graph": ("portfire", lambda job: portfire_file(job, "model.pt2")),
    "portfire static": ("portfire", portfire_static),
    "portfire compiled": ("portfire", portfire_compiled),
    "aotinductor": ("torch._inductor.package", aotinductor),
    "onnxruntime": ("onnxruntime", onnxruntime),
    "openvino": ("openvino", openvino),
    "openvino-dynamic": ("openvino", lambda job: openvino(job, dynamic=True)),
}
PEERS = ("onnxruntime", "openvino", "openvino-dynamic")


def held_against(expected: Array, answer: Any, precision: str) -> None:
    """Raises ArithmeticError where the answer is not eager's."""
    while not hasattr(answer, "__array__"):  # a tuple, or OpenVINO's mapping
        (answer,) = answer.values() if hasattr(answer, "values") else answer
    given = np.asarray(answer)
    if given.shape != expected.shape:
        raise ArithmeticError(f"shape {given.shape}, eager has {expected.shape}")
    error = float(np.abs(given - expected).max() / np.abs(expected).max())
    if not error <= TOLERANCE[precision]:
        raise ArithmeticError(f"{error:.2g} of eager's largest number away from it")


def timed(call: Call, seconds: float) -> dict[str, float]:
    """Microseconds of a call; calls shorter than 20 µs are timed several at once."""
    clock, together = time.perf_counter_ns, 1
    samples: list[float] = []
    end = clock() + int(seconds * 1e9)
    while not samples or clock() < end:
        start = clock()
        for _ in range(together):
            call()
        took_us = (clock() - start) / 1e3
        samples.append(took_us / together)
        if took_us < 20:
            together = math.ceil(20 / max(samples[-1], 0.1))
    return {"min_us": min(samples), "median_us": statistics.median(samples)}


def peak_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


class Worker:
    """Prepares batches and times their calls."""

    def __init__(self, engine: str, job: Job) -> None:
        self.engine, self.job = engine, job
        self.prepare: Prepare | None = None
        self.call: Call = lambda: None
        self.held: tuple[Array, ...] = ()  # calls see these by their address

    def batch(self, size: int) -> dict[str, float]:
        x, y = self.held = tuple(np.load(self.job.folder / f"{name}-{size}.npy") for name in "xy")
        library, load = ENGINES[self.engine]
        import_module(library)
        start = time.perf_counter()
        self.prepare = self.prepare or load(self.job)
        self.call = self.prepare(x, y)
        loaded = time.perf_counter()
        answer = self.call()
        first = time.perf_counter()
        held_against(y, answer, self.job.precision)
        for _ in range(3):
            answer = self.call()
        held_against(y, answer, self.job.precision)
        gc.collect()
        gc.disable()
        return {"load_ms": (loaded - start) * 1e3, "first_ms": (first - loaded) * 1e3, "peak_mb": peak_mb()}

    def answer(self, order: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.batch(order["batch"]) if "batch" in order else timed(self.call, order["seconds"])
        except ArithmeticError as error:
            return {"failed": "wrong", "reason": str(error)}
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            kind = "" if isinstance(error, CannotRun) else f"{type(error).__name__}: "
            return {"failed": "-", "reason": (kind + lines[0])[:200]}


def main() -> int:
    """Answers the lines of standard input: a batch to prepare, or seconds to time it for."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print
    engine, name, precision, folder, threads = sys.argv[1:]
    worker = Worker(engine, Job(name, precision, Path(folder), int(threads)))
    for line in sys.stdin:
        print(json.dumps(worker.answer(json.loads(line))), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
