"""A small classifier, and packages of it to break."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from portfire import packaging
from portfire.manifest import Manifest


class Means(nn.Module):
    """Classes by mean colour; subclasses break one thing each."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        nn.init.constant_(self.linear.weight, 0.5)

    def preprocess(self, image: Tensor) -> Tensor:
        return image.to(torch.float32).mean((0, 1)) / 255

    def forward(self, batch: Tensor) -> Tensor:
        logits: Tensor = self.linear(batch)
        return logits

    def postprocess(self, logits: Tensor) -> Tensor:
        return torch.softmax(logits, 0)


class TwoTensors(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return a @ b, a.sum()


def picture(height: int = 5, width: int = 4, value: int = 77) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.full((height, width, 3), value, np.uint8)


def write(path: Path, module: nn.Module | None = None, **changes: Any) -> Manifest:
    options: dict[str, Any] = {
        "name": "means",
        "golden": [picture()],
        "licence": "Apache-2.0",
        "labels": ("dark", "light"),
    }
    return packaging.package(module or Means(), path, **{**options, **changes})


def nothing_left(path: Path) -> bool:
    return not any(path.parents[2].iterdir())
