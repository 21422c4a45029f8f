#!/usr/bin/env python3
"""Copies the licences of what a release brings along to FOLDER/<package>.txt: `licences.py FOLDER FILE...`.

A package is the Debian package or the Python distribution that a file came with. One without a licence is an
error.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

_LICENCE = re.compile(r"(licen[sc]e|copying|notice)", re.IGNORECASE)


def debian_package(file: Path) -> str | None:
    """The package that owns `file`; dpkg may know it under /lib or under /usr/lib, which are one folder."""
    real = str(file.resolve())
    for name in dict.fromkeys((real, real.removeprefix("/usr"), str(file))):
        found = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True, check=False).stdout
        for line in found.splitlines():  # libzip4:amd64: /usr/lib/x86_64-linux-gnu/libzip.so.4.0
            if not line.startswith("diversion by "):
                return re.split("[:,]", line)[0]
    return None


def distribution_files() -> dict[Path, Distribution]:
    """By the path of each file that a distribution installed."""
    return {
        Path(str(distribution.locate_file(file))).resolve(): distribution
        for distribution in distributions()
        for file in distribution.files or ()
    }


def distribution_licence(distribution: Distribution) -> str:
    """All its licences, with those of what it bundles, one after another."""
    texts = {}
    for file in distribution.files or ():
        if ".dist-info" in file.parts[0] and _LICENCE.search(file.name):
            text = Path(str(distribution.locate_file(file))).read_text(encoding="utf-8", errors="replace")
            texts.setdefault(text, "/".join(file.parts[1:]))
    return "\n".join(f"==== {name}\n\n{text}" for text, name in texts.items())


def licence(file: Path, owners: dict[Path, Distribution]) -> tuple[str, str]:
    """The package of `file` and its licence; empty where there is none."""
    if owner := owners.get(file.resolve()):
        return owner.metadata["Name"], distribution_licence(owner)
    package = debian_package(file)
    if package is None:
        return "", ""
    copyright_file = Path("/usr/share/doc") / package / "copyright"
    return package, copyright_file.read_text(
        encoding="utf-8", errors="replace"
    ) if copyright_file.is_file() else ""


def main() -> int:
    folder, files = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
    folder.mkdir(parents=True, exist_ok=True)
    owners = distribution_files()
    for file in files:
        package, text = licence(file, owners)
        if not text:
            print(
                f"licences: {file}: no licence is known of {package or 'it; no package owns it'}",
                file=sys.stderr,
            )
            return 1
        (folder / f"{package}.txt").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
