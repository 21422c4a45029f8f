"""From TorchScript packages to programs of torch.export, with proof."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from means import Means, TwoTensors, picture, write
from torch import Tensor

import portfire
from portfire.migrate import migrate


class Branches(Means):
    def preprocess(self, image: Tensor) -> Tensor:
        x = image.to(torch.float32)
        if x.shape[0] > 4:
            x = x[:4]
        return x.mean((0, 1)) / 255


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "means" / "1" / "model.pt"


def test_the_same_package_in_the_other_engine(path: Path) -> None:
    manifest = write(path, golden=[picture(), picture(9, 8, 200)], assets={"words.txt": b"one"})
    assert migrate(path.parents[1]) == path.with_suffix(".pt2")
    models = [portfire.load(path.parent, engine=engine) for engine in ("graph", "torchscript")]
    assert all(model.verify().passed for model in models)
    assert [model.info.to_dict()["manifest"] for model in models] == [
        models[0].info.to_dict()["manifest"]
    ] * 2
    assert models[0].info.name == manifest.name
    for image in (picture(7, 3, 20), picture(50, 60, 130)):
        answers = [model.run(image) for model in models]
        assert answers[0].label == answers[1].label
        np.testing.assert_allclose(answers[0].probability, answers[1].probability, atol=1e-6)
    x = np.random.default_rng(0).random((5, 3), np.float32)
    np.testing.assert_allclose(*(np.asarray(model.forward(x)) for model in models), rtol=1e-6)


def test_tensors_with_several_inputs(path: Path) -> None:
    a, b = np.ones((2, 3), np.float32), np.ones((3, 4), np.float32)
    golden = [{"a": a, "b": b}, {"a": np.ones((5, 3), np.float32), "b": b}]
    write(path, TwoTensors(), task="tensor", labels=(), golden=golden)
    model = portfire.load(migrate(path))
    assert model.info.engine == "graph"
    assert [one.shape for one in model.forward(np.ones((9, 3), np.float32), b).values()] == [(9, 4), ()]


def test_what_torch_cannot_convert_leaves_nothing_behind(path: Path) -> None:
    write(path, Branches())
    before = sorted(path.parent.iterdir())
    with pytest.raises(
        portfire.InvalidArgumentError, match=r"preprocess cannot be (converted|exported): "
    ) as error:
        migrate(path)
    assert "\n" not in str(error.value)
    assert sorted(path.parent.iterdir()) == before


@pytest.mark.slow
def test_the_command_says_what_it_did(path: Path) -> None:
    write(path)
    command = [sys.executable, "-m", "portfire.migrate", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{path}2: verified in the engine graph\n")
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == f"migrate: {path}2 is there already; remove it to write it again\n"


def test_a_package_without_golden_samples_has_no_proof(path: Path) -> None:
    write(path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(path.parent / "new", "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith("manifest.json"):
                manifest = json.loads(content)
                kept = {
                    "task": "tensor",
                    "golden": [],
                    "files": {},
                    "raw_input": {"kind": "tensor"},
                    "labels": [],
                }
                manifest.update(kept, methods={"forward": manifest["methods"]["forward"]})
                content = json.dumps(manifest).encode()
            if "/golden/" not in entry.filename:
                new.writestr(entry, content)
    (path.parent / "new").replace(path)
    with pytest.raises(portfire.InvalidArgumentError, match="has no golden samples to prove"):
        migrate(path)


def test_a_program_without_a_manifest_has_no_proof(tmp_path: Path) -> None:
    bare = tmp_path / "traced.pt"
    bare.write_bytes((Path(__file__).parents[1] / "data" / "models" / "traced.pt").read_bytes())
    with pytest.raises(portfire.InvalidPackageError, match="has no manifest to prove a migration with"):
        migrate(bare)
    bare.write_text("rubbish")
    with pytest.raises(portfire.InvalidPackageError, match=r"traced\.pt"):
        migrate(bare)
