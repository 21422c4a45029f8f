"""Every preset of a card, trained in full: as good on the validation part as the card says, or nearly."""

from pathlib import Path

import pytest

from portfire.recipes.text_generation import train
from portfire.train.run import RunOptions

pytestmark = [pytest.mark.presets, pytest.mark.data]


# Ceilings in nats a character: nanoGPT's own figure for its budget, else the card's and a little.
@pytest.mark.parametrize(
    ("preset", "ceiling"),
    [
        ("shakespeare-gpt", 1.84),
        ("shakespeare-llama", 1.82),
        ("shakespeare-gru", 1.62),
        ("shakespeare-lstm", 1.63),
    ],
)
def test_a_preset_is_as_good_as_its_card(
    preset: str, ceiling: float, tmp_path: Path, data_folder: Path
) -> None:
    options = RunOptions(
        models=tmp_path / "models", runs=tmp_path / "runs", data=data_folder, report=lambda line: None
    )
    result = train.run(train.PRESETS[preset](), options)
    assert result is not None
    assert result.metrics["validation_loss"] <= ceiling
