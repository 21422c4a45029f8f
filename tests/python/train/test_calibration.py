import math

import pytest
import torch
from torch.nn import functional as F

from portfire.train.calibration import calibration, expected_calibration_error, fit_temperature


def drawn(count: int = 20_000) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits float32 [count, 4], and classes drawn with the probabilities that they say."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(count, 4, generator=generator)
    return logits, torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_the_temperature_undoes_a_factor(factor: float) -> None:
    logits, targets = drawn()
    assert fit_temperature(factor * logits, targets) == pytest.approx(factor, rel=0.03)


def test_no_other_temperature_has_a_lesser_loss() -> None:
    logits, targets = drawn(500)
    best = fit_temperature(logits, targets)
    losses = [float(F.cross_entropy(logits.double() / (best * by), targets)) for by in (0.99, 1, 1.01)]
    assert losses[1] == min(losses)


def test_answers_that_are_all_right_are_made_certain() -> None:
    logits = 5 * F.one_hot(torch.arange(10) % 3).float()
    assert 0.01 <= fit_temperature(logits, torch.arange(10) % 3) < 0.2


def test_calibration_says_what_the_temperature_did() -> None:
    logits, targets = drawn()
    measured = calibration(3 * logits, targets, 3.0)
    assert measured.temperature == 3
    assert measured.ece < 0.02 < 0.1 < measured.ece_before
    assert measured.nll < measured.nll_before
    assert measured.nll == pytest.approx(float(F.cross_entropy(logits, targets)), rel=1e-5)


def test_the_error_is_the_distance_of_confidence_and_accuracy() -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
    targets = torch.tensor([0, 1, 1, 0])
    # Bins of a fifteenth: (0.9, one of two right), (0.6, right), (0.5, right)
    expected = (2 * abs(0.5 - 0.9) + abs(1 - 0.6) + abs(1 - 0.5)) / 4
    assert expected_calibration_error(probabilities, targets) == pytest.approx(expected, abs=1e-6)


def test_certain_answers_have_their_place() -> None:
    probabilities = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert expected_calibration_error(probabilities, torch.tensor([0, 0])) == 0.5
    assert math.isclose(expected_calibration_error(probabilities, torch.tensor([0, 1])), 0)
