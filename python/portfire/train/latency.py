"""How long the native runtime takes for one input on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import portfire


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Medians of single calls from Python, one at a time."""

    forward_us: float  # the bare tensor call, a batch of one
    run_us: float  # encoded bytes to answer
    threads: int
    optimization: str
    processor: str


def measure_latency(package: Path, sample: Any, raw: bytes, *, seconds: float = 1.0) -> Latency:
    """`sample` is what `forward` takes, of one, several tensors as a tuple; `raw` is what `run` takes."""
    model = portfire.load(package)
    inputs = sample if isinstance(sample, tuple) else (sample,)
    return Latency(
        forward_us=_median_us(lambda: model.forward(*inputs), seconds / 2),
        run_us=_median_us(lambda: model.run(raw), seconds / 2),
        threads=model.info.threads,
        optimization=model.info.optimization,
        processor=processor_name(),
    )


def _median_us(call: Callable[[], object], seconds: float) -> float:
    for _ in range(20):
        call()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter_ns()
        call()
        times.append(time.perf_counter_ns() - start)
    return statistics.median(times) / 1000


def processor_name() -> str:
    """As the kernel calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )
