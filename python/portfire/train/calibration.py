"""Whether a classifier's probabilities come true, and the temperature that makes them do so."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

_BINS = 15
_LIMIT = math.log(100)  # of the temperature's logarithm, either way
_GOLDEN = (math.sqrt(5) - 1) / 2  # section


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Of held-out samples, before and after their logits are divided by the temperature."""

    temperature: float
    nll_before: float  # mean negative logarithm of the true class's probability
    nll: float
    ece_before: float  # expected calibration error: the mean distance of confidence and accuracy in 15 bins
    ece: float


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """The temperature of the least negative log-likelihood, from 0.01 to 100: float32 [N, K], int64 [N]."""
    x, low, high = logits.double(), -_LIMIT, _LIMIT

    def loss(logarithm: float) -> float:
        return float(F.cross_entropy(x / math.exp(logarithm), targets))

    while high - low > 1e-4:  # the loss is convex in the inverse, so it has one valley
        a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return math.exp((low + high) / 2)


def calibration(logits: Tensor, targets: Tensor, temperature: float) -> Calibration:
    """What `temperature` does to float32 [N, K] with classes int64 [N]."""
    scaled = logits / temperature
    return Calibration(
        temperature=temperature,
        nll_before=float(F.cross_entropy(logits, targets)),
        nll=float(F.cross_entropy(scaled, targets)),
        ece_before=expected_calibration_error(logits.softmax(1), targets),
        ece=expected_calibration_error(scaled.softmax(1), targets),
    )


def expected_calibration_error(probabilities: Tensor, targets: Tensor, bins: int = _BINS) -> float:
    """The distance of accuracy and mean confidence, over bins of confidence of equal width, weighted by their
    samples: float32 [N, K], int64 [N]."""
    confidence, said = probabilities.double().max(1)
    right = (said == targets).double()
    place = (confidence * bins).ceil().long().clamp(1, bins) - 1
    gaps = torch.zeros(bins, dtype=torch.float64).index_add(0, place, right - confidence)
    return float(gaps.abs().sum() / len(targets))
