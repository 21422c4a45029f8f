"""How a model comes into memory: one tensor at a time, and the same whichever way it runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import portfire
from portfire.manifest import Tolerance

_WIDE = 512


class Shared(nn.Module):
    """Weights of many uses, each too large to be read with the rest of the file."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.tokens = nn.Embedding(200, _WIDE)
        self.twice = nn.Linear(_WIDE, _WIDE)
        self.conv = nn.Conv1d(_WIDE, _WIDE, 1)
        self.norm = nn.BatchNorm1d(_WIDE)
        self.norm.running_mean.copy_(torch.rand(_WIDE))  # type: ignore[union-attr]
        self.norm.running_var.copy_(torch.rand(_WIDE) + 0.5)  # type: ignore[union-attr]
        self.both = nn.Parameter(torch.randn(_WIDE, _WIDE) / 20)
        self.register_buffer("table", torch.randn(300, _WIDE))

    def forward(self, x: Tensor) -> Tensor:
        y = self.tokens.weight[:5].sum(0) + self.table.narrow(0, 7, 4).mean(0)  # a part of each
        y = F.relu(self.twice(x + y))
        y = self.twice(y) + self.norm(self.conv(y.unsqueeze(-1))).squeeze(-1)
        y = y @ self.both + y * self.both.diagonal()  # a layer's weight that is looked at as a number too
        return F.linear(y, self.tokens.weight) + y @ self.tokens.weight.t()


def _inputs(count: int) -> list[np.ndarray]:
    return [np.random.default_rng(k).standard_normal((3, _WIDE), np.float32) for k in range(count)]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    module = Shared().eval()
    path = tmp_path_factory.mktemp("shared") / "shared" / "1" / "model.pt"
    portfire.package(
        module,
        path,
        name="shared",
        licence="Apache-2.0",
        task="tensor",
        golden=_inputs(2),
        formats=("torchscript", "graph"),
        tolerances={"float32": Tolerance(atol=1e-3, rtol=1e-3)},  # sums of more than 1,000
    )
    return module, path.parent


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("level", ["none", "freeze", "full"])
@pytest.mark.parametrize("engine", ["graph", "torchscript"])
def test_weights_of_many_uses_are_what_they_were(
    shared: tuple[nn.Module, Path], engine: str, level: str, mapped: bool
) -> None:
    module, folder = shared
    models = [portfire.load(folder, engine=engine, optimization=level, map_file=mapped) for _ in range(2)]
    for x in _inputs(3):
        with torch.no_grad():
            expected = module(torch.from_numpy(x)).numpy()
        for model in models:
            np.testing.assert_allclose(np.asarray(model.forward(x)), expected, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("precision", ["int8", "bfloat16"])
@pytest.mark.parametrize("level", ["none", "freeze", "full"])
def test_so_are_those_of_fewer_bits(shared: tuple[nn.Module, Path], precision: str, level: str) -> None:
    module, folder = shared
    (x,) = _inputs(1)
    ways = [
        portfire.load(
            folder, engine="graph", optimization=level, precision=precision, max_error=10, map_file=mapped
        )
        for mapped in (False, True)
    ]
    read, mapped = (np.asarray(model.forward(x)) for model in ways)
    np.testing.assert_array_equal(read, mapped)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    assert np.abs(read - expected).max() < 0.05 * np.abs(expected).max()


@pytest.mark.parametrize("file", ["model.pt", "model.pt2"])
def test_a_flipped_bit_in_any_large_tensor_is_refused(
    shared: tuple[nn.Module, Path], tmp_path: Path, file: str
) -> None:
    module, folder = shared
    for name, tensor in module.state_dict().items():
        values = tensor.numpy().tobytes()
        if len(values) < 1 << 16:
            continue
        data = bytearray((folder / file).read_bytes())
        place = data.find(values)
        assert place > 0, name
        data[place + len(values) // 2] ^= 1
        (tmp_path / file).write_bytes(data)
        for call in (portfire.load, portfire.inspect):
            with pytest.raises(portfire.InvalidPackageError, match="does not unpack to its size and CRC"):
                call(tmp_path / file)


class Stack(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weights = nn.ParameterList(torch.randn(1024, 1024) / 32 for _ in range(32))

    def forward(self, x: Tensor) -> Tensor:
        for weight in self.weights:
            x = F.relu(F.linear(x, weight))
        return x


_PEAK = """
import json, sys
import numpy as np
import portfire

def kilobytes(field):
    return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith(field)))

portfire.load(sys.argv[1], threads=1)
before = kilobytes("VmRSS:")
open("/proc/self/clear_refs", "w").write("5")  # the peak begins here
model = portfire.load(sys.argv[2], threads=1, engine=sys.argv[3], precision=sys.argv[4], max_error=1)
print(json.dumps({"peak": kilobytes("VmHWM:") - before, "held": kilobytes("VmRSS:") - before}))
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("stack")
    x = np.random.default_rng(0).standard_normal((1, 1024), np.float32)
    for name, module in (("small", nn.Linear(1024, 8)), ("stack", Stack())):
        portfire.package(
            module.eval(),
            folder / name / "1" / "model.pt",
            name=name,
            licence="Apache-2.0",
            task="tensor",
            golden=[x],
            formats=("torchscript", "graph"),
        )
    return folder / "small", folder / "stack"


@pytest.mark.parametrize(
    ("engine", "precision", "most"), [("graph", "int8", 80), ("torchscript", "packaged", 200)]
)
def test_the_file_and_the_packed_weights_are_not_in_memory_side_by_side(
    stack: tuple[Path, Path], engine: str, precision: str, most: int
) -> None:
    """128 MiB of weights, 32 in int8: with the file it would be 160, and 256 with what LibTorch copies."""
    small, large = stack
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, str(small), str(large), engine, precision],
        capture_output=True,
        text=True,
        check=True,
    )
    figures = json.loads(done.stdout)
    assert figures["held"] <= figures["peak"] < most * 1024, figures
