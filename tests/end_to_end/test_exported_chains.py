"""Chains of operations on every value: one kernel, with PyTorch's numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from agreement import both_agree, save, steps_of
from exported import Exported, Function
from faces import Program
from torch import Tensor, nn
from torch.export import Dim
from torch.nn import functional as F

ROW, COLUMN = torch.randn(7), torch.randn(5, 1)


def new_gelu(x: Tensor) -> Tensor:
    """As GPT-2 has it."""
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))


CHAINS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu of GPT-2": new_gelu,
    "numbers on the left": lambda x: 1 / (2 - (3 + 4 * x.abs())),
    "numbers on the right": lambda x: ((x * 4 + 3 - 2) / 3).neg(),
    "alpha": lambda x: torch.add(torch.sub(x, x.abs(), alpha=2), ROW, alpha=3),
    "reversed": lambda x: torch.rsub(torch.rsub(x, ROW, alpha=2), 1.5, alpha=3),
    "powers": lambda x: x.abs().add(1).pow(0.5) + x.pow(2) + (x.abs() + 1).pow(-0.5) + (x.abs() + 2).pow(-1),
    "roots": lambda x: (x.abs() + 1).sqrt() * (x.square() + 1).rsqrt() + (x.abs() + 1).reciprocal(),
    "ends": lambda x: x.mul(10).exp() + x.mul(-10).exp() + x.erf() + torch.tanh(x) * x.sigmoid(),
    "activations": lambda x: F.silu(x) + F.gelu(x) * F.gelu(x, approximate="tanh") + F.relu(x),
    "bounds": lambda x: x.clamp(-0.5, None).mul(2).clamp(max=1.0).add(1).clamp_min(0.2) + F.hardtanh(x),
    "a row and a column": lambda x: (x * ROW + COLUMN) / (x.abs() + 1) + x.mean(-1, keepdim=True),
    "a piece between": lambda x: x * torch.arange(14.0).view(2, 1, 7) + x.sigmoid(),
    "twice the same": lambda x: (y := x.sigmoid()) * y + y,
    "in the middle": lambda x: (x.exp() + 1).sum(-1, keepdim=True) * x + 1,
    "smaller before": lambda x: (x.mean(-1, keepdim=True) * 2 + 1) * x - 1,
}
SHAPES = {"small": (2, 5, 7), "large": (64, 2, 5, 7), "one": (2, 1, 7)}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_chain_is_one_kernel(name: str, shape: str, program: Program, tmp_path: Path) -> None:
    one = (torch.randn(SHAPES[shape]),)
    path = save(tmp_path / "chain.pt2", CHAINS[name], *one)
    both_agree(path, one, rtol=2e-5, atol=2e-6)
    assert "portfire::pointwise" in steps_of(program, path)


def test_a_chain_of_many_steps(program: Program, tmp_path: Path) -> None:
    def many(x: Tensor) -> Tensor:
        for k in range(1, 60):
            x = torch.tanh(x + k) * ROW
        return x

    one = (torch.randn(3, 7),)
    path = save(tmp_path / "many.pt2", many, *one)
    both_agree(path, one)
    assert set(steps_of(program, path)) == {"portfire::pointwise"}


def test_sizes_that_are_symbols(program: Program, tmp_path: Path) -> None:
    n = Dim("n", min=1, max=600)
    function = Function(lambda x: new_gelu(x) * x.size(0) + x.mean(0))
    path = Exported(function, (torch.randn(4, 9),), (({0: n},),)).save(tmp_path / "n.pt2")
    for rows in (1, 2, 57, 600):
        both_agree(path, (torch.randn(rows, 9),), rtol=1e-4, atol=1e-3)
    assert "portfire::pointwise" in steps_of(program, path)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64])
def test_other_dtypes_are_computed_as_ever(dtype: torch.dtype, tmp_path: Path) -> None:
    one = ((torch.randn(3, 7) * 9).to(dtype),)
    both_agree(save(tmp_path / "d.pt2", lambda x: (x * 3 + 2) * x - x / 7, *one), one, rtol=0, atol=0)


def test_tensors_of_two_dtypes(tmp_path: Path) -> None:
    one = (torch.randn(3, 7), torch.randint(0, 9, (3, 7)))
    both_agree(save(tmp_path / "d.pt2", lambda x, y: (x * y + 2) * x - y / 7, *one), one)


@pytest.mark.parametrize("name", ["channels last", "turned", "stretched", "a part"])
def test_tensors_however_they_lie(name: str, tmp_path: Path) -> None:
    x = torch.randn(2, 3, 4, 5)
    one = {
        "channels last": (x.to(memory_format=torch.channels_last),) * 2,
        "turned": (x.transpose(1, 3), x.permute(0, 3, 2, 1)),
        "stretched": (x[:, :1].expand(-1, 3, -1, -1), x),
        "a part": (x[:, :, 1:3, ::2], x[:, :, :2, 1:4]),
    }[name]
    path = save(tmp_path / "x.pt2", lambda a, b: (F.relu(a * 2 + b) - b).transpose(1, 2), *one)
    both_agree(path, one)


class AfterConvolution(nn.Module):
    """What follows a convolution is channels-last, here and with biases."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.scale = nn.Conv2d(3, 8, 3), nn.Parameter(torch.randn(8, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        y = y * torch.tanh(F.softplus(y)) * 2 + y
        y = y * self.scale + self.scale
        return y.reshape(len(y), -1)


