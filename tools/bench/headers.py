#!/usr/bin/env python3
"""What each public header costs a file that includes it: the compiler's wall time, best of five."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

INCLUDE = Path(__file__).resolve().parents[2] / "cpp" / "include"


def seconds(header: str) -> float:
    command = ["g++", "-std=c++20", f"-I{INCLUDE}", "-fsyntax-only", "-x", "c++", "-"]
    source = f"#include <{header}>\n".encode()
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(command, input=source, check=True)
        best = min(best, time.perf_counter() - start)
    return best


def main() -> int:
    for path in sorted(INCLUDE.rglob("*.h")):
        if path.name != "torch.h":  # LibTorch's own headers: eight seconds and more
            print(f"{seconds(str(path.relative_to(INCLUDE))):6.2f} s  {path.relative_to(INCLUDE)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
