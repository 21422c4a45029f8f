#!/usr/bin/env python3
"""The library never prints, exits or aborts: no object of a layer below apps refers to what would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("core", "archive", "codecs", "tasks", "engine", "api")
FORBIDDEN = {"exit", "_exit", "abort", "quick_exit", "puts", "printf", "putchar", "perror", "vprintf"}
FORBIDDEN |= {"_ZSt4cout", "_ZSt4cerr", "_ZSt4clog", "__printf_chk"}


def faults(build: Path) -> list[str]:
    objects = [path for layer in LAYERS for path in (build / "cpp" / layer).rglob("*.o")]
    if not objects:
        return [f"{build}: no objects; build first (tools/build)"]
    found = []
    for path in objects:
        table = subprocess.run(
            ["nm", "--undefined-only", path], check=True, capture_output=True, text=True
        ).stdout
        names = {line.split()[-1].split("@")[0] for line in table.splitlines() if line.strip()}
        found += [f"{path.relative_to(build)}: refers to {name}" for name in sorted(names & FORBIDDEN)]
    return found


if __name__ == "__main__":
    problems = faults(ROOT / "build" / "dev")
    print("\n".join(problems) or "quiet: the library never prints, exits or aborts")
    sys.exit(bool(problems))
