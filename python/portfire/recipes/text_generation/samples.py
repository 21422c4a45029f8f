"""Beginnings of held-out texts as files, for a packaged model to go on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from portfire.recipes.text_generation.config import DataConfig
from portfire.recipes.text_generation.data import load

_LENGTH = 48  # characters; within the context of every preset


def export_samples(dataset: Any, folder: Path, *, count: int, data: Path | None = None) -> int:
    """Writes up to `count` pieces of the validation part of `dataset` to `folder` as text_<number>.txt, with
    nothing behind the last character, of WikiText-2 in whole words; returns how many."""
    text = load(DataConfig(dataset=dataset, train_file="valid"), data).validation
    folder.mkdir(parents=True, exist_ok=True)
    count = min(count, len(text) // _LENGTH)
    for k in range(count):
        first = (len(text) - _LENGTH) * k // count
        piece = text[first : first + _LENGTH]
        if dataset == "wikitext-2":
            piece = piece[piece.index(" ") + 1 : piece.rindex(" ")]
        (folder / f"text_{k:04d}.txt").write_text(piece, encoding="utf-8")
    return count
