"""What `cmake --install` leaves behind serves programs outside the tree."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from installed import AS_DEV, ROOT, Sample, run

pytestmark = pytest.mark.packaging

CONSUMER = Path(__file__).parent / "consumer"


def build_consumer(folder: Path, *options: str) -> Path:
    run(["cmake", "-S", CONSUMER, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", *options])
    run(["cmake", "--build", folder])
    return folder


def test_find_package_serves_a_consumer_without_torch_or_json(
    prefix: Path, sample: Sample, tmp_path: Path
) -> None:
    built = build_consumer(tmp_path / "consumer", f"-DCMAKE_PREFIX_PATH={prefix}")
    assert "Torch_DIR" not in (built / "CMakeCache.txt").read_text()
    assert run([built / "consumer", sample.model, sample.picture]).strip() == sample.answer


def test_a_consumer_reports_an_error_by_its_code(prefix: Path, sample: Sample, tmp_path: Path) -> None:
    built = build_consumer(tmp_path / "consumer", f"-DCMAKE_PREFIX_PATH={prefix}")
    done = subprocess.run(
        [built / "consumer", sample.model, "missing.png"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (66, "not-found: missing.png: no such file\n")


def test_the_component_torch_converts_without_a_copy(prefix: Path, tmp_path: Path) -> None:
    built = build_consumer(tmp_path / "consumer", f"-DCMAKE_PREFIX_PATH={prefix}", "-DWITH_TORCH=ON")
    assert run([built / "torch_consumer"]).strip() == "float32 [2, 3] cpu {1, 1, …} shared"


def test_pkg_config_serves_a_consumer(prefix: Path, sample: Sample, tmp_path: Path) -> None:
    path = f"PKG_CONFIG_PATH={prefix}/lib/pkgconfig"
    flags = run(["env", path, "pkg-config", "--cflags", "--libs", "portfire"]).split()
    run(["g++", "-std=c++20", CONSUMER / "main.cpp", "-o", tmp_path / "consumer", *flags])
    assert run([tmp_path / "consumer", sample.model, sample.picture]).strip() == sample.answer


def test_add_subdirectory_links_a_static_library(sample: Sample, tmp_path: Path) -> None:
    options = [f"-DPORTFIRE_SOURCE_DIR={ROOT}", "-DBUILD_SHARED_LIBS=OFF", f"-D{AS_DEV}"]
    built = build_consumer(tmp_path / "consumer", *options)
    assert not list(built.rglob("libportfire.so*"))
    assert run([built / "consumer", sample.model, sample.picture]).strip() == sample.answer


def test_an_installed_static_library_finds_what_it_stands_on(sample: Sample, tmp_path: Path) -> None:
    build, prefix = tmp_path / "build", tmp_path / "prefix"
    options = ["-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=OFF", "-DPORTFIRE_BUILD_APP=OFF"]
    run(["cmake", "-S", ROOT, "-B", build, "-G", "Ninja", f"-D{AS_DEV}", *options])
    run(["cmake", "--build", build])
    run(["cmake", "--install", build, "--prefix", prefix])
    built = build_consumer(tmp_path / "consumer", f"-DCMAKE_PREFIX_PATH={prefix}")
    assert run([built / "consumer", sample.model, sample.picture]).strip() == sample.answer


def test_the_installed_program_runs_and_brings_its_completion(prefix: Path, sample: Sample) -> None:
    out = run([prefix / "bin" / "portfire", "run", "--json", sample.model, sample.picture])
    assert sample.answer in out
    assert "_portfire" in (prefix / "share/bash-completion/completions/portfire").read_text()
