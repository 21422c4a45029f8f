"""Muon for matrices, AdamW for all else, as one optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

# Of Newton and Schulz's iteration; steep at 0, so that five steps are enough.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_STEPS = 5
_MOMENTUM = 0.95
_EPSILON = 1e-7


class Muon(torch.optim.Optimizer):
    """The momentum of a matrix's gradient is made nearly orthogonal before it is taken as a step (Jordan et
    al. 2024, https://kellerjordan.github.io/posts/muon), of the size that AdamW's have, so that both take one
    learning rate (Liu et al. 2025, arXiv:2502.16982). `others` are AdamW's; those of one dimension are not
    decayed. torch.optim.Muon computes the same in bfloat16, which a CPU without it is slow at, and knows
    matrices only."""

    def __init__(
        self,
        matrices: Iterable[Tensor],
        others: Iterable[Tensor],
        *,
        lr: float,
        weight_decay: float,
        betas: tuple[float, float],
    ) -> None:
        rest = list(others)
        groups = [
            {"params": list(matrices), "muon": True, "weight_decay": weight_decay},
            {"params": [x for x in rest if x.dim() > 1], "muon": False, "weight_decay": weight_decay},
            {"params": [x for x in rest if x.dim() <= 1], "muon": False, "weight_decay": 0.0},
        ]
        super().__init__(groups, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for x in group["params"]:
                if x.grad is not None:
                    take = _muon if group["muon"] else _adam
                    x.mul_(1 - group["lr"] * group["weight_decay"])
                    x.sub_(group["lr"] * take(x.grad, self.state[x], group["betas"]))
        return loss


def _muon(gradient: Tensor, state: dict[str, Any], betas: tuple[float, float]) -> Tensor:
    momentum: Tensor = state.setdefault("momentum", torch.zeros_like(gradient))
    momentum.lerp_(gradient, 1 - _MOMENTUM)
    return orthogonal(gradient.lerp(momentum, _MOMENTUM)) * (0.2 * math.sqrt(max(gradient.shape)))


def _adam(gradient: Tensor, state: dict[str, Any], betas: tuple[float, float]) -> Tensor:
    if not state:
        state.update(step=0, mean=torch.zeros_like(gradient), square=torch.zeros_like(gradient))
    state["step"] += 1
    first, second = betas
    mean: Tensor = state["mean"].lerp_(gradient, 1 - first) / (1 - first ** state["step"])
    square: Tensor = state["square"].lerp_(gradient.square(), 1 - second) / (1 - second ** state["step"])
    return mean / (square.sqrt() + 1e-8)


def orthogonal(x: Tensor) -> Tensor:
    """About U V^T for a matrix U S V^T [A, B]: singular values of 0.7 to 1.2, by Newton and Schulz's
    iteration."""
    tall = x.size(0) > x.size(1)
    y = x.T if tall else x
    y = y / y.norm().clamp(min=_EPSILON)
    for _ in range(_STEPS):
        gram = y @ y.T
        y = torch.addmm(y, torch.addmm(gram, gram, gram, beta=_B, alpha=_C), y, beta=_A)
    return y.T if tall else y
