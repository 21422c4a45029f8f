"""Small models that every test may use, made once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from brightness import Brightness, picture
from torch import Tensor, nn

import portfire


class Identity(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


class SumAndDifference(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return a + b, a - b


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages brightness and arithmetic, and the bare TorchScript file identity.pt."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("brightness", "arithmetic"):
        (folder / name / "1").mkdir(parents=True)
    portfire.package(
        Brightness(),
        folder / "brightness" / "1" / "model.pt",
        name="brightness",
        golden=[picture(10), picture(240)],
        licence="Apache-2.0",
        labels=("dark", "light"),
        max_batch=4,
    )
    portfire.package(
        SumAndDifference(),
        folder / "arithmetic" / "1" / "model.pt",
        name="arithmetic",
        task="tensor",
        golden=[{"a": np.ones((2, 3), np.float32), "b": np.zeros((2, 3), np.float32)}],
        licence="Apache-2.0",
    )
    torch.jit.save(torch.jit.script(Identity()), str(folder / "identity.pt"))
    return folder


@pytest.fixture(scope="session")
def brightness(models: Path) -> portfire.Model:
    return portfire.load(models / "brightness")


@pytest.fixture(scope="session")
def arithmetic(models: Path) -> portfire.Model:
    return portfire.load(models / "arithmetic")


@pytest.fixture(scope="session")
def identity(models: Path) -> portfire.Model:
    return portfire.load(models / "identity.pt")
