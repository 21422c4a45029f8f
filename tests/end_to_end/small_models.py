"""The models that the tests package: small, and trained or computed on the spot."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional as F

import portfire
from portfire import MethodSpec, TensorSpec


class Digits(nn.Module):
    """A small convolutional classifier of 8 x 8 digits."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, 10),
        )

    def preprocess(self, image: Tensor) -> Tensor:
        """uint8 [H, W, 3] to float32 [1, 8, 8]."""
        x = image.to(torch.float32).mean(2).unsqueeze(0) / 255
        if x.size(1) != 8 or x.size(2) != 8:
            x = F.interpolate(x.unsqueeze(0), [8, 8], mode="bilinear", antialias=True)[0]
        return x - 0.3

    def forward(self, x: Tensor) -> Tensor:
        """float32 [N, 1, 8, 8] to logits [N, 10]."""
        logits: Tensor = self.net(x)
        return logits

    def postprocess(self, logits: Tensor) -> Tensor:
        return torch.softmax(logits, 0)


class Scale(nn.Module):
    """Task tensor: twice its input."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2


@dataclass(frozen=True, kw_only=True)
class DigitsWorld:
    """A trained model, its package, and the pictures that it never saw."""

    eager: Digits
    folder: Path  # <name>; its highest version is the package
    package: Path
    pictures: tuple[Path, ...]
    targets: tuple[int, ...]


MAX_BATCH = 16


def png(grey: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG")
    return buffer.getvalue()


def train(
    model: nn.Module, images: Tensor, targets: Tensor, *, steps: int, learning_rate: float = 0.02
) -> None:
    """Full-batch Adam on float32 [N, 1, H, W]."""
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(images), targets).backward()
        optimizer.step()
    model.eval()


def make_digits(folder: Path) -> DigitsWorld:
    """Trains on four fifths of scikit-learn's digits and writes the other 360 as PNG files."""
    bunch = load_digits()
    grey = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    rest, held_out = train_test_split(range(len(grey)), test_size=360, random_state=0, stratify=bunch.target)
    torch.manual_seed(0)
    model = Digits()
    samples = torch.stack(
        [model.preprocess(torch.from_numpy(grey[k])[..., None].expand(-1, -1, 3)) for k in rest]
    )
    train(model, samples, torch.from_numpy(bunch.target[rest]), steps=60)

    pictures = folder / "pictures"
    pictures.mkdir()
    paths = []
    for number, k in enumerate(held_out):
        paths.append(pictures / f"{number:03d}.png")
        paths[-1].write_bytes(png(grey[k]))
    # The highest version by number, not by spelling; the lower one is no package at all.
    package = folder / "digits" / "10" / "model.pt"
    old = folder / "digits" / "9" / "model.pt"
    old.parent.mkdir(parents=True)
    old.write_text("not a package")
    portfire.package(
        model,
        package,
        name="digits",
        version=10,
        golden=paths[:3],
        licence="Apache-2.0",
        labels=tuple("0123456789"),
        description="Handwritten digits",
        max_batch=MAX_BATCH,
    )
    return DigitsWorld(
        eager=model,
        folder=folder / "digits",
        package=package,
        pictures=tuple(paths),
        targets=tuple(int(bunch.target[k]) for k in held_out),
    )


def make_scale(path: Path) -> Path:
    """A package of task tensor that takes float32 [N, 1, 8, 8] in 0 to 1."""
    shape = ("N", 1, 8, 8)
    x = TensorSpec(name="x", dtype="float32", shape=shape, minimum=0, maximum=1)
    y = TensorSpec(name="y", dtype="float32", shape=shape)
    portfire.package(
        Scale(),
        path,
        name="scale",
        task="tensor",
        golden=[np.linspace(0, 1, 128, dtype=np.float32).reshape(2, 1, 8, 8)],
        licence="Apache-2.0",
        methods={"forward": MethodSpec(inputs=(x,), outputs=(y,))},
    )
    return path


def make_columns(path: Path) -> np.ndarray:
    """A package of task tensor with statistics of its inputs, three columns; gives what they are of."""
    columns = np.random.default_rng(0).normal(0, 1, (500, 3)).astype(np.float32)
    portfire.package(
        Scale(),
        path,
        name="columns",
        task="tensor",
        golden=[columns[:1], columns[:2]],
        licence="Apache-2.0",
        statistics=[columns],
    )
    return columns


class MeanAndShape(nn.Module):
    """TorchScript from elsewhere: two outputs, and no manifest."""

    def forward(self, x: Tensor, offset: float = 0.0) -> tuple[Tensor, Tensor]:
        return x.mean() + offset, torch.tensor(list(x.shape))
