#!/usr/bin/env python3
"""What Portfire costs over plain LibTorch: a call from C++, a call from Python, and a whole process.

Usage: .venv/bin/python tools/bench/overhead.py   (after tools/build; uses models/digits-cnn when it is there)
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PORTFIRE = ROOT / "build" / "dev" / "bin" / "portfire"
ROUNDS = 15


def make_mlp(path: Path) -> None:
    """Three linear layers, 64-128-64-10, batch 1."""
    import torch
    from torch import nn

    class Mlp(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers(x)

    warnings.simplefilter("ignore", DeprecationWarning)
    torch.manual_seed(0)
    torch.jit.script(Mlp().eval()).save(str(path))


def per_call_us(call: Callable[[], object], calls: int = 2000) -> float:
    start = time.perf_counter_ns()
    for _ in range(calls):
        call()
    return (time.perf_counter_ns() - start) / calls / 1000


def calls(mlp: Path) -> None:
    """Median microseconds of a call; both sides in turn, one thread."""
    import numpy as np
    import torch

    import portfire

    command = [PORTFIRE, "bench", mlp, "--shape", "x=1,64", "--threads", "1", "--seconds", "2", "--json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    ours, plain = report["portfire"]["p50_us"], report["plain_libtorch"]["p50_us"]
    print("A call of a three-layer MLP, batch 1, one thread (median, µs)")
    print(f"  plain LibTorch, C++        {plain:8.2f}")
    print(f"  Model::forward, C++        {ours:8.2f}   {ours - plain:+.2f}   (at most +1 is the aim)")
    model = portfire.load(mlp, threads=1)
    x_numpy = np.ones((1, 64), np.float32)
    x_torch = torch.ones(1, 64)
    for name, x in (("numpy", x_numpy), ("torch", x_torch)):
        rounds = [per_call_us(lambda x=x: model.forward(x)) for _ in range(ROUNDS)]
        us = statistics.median(rounds)
        print(f"  Model.forward, {name:5}       {us:8.2f}   {us - plain:+.2f}   (at most +4 is the aim)")


def build_bare(folder: Path) -> Path:
    import torch

    home = Path(torch.__file__).parent
    program = folder / "bare"
    command = [
        "g++",
        "-O2",
        "-std=c++20",
        f"-isystem{home}/include",
        ROOT / "tools/bench/bare.cpp",
        "-o",
        program,
    ]
    command += [
        f"-L{home}/lib",
        f"-Wl,-rpath,{home}/lib",
        "-Wl,--no-as-needed",
        "-ltorch",
        "-ltorch_cpu",
        "-lc10",
    ]
    subprocess.run(command, check=True)
    return program


def process_ms(command: list[object]) -> float:
    start = time.perf_counter_ns()
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    return (time.perf_counter_ns() - start) / 1e6


def processes(folder: Path, package: Path, picture: Path) -> None:
    bare = build_bare(folder)
    pairs = []
    for _ in range(ROUNDS + 2):
        pairs.append((process_ms([bare, package]), process_ms([PORTFIRE, "run", package, picture])))
    pairs = pairs[2:]  # past the cold file cache
    base = statistics.median(pair[0] for pair in pairs)
    ours = statistics.median(pair[1] for pair in pairs)
    extra = statistics.median(pair[1] - pair[0] for pair in pairs)
    print(f"\nA process, start to end, on {package.relative_to(ROOT)} (median of {ROUNDS} pairs, ms)")
    print(f"  bare LibTorch, only loads  {base:8.1f}")
    print(f"  portfire run, one picture  {ours:8.1f}   {extra:+.1f}   (at most +50 is the aim)")


def main() -> int:
    if not PORTFIRE.exists():
        print("overhead: build first (tools/build)", file=sys.stderr)
        return 1
    sys.path.insert(0, str(ROOT / "python"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        mlp = folder / "mlp.pt"
        make_mlp(mlp)
        calls(mlp)
        package = ROOT / "models" / "digits-cnn" / "1" / "model.pt"
        pictures = sorted((ROOT / "build" / "demo" / "digits").glob("*.png"))
        if package.exists() and pictures:
            processes(folder, package, pictures[0])
        else:
            print("\nrun tools/demo for the cost of a whole process")
    return 0


if __name__ == "__main__":
    sys.exit(main())
