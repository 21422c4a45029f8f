#!/usr/bin/env python3
"""What the server adds to the model: requests a second beside the same package called in this process.

ResNet-18 (random weights) as a package that takes pictures. In process: `forward` of float32
[N, 3, 224, 224], and `run` of a JPEG (decode, preprocess, forward, postprocess), with every processor in one
call and with as many callers as there are processors, of batches of 1 and 8; the best counts. Over HTTP: the
same tensors as binary data, and the same JPEG as the body of `:run`, from 1 to 64 clients. Rounds alternate;
a cell is the median. The client (wrk) shares the processors with the server.

Usage: .venv/bin/python tools/bench/serving_ceiling.py     (after tools/build)
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import sklearn.datasets
from serving import infer_ways, serve
from serving_clients import Way, with_wrk

import portfire
from models import inputs, randomised
from portfire.recipes.image_classification.model import Classifier

BATCH = 8
PORT = 18100


def picture() -> Path:
    """A photograph of 640 x 427 pixels that scikit-learn brings along."""
    return Path(sklearn.datasets.__file__).parent / "images/china.jpg"


def package(folder: Path) -> Path:
    module = Classifier(randomised("resnet18"), size=224, channels=3, crop=True, mean=0.45, deviation=0.25)
    path = folder / "models" / "resnet18" / "1" / "model.pt2"
    portfire.package(
        module.eval(),
        path,
        name="resnet18",
        golden=[picture()],
        licence="Apache-2.0",
        labels=tuple(f"class {k}" for k in range(1000)),
        max_batch=2 * BATCH,
        formats=("graph",),
    )
    return path


def rate(call: Callable[[], object], callers: int, samples: int, seconds: float) -> float:
    """Samples a second of `callers` threads that each make calls of `samples`."""
    counts = [0] * callers
    begin = time.perf_counter()
    end = begin + seconds

    def work(k: int) -> None:
        while time.perf_counter() < end:
            call()
            counts[k] += samples

    threads = [threading.Thread(target=work, args=(k,)) for k in range(callers)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return sum(counts) / (time.perf_counter() - begin)


def in_process(path: Path) -> dict[str, dict[str, Callable[[float], float]]]:
    """Of each kind of input, ways to call the model: each measures itself for so many seconds."""
    processors = len(os.sched_getaffinity(0))
    ways: dict[str, dict[str, Callable[[float], float]]] = {"tensors": {}, "JPEG": {}}
    jpeg = picture().read_bytes()
    for callers, threads in {(1, processors), (processors, 1)}:
        model = portfire.load(path, threads=threads)
        for size in (1, BATCH):
            x = inputs("resnet18", size).numpy()
            name = (
                f"{callers} caller{'s' * (callers > 1)}, {threads} thread{'s' * (threads > 1)}, batch {size}"
            )
            ways["tensors"][name] = lambda s, m=model, x=x, c=callers: rate(
                lambda: m.forward(x), c, len(x), s
            )
            pictures = [jpeg] * size
            ways["JPEG"][name] = lambda s, m=model, p=pictures, c=callers: rate(
                lambda: m.run(p), c, len(p), s
            )
    return ways


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", nargs="+", type=int, default=[1, 4, 16, 64])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        path = package(folder)
        inside = in_process(path)
        x = inputs("resnet18", 1).numpy()
        manifest = json.loads(portfire.load(path).info.to_json())["manifest"]
        name = manifest["methods"]["forward"]["inputs"][0]["name"]
        run = Way(
            name="JPEG",
            url=f"http://127.0.0.1:{PORT}/v1/models/resnet18:run",
            body=picture().read_bytes(),
            headers={"Content-Type": "image/jpeg"},
        )
        outside = {"tensors": infer_ways(PORT, 0, "resnet18", x, name)[0], "JPEG": run}
        figures: dict[tuple[str, str], list[float]] = {}
        server = serve(path.parents[2], PORT, ["--no-grpc"], folder, list(outside.values()))
        try:
            for _ in range(options.rounds):
                for kind, ways in inside.items():
                    for name, measure in ways.items():
                        figures.setdefault((kind, name), []).append(measure(options.seconds))
                    for clients in options.connections:
                        got = with_wrk(outside[kind], clients, options.seconds, folder)["rate"]
                        figures.setdefault((kind, f"HTTP, {clients} clients"), []).append(got)
        finally:
            server.signal(signal.SIGTERM)
            server.process.wait(60)
    for kind in inside:
        middle = {name: statistics.median(rates) for (of, name), rates in figures.items() if of == kind}
        best = [max(rates) for rates in zip(*(figures[kind, name] for name in inside[kind]), strict=True)]
        print(f"\nResNet-18, {kind}: samples a second, and of the best in process in the same round")
        for name, value in middle.items():
            share = statistics.median(a / b for a, b in zip(figures[kind, name], best, strict=True))
            print(f"  {name:36} {value:7.1f}  {share:4.0%}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
