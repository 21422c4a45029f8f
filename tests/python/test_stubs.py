"""The types that editors see are those of the module."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import portfire

PYTHON = Path(portfire.__file__).parent.parent
ALLOWED = [
    "--allowlist",
    str(Path(__file__).with_name("stubtest_allowlist.txt")),
    "--ignore-unused-allowlist",
]


@pytest.mark.slow
def test_the_stub_is_that_of_the_native_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "portfire._core", *ALLOWED],
        env={**os.environ, "MYPYPATH": str(PYTHON), "PYTHONPATH": str(PYTHON)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_says_that_it_is_typed() -> None:
    assert (PYTHON / "portfire" / "py.typed").is_file()
