#!/usr/bin/env python3
"""What Portfire costs over plain LibTorch: a call from C++, a call from Python, an import, a whole process.

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


def median_call_us(call: Callable[[object], object], x: object, calls: int = 20_000) -> float:
    """Each call timed by itself, as `portfire bench` does it."""
    clock = time.perf_counter_ns
    times = []
    for _ in range(calls):
        start = clock()
        call(x)
        times.append(clock() - start)
    return statistics.median(times) / 1000


def calls(mlp: Path) -> None:
    """Median microseconds of a call, one thread: all sides in turn, the median of the differences."""
    import numpy as np
    import torch

    import portfire

    model = portfire.load(mlp, threads=1)
    from_python = {"numpy": np.ones((1, 64), np.float32), "torch": torch.ones(1, 64)}
    command = [PORTFIRE, "bench", mlp, "--shape", "x=1,64", "--threads", "1", "--seconds", "0.5", "--json"]
    plain, extra = [], {side: [] for side in ("Model::forward, C++", *from_python)}
    for _ in range(ROUNDS):
        report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        plain.append(report["plain_libtorch"]["p50_us"])
        extra["Model::forward, C++"].append(report["portfire"]["p50_us"] - plain[-1])
        for name, x in from_python.items():
            extra[name].append(median_call_us(model.forward, x) - plain[-1])
    base = statistics.median(plain)
    print(f"A call of a three-layer MLP, batch 1, one thread (median of {ROUNDS} rounds, µs)")
    print(f"  plain LibTorch, C++        {base:8.2f}")
    for side, differences in extra.items():
        more = statistics.median(differences)
        name, aim = (side, 1) if side not in from_python else (f"Model.forward, {side}", 4)
        print(f"  {name:24}   {base + more:8.2f}   {more:+.2f}   (at most +{aim} is the aim)")


def imports() -> None:
    """Milliseconds of `import portfire` and of `import torch`, in processes of their own, in turn."""
    code = "import time; start = time.perf_counter(); import {}; print((time.perf_counter() - start) * 1e3)"
    seen: dict[str, list[float]] = {"torch": [], "portfire": []}
    for _ in range(ROUNDS):
        for name, times in seen.items():
            command = [sys.executable, "-c", code.format(name)]
            done = subprocess.run(command, cwd=ROOT / "python", check=True, capture_output=True)
            times.append(float(done.stdout))
    print(f"\nAn import (median of {ROUNDS}, ms)")
    for name, times in seen.items():
        print(f"  import {name:19} {statistics.median(times):8.1f}")
    print("  (at most 350 is the aim)")


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


def process_ms(command: list[object]) -> tuple[float, float]:
    """Milliseconds from the start of a process to its first line, and to its end."""
    start = time.perf_counter_ns()
    with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        answered = time.perf_counter_ns()
        process.communicate()
    if process.returncode or not line:
        raise SystemExit(f"overhead: {command[0]} failed with {process.returncode}")
    return (answered - start) / 1e6, (time.perf_counter_ns() - start) / 1e6


def processes(folder: Path, package: Path, picture: Path) -> None:
    """Both programs in turn, and the median of the pairs' differences."""
    bare = build_bare(folder)
    pairs = []
    for _ in range(ROUNDS + 2):
        pairs.append((process_ms([bare, package]), process_ms([PORTFIRE, "run", package, picture])))
    pairs = pairs[2:]  # past the cold file cache
    print(f"\nA process on {package.relative_to(ROOT)} (median of {ROUNDS} pairs, ms)")
    print("                              to its first line          to its end")
    base = [statistics.median(bare[k] for bare, _ in pairs) for k in (0, 1)]
    more = [statistics.median(ours[k] - bare[k] for bare, ours in pairs) for k in (0, 1)]
    ours = [base[k] + more[k] for k in (0, 1)]
    print(f"  bare LibTorch, only loads  {base[0]:8.1f}         {base[1]:8.1f}")
    print(f"  portfire run, one picture  {ours[0]:8.1f} {more[0]:+7.1f} {ours[1]:8.1f} {more[1]:+7.1f}")
    print("  (at most +50 to the answer is the aim)")


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
        imports()
        package = ROOT / "models" / "digits-cnn" / "1" / "model.pt"
        pictures = sorted((ROOT / "build" / "demo" / "digits").glob("*.png"))
        if package.exists() and pictures:
            processes(folder, package, pictures[0])
        else:
            print("\nrun tools/demo for the cost of a whole process")
    return 0


if __name__ == "__main__":
    sys.exit(main())
