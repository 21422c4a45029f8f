"""Every preset of a card, trained in full: as good as the card says, or nearly."""

from pathlib import Path

import pytest

from portfire.recipes.text_generation import train
from portfire.train.run import RunOptions

pytestmark = [pytest.mark.presets, pytest.mark.data]


# Ceilings: the card's and a little; in nats a character, or perplexity a word.
@pytest.mark.parametrize(
    ("preset", "metric", "ceiling"),
    [
        ("shakespeare-gpt", "validation_loss", 1.84),
        ("shakespeare-llama", "validation_loss", 1.71),
        ("shakespeare-llama-large", "validation_loss", 1.53),
        ("shakespeare-gru", "validation_loss", 1.62),
        ("shakespeare-lstm", "validation_loss", 1.63),
        ("wikitext-gpt", "test_perplexity", 260.0),
        ("wikitext-lstm", "test_perplexity", 220.0),
    ],
)
def test_a_preset_is_as_good_as_its_card(
    preset: str, metric: str, ceiling: float, tmp_path: Path, data_folder: Path
) -> None:
    options = RunOptions(
        models=tmp_path / "models", runs=tmp_path / "runs", data=data_folder, report=lambda line: None
    )
    result = train.run(train.PRESETS[preset](), options)
    assert result is not None
    assert result.metrics[metric] <= ceiling
