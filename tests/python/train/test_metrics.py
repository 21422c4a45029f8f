import pytest
import torch

from portfire.train.metrics import classification_metrics


def test_metrics_of_a_known_matrix() -> None:
    predicted, targets = torch.tensor([0, 0, 1, 1, 1, 0]), torch.tensor([0, 0, 0, 1, 1, 1])
    metrics = classification_metrics(predicted, targets, ["a", "b", "never"])
    assert metrics.confusion == ((2, 1, 0), (1, 2, 0), (0, 0, 0))
    assert metrics.accuracy == pytest.approx(4 / 6)
    assert (metrics.correct, metrics.count) == (4, 6)
    first, _, never = metrics.classes
    assert (first.precision, first.recall, first.f1, first.count) == pytest.approx((2 / 3, 2 / 3, 2 / 3, 3))
    assert (never.precision, never.recall, never.f1, never.count) == (0, 0, 0, 0)


def test_precision_and_recall_are_not_mixed_up() -> None:
    metrics = classification_metrics(torch.tensor([0, 0, 0]), torch.tensor([0, 1, 1]), ["a", "b"])
    assert metrics.classes[0].precision == pytest.approx(1 / 3)
    assert metrics.classes[0].recall == 1
    assert metrics.classes[1].recall == 0
