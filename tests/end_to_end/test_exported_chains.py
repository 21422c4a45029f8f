"""Attention by hand, and chains of operations on every value: one kernel each, with PyTorch's numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from agreement import both_agree, steps_of
from exported import Exported
from faces import Program
from torch import Tensor, nn
from torch.export import Dim
from torch.nn import functional as F


class Function(nn.Module):
    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


def save(path: Path, function: Callable[..., Tensor], *inputs: Tensor) -> Path:
    return Exported(Function(function), inputs).save(path)


def causal(x: Tensor) -> Tensor:
    return torch.ones(x.size(-1), x.size(-1)).tril() == 0


ATTENTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "bare": lambda x: x,
    "divided": lambda x: x / math.sqrt(8),
    "times": lambda x: x * 0.3,
    "negative": lambda x: x * -0.5,
    "a mask is added": lambda x: x * 0.3 + torch.linspace(-3, 3, 36).view(6, 6),
    "a mask is added to": lambda x: torch.linspace(-3, 3, 6).view(1, 1, 6) + x / 3,
    "hidden": lambda x: (x / 3).masked_fill(causal(x), -torch.inf),
    "hidden whole": lambda x: x.masked_fill(torch.tensor([[True] * 6]), -1e9),
}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention_by_hand_is_one_operator(name: str, program: Program, tmp_path: Path) -> None:
    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = F.softmax(ATTENTIONS[name](q @ k.transpose(-2, -1)), dim=-1)
        return F.dropout(scores, 0.1, training=False) @ v

    one = tuple(torch.randn(2, 3, 6, 8) for _ in range(3))
    path = save(tmp_path / "attention.pt2", attention, *one)
    both_agree(path, one)
    steps = steps_of(program, path)
    assert "aten::scaled_dot_product_attention" in steps
    assert "aten::softmax" not in steps


NOT_ATTENTION: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "over another axis": lambda q, k, v: F.softmax(q @ k.transpose(-2, -1), -2) @ v,
    "scores are used again": lambda q, k, v: (s := q @ k.transpose(-2, -1)).softmax(-1) @ v + s[..., :6],
    "hidden a little": lambda q, k, v: (
        (q @ k.transpose(-2, -1)).masked_fill(torch.eye(6) == 0, -1.0).softmax(-1) @ v
    ),
    "keys as they are": lambda q, k, v: F.softmax(q @ k, -1) @ v,
    "a mask of one row": lambda q, k, v: F.softmax((q @ k.transpose(-2, -1)) + torch.arange(6.0), -1) @ v,
    "a mask of more": lambda q, k, v: (
        F.softmax((q @ k.transpose(-2, -1)) + torch.arange(5.0).view(5, 1, 1, 1), -1) @ v
    ),
}


@pytest.mark.parametrize("name", NOT_ATTENTION)
def test_what_only_looks_like_attention_stays(name: str, program: Program, tmp_path: Path) -> None:
    torch.manual_seed(0)
    one = tuple(torch.randn(1, 2, 6, 6) for _ in range(3))
    path = save(tmp_path / "other.pt2", NOT_ATTENTION[name], *one)
    both_agree(path, one)
    assert "aten::softmax" in steps_of(program, path)


def test_attention_in_float64_keeps_its_precision(tmp_path: Path) -> None:
    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        hidden = (q @ k.transpose(-2, -1)).masked_fill(torch.eye(6) == 0, -torch.inf)
        return F.softmax(hidden, -1) @ v

    one = tuple(torch.randn(1, 2, 6, 8, dtype=torch.float64) for _ in range(3))
    both_agree(save(tmp_path / "double.pt2", attention, *one), one, rtol=1e-12, atol=1e-12)


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


def test_nothing_is_joined_across_a_writer(tmp_path: Path) -> None:
    def writes(x: Tensor) -> Tensor:
        y = x * 2
        z = y + 1
        y.mul_(3)
        return (z * y + y).exp()

    one = (torch.randn(3, 4) / 4,)
    both_agree(save(tmp_path / "w.pt2", writes, *one), one)


def test_zero_keeps_its_sign(tmp_path: Path) -> None:
    one = (torch.tensor([0.0, -0.0]),)
    both_agree(save(tmp_path / "z.pt2", lambda x: 1 / ((x * 2) * 3), *one), one, rtol=0, atol=0)
