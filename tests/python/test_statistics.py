"""What `portfire.package(statistics=…)` writes of a model's inputs."""

from __future__ import annotations

import json
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from means import TwoTensors, nothing_left, picture, write
from torch import Tensor, nn

import portfire
from portfire import MethodSpec, TensorSpec
from portfire._statistics import _edges, _places, unknown_token


class Whole(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "means" / "1" / "model.pt"


def quantities(path: Path) -> list[dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("assets/input_statistics.json"))
        content = archive.read(name)
    assert len(content) < 8192
    found: list[dict[str, Any]] = json.loads(content)["quantities"]
    return found


def test_pictures_are_measured_as_forward_takes_them(path: Path) -> None:
    write(path, statistics=[picture(value=k) for k in range(0, 250)])
    found = quantities(path)
    # Three numbers in 0 to 1, and which of two labels: no spread of one number.
    assert [(one["measure"], one.get("input"), one.get("channel")) for one in found] == [
        *[("mean", "batch", channel) for channel in range(3)],
        ("answer", None, None),
    ]
    assert found[0]["edges"] == pytest.approx([(k * 25 - 0.5) / 255 for k in range(1, 10)])
    assert found[0]["counts"] == [25] * 10
    assert sum(found[-1]["counts"]) == 250
    portfire.load(path)


def test_without_statistics_there_are_none(path: Path) -> None:
    assert not [name for name in write(path).files if "statistics" in name]


def tensor_package(path: Path, columns: int, statistics: Any) -> list[dict[str, Any]]:
    x = TensorSpec(name="x", dtype="float32", shape=("N", columns))
    write(
        path,
        Whole(),
        task="tensor",
        labels=(),
        golden=[np.zeros((2, columns), np.float32)],
        methods={"forward": MethodSpec(inputs=(x,), outputs=(x,))},
        statistics=statistics,
    )
    return quantities(path)


def test_few_columns_are_measured_one_by_one_and_many_together(path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(300, 20)).astype(np.float32)
    few = tensor_package(path, 16, [values[:200, :16], values[200:, :16]])
    assert [(one["measure"], one["channel"]) for one in few] == [("mean", k) for k in range(16)]
    assert all(sum(one["counts"]) == 300 and len(one["edges"]) == 9 for one in few)
    many = tensor_package(path, 20, [values])
    assert [one["measure"] for one in many] == ["mean", "spread"]
    assert not any("channel" in one for one in many)
    assert many[0]["edges"][4] == pytest.approx(np.median(values.mean(1)), abs=0.02)
    assert many[1]["edges"][4] == pytest.approx(np.median(values.std(1)), abs=0.02)


def test_an_input_that_is_no_batch_is_one_sample(path: Path) -> None:
    pairs = [
        {"a": np.full((n, 3), k, np.float32), "b": np.full((3, 2), k, np.float32)}
        for k, n in enumerate([2, 5] * 50)
    ]
    write(path, TwoTensors(), task="tensor", labels=(), golden=pairs[:2], statistics=pairs)
    found = {(one["measure"], one["input"], one["channel"]): sum(one["counts"]) for one in quantities(path)}
    assert found["mean", "a", 0] == 350
    assert found["mean", "b", 2] == found["spread", "b", 2] == 100


@pytest.mark.parametrize(
    ("statistics", "said"),
    [
        ([], "means: statistics of 0 samples; give at least 100, or none"),
        ([picture()] * 99, "statistics of 99 samples"),
        ([picture()] * 99 + [b"no picture"], "statistics: sample 99"),
    ],
)
def test_refuses(path: Path, statistics: Any, said: str) -> None:
    with pytest.raises((portfire.InvalidArgumentError, portfire.InvalidInputError), match=said):
        write(path, statistics=statistics)
    assert nothing_left(path)


def test_refuses_what_is_no_number(path: Path) -> None:
    values = np.zeros((100, 2), np.float32)
    values[7, 1] = np.nan
    with pytest.raises(portfire.InvalidArgumentError, match="statistics: mean x 1 of a sample is no number"):
        tensor_package(path, 2, [values])


def test_a_file_that_is_none_is_refused_by_name(path: Path) -> None:
    assets = {"input_statistics.json": b'{"quantities": [{"measure": "mode"}]}'}
    said = r'means: assets/input_statistics\.json: quantities\[0\]\.measure: "mode" is not known; one of mean'
    with pytest.raises(portfire.InvalidPackageError, match=said):
        write(path, assets=assets)
    assert nothing_left(path)


def test_edges_lie_between_values_and_around_what_is_frequent() -> None:
    assert _edges([float(k) for k in range(100)]) == [k * 10 - 0.5 for k in range(1, 10)]
    (below, between, above) = _edges([0.0] * 90 + [1.0] * 10)
    assert below < 0 < between == 0.5 < 1 < above
    (below, above) = _edges([3.0] * 100)
    assert 2.99 < below < 3 < above < 3.01
    # Rounding is no difference.
    assert _edges(sorted([3.0 + 1e-9 * k for k in range(100)])) == pytest.approx([below, above])
    draw = random.Random(0)
    many = _edges(sorted(draw.gauss(0, 1) for _ in range(100_000)))
    assert many == pytest.approx([-1.28, -0.84, -0.52, -0.25, 0, 0.25, 0.52, 0.84, 1.28], abs=0.02)


def test_of_many_elements_some_are_looked_at_all_over() -> None:
    assert _places(256).tolist() == list(range(256))
    # The same as in tests/cpp/serving/drift_test.cpp.
    looked = _places(1000).to(torch.float64)
    assert looked[:4].tolist() == [0, 618, 236, 854]
    assert float(looked.mean()) == pytest.approx(498.06640625)
    assert float(looked.std(correction=0)) == pytest.approx(289.2324694280709)
    for side in (256, 512, 300):
        places = _places(side * side)
        assert len(places) == 256 and int(places.min()) >= 0 and int(places.max()) < side * side
        for axis in (places // side, places % side):
            assert torch.histc(axis.float(), 4, 0, side).min() > 40, side


def _tokenizer(model: dict[str, Any]) -> bytes:
    return json.dumps({"model": model, "pre_tokenizer": {"type": "Whitespace"}}).encode()


def test_the_unknown_token_is_found() -> None:
    words = {"type": "WordLevel", "vocab": {"a": 0, "[UNK]": 1}, "unk_token": "[UNK]"}
    letters = {"type": "BPE", "vocab": {"a": 0}, "merges": []}
    for model, expected in ((words, 1), (letters, None)):
        content = _tokenizer(model)
        assert unknown_token(content, portfire.Tokenizer.from_bytes(content)) == expected
