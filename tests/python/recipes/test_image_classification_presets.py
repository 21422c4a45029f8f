"""Every preset of a card, trained in full: as good on held-out pictures as the card says, or nearly.

digits-cnn is in test_image_classification_train.py, which runs more often.
"""

from pathlib import Path

import pytest

from portfire.recipes.image_classification import train
from portfire.train.run import RunOptions

pytestmark = pytest.mark.presets


def _held_out_accuracy(preset: str, folder: Path, data: Path | None) -> float:
    options = RunOptions(models=folder / "models", runs=folder / "runs", data=data, report=lambda line: None)
    result = train.run(train.PRESETS[preset](), options)
    assert result is not None
    return result.metrics.accuracy


# Floors: the card's figure less what another processor or LibTorch may move.
@pytest.mark.parametrize(("preset", "floor"), [("digits-linear", 0.955), ("digits-mlp", 0.98)])
def test_a_preset_on_digits_is_as_good_as_its_card(preset: str, floor: float, tmp_path: Path) -> None:
    assert _held_out_accuracy(preset, tmp_path, None) >= floor


@pytest.mark.data
@pytest.mark.parametrize(
    ("preset", "floor"), [("mnist-mlp", 0.98), ("mnist-cnn", 0.985), ("flowers-cnn", 0.7)]
)
def test_a_preset_on_a_local_copy_is_as_good_as_its_card(
    preset: str, floor: float, tmp_path: Path, data_folder: Path
) -> None:
    assert _held_out_accuracy(preset, tmp_path, data_folder) >= floor
