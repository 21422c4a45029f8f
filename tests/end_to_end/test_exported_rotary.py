"""Rotary positions: one kernel with PyTorch's numbers, and PyTorch's steps where something else is meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from agreement import both_agree, save, steps_of
from exported import Exported, Function
from faces import Program
from torch import Tensor
from torch.export import Dim

import portfire

Turned = Callable[[Tensor, Tensor], Tensor]
KERNEL = "portfire::turn_pairs"
EXACTLY = {"rtol": 0.0, "atol": 0.0}


def inputs(n: int = 2, s: int = 5, heads: int = 3, pairs: int = 4) -> tuple[Tensor, Tensor]:
    """x [N, S, H, D] and turn [N, S, D / 2, 2]."""
    return torch.randn(n, s, heads, 2 * pairs), torch.randn(n, s, pairs, 2)


def rotated(x: Tensor, turn: Tensor) -> Tensor:
    """As Portfire's Llama has it."""
    c, s = turn.unsqueeze(2).unbind(4)
    a, b = x.unflatten(3, [-1, 2]).unbind(4)
    return torch.stack([a * c - b * s, a * s + b * c], 4).flatten(3)


def otherwise(x: Tensor, turn: Tensor) -> Tensor:
    """Factors and sums the other way round, axes from the end, angles as another axis, nothing joined."""
    c, s = turn.unsqueeze(-3).unbind(-1)
    a, b = x.unflatten(-1, (4, 2)).unbind(-1)
    return torch.stack([c * a - s * b, c * b + s * a], -1)


def shared(x: Tensor, turn: Tensor) -> Tensor:
    c, s = turn.unsqueeze(2).unbind(4)
    a, b = x.unflatten(3, [-1, 2]).unbind(4)
    d, e = (x + 1).unflatten(3, [-1, 2]).unbind(4)
    one = torch.stack([a * c - b * s, a * s + b * c], 4).flatten(3)
    return one * torch.stack([d * c - e * s, d * s + e * c], 4).flatten(3)


def looked_at(x: Tensor, turn: Tensor) -> Tensor:
    c, s = turn.unsqueeze(2).unbind(4)
    pairs = x.unflatten(3, [-1, 2])
    a, b = pairs.unbind(4)
    return (torch.stack([a * c - b * s, a * s + b * c], 4) + pairs + a.unsqueeze(-1)).flatten(3)


FORMS: dict[str, tuple[Turned, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]]] = {
    "ours": (rotated, lambda x, turn: (x, turn)),
    "otherwise": (otherwise, lambda x, turn: (x, turn)),
    "angles for two": (shared, lambda x, turn: (x, turn)),
    "others look at the pairs": (looked_at, lambda x, turn: (x, turn)),
    "turned before": (
        lambda x, turn: rotated(x.transpose(1, 2), turn),
        lambda x, turn: (x.transpose(1, 2), turn),
    ),
    "every other channel": (
        lambda x, turn: rotated(x[..., ::2], turn),
        lambda x, turn: (x.repeat_interleave(2, 3), turn),
    ),
    "every other head": (
        lambda x, turn: rotated(x[:, :, ::2], turn),
        lambda x, turn: (x.repeat(1, 1, 2, 1), turn),
    ),
    "one text's angles": (rotated, lambda x, turn: (x, turn[:1])),
    "one position": (rotated, lambda x, turn: (x[:, :1], turn[:, :1])),
}


@pytest.mark.parametrize("name", FORMS)
def test_rotary_positions_are_one_kernel(name: str, program: Program, tmp_path: Path) -> None:
    function, change = FORMS[name]
    one = change(*inputs())
    path = save(tmp_path / "r.pt2", function, *one)
    both_agree(path, one, **EXACTLY)
    steps = steps_of(program, path)
    assert KERNEL in steps and "aten::stack" not in steps


def test_nothing_is_left_of_the_views(program: Program, tmp_path: Path) -> None:
    assert steps_of(program, save(tmp_path / "r.pt2", rotated, *inputs())) == [KERNEL]


def test_two_of_full_size(program: Program, tmp_path: Path) -> None:
    def product(x: Tensor, y: Tensor) -> Tensor:
        (a, b), (c, d) = x.unbind(-1), y.unbind(-1)
        return torch.stack([a * c - b * d, a * d + b * c], -1)

    one = torch.randn(300, 70, 2), torch.randn(300, 70, 2)
    path = save(tmp_path / "c.pt2", product, *one)
    both_agree(path, one, **EXACTLY)
    assert steps_of(program, path) == [KERNEL]
    at_once = portfire.load(path, threads=2)
    assert torch.equal(torch.from_dlpack(at_once.forward(*one)), product(*one))


def parts(change: Callable[[Tensor, Tensor, Tensor, Tensor], list[Tensor]], axis: int = 4) -> Turned:
    def function(x: Tensor, turn: Tensor) -> Tensor:
        c, s = turn.unsqueeze(2).unbind(4)
        a, b = x.unflatten(3, [-1, 2]).unbind(4)
        return torch.stack(change(a, b, c, s), axis).flatten(3)

    return function


