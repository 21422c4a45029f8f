#!/usr/bin/env python3
"""MLPerf's LoadGen drives the Python face of a package: SingleStream, MultiStream, Offline and Server.

The queries, their times and the verdict are LoadGen's (https://github.com/mlcommons/inference/tree/master/loadgen);
its detailed logs stay in the folder that --logs names. Performance only: what the answers are worth, the
package's golden samples say.

Usage: .venv/bin/pip install -r tools/bench/requirements-loadgen.txt
       .venv/bin/python tools/bench/loadgen.py MODEL [--seconds 60] [--threads 1] [--engine graph]
"""

from __future__ import annotations

import argparse
import queue
import re
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import mlperf_loadgen as lg
import numpy as np

import portfire

SAMPLES = 64
STREAMS = 8  # samples in a query of MultiStream
BOUND = 0.02  # seconds that 99 % of Server's answers may take
LOAD = 0.5  # Server's queries a second, of what Offline does
FIGURES = {
    "SingleStream": r"(90th percentile latency|90\.0+ percentile latency) \(ns\)\s*: (?P<value>[\d.]+)",
    "MultiStream": r"(99th percentile latency|99\.0+ percentile latency) \(ns\)\s*: (?P<value>[\d.]+)",
    "Offline": r"Samples per second\s*: (?P<value>[\d.]+)",
    "Server": r"Completed samples per second\s*: (?P<value>[\d.]+)",
}


class Subject:
    """`forward`, in batches of at most what the package allows. Server's queries wait in a queue for a thread
    that takes all that are there."""

    def __init__(self, model: portfire.Model, samples: np.ndarray[Any, Any], waits: bool) -> None:
        self.model, self.samples, self.most = model, samples, model.info.max_batch
        self.waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.worker = threading.Thread(target=self._work, daemon=True) if waits else None
        if self.worker:
            self.worker.start()

    def issue(self, queries: list[Any]) -> None:
        if not self.worker:
            self._answer(queries)
            return
        for query in queries:
            self.waiting.put(query)

    def flush(self) -> None:
        pass

    def stop(self) -> None:
        if self.worker:
            self.waiting.put(None)
            self.worker.join()

    def _work(self) -> None:
        while (query := self.waiting.get()) is not None:
            batch = [query]
            while len(batch) < self.most and not self.waiting.empty():
                batch.append(self.waiting.get())
            self._answer([one for one in batch if one is not None])
            if None in batch:
                return

    def _answer(self, queries: list[Any]) -> None:
        for first in range(0, len(queries), self.most):
            some = queries[first : first + self.most]
            self.model.forward(self.samples[[query.index for query in some]])
            lg.QuerySamplesComplete([lg.QuerySampleResponse(query.id, 0, 0) for query in some])


def make_samples(model: portfire.Model) -> np.ndarray[Any, Any]:
    manifest = model.info.to_dict().get("manifest")
    inputs = manifest["methods"]["forward"]["inputs"] if manifest else []
    if (
        len(inputs) != 1
        or inputs[0]["dtype"] != "float32"
        or not all(isinstance(n, int) for n in inputs[0]["shape"][1:])
    ):
        sys.exit(
            f"loadgen: {model.info.path}: a package is needed whose forward takes one float32 tensor "
            "of a fixed size"
        )
    return np.random.default_rng(0).random((SAMPLES, *inputs[0]["shape"][1:]), np.float32)


def throughput(model: portfire.Model, samples: np.ndarray[Any, Any]) -> float:
    """Samples a second in the largest batch, roughly: LoadGen wants to be told what to expect."""
    batch = samples[: model.info.max_batch]
    for _ in range(3):
        model.forward(batch)
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < 0.5:
        model.forward(batch)
        calls += 1
    return calls * len(batch) / (time.perf_counter() - start)


def run(
    scenario: str,
    model: portfire.Model,
    samples: np.ndarray[Any, Any],
    expected: float,
    seconds: float,
    logs: Path,
) -> str:
    """LoadGen's summary."""
    settings = lg.TestSettings()
    settings.scenario = getattr(lg.TestScenario, scenario)
    settings.mode = lg.TestMode.PerformanceOnly
    settings.min_duration_ms = int(seconds * 1000)
    settings.offline_expected_qps = (
        2 * expected
    )  # one query, which must last long enough if this was a slow moment
    settings.server_target_qps = LOAD * expected
    settings.server_target_latency_ns = int(BOUND * 1e9)
    settings.server_coalesce_queries = True
    settings.multi_stream_samples_per_query = STREAMS
    settings.single_stream_expected_latency_ns = settings.multi_stream_expected_latency_ns = int(
        1e9 / expected
    )
    logs.mkdir(parents=True, exist_ok=True)
    output = lg.LogOutputSettings()
    output.outdir = str(logs)
    output.copy_summary_to_stdout = False
    log_settings = lg.LogSettings()
    log_settings.log_output = output
    log_settings.enable_trace = False
    subject = Subject(model, samples, waits=scenario == "Server")
    sut = lg.ConstructSUT(subject.issue, subject.flush)
    qsl = lg.ConstructQSL(SAMPLES, SAMPLES, lambda indices: None, lambda indices: None)
    try:
        lg.StartTestWithLogSettings(sut, qsl, settings, log_settings)
    finally:
        subject.stop()
        lg.DestroyQSL(qsl)
        lg.DestroySUT(sut)
    return (logs / "mlperf_log_summary.txt").read_text()


def figure(scenario: str, summary: str) -> str:
    found = re.search(FIGURES[scenario], summary)
    if not found:
        return "?"
    value = float(found["value"])
    return f"{value / 1e3:,.1f} µs" if scenario.endswith("Stream") else f"{value:,.0f} samples/s"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=60, help="for each scenario, at least")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--logs", type=Path)
    arguments = parser.parse_args()
    model = portfire.load(arguments.model, threads=arguments.threads, engine=arguments.engine)
    samples = make_samples(model)
    expected = throughput(model, samples)
    print(f"{model.info.name}: {model.info.engine}, {model.info.optimization}, {model.info.threads} threads")
    says = {
        "SingleStream": "p90",
        "MultiStream": f"p99 of {STREAMS}",
        "Offline": "",
        "Server": f"p99 within {BOUND * 1e3:.0f} ms",
    }
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for scenario in FIGURES:
            logs = (arguments.logs or Path(folder)) / scenario
            summary = run(scenario, model, samples, expected, arguments.seconds, logs)
            valid = "Result is : VALID" in summary
            failed |= not valid
            print(
                f"  {scenario:13} {'VALID' if valid else 'INVALID':8} {figure(scenario, summary):>20}"
                f"  {says[scenario]}"
            )
            if not valid:
                print(
                    "\n".join(
                        line for line in summary.splitlines() if line.startswith((" *", "  *", "Recommend"))
                    )
                )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