def test_after_a_convolution(program: Program, tmp_path: Path) -> None:
    one = (torch.randn(2, 3, 9, 9),)
    path = Exported(AfterConvolution(), one).save(tmp_path / "c.pt2")
    both_agree(path, one)
    assert "portfire::pointwise" in steps_of(program, path)


def writes_without_gradients(x: Tensor) -> Tensor:
    """The export keeps `no_grad` as a step with steps within."""
    y = x * 2
    z = y + 1
    with torch.no_grad():
        y.mul_(3)
    return (z * 2 + 1) + y


def writes(x: Tensor) -> Tensor:
    y = x * 2
    z = y + 1
    y.mul_(3)
    return (z * y + y).exp()


@pytest.mark.parametrize("function", [writes, writes_without_gradients])
def test_nothing_is_joined_across_a_writer(function: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
    one = (torch.randn(3, 4) / 4,)
    both_agree(save(tmp_path / "w.pt2", function, *one), one)


class Projected(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = x * 2
        h: Tensor = self.layer(y)
        with torch.no_grad():
            y.mul_(3)
        return h + y


def test_no_layer_moves_past_a_writer(tmp_path: Path) -> None:
    one = (torch.randn(3, 4),)
    both_agree(Exported(Projected(), one).save(tmp_path / "p.pt2"), one)


EXACT: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
    "the sign of zero": (lambda x: 1 / ((x * 2) * 3), torch.tensor([0.0, -0.0])),
    "the size of zero": (lambda x: 1 / (x * 1).abs(), torch.tensor([0.0, -0.0])),
    "tanh of zero": (lambda x: 1 / (x * 1).tanh(), torch.tensor([0.0, -0.0])),
    "whole parts": (lambda x: ((x + 1) / 41).floor(), torch.arange(2000.0)),
    "tenths": (lambda x: ((x * 1) / 0.1).round(), torch.arange(2000.0) / 20),
    "a number over": (lambda x: ((x * 1) + 0).reciprocal().mul(1) + 41 / (x * 1), torch.arange(1, 9.0)),
    "very small numbers": (lambda x: (x * 1) / 1e-40, torch.tensor([0.0, 1e-40, 1.0])),
}


@pytest.mark.parametrize("name", EXACT)
def test_chains_that_are_exact(name: str, program: Program, tmp_path: Path) -> None:
    function, x = EXACT[name]
    path = save(tmp_path / "z.pt2", function, x)
    both_agree(path, (x,), rtol=0, atol=0)
    assert "portfire::pointwise" in steps_of(program, path)


NEAR: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
    "exp of small numbers": (
        lambda x: ((x * 1).exp() + 0).log(),
        torch.tensor([-80.0, -87, -90, -91.5, -100, -120, -torch.inf, torch.nan]),
    ),
    "exp of large numbers": (
        lambda x: (x * 1).exp() * 1,
        torch.tensor([88.0, 88.3, 88.5, 88.72, 88.8, 1e9]),
    ),
    "erf near zero": (lambda x: (x * 1).erf() / x, torch.logspace(-30, 1, 400)),
}


@pytest.mark.parametrize("name", NEAR)
def test_functions_at_their_ends(name: str, program: Program, tmp_path: Path) -> None:
    function, x = NEAR[name]
    path = save(tmp_path / "n.pt2", function, x)
    both_agree(path, (x,), rtol=2e-6, atol=1e-30)
    assert "portfire::pointwise" in steps_of(program, path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_a_size_among_tensors_and_numbers(dtype: torch.dtype, tmp_path: Path) -> None:
    function = Function(lambda x: x.size(0) - x * x.size(0))
    one = torch.arange(12).view(4, 3).to(dtype)
    path = Exported(function, (one,), (({0: Dim("n", max=9)},),)).save(tmp_path / "n.pt2")
    both_agree(path, (one,))
    both_agree(path, (one[:3],))
