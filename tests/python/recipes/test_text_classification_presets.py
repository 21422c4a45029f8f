"""Every preset of a card, trained in full: as good on held-out texts as the card says, or nearly."""

from pathlib import Path

import pytest

from portfire.recipes.text_classification import train
from portfire.train.run import RunOptions

pytestmark = [pytest.mark.presets, pytest.mark.data]


# Floors: the card's figure less what another processor or LibTorch may move.
@pytest.mark.parametrize(
    ("preset", "floor"),
    [
        ("names-gru", 0.82),
        ("polarity-ngrams", 0.77),
        ("polarity-bilstm", 0.745),
        ("polarity-transformer", 0.745),
        ("uci-ngrams", 0.82),
        ("uci-gru", 0.79),
    ],
)
def test_a_preset_is_as_good_as_its_card(
    preset: str, floor: float, tmp_path: Path, data_folder: Path
) -> None:
    options = RunOptions(
        models=tmp_path / "models", runs=tmp_path / "runs", data=data_folder, report=lambda line: None
    )
    result = train.run(train.PRESETS[preset](), options)
    assert result is not None
    assert result.metrics.accuracy >= floor
    assert result.calibration is not None
    assert result.calibration.ece < 0.08
