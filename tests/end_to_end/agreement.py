"""The same numbers from the engine graph as from PyTorch, without passes and with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from exported import Exported, Function, call, eager
from faces import Program
from torch import Tensor

import portfire

LEVELS = ("none", "full")


def save(path: Path, function: Callable[..., Tensor], *inputs: Tensor, shapes: Any = None) -> Path:
    return Exported(Function(function), inputs, shapes).save(path)


def both_agree(path: Path, inputs: tuple[Tensor, ...], **tolerance: float) -> None:
    expected = eager(path, inputs)
    for level in LEVELS:
        given = call(portfire.load(path, threads=1, optimization=level), inputs)
        for a, b in zip(given, expected, strict=True):
            torch.testing.assert_close(a, b, **(tolerance or {"rtol": 1e-4, "atol": 1e-5}), equal_nan=True)


def steps_of(program: Program, path: Path) -> list[str]:
    """The operators and kernels that the passes of the level `full` leave."""
    plan = program("inspect", "--plan", "full", path).out
    return [line.split(" = ")[1].split("(")[0] for line in plan.splitlines() if " = " in line]
