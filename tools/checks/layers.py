#!/usr/bin/env python3
"""Holds the arrows of docs/architecture.md: which folder may include which, and who may see what."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CPP = ROOT / "cpp"

# A folder and the folders whose headers it may include, besides the public ones in include/portfire.
MAY_INCLUDE = {
    "core": {"core"},
    "archive": {"core", "archive"},
    "codecs": {"core", "archive", "codecs"},
    "tasks": {"core", "archive", "codecs", "tasks"},
    "serving": {"core", "tasks", "serving"},
    "engine": {"core", "archive", "engine"},
    "api": {"core", "archive", "codecs", "tasks", "serving", "engine", "api"},
    "transport": {"core", "archive", "codecs", "serving", "transport"},
    "apps": {"core", "apps"},
    "include": set(),
}
# The command that composes the server.
SERVE = "apps/serve.cpp"
MAY_INCLUDE_SERVE = MAY_INCLUDE["apps"] | {"api", "serving", "transport"}
# A library's headers and the only places that may include them.
LIBRARY_HOMES = {
    r"torch/|ATen/|c10/|caffe2/": {"engine", "include/portfire/torch.h"},
    r"zip\.h|openssl/": {"archive"},
    r"png\.h|jpeglib\.h|libexif/|pcre2\.h|utf8proc\.h|sentencepiece": {"codecs"},
    r"dlpack/": {"core"},
    r"CLI/": {"apps"},
    r"boost/|simdjson|grpc|google/": {"transport"},
    r"sys/socket\.h|netinet/": {"transport"},
    r"nlohmann/": {"archive", "codecs", "api", "transport", "apps"},
    r"pybind11/": set(),
}
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)


def faults() -> list[str]:
    found = []
    for path in sorted([*CPP.rglob("*.h"), *CPP.rglob("*.cpp")]):
        relative = path.relative_to(CPP)
        folder = relative.parts[0]
        seen = MAY_INCLUDE_SERVE if str(relative) == SERVE else MAY_INCLUDE[folder]
        for included in INCLUDE.findall(path.read_text(encoding="utf-8")):
            for pattern, homes in LIBRARY_HOMES.items():
                if re.match(pattern, included) and folder not in homes and str(relative) not in homes:
                    found.append(f"cpp/{relative}: includes {included}; only {sorted(homes)} may")
            target = included.split("/")[0]
            if target in MAY_INCLUDE and target != "include" and target not in seen:
                found.append(f"cpp/{relative}: includes {included}; {folder} may see {sorted(seen)}")
    bindings = ROOT / "python" / "bindings"
    for path in sorted([*bindings.rglob("*.h"), *bindings.rglob("*.cpp")]):
        for included in INCLUDE.findall(path.read_text(encoding="utf-8")):
            internal = included.split("/")[0] in MAY_INCLUDE and (CPP / included).exists()
            if internal or re.match(r"torch/|ATen/|c10/", included):
                found.append(f"python/bindings/{path.name}: includes {included}; public headers only")
    for path in sorted((ROOT / "python").rglob("*.py")):
        if path.name != "_torchscript.py" and re.search(r"\btorch\.jit\b", path.read_text(encoding="utf-8")):
            found.append(
                f"{path.relative_to(ROOT)}: names torch.jit; only python/portfire/_torchscript.py may"
            )
    return found


if __name__ == "__main__":
    problems = faults()
    print("\n".join(problems) or "layers: every include goes the right way")
    sys.exit(bool(problems))
