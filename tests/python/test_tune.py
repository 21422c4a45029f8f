"""`tune`, the profile that it keeps, and what `load` makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from means import TwoTensors, picture, write

import portfire

KEY = str(Path(__file__).parents[1] / "data" / "signatures" / "author.pub")
QUICK: dict[str, Any] = {"seconds": 0.01, "batches": (1, 4)}


@pytest.fixture
def version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A version with both files, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "means" / "1" / "model.pt"
    write(path, formats=("torchscript", "graph"))
    return path.parent


def prefer(report: portfire.TuneReport, **wanted: Any) -> None:
    """Rewrites the profile so that what matches `wanted` was the fastest."""
    path = Path(report.profile)
    profile = json.loads(path.read_text())
    for row in profile["rows"]:
        row["p50_us"] = 1.0 if all(row[key] == value for key, value in wanted.items()) else 100.0
    path.write_text(json.dumps(profile))


def test_every_way_is_measured_and_one_is_chosen(version: Path, tmp_path: Path) -> None:
    report = portfire.tune(version, threads=[1, 2], **QUICK)
    ways = {(row.engine, row.optimization, row.threads, row.batch) for row in report.rows}
    assert ways == {
        (engine, level, threads, batch)
        for engine in ("graph", "torchscript")
        for level in ("full", "freeze")
        for threads in (1, 2)
        for batch in (1, 4)
    }
    assert all(row.p50_us > 0 and row.load_ms > 0 for row in report.rows if not row.problem)
    assert report.chosen is not None
    assert (report.chosen.batch, report.chosen.precision, report.chosen.problem) == (1, "packaged", "")
    assert Path(report.profile).is_relative_to(tmp_path / "cache" / "portfire" / "tune")
    assert report.to_dict()["chosen"]["engine"] == report.chosen.engine


@pytest.mark.parametrize("engine", ["torchscript", "graph"])
def test_load_takes_what_was_fastest(version: Path, engine: str) -> None:
    by_rule = portfire.load(version).info
    assert (by_rule.engine, by_rule.choice) == (
        "graph",
        "the first of the version's files that holds; see portfire tune",
    )
    prefer(portfire.tune(version, threads=[1], **QUICK), engine=engine, optimization="freeze")
    for where in (version, version.parent):
        info = portfire.load(where).info
        assert (info.engine, info.optimization, info.threads) == (engine, "freeze", 1)
        assert info.choice.startswith("the fastest here: portfire tune, 20")
    assert portfire.inspect(version).engine == engine
    assert portfire.load(version, engine="graph").info.choice == "asked for"
    assert portfire.load(version, optimization="none").info.engine == "graph"
    two = portfire.load(version, threads=2).info
    assert (two.engine, two.threads) == (engine, 2), (
        "the number that was asked for, the engine that was tuned"
    )


def test_a_model_tunes_the_path_that_it_came_from(version: Path) -> None:
    report = portfire.load(version, engine="torchscript").tune(threads=[1], **QUICK)
    assert {row.engine for row in report.rows} == {"graph", "torchscript"}


def test_another_package_has_no_profile(version: Path) -> None:
    prefer(portfire.tune(version, threads=[1], **QUICK), engine="torchscript")
    assert portfire.load(version).info.engine == "torchscript"
    write(version / "model.pt", golden=[picture(value=200)], formats=("torchscript", "graph"))
    assert portfire.load(version).info.engine == "graph"


def test_a_profile_that_no_longer_holds_is_passed_over(version: Path) -> None:
    report = portfire.tune(version, threads=[1], **QUICK)
    profile = json.loads(Path(report.profile).read_text())
    profile["rows"][0].update(engine="torchscript", precision="bfloat16", p50_us=0.1)
    Path(report.profile).write_text(json.dumps(profile))
    info = portfire.load(version, precision="fastest").info
    assert (info.engine, info.precision) == ("graph", "packaged")
    assert "bfloat16 needs the engine graph" in info.optimization
    for change in ({"engine": "evil"}, {"threads": 100000}, {"threads": 2**32 + 1}, {"engine": "compiled"}):
        profile["rows"][0] = {**profile["rows"][0], "precision": "packaged", **change}
        Path(report.profile).write_text(json.dumps(profile))
        info = portfire.load(version, trusted_keys=[KEY]).info
        assert info.engine in ("graph", "torchscript")
        assert info.threads <= 1024
        assert portfire.inspect(version).engine in ("graph", "torchscript")
    Path(report.profile).write_text("rubbish")
    assert portfire.load(version).info.engine == "graph"


def test_what_does_not_hold_is_not_chosen(version: Path) -> None:
    report = portfire.tune(version, engine="graph", precision="fastest", max_error=1e-9, threads=[1], **QUICK)
    refused = [row for row in report.rows if row.problem]
    assert {row.precision for row in refused} == {"bfloat16"}
    assert all("golden sample 0: forward/logits" in row.problem for row in refused)
    assert report.chosen is not None
    assert report.chosen.precision == "packaged"


def test_nothing_is_kept_when_not_asked(version: Path, tmp_path: Path) -> None:
    assert portfire.tune(version, keep=False, **QUICK).profile == ""
    assert not (tmp_path / "cache").exists()


def test_inputs_stand_for_the_batch(version: Path) -> None:
    inputs = {"batch": np.zeros((3, 3), np.float32)}
    report = portfire.tune(version, engine="graph", threads=[1], inputs=inputs, seconds=0.01)
    assert [(row.problem, row.batch) for row in report.rows] == [("", 3)] * 2


def test_a_size_that_is_fixed_is_the_only_batch(version: Path, tmp_path: Path) -> None:
    path = tmp_path / "fixed" / "1" / "model.pt"
    one = np.ones((2, 2), np.float32)
    write(path, TwoTensors(), task="tensor", labels=(), golden=[{"a": one, "b": one}])
    assert {row.batch for row in portfire.tune(path, keep=False, **QUICK).rows} == {2}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"batches": ()}, "no batch is named"),
        ({"batches": (0,)}, "batch is 0; at least 1"),
        ({"seconds": 0}, "seconds is 0; more than 0"),
        ({"threads": (-1,)}, "threads is -1; 1 to 1024"),
        ({"threads": (0,)}, "threads is 0; 1 to 1024"),
        ({"precision": "int3"}, 'unknown precision "int3"; one of packaged, bfloat16, int8, fastest'),
        ({"max_error": -1}, "max_error is -1"),
        ({"optimization": "much"}, 'unknown optimization "much"; one of auto, none, freeze, full'),
    ],
)
def test_options_that_make_no_sense_are_named(version: Path, options: dict[str, Any], says: str) -> None:
    with pytest.raises(portfire.InvalidArgumentError, match=says):
        portfire.tune(version, **options)
