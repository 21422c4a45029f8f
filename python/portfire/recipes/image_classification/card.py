"""What the card of a picture classifier says that those of other recipes do not."""

from __future__ import annotations

from portfire.recipes.image_classification.config import Config
from portfire.recipes.image_classification.data import PictureSet
from portfire.train.card import CardText, DataSummary


def summary(pictures: PictureSet) -> DataSummary:
    return DataSummary(
        name=pictures.name,
        title=pictures.title,
        licence=pictures.licence,
        sha256=pictures.sha256,
        train=len(pictures.train),
        held_out=len(pictures.held_out),
    )


def card_text(config: Config, data: DataSummary) -> CardText:
    watched = f"{config.data.validation:.0%} of them watched as validation"
    return CardText(
        noun="pictures",
        samples=f"{data.train:,} to train with ({watched}), {data.held_out:,} held out",
        curve="The training loss is that of changed pictures with dropout on, and of smoothed labels where "
        "the configuration\nsmooths them; the validation loss is plain.",
    )
