"""Clients that never stop while models are swapped, broken and removed: tools/bench/soak.py, for a while."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_no_answer_is_wrong_or_missing_while_models_change() -> None:
    command = [sys.executable, str(_ROOT / "tools/bench/soak.py"), "--minutes", "0.3", "--every", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 wrong, 0 failed" in done.stdout
