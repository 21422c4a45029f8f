#!/usr/bin/env python3
"""What using Portfire costs a C++ project in time to build: each public header by itself, best of five, and
tests/packaging/consumer from an empty folder against an installed library, best of three.

Usage: .venv/bin/python tools/bench/headers.py   (after tools/build)
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "cpp" / "include"
BUILD = ROOT / "build" / "dev"
CONSUMER = ROOT / "tests" / "packaging" / "consumer"


def header_seconds(header: str) -> float:
    command = ["g++", "-std=c++20", f"-I{INCLUDE}", "-fsyntax-only", "-x", "c++", "-"]
    source = f"#include <{header}>\n".encode()
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(command, input=source, check=True)
        best = min(best, time.perf_counter() - start)
    return best


def quietly(*command: object) -> None:
    """With the cmake and ninja of .venv, and without a compiler cache; a failure shows the whole output."""
    environment = {
        name: value for name, value in os.environ.items() if not name.endswith("COMPILER_LAUNCHER")
    }
    environment["PATH"] = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{environment['PATH']}"
    environment["CCACHE_DISABLE"] = "1"
    words = [str(word) for word in command]
    done = subprocess.run(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{done.stdout}headers.py: failed: {' '.join(words)}")


def consumer_seconds() -> tuple[float, float]:
    """To configure and to build: the round with the least sum."""
    rounds = []
    with tempfile.TemporaryDirectory() as name:
        prefix = Path(name) / "prefix"
        quietly("cmake", "--install", BUILD, "--prefix", prefix)
        for number in range(3):
            folder = Path(name) / f"consumer-{number}"
            options = ["-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_PREFIX_PATH={prefix}"]
            start = time.perf_counter()
            quietly("cmake", "-S", CONSUMER, "-B", folder, "-G", "Ninja", *options)
            configured = time.perf_counter()
            quietly("cmake", "--build", folder)
            rounds.append((configured - start, time.perf_counter() - configured))
    return min(rounds, key=sum)


def main() -> int:
    if not (BUILD / "CMakeCache.txt").is_file():
        print("headers.py: build/dev is not there; run tools/build first", file=sys.stderr)
        return 1
    for path in sorted(INCLUDE.rglob("*.h")):
        if path.name != "torch.h":  # LibTorch's own headers: eight seconds and more
            header = str(path.relative_to(INCLUDE))
            print(f"{header_seconds(header):6.2f} s  {header}")
    configure, build = consumer_seconds()
    parts = f"{configure:.2f} s to configure, {build:.2f} s to build"
    print(f"{configure + build:6.2f} s  a consumer from nothing: {parts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
