"""Another precision is taken if and only if the golden samples allow it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from means import write
from torch import Tensor, nn
from torch.nn import functional as F

import portfire


class Net(nn.Module):
    """A layer of each kind that insists on one dtype, and numbers that bfloat16 rounds."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.mix = nn.Linear(16, 16)
        self.scale = nn.Parameter(torch.rand(16))
        self.heads = nn.LayerNorm(16)
        self.out = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.conv(x))).flatten(2).transpose(1, 2)
        q = self.mix(x) * self.scale
        x = x + F.scaled_dot_product_attention(q, x, x)
        result: Tensor = self.out(self.heads(x).float().mean(1))
        return result


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("net") / "net" / "1" / "model.pt"
    golden = [np.random.default_rng(k).random((2 + k, 3, 8, 8), np.float32) for k in range(2)]
    write(path, Net().eval(), task="tensor", labels=(), golden=golden, formats=("torchscript", "graph"))
    return path.parent


def worst(model: portfire.Model) -> float:
    return max(stage.max_abs_error for stage in model.verify().stages)


@pytest.mark.parametrize("level", ["none", "freeze", "full"])
def test_bfloat16_is_another_precision_within_the_bound(path: Path, level: str) -> None:
    model = portfire.load(path, precision="bfloat16", max_error=0.05, optimization=level)
    assert (model.info.precision, model.info.optimization, model.info.engine) == ("bfloat16", level, "graph")
    assert 1e-4 < worst(model) < 0.05
    exact = portfire.load(path, optimization=level)
    assert worst(exact) < 1e-5
    x = np.random.default_rng(9).random((7, 3, 8, 8), np.float32)
    y = np.asarray(model.forward(x))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, np.asarray(exact.forward(x)), atol=0.05)


def test_one_that_is_too_coarse_is_refused(path: Path) -> None:
    for max_error in (0, 1e-4):
        with pytest.raises(portfire.VerificationFailedError, match="in bfloat16: golden sample 0: forward/"):
            portfire.load(path, precision="bfloat16", max_error=max_error, engine="graph")
    model = portfire.load(path, precision="fastest", max_error=1e-6)
    assert (model.info.precision, worst(model) < 1e-5) == ("packaged", True)


def test_torchscript_keeps_its_dtypes(path: Path) -> None:
    with pytest.raises(portfire.UnsupportedError, match="bfloat16 needs the engine graph"):
        portfire.load(path, precision="bfloat16", max_error=1, engine="torchscript")
    assert portfire.load(path, precision="fastest", engine="torchscript").info.precision == "packaged"


def test_without_golden_samples_there_is_no_proof(path: Path, tmp_path: Path) -> None:
    program = torch.export.load(path / "model.pt2")
    torch.export.save(program, tmp_path / "bare.pt2")
    portfire.load(tmp_path / "bare.pt2")
    with pytest.raises(portfire.VerificationFailedError, match="in bfloat16: no golden samples"):
        portfire.load(tmp_path / "bare.pt2", precision="bfloat16", max_error=1)


class Layers(nn.Module):
    """Linear layers that are worth 8 bits, and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first = nn.Linear(70, 130)
        self.second = nn.Linear(130, 130)
        self.out = nn.Linear(130, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        result: Tensor = self.out(F.gelu(x + self.second(x)))
        return result


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("layers") / "layers" / "1" / "model.pt2"
    golden = [np.random.default_rng(k).standard_normal((2 + k, 70), np.float32) for k in range(2)]
    write(path, Layers().eval(), task="tensor", labels=(), golden=golden, formats=("graph",))
    return path


@pytest.mark.parametrize("level", ["none", "freeze", "full"])
def test_eight_bits_are_within_what_rounding_allows(layers: Path, level: str) -> None:
    bytes_are_multiplied = "avx512_vnni" in Path("/proc/cpuinfo").read_text(encoding="ascii")
    model = portfire.load(layers, precision="int8", max_error=0.06, optimization=level)
    assert (model.info.precision, model.info.optimization) == ("int8", level)
    assert 1e-4 < worst(model) < 0.06
    module = Layers().eval()
    with torch.inference_mode():
        for layer in (module.first, module.second):
            scale = layer.weight.abs().amax(1, keepdim=True) / 127
            layer.weight.copy_((layer.weight / scale).round() * scale)
        x = torch.randn(50, 70)
        y = np.asarray(model.forward(x.numpy()))
        np.testing.assert_allclose(y, module(x).numpy(), atol=0.06 if bytes_are_multiplied else 1e-5)
    for first, count in ((0, 1), (3, 4), (11, 9)):
        alone = np.asarray(model.forward(x[first : first + count].numpy()))
        if level != "full":  # there the last layer is LibTorch's
            np.testing.assert_allclose(alone, y[first : first + count], atol=1e-6)
        else:
            np.testing.assert_array_equal(alone, y[first : first + count])


def test_eight_bits_are_refused_where_they_are_too_coarse(layers: Path, path: Path) -> None:
    with pytest.raises(portfire.VerificationFailedError, match="in int8: golden sample 0: forward/"):
        portfire.load(layers, precision="int8")
    assert portfire.load(layers, precision="fastest", max_error=1).info.precision != "int8"
    with pytest.raises(portfire.UnsupportedError, match="int8 needs the engine graph"):
        portfire.load(path, precision="int8", max_error=1, engine="torchscript")
    with pytest.raises(portfire.InvalidArgumentError, match="one of packaged, bfloat16, int8, fastest"):
        portfire.load(layers, precision="int4")
