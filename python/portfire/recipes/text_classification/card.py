"""What the card of a text classifier says that those of other recipes do not."""

from __future__ import annotations

from portfire.recipes.text_classification.config import Config
from portfire.recipes.text_classification.data import TextSet
from portfire.train.calibration import Calibration
from portfire.train.card import CardText, DataSummary


def summary(texts: TextSet) -> DataSummary:
    return DataSummary(
        name=texts.name,
        title=texts.title,
        licence=texts.licence,
        sha256=texts.sha256,
        train=len(texts.train),
        held_out=len(texts.held_out),
    )


def card_text(config: Config, texts: TextSet, vocabulary: int, measured: Calibration) -> CardText:
    watched = (
        f"{config.data.validation:.0%} of them watched as validation, where the temperature is fitted too"
    )
    return CardText(
        noun="texts",
        samples=f"{len(texts.train):,} to train with ({watched}), {len(texts.held_out):,} held out",
        curve="The training loss is that with dropout on, and of smoothed labels where the configuration "
        "smooths them; the\nvalidation loss is plain, before the temperature.",
        facts=(
            ("commonest class", f"{_commonest(texts)} of the held-out texts"),
            (
                "negative log-likelihood",
                f"{measured.nll:.4f}; {measured.nll_before:.4f} before the temperature, "
                f"{measured.temperature:.3f}",
            ),
            (
                "expected calibration error",
                f"{measured.ece:.4f}, 15 bins; {measured.ece_before:.4f} before the temperature",
            ),
            ("vocabulary", f"{vocabulary:,} {_VOCABULARY[config.tokenizer.kind]}"),
        ),
        about_data=_about(texts),
    )


_VOCABULARY = {
    "ngrams": "buckets of hashed n-grams",
    "words": "words",
    "characters": "characters",
    "file": "tokens",
}


def _commonest(texts: TextSet) -> str:
    counts = texts.held_out.targets.bincount(minlength=len(texts.labels))
    return f"{texts.labels[int(counts.argmax())]}, {int(counts.max()) / len(texts.held_out):.1%}"


def _about(texts: TextSet) -> str:
    parts = [
        "Every text of the set with its label counts once, and all of a text's rows lie on the same side."
    ]
    if texts.repeated:
        parts.append(f"{texts.repeated:,} repeated rows were left out.")
    if texts.ambiguous:
        parts.append(
            f"{texts.ambiguous:,} texts have several labels, a row for each; at most one row of such a text "
            "can be\nanswered right."
        )
    return "\n".join(parts)
