"""Writes the TorchScript files and packages that the C++ tests of the engine and the API read.

`python tests/data/models/make_models.py`; the files are committed, so this is run only to change them.
Most of the engine's tests compile their TorchScript themselves; here is what only Python can write.
"""

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

import portfire
from portfire.packaging import package

HERE = Path(__file__).parent


class Sums(NamedTuple):
    sum: Tensor
    twice: Tensor


class Point(nn.Module):
    def forward(self, x: Tensor) -> Sums:
        return Sums(x.sum(), x * 2)


@torch.jit.interface
class Step(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        pass


class Negate(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return -x


class ThroughAnInterface(nn.Module):
    step: Step

    def __init__(self) -> None:
        super().__init__()
        self.step = Negate()

    def forward(self, x: Tensor) -> Tensor:
        return self.step.forward(x)


class Picky(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[0] > 1:
            raise ValueError("one row, please")
        return x


def write(x: Tensor) -> Tensor:
    torch.save(x, "portfire-written-by-a-model")
    return x


def indirect(x: Tensor) -> Tensor:
    return write(x + 1)


class FunctionOfFunction(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return indirect(x)


class Fork(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.jit.wait(torch.jit.fork(write, x))


class Cnn(nn.Module):
    """A small classifier with its own test picture and what eager Python made of it."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4 * 6 * 6, 10)
        self.register_buffer("test_picture", torch.randint(0, 256, (8, 8, 3), dtype=torch.uint8))
        self.register_buffer("test_logits", torch.zeros(1, 10))

    @torch.jit.export
    def preprocess(self, image: Tensor) -> Tensor:  # uint8 [8, 8, 3] -> float32 [1, 8, 8]
        return image.float().mean(2).unsqueeze(0) / 255

    def forward(self, sample: Tensor) -> Tensor:  # float32 [N, 1, 8, 8] -> float32 [N, 10]
        return self.linear(self.norm(self.convolution(sample)).relu().flatten(1))

    @torch.jit.export
    def postprocess(self, logits: Tensor) -> Tensor:  # float32 [10] -> float32 [10]
        return torch.softmax(logits, 0)

    @torch.jit.export
    def picture(self) -> Tensor:
        return self.test_picture

    @torch.jit.export
    def expected(self) -> Tensor:
        return self.test_logits


def cnn() -> Cnn:
    module = Cnn()
    with torch.no_grad():
        module.norm.running_mean.uniform_(-0.2, 0.2)
        module.norm.running_var.uniform_(0.5, 2)
        module.eval()
        module.test_logits.copy_(module(module.preprocess(module.test_picture).unsqueeze(0)))
    return module


class Shapes(nn.Module):
    """Tells bright pictures of 8 x 8 from dark ones, by one weight a class."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 3)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([[-8.0], [0.0], [8.0]]))
            self.linear.bias.copy_(torch.tensor([4.0, 1.0, -4.0]))

    @torch.jit.export
    def preprocess(self, image: Tensor) -> Tensor:  # uint8 [H, W, 3] -> float32 [1]
        return image.float().mean().reshape(1) / 255

    def forward(self, brightness: Tensor) -> Tensor:  # float32 [N, 1] -> float32 [N, 3]
        return self.linear(brightness)

    @torch.jit.export
    def postprocess(self, logits: Tensor) -> Tensor:  # float32 [3] -> float32 [3]
        return torch.softmax(logits, 0)


class Cancelling(nn.Module):
    """Exact as written; with the norm folded into the weights, their rounding no longer cancels."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2, 2, 1)
        self.norm = nn.BatchNorm2d(2)
        with torch.no_grad():
            self.convolution.weight.copy_(
                torch.tensor([[8388607.0, -8388605.0], [-8388601.0, 8388602.0]]).reshape(2, 2, 1, 1)
            )
            self.convolution.bias.zero_()
            self.norm.running_var.fill_(3)

    @torch.jit.export
    def preprocess(self, image: Tensor) -> Tensor:  # uint8 [H, W, 3] -> float32 [2, 1, 1]
        return image[0, 0, :2].float().reshape(2, 1, 1)

    def forward(self, sample: Tensor) -> Tensor:  # float32 [N, 2, 1, 1] -> float32 [N, 2]
        return self.norm(self.convolution(sample)).flatten(1)

    @torch.jit.export
    def postprocess(self, logits: Tensor) -> Tensor:  # float32 [2] -> float32 [2]
        return torch.softmax(logits, 0)


class AddAndScale(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return a + b, a * 2


def grey(value: int) -> bytes:
    return bytes(portfire.encode_png(np.full((4, 4, 3), value, np.uint8)))


def strip_debug(path: Path) -> None:
    """Rewrites the archive without the names of this machine's folders, which are all that debug_pkl adds."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            if not name.endswith(".debug_pkl"):
                archive.writestr(zipfile.ZipInfo(name), content)


class Layers(nn.Module):
    """What the passes of the engine graph look for, a branch, and a buffer that is written to."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 3, 2, stride=2)
        self.wide = nn.Linear(96, 128)
        self.register_buffer("brightest", torch.zeros(1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.brightest.copy_(x.max().reshape(1))
        y = torch.relu_(self.norm(self.first(x)))
        y = torch.relu(self.second(y) + y)
        rows = nn.functional.gelu(self.wide(y.flatten(1)[:, :96])) + self.brightest
        rows = torch.cond(rows.sum() > 0, lambda r: r * 2, lambda r: r - 1, (rows,))
        return self.up(y).mean((2, 3)), rows


def exported_layers() -> None:
    torch.manual_seed(0)
    module = Layers()
    nn.init.normal_(module.norm.running_mean)
    package(
        module,
        HERE / "layers" / "1" / "model.pt2",
        name="layers",
        task="tensor",
        golden=[np.random.default_rng(n).random((n, 4, 8, 8), np.float32) for n in (2, 40)],
        licence="Apache-2.0",
        formats=("graph",),
    )


def main() -> None:
    torch.manual_seed(0)
    for name, module in {
        "point": Point(),
        "interface": ThroughAnInterface(),
        "function_of_function": FunctionOfFunction(),
        "fork": Fork(),
        "picky": Picky(),
        "cnn": cnn(),
    }.items():
        torch.jit.save(torch.jit.script(module.eval()), str(HERE / f"{name}.pt"))
    torch.jit.save(torch.jit.trace(lambda x: x * 2 + 1, torch.ones(3)), str(HERE / "traced.pt"))
    frozen = torch.jit.freeze(torch.jit.script(nn.Linear(3, 2).eval()))
    torch.jit.save(frozen, str(HERE / "frozen_linear.pt"))
    package(
        Shapes(),
        HERE / "brightness" / "1" / "model.pt",
        name="brightness",
        golden=[grey(10), grey(128), grey(250)],
        labels=["dark", "grey", "bright"],
        licence="Apache-2.0",
        max_batch=4,
    )
    package(
        Cancelling(),
        HERE / "cancelling" / "1" / "model.pt",
        name="cancelling",
        golden=[grey(1)],
        labels=["two", "one"],
        licence="Apache-2.0",
    )
    package(
        AddAndScale(),
        HERE / "add" / "1" / "model.pt",
        name="add",
        task="tensor",
        golden=[{"a": torch.tensor([[1.0, 2.0]]), "b": torch.tensor([[0.5, 0.25]])}],
        licence="Apache-2.0",
    )
    for path in HERE.rglob("*.pt"):
        strip_debug(path)


if __name__ == "__main__":
    main()
    exported_layers()
