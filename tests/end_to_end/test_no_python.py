"""The program runs without Python in its process."""

from __future__ import annotations

import subprocess
from pathlib import Path

from faces import Program
from small_models import MAX_BATCH, DigitsWorld


def test_a_running_program_has_no_python_in_its_memory(digits: DigitsWorld, program: Program) -> None:
    batch = [digits.pictures[0]] * MAX_BATCH
    process = subprocess.Popen(
        program.command("run", digits.folder, *batch, "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    for _ in batch:
        assert process.stdout.readline()
    # The model is loaded and has run; now the program waits for its last input.
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    process.communicate(digits.pictures[1].read_bytes(), timeout=60)
    assert process.returncode == 0
    assert "libtorch_cpu" in maps
    assert "libpython" not in maps
    assert "libtorch_python" not in maps
