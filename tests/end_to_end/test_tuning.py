"""tune: what it prints, what it keeps, and what the other commands make of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from faces import Program
from torch import Tensor, nn

import portfire


class Mix(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


class Writes(nn.Module):
    """Its state writes a file when it is read."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, x: Tensor) -> Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> str:
        return self.path

    @torch.jit.export
    def __setstate__(self, path: str) -> None:
        self.path = path
        torch.save(torch.ones(2), path)


@pytest.fixture
def version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    golden = [np.random.default_rng(0).random((batch, 64), np.float32) for batch in (2, 3)]
    path = tmp_path / "mix" / "1" / "model.pt"
    portfire.package(
        Mix(),
        path,
        name="mix",
        licence="Apache-2.0",
        task="tensor",
        golden=golden,
        formats=("torchscript", "graph"),
    )
    return path.parent


QUICK = ("--seconds", "0.02", "--threads", "1")


def test_the_table_has_every_way_and_the_fastest_is_kept(version: Path, program: Program) -> None:
    done = program("tune", str(version), *QUICK, "--batch", "1", "--batch", "16")
    assert (done.status, done.err) == (0, "")
    rows = [line.split() for line in done.out.splitlines() if line.startswith(("  graph", "  torchscript"))]
    assert [(row[0], row[1], row[4]) for row in rows] == [
        (engine, level, batch)
        for engine in ("graph", "torchscript")
        for level in ("full", "freeze")
        for batch in ("1", "16")
    ]
    assert "fastest at batch 1: " in done.out
    kept = Path(done.out.split("kept in ")[1].split(",")[0])
    assert json.loads(kept.read_text())["rows"][0]["engine"] == "graph"
    assert "the fastest here: portfire tune, 20" in program("inspect", str(version)).out


def test_json_is_one_document(version: Path, program: Program) -> None:
    report = json.loads(program("tune", str(version), *QUICK, "--json", "--dry-run").out)
    assert {row["batch"] for row in report["rows"]} == {1, 8}
    assert report["chosen"]["p50_us"] > 0
    assert report["profile"] is None
    assert not (version.parents[1] / "cache").exists()


def test_a_precision_that_is_too_coarse_is_shown_with_the_reason(version: Path, program: Program) -> None:
    done = program(
        "tune", str(version), *QUICK, "--precision", "bfloat16", "--max-error", "1e-7", "--dry-run"
    )
    assert done.status == 1
    assert "in bfloat16: golden sample 0: forward/" in done.out
    assert "nothing that was measured may be used" in done.out
    allowed = ("--precision", "fastest", "--max-error", "0.1")
    report = json.loads(program("tune", str(version), *QUICK, *allowed, "--dry-run", "--json").out)
    assert {row["precision"] for row in report["rows"] if "problem" not in row} == {"packaged", "bfloat16"}


def test_verify_has_a_row_for_each_engine_and_precision(version: Path, program: Program) -> None:
    done = program("verify", str(version), "--precision", "fastest", "--max-error", "0.1", "--json")
    assert done.status == 0
    reports = [json.loads(line) for line in done.out.splitlines()]
    assert [(one["engine"], one["precision"]) for one in reports] == [
        ("graph", "packaged"),
        ("graph", "bfloat16"),
        ("torchscript", "packaged"),
    ]
    for precision, status in (("bfloat16", 1), ("fastest", 0)):  # which does without it
        coarse = program("verify", str(version), "--precision", precision, "--max-error", "1e-7")
        assert coarse.status == status
        assert coarse.out.count("not verified") == 1


def test_bench_has_plain_libtorch_beside_whichever_engine(version: Path, program: Program) -> None:
    for engine in ("graph", "torchscript"):
        report = json.loads(
            program("bench", str(version), "--engine", engine, "--seconds", "0.02", "--json").out
        )
        assert (report["engine"], report["plain_libtorch"]["calls"] > 0) == (engine, True)
    hostile = torch.jit.script(Writes(str(version / "written")))
    torch.jit.save(hostile, str(version / "model.pt"))
    report = json.loads(program("bench", str(version), "--seconds", "0.02", "--json").out)
    assert (report["engine"], "plain_libtorch" in report) == ("graph", False)
    assert not (version / "written").exists(), "LibTorch read a file that Portfire refuses"
    alone = json.loads(program("bench", str(version / "model.pt2"), "--seconds", "0.02", "--json").out)
    assert "plain_libtorch" not in alone


def test_a_folder_that_cannot_be_written_is_one_line(
    version: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    (version / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(version / "file"))
    done = program("tune", str(version), *QUICK)
    assert done.status == 74
    assert "its folder cannot be made" in done.error
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "")
    assert "neither XDG_CACHE_HOME nor HOME says where" in program("tune", str(version), *QUICK).error
