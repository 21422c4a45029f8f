"""What the training texts say of each n-gram before anything is learnt: log-count ratios."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def log_count_ratios(ids: Sequence[Tensor], targets: Tensor, vocabulary: int, classes: int) -> Tensor:
    """float32 [vocabulary, classes]: by what factor an id is commoner in the texts of a class than in all
    others, as a logarithm. A text counts an id once, and each class has seen each id once more than it did,
    which keeps what is rare near 0. ids: int64 [T] of each text; targets: int64 [count]."""
    counts = torch.ones(vocabulary, classes, dtype=torch.float64)
    for row, target in zip(ids, targets.tolist(), strict=True):
        counts[torch.unique(row), target] += 1
    others = counts.sum(1, keepdim=True) - counts
    return ((counts / counts.sum(0)).log() - (others / others.sum(0)).log()).float()
