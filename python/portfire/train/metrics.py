"""What a classifier is worth, from its confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class ClassMetrics:
    label: str
    precision: float
    recall: float
    f1: float
    count: int  # samples of this class


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """On held-out samples."""

    confusion: tuple[tuple[int, ...], ...]  # [true class][predicted class]
    classes: tuple[ClassMetrics, ...]
    accuracy: float
    macro_f1: float
    correct: int
    count: int


def classification_metrics(predicted: Tensor, targets: Tensor, labels: Sequence[str]) -> Metrics:
    """From int64 [N] class numbers. A ratio of nothing to nothing is 0."""
    size = len(labels)
    confusion = torch.bincount(targets * size + predicted, minlength=size * size).view(size, size)
    hits = confusion.diagonal().tolist()
    true, said = confusion.sum(1).tolist(), confusion.sum(0).tolist()
    classes = tuple(
        ClassMetrics(
            label=label,
            precision=hits[k] / said[k] if said[k] else 0.0,
            recall=hits[k] / true[k] if true[k] else 0.0,
            f1=2 * hits[k] / (said[k] + true[k]) if said[k] + true[k] else 0.0,
            count=true[k],
        )
        for k, label in enumerate(labels)
    )
    return Metrics(
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        classes=classes,
        accuracy=sum(hits) / len(targets),
        macro_f1=sum(row.f1 for row in classes) / size,
        correct=sum(hits),
        count=len(targets),
    )
