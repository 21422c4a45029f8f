"""Held-out texts of a data set as files, to try a packaged model on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from portfire.recipes.text_classification.config import DataConfig
from portfire.recipes.text_classification.data import load
from portfire.train.splits import one_of_each_first


def export_samples(dataset: Any, folder: Path, *, count: int, data: Path | None = None) -> int:
    """Writes up to `count` held-out texts of `dataset` to `folder` as <class>_<number>.txt; returns how many.
    The presets hold out the same ones."""
    texts = load(DataConfig(dataset=dataset), data)
    folder.mkdir(parents=True, exist_ok=True)
    held_out = texts.held_out
    order = one_of_each_first(held_out.targets)[:count]
    for k in order:
        label = texts.labels[int(held_out.targets[k])].replace(" ", "-")
        (folder / f"{label}_{k:04d}.txt").write_text(held_out.texts[k] + "\n", encoding="utf-8")
    return len(order)
