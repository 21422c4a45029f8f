#!/usr/bin/env python3
"""What a reader trips over: broken links in documents, and source files that have grown past two ideas."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 400
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def faults() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    found = []
    for name in listed:
        path = ROOT / name
        if not path.is_file():
            continue
        if path.suffix in {".cpp", ".h", ".py", ".cmake"}:
            lines = path.read_text(encoding="utf-8").count("\n")
            if lines > LONGEST:
                found.append(f"{name}: {lines} lines; look for the second idea in it (at most {LONGEST})")
        if path.suffix == ".md":
            for link in LINK.findall(path.read_text(encoding="utf-8")):
                if not re.match(r"[a-z]+:", link) and not (path.parent / link).exists():
                    found.append(f"{name}: links to {link}, which is not there")
    return found


if __name__ == "__main__":
    problems = faults()
    print("\n".join(problems) or "tree: documents and sizes are in order")
    sys.exit(bool(problems))
