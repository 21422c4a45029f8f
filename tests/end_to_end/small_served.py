"""Models of task tensor that show what a server does with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import portfire
from portfire import MethodSpec, TensorSpec

# Inputs by name, with their dtypes; each is given back, changed, as <name>_out.
KINDS = {
    "truth": "bool",
    "tiny": "uint8",
    "small": "int8",
    "middle": "int16",
    "whole": "int32",
    "long": "int64",
    "double": "float64",
    "half": "float16",
}


class Kinds(nn.Module):
    def forward(
        self,
        truth: Tensor,
        tiny: Tensor,
        small: Tensor,
        middle: Tensor,
        whole: Tensor,
        long: Tensor,
        double: Tensor,
        half: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        return ~truth, tiny + 1, small + 1, middle + 1, whole + 1, long + 1, double + 1, half + 1


class Slow(nn.Module):
    """A good part of a second."""

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(400):
            x = torch.tanh(x @ x)
        return x


def make_kinds(folder: Path) -> Path:
    inputs = tuple(TensorSpec(name=name, dtype=dtype, shape=("N",)) for name, dtype in KINDS.items())
    outputs = tuple(TensorSpec(name=f"{one.name}_out", dtype=one.dtype, shape=one.shape) for one in inputs)
    portfire.package(
        Kinds(),
        folder / "1" / "model.pt",
        name="kinds",
        task="tensor",
        golden=[{name: np.zeros(2, dtype=dtype) for name, dtype in KINDS.items()}],
        licence="Apache-2.0",
        methods={"forward": MethodSpec(inputs=inputs, outputs=outputs)},
    )
    return folder


def make_slow(folder: Path) -> Path:
    shape = (256, 256)
    spec = MethodSpec(
        inputs=(TensorSpec(name="x", dtype="float32", shape=shape),),
        outputs=(TensorSpec(name="y", dtype="float32", shape=shape),),
    )
    portfire.package(
        Slow(),
        folder / "1" / "model.pt",
        name="slow",
        task="tensor",
        golden=[np.zeros(shape, np.float32)],
        licence="Apache-2.0",
        methods={"forward": spec},
    )
    return folder


class Pair(nn.Module):
    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return left - right


def make_pair(folder: Path) -> Path:
    """left and right, float32 [N], to their difference."""
    left, right, difference = (
        TensorSpec(name=name, dtype="float32", shape=("N",)) for name in ("left", "right", "difference")
    )
    portfire.package(
        Pair(),
        folder / "1" / "model.pt",
        name="pair",
        task="tensor",
        golden=[{"left": np.ones(2, np.float32), "right": np.zeros(2, np.float32)}],
        licence="Apache-2.0",
        methods={"forward": MethodSpec(inputs=(left, right), outputs=(difference,))},
    )
    return folder
