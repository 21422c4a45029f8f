"""Archives that write and read files, as the real thing: Portfire lets them do neither."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from bad_input import assert_one_clean_line, repack
from faces import CppLibrary, Program, inspect_in_python, run_in_python
from hostile import KINDS, SECRET, HostileArchive, make

import portfire


@pytest.fixture(params=KINDS)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HostileArchive]:
    archive = make(request.param, tmp_path)
    archive.undo()
    np.save(tmp_path / "x.npy", np.ones(3, np.float32))
    yield archive


def test_plain_libtorch_really_does_it(archive: HostileArchive) -> None:
    """Else the tests below would prove nothing."""
    module = torch.jit.load(str(archive.path))
    answer = module(torch.ones(3))
    if archive.reads:
        assert bytes(answer.numpy()) == SECRET
    else:
        assert archive.target.exists()


def test_the_program_writes_and_reads_nothing(
    archive: HostileArchive, tmp_path: Path, program: Program
) -> None:
    before = sorted(tmp_path.iterdir())
    for arguments in (
        ("inspect", archive.path),
        ("inspect", "--json", archive.path),
        ("verify", archive.path),
        ("run", archive.path, tmp_path / "x.npy"),
        ("bench", archive.path, "--shape", "x=3", "--seconds", 0.05),
    ):
        done = program(*arguments, cwd=tmp_path)
        assert done.status == 77, arguments
        assert_one_clean_line(done.error)
        assert SECRET.decode() not in done.out + done.err
        assert archive.untouched(), arguments
        assert sorted(tmp_path.iterdir()) == before


def test_the_libraries_write_and_read_nothing(
    archive: HostileArchive, tmp_path: Path, cpp: CppLibrary
) -> None:
    file = tmp_path / "x.npy"
    outcomes = [
        cpp.inspect(archive.path),
        *cpp.run([(archive.path, file)]),
        inspect_in_python(archive.path),
        run_in_python(archive.path, file),
    ]
    for outcome in outcomes:
        assert outcome.code == "untrusted-package"
        assert_one_clean_line(outcome.text)
    assert len({outcome.text for outcome in outcomes}) == 1
    assert archive.untouched()


def test_a_manifest_buys_no_trust(
    scale: Path, archive: HostileArchive, tmp_path: Path, program: Program
) -> None:
    """The same module in a package whose every other part is in order."""
    dressed = _dressed(scale, archive.path, tmp_path / "dressed.pt")
    archive.undo()
    done = program("run", dressed, tmp_path / "x.npy", cwd=tmp_path)
    assert done.status == 77
    assert archive.untouched()


def _dressed(package: Path, module: Path, target: Path) -> Path:
    files: dict[str, bytes] = {}
    repack(package, target, edit=lambda found: files.update(found))
    torch.jit.save(torch.jit.load(str(module)), str(target), _extra_files=files)
    return target


@pytest.mark.parametrize("kind", ["writes", "reads"])
def test_the_package_writer_refuses_them(kind: str, tmp_path: Path) -> None:
    archive = make(kind, tmp_path)
    archive.undo()
    module = torch.jit.load(str(archive.path))
    package = tmp_path / "models" / "bad" / "1" / "model.pt"
    with pytest.raises(portfire.UntrustedPackageError):
        portfire.package(
            module, package, name="bad", task="tensor", licence="MIT", golden=[np.ones(3, np.float32)]
        )
    assert not (tmp_path / "models").exists()


def test_an_operator_that_was_allowed_by_name_runs(tmp_path: Path, program: Program) -> None:
    archive = make("writes", tmp_path)
    np.save(tmp_path / "x.npy", np.ones(3, np.float32))
    assert not archive.target.exists()
    arguments = ("--allow-op", "aten::save")
    assert program("inspect", archive.path, *arguments).status == 0
    assert not archive.target.exists(), "inspect runs nothing"
    assert program("run", archive.path, tmp_path / "x.npy", *arguments).status == 0
    assert archive.target.exists()
    assert program("run", archive.path, tmp_path / "x.npy", "--allow-op", "aten::from_file").status == 77


def test_allowing_operators_does_not_allow_code_at_load(tmp_path: Path, program: Program) -> None:
    archive = make("writes at load", tmp_path)
    archive.undo()
    assert program("inspect", archive.path, "--allow-op", "aten::save").status == 77
    assert archive.untouched()