OTHERS: dict[str, Turned] = {
    "turned back": parts(lambda a, b, c, s: [a * c + b * s, b * c - a * s]),
    "minus": parts(lambda a, b, c, s: [b * s - a * c, a * s + b * c]),
    "the same twice": parts(lambda a, b, c, s: [a * c - b * c, a * s + b * s]),
    "crossed": parts(lambda a, b, c, s: [a * c - b * s, a * c + b * s]),
    "squares": parts(lambda a, b, c, s: [a * a - b * b, a * b + b * a]),
    "alpha": parts(lambda a, b, c, s: [torch.sub(a * c, b * s, alpha=2), torch.add(a * s, b * c, alpha=2)]),
    "three": parts(lambda a, b, c, s: [a * c - b * s, a * s + b * c, a * c]),
    "imaginary first": parts(lambda a, b, c, s: [a * s + b * c, a * c - b * s]),
    "another axis": parts(lambda a, b, c, s: [a * c - b * s, a * s + b * c], 3),
    "looked at": lambda x, turn: (
        rotated(x, turn) + parts(lambda a, b, c, s: [(p := a * c) - b * s, p * s + b * c])(x, turn)
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_only_looks_like_it_is_computed_as_ever(name: str, tmp_path: Path) -> None:
    one = inputs()
    both_agree(save(tmp_path / "o.pt2", OTHERS[name], *one), one, rtol=1e-6, atol=1e-6)


def test_x_that_is_broadcast(tmp_path: Path) -> None:
    x, turn = inputs()
    both_agree(save(tmp_path / "b.pt2", rotated, x[:1], turn), (x[:1], turn), **EXACTLY)


def pairs_change(x: Tensor, turn: Tensor) -> Tensor:
    x = x + 0
    c, s = turn.unsqueeze(2).unbind(4)
    a, b = x.unflatten(3, [-1, 2]).unbind(4)
    first = a * c - b * s
    x.mul_(2)
    return torch.stack([first, a * s + b * c], 4).flatten(3)


def a_view_changes(x: Tensor, turn: Tensor) -> Tensor:
    x = x + 0
    a, b = x.unflatten(3, [-1, 2]).unbind(4)
    c, s = turn.unsqueeze(2).unbind(4)
    products = [a * c, b * s, a * s, b * c]
    x[:, :, 1].zero_()
    return torch.stack([products[0] - products[1], products[2] + products[3]], 4).flatten(3)


def angles_change(x: Tensor, turn: Tensor) -> Tensor:
    turn = turn + 0
    c, s = turn.unsqueeze(2).unbind(4)
    a, b = x.unflatten(3, [-1, 2]).unbind(4)
    real, imaginary = a * c - b * s, a * s + b * c
    turn.fill_(3)
    return torch.stack([real, imaginary], 4).flatten(3) + turn.sum()


def a_product_changes(x: Tensor, turn: Tensor) -> Tensor:
    c, s = turn.unsqueeze(2).unbind(4)
    a, b = x.unflatten(3, [-1, 2]).unbind(4)
    product = a * c
    product.view(-1).add_(1)
    return torch.stack([product - b * s, a * s + b * c], 4).flatten(3)


def without_gradients(x: Tensor, turn: Tensor) -> Tensor:
    x = x + 0
    c, s = turn.unsqueeze(2).unbind(4)
    a, b = x.unflatten(3, [-1, 2]).unbind(4)
    real = a * c - b * s
    with torch.no_grad():
        x.mul_(3)
    return torch.stack([real, a * s + b * c], 4).flatten(3) + x


def the_result_changes(x: Tensor, turn: Tensor) -> Tensor:
    x = x + 0
    y = rotated(x, turn)
    x.add_(y)
    z = rotated(y, turn)
    y.unflatten(3, [-1, 2]).mul_(2)
    return x + y + z


WRITERS = {
    one.__name__: one
    for one in (pairs_change, a_view_changes, angles_change, a_product_changes, without_gradients)
}


@pytest.mark.parametrize("name", WRITERS)
def test_nothing_is_read_after_it_was_written_to(name: str, program: Program, tmp_path: Path) -> None:
    one = inputs()
    path = save(tmp_path / "w.pt2", WRITERS[name], *one)
    both_agree(path, one, **EXACTLY)
    assert KERNEL not in steps_of(program, path)


def test_writers_before_and_after(program: Program, tmp_path: Path) -> None:
    one = inputs()
    path = save(tmp_path / "w.pt2", the_result_changes, *one)
    both_agree(path, one, **EXACTLY)
    assert steps_of(program, path).count(KERNEL) == 2


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64])
def test_other_dtypes_are_computed_as_ever(dtype: torch.dtype, tmp_path: Path) -> None:
    x, turn = inputs()
    for one in ((x.to(dtype), turn.to(dtype)), (x.to(dtype), turn), (x, turn.to(dtype))):
        both_agree(save(tmp_path / "d.pt2", rotated, *one), one, **EXACTLY)


def test_values_that_are_no_numbers(tmp_path: Path) -> None:
    x, turn = inputs()
    x[0, 0, 0, 0], x[1, 1, 1, 1], turn[0, 1, 0, 0] = torch.nan, torch.inf, -torch.inf
    both_agree(save(tmp_path / "n.pt2", rotated, x, turn), (x, turn), **EXACTLY)


def test_sizes_that_are_symbols(program: Program, tmp_path: Path) -> None:
    n, s = Dim("n", min=1, max=64), Dim("s", min=1, max=4096)
    shapes = (({0: n, 1: s}, {0: n, 1: s}),)
    path = Exported(Function(rotated), inputs(), shapes).save(tmp_path / "s.pt2")
    assert KERNEL in steps_of(program, path)
    for sizes in ((1, 1), (3, 700)):
        both_agree(path, inputs(*sizes), **EXACTLY)
