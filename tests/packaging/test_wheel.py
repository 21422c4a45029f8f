"""`pip install .` into an environment that has only torch: the module, the program and the types."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from installed import AS_DEV, ROOT, Sample, run

pytestmark = pytest.mark.packaging


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with torch, numpy and the wheel, and nothing of this tree."""
    folder = tmp_path_factory.mktemp("environment")
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run([*wheel, "-w", folder, f"--config-settings=cmake.define.{AS_DEV}", ROOT])
    run([sys.executable, "-m", "venv", folder / "venv"])
    torch = next(
        line
        for line in (ROOT / "tools" / "requirements.txt").read_text().splitlines()
        if line.startswith("torch==")
    )
    pip = [
        folder / "venv" / "bin" / "python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
    ]
    run([*pip, torch, "numpy"])
    run([*pip, "--no-deps", next(folder.glob("portfire-*.whl"))])
    return folder / "venv"


def test_the_module_answers(environment: Path, sample: Sample, tmp_path: Path) -> None:
    script = (
        "import sys, portfire\n"
        f"print(portfire.load({str(sample.model)!r}).run({str(sample.picture)!r}).to_json())\n"
        "assert 'torch' not in sys.modules"
    )
    assert run([environment / "bin" / "python", "-c", script], cwd=tmp_path).strip() == sample.answer


def test_the_program_is_on_the_path(environment: Path, sample: Sample) -> None:
    out = run([environment / "bin" / "portfire", "run", "--json", sample.model, sample.picture])
    assert sample.answer in out


def test_types_and_stubs_travel_along(environment: Path) -> None:
    home = next(environment.glob("lib/python*/site-packages/portfire"))
    assert (home / "py.typed").is_file()
    assert (home / "_core.pyi").is_file()
    assert (home / "recipes").is_dir()


def test_another_torch_is_refused_with_one_clear_sentence(environment: Path, tmp_path: Path) -> None:
    record = next(environment.glob("lib/python*/site-packages/torch/version.py"))
    kept = record.read_text()
    script = "try:\n    import portfire\nexcept ImportError as error:\n    print(error)\n"
    try:
        record.write_text("__version__ = '2.12.1'\n")
        out = run([environment / "bin" / "python", "-c", script], cwd=tmp_path)
    finally:
        record.write_text(kept)
    assert "was built against torch 2.13.0, but torch 2.12.1 is installed" in out
    assert len(out.strip().splitlines()) == 1
