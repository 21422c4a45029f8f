"""The release archive runs in a root file system that holds nothing but the C library."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from installed import ROOT, Sample, run

pytestmark = pytest.mark.packaging

C_LIBRARY = ("libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the release archive holds, unpacked after its checksum was compared."""
    sha256, name = run([ROOT / "tools" / "release" / "pack"]).splitlines()[-1].split()
    archive = ROOT / "dist" / name
    assert archive.with_name(f"{name}.sha256").read_text().split() == [sha256, name]
    run(["sha256sum", "--check", "--strict", f"{name}.sha256"], cwd=archive.parent)
    folder = tmp_path_factory.mktemp("unpacked")
    run(["tar", "-xzf", archive, "-C", folder])
    assert [path.name for path in folder.iterdir()] == [name.removesuffix(".tar.gz")]
    return next(folder.iterdir())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, release: Path, sample: Sample) -> Path:
    """A root file system: the loader, the C library, the unpacked release, and the sample."""
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    folder = tmp_path_factory.mktemp("root")
    libraries = folder / "lib" / "x86_64-linux-gnu"
    for made in (libraries, folder / "lib64", folder / "proc", folder / "data"):
        made.mkdir(parents=True)
    shutil.copy("/lib64/ld-linux-x86-64.so.2", folder / "lib64")
    for name in C_LIBRARY:
        shutil.copy(f"/lib/x86_64-linux-gnu/{name}", libraries)
    shutil.copytree(release, folder / "portfire", symlinks=True, copy_function=os.link)
    shutil.copy(sample.model, folder / "data" / "model.pt")
    shutil.copy(sample.picture, folder / "data" / "dusk.png")
    return folder


def inside(root: Path, *command: str) -> str:
    """Runs a command in the root file system; the dynamic loader needs /proc to know where a program lies."""
    script = 'PATH="$PATH:/usr/sbin"; mount --bind /proc "$0/proc" && exec chroot "$0" "$@"'
    return run(["unshare", "--mount", "sh", "-c", script, root, *command])


def test_it_brings_the_licences_of_what_it_brings(release: Path) -> None:
    licences = {path.name for path in (release / "share" / "doc" / "portfire" / "licences").iterdir()}
    assert {"torch.txt", "libexif12.txt", "libstdc++6.txt", "nlohmann-json3-dev.txt"} <= licences


def test_it_answers_without_python(root: Path, sample: Sample) -> None:
    assert not list(root.rglob("*python*"))
    out = inside(root, "/portfire/bin/portfire", "run", "--json", "/data/model.pt", "/data/dusk.png")
    assert sample.answer in out


def test_it_verifies_and_inspects(root: Path) -> None:
    assert "verified" in inside(root, "/portfire/bin/portfire", "verify", "/data/model.pt")
    assert "brightness version 1" in inside(root, "/portfire/bin/portfire", "inspect", "/data/model.pt")


def test_its_libraries_point_at_no_folder_of_the_build_machine(root: Path) -> None:
    for path in [*(root / "portfire" / "lib").glob("*.so*"), root / "portfire" / "bin" / "portfire"]:
        dynamic = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
        found = [
            line.split("[")[1].rstrip("]")
            for line in dynamic.splitlines()
            if "RUNPATH" in line or "RPATH" in line
        ]
        assert all(part.startswith("$ORIGIN") for line in found for part in line.split(":") if part), (
            path,
            found,
        )


def test_a_consumer_builds_against_it(root: Path, sample: Sample, tmp_path: Path) -> None:
    consumer = Path(__file__).parent / "consumer"
    run(["cmake", "-S", consumer, "-B", tmp_path, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={root / 'portfire'}"])
    run(["cmake", "--build", tmp_path])
    assert run([tmp_path / "consumer", sample.model, sample.picture]).strip() == sample.answer
