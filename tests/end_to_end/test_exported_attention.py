"""Attention by hand: one kernel with PyTorch's numbers, and PyTorch's steps where it would have others."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from agreement import both_agree, save, steps_of
from faces import Program
from torch import Tensor
from torch.export import Dim
from torch.nn import functional as F

import portfire


def causal(x: Tensor) -> Tensor:
    return torch.ones(x.size(-1), x.size(-1)).tril() == 0


ATTENTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "bare": lambda x: x,
    "divided": lambda x: x / math.sqrt(8),
    "times": lambda x: x * 0.3,
    "negative": lambda x: x * -0.5,
    "a mask is added": lambda x: x * 0.3 + torch.linspace(-3, 3, 36).view(6, 6),
    "a mask is added to": lambda x: torch.linspace(-3, 3, 6).view(1, 1, 6) + x / 3,
    "a mask of whole numbers": lambda x: x + (torch.arange(6)[:, None] - torch.arange(6)),
    "a mask of true and false": lambda x: x + (torch.arange(6)[:, None] == torch.arange(6)),
    "an infinite mask": lambda x: x + torch.zeros(6, 6).masked_fill(causal(x), -torch.inf),
    "hidden": lambda x: (x / 3).masked_fill(causal(x), -torch.inf),
    "hidden by little": lambda x: (x / 3).masked_fill(causal(x), -1e4),
    "hidden whole": lambda x: x.masked_fill(torch.tensor([[True] * 6]), -1e4),
    "hidden whole and infinite": lambda x: x.masked_fill(torch.tensor([[True] * 6]), -torch.inf),
    "all is infinite": lambda x: x + torch.full((6, 6), -torch.inf),
    "some rows hidden": lambda x: (x * 30).masked_fill(torch.tensor([[True] * 6, [False] * 6] * 3), -1e9),
}


def attention(name: str) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    def by_hand(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = F.softmax(ATTENTIONS[name](q @ k.transpose(-2, -1)), dim=-1)
        return F.dropout(scores, 0.1, training=False) @ v

    return by_hand


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention_by_hand_is_one_kernel(name: str, program: Program, tmp_path: Path) -> None:
    one = tuple(torch.randn(2, 3, 6, 8) for _ in range(3))
    path = save(tmp_path / "attention.pt2", attention(name), *one)
    both_agree(path, one)
    steps = steps_of(program, path)
    assert "portfire::attention" in steps
    assert "aten::softmax" not in steps and "aten::matmul" not in steps


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
    "three axes": lambda q, k, v: F.softmax(q[0] @ k[0].transpose(-2, -1), -1) @ v[0],
    "nothing of it": lambda q, k, v: F.softmax(q @ k.transpose(-2, -1) * 0.0 / 0.0, -1) @ v,
}


@pytest.mark.parametrize("name", NOT_ATTENTION)
def test_what_only_looks_like_attention_stays(name: str, program: Program, tmp_path: Path) -> None:
    one = tuple(torch.randn(1, 2, 6, 6) for _ in range(3))
    path = save(tmp_path / "other.pt2", NOT_ATTENTION[name], *one)
    both_agree(path, one)
    assert "aten::softmax" in steps_of(program, path)


def test_keys_that_others_want_turned_too(tmp_path: Path) -> None:
    def both(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        turned = k.transpose(-2, -1)
        return F.softmax(q @ turned, -1) @ v + turned.sum()

    one = tuple(torch.randn(1, 2, 6, 8) for _ in range(3))
    both_agree(save(tmp_path / "turned.pt2", both, *one), one)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", ["bare", "hidden", "hidden whole", "a mask of true and false"])
def test_other_dtypes_are_computed_as_ever(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    one = tuple(torch.randn(1, 2, 6, 70, dtype=dtype) for _ in range(3))
    both_agree(save(tmp_path / "d.pt2", attention(name), *one), one, rtol=0, atol=0)


def test_a_mask_of_float32_beside_float64(tmp_path: Path) -> None:
    one = tuple(torch.randn(1, 2, 6, 70, dtype=torch.float64) for _ in range(3))
    both_agree(save(tmp_path / "d.pt2", attention("a mask is added"), *one), one, rtol=0, atol=0)


def test_a_softmax_in_another_dtype(tmp_path: Path) -> None:
    def mixed(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.softmax(q @ k.transpose(-2, -1), -1, dtype=torch.float32).to(torch.float32) @ v.float()

    one = tuple(torch.randn(1, 2, 6, 8, dtype=torch.bfloat16) for _ in range(3))
    both_agree(save(tmp_path / "d.pt2", mixed, *one), one)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_infinities_and_what_is_no_number(value: float, place: int, tmp_path: Path) -> None:
    one = tuple(torch.randn(1, 2, 6, 8) for _ in range(3))
    path = save(tmp_path / "a.pt2", attention("hidden by little"), *one)
    one[place][0, 1, 5, 3] = value
    both_agree(path, one)


def test_lengths_that_are_symbols(program: Program, tmp_path: Path) -> None:
    def cached(q: Tensor, k: Tensor, v: Tensor, hidden: Tensor) -> Tensor:
        return F.softmax((q @ k.transpose(2, 3) / 3).masked_fill(hidden, -torch.inf), -1) @ v

    def inputs(batch: int, rows: int, keys: int) -> tuple[Tensor, ...]:
        hidden = torch.ones(rows, keys).triu(keys - rows + 1) == 1
        return (
            torch.randn(batch, 3, rows, 8),
            torch.randn(batch, 3, keys, 8),
            torch.randn(batch, 3, keys, 5),
            hidden,
        )

    n, t, s = Dim("n", max=9), Dim("t", max=99), Dim("s", max=99)
    shapes = (({0: n, 2: t}, {0: n, 2: s}, {0: n, 2: s}, {0: t, 1: s}),)
    path = save(tmp_path / "n.pt2", cached, *inputs(2, 4, 6), shapes=shapes)
    for batch, rows, keys in ((1, 1, 1), (3, 1, 70), (2, 70, 70), (1, 7, 9)):
        both_agree(path, inputs(batch, rows, keys))
    assert "portfire::attention" in steps_of(program, path)
    model = portfire.load(path, threads=1)
    with pytest.raises(portfire.InvalidInputError):
        model.forward(*inputs(2, 4, 6)[:3], torch.zeros(4, 5, dtype=torch.bool))
