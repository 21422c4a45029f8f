"""What a package is written as: TorchScript, the program of torch.export, or both."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from means import Means, TwoTensors, nothing_left, picture, write
from torch import Tensor, nn
from torch.nn import functional as F

import portfire
from portfire.manifest import Manifest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "means" / "1" / "model.pt"


BOTH = ("torchscript", "graph")


class Crops(Means):
    """For a golden picture that is taller than wide its slice is the whole; for a wide one it is not."""

    def preprocess(self, image: Tensor) -> Tensor:
        x = image.to(torch.float32).permute(2, 0, 1).unsqueeze(0)
        width = max(6, image.shape[1] * 6 // min(image.shape[0], image.shape[1]))
        x = F.interpolate(x, [6, width])[0, :, :, :6]
        return x.mean((1, 2)) / 255


class Branches(Means):
    def preprocess(self, image: Tensor) -> Tensor:
        x = image.to(torch.float32)
        return (x[:4] if x.shape[0] > 4 else x).mean((0, 1)) / 255


def test_both_formats_hold_the_same_manifest_and_answers(path: Path) -> None:
    manifest = write(path, formats=BOTH, golden=[picture(), picture(9, 8, 200)], assets={"words.txt": b"one"})
    exported = path.with_suffix(".pt2")
    with zipfile.ZipFile(exported) as archive:
        root = archive.namelist()[0].partition("/")[0]
        assert Manifest.loads(archive.read(f"{root}/portfire/manifest.json")) == manifest
        assert archive.read(f"{root}/portfire/assets/words.txt") == b"one"
        assert sum("/weights/weight_" in name for name in archive.namelist()) == 2  # forward's alone, once
    assert portfire.engines(path.parents[1]) == ["graph", "torchscript"]
    models = [portfire.load(path.parents[1], engine=engine) for engine in ("auto", *BOTH)]
    assert [model.info.engine for model in models] == ["graph", "torchscript", "graph"]
    assert all(model.verify().passed for model in models)
    answers = [model.run(picture(7, 3, 20)) for model in models]
    assert len({answer.label for answer in answers}) == 1
    for answer in answers:
        np.testing.assert_allclose(answer.probability, answers[0].probability, atol=1e-6)
    x = torch.rand(3, 3)
    assert torch.export.load(exported).module()(x).shape == (3, 2)


def test_nothing_of_the_machine_is_in_the_file(path: Path) -> None:
    write(path, formats=("graph",))
    with zipfile.ZipFile(path.with_suffix(".pt2")) as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
    assert b"aten.linear" in content
    for place in (Path(__file__).parent, Path(torch.__file__).parent, path.parent):
        assert str(place).encode() not in content


def test_the_graph_alone_is_a_package(path: Path) -> None:
    write(path.with_suffix(".pt2"), formats=("graph",))
    assert [one.name for one in path.parent.iterdir()] == ["model.pt2"]
    assert portfire.load(path.parents[1]).run(picture()).label in ("dark", "light")


def test_a_mapped_file_may_be_replaced_while_it_is_in_use(path: Path) -> None:
    exported = path.with_suffix(".pt2")
    write(exported, formats=("graph",))
    read, mapped = portfire.load(exported), portfire.load(exported, map_file=True)
    place = exported.parent.resolve()
    assert str(place) in Path("/proc/self/maps").read_text()
    x = torch.rand(3, 3)
    expected = np.from_dlpack(read.forward(x))
    other = path.parent / "other.pt2"
    other.write_bytes(b"something else")
    other.rename(exported)
    np.testing.assert_array_equal(np.from_dlpack(mapped.forward(x)), expected)
    with pytest.raises(portfire.InvalidPackageError, match="not a package"):
        portfire.load(exported, map_file=True)
    del mapped
    assert str(place) not in Path("/proc/self/maps").read_text()


@pytest.mark.slow
def test_what_is_trusted_is_read_and_not_mapped(path: Path) -> None:
    """Whoever writes to a mapped file after its signature was verified would choose what runs."""
    exported = path.with_suffix(".pt2")
    write(exported, formats=("graph", "compiled"))
    maps = Path("/proc/self/maps")
    graph = portfire.load(exported, engine="graph", map_file=True)
    assert str(exported) in maps.read_text()
    del graph
    compiled = portfire.load(exported, engine="compiled", trust_compiled=True, map_file=True)
    assert str(exported) not in maps.read_text()
    assert compiled.verify().passed


def test_the_files_of_a_version_are_one_model(path: Path) -> None:
    write(path, formats=BOTH)
    before = path.read_bytes()
    for formats in (("torchscript",), ("graph",)):
        with pytest.raises(
            portfire.InvalidArgumentError, match=r"model\.pt2? is there already.*to formats, or remove it"
        ):
            write(path, formats=formats)
    assert path.read_bytes() == before
    write(path, formats=BOTH)


def test_a_tensor_package_has_its_symbols_in_the_graph(path: Path) -> None:
    x, y = np.ones((2, 3), np.float32), np.ones((3, 4), np.float32)
    other = {"a": np.ones((5, 3), np.float32), "b": y}
    write(path, TwoTensors(), task="tensor", labels=(), golden=[{"a": x, "b": y}, other], formats=("graph",))
    model = portfire.load(path.with_suffix(".pt2"))
    assert [one.shape for one in model.forward(np.ones((9, 3), np.float32), y).values()] == [(9, 4), ()]


def test_the_other_engine_serves_where_one_does_not_hold(path: Path) -> None:
    write(path, formats=BOTH)
    with zipfile.ZipFile(path.with_suffix(".pt2")) as old, zipfile.ZipFile(path.parent / "new", "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry, content.replace(b"aten.linear.default", b"aten.linnear.default"))
    (path.parent / "new").replace(path.with_suffix(".pt2"))
    model = portfire.load(path.parents[1])
    assert model.info.engine == "torchscript"
    assert "aten.linnear.default" in model.info.optimization
    with pytest.raises(portfire.UnsupportedError, match="linnear"):
        portfire.load(path.parents[1], engine="graph")


def test_the_graph_needs_the_eager_module(path: Path) -> None:
    one = np.ones((2, 2), np.float32)
    options: dict[str, Any] = {"task": "tensor", "labels": (), "golden": [{"a": one, "b": one}]}
    with pytest.raises(portfire.InvalidArgumentError, match="the format graph needs the eager module"):
        write(path, torch.jit.script(TwoTensors()), formats=BOTH, **options)
    assert nothing_left(path)


@pytest.mark.parametrize(
    ("module", "formats", "says"),
    [
        (Means(), (), "formats are none"),
        (Means(), ("onnx",), "formats onnx; allowed: torchscript, graph"),
        (Branches(), BOTH, "Branches.preprocess cannot be exported: Constraints violated"),
        (Crops(), BOTH, "preprocess follows another branch for other sizes.* is right only where "),
    ],
)
def test_what_cannot_be_the_graph_is_named(
    path: Path, module: nn.Module, formats: tuple[str, ...], says: str
) -> None:
    with pytest.raises(portfire.InvalidArgumentError, match=says) as error:
        write(path, module, formats=formats)
    assert "\n" not in str(error.value)
    assert nothing_left(path)
