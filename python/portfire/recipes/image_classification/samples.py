"""Held-out pictures of a data set as image files, to try a packaged model on."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import portfire
from portfire import InvalidArgumentError
from portfire.recipes.image_classification.config import DataConfig, DatasetName
from portfire.recipes.image_classification.data import load


def export_samples(dataset: str, folder: Path, *, count: int, data: Path | None = None) -> int:
    """Writes up to `count` held-out pictures of `dataset` to `folder` as <class>_<number>.png; returns how
    many. The presets hold out the same ones."""
    names = [name for name in get_args(DatasetName) if name != "folder"]
    if dataset not in names:
        raise InvalidArgumentError(f'there is no data set "{dataset}"; {", ".join(names)} are known')
    if count < 1:
        raise InvalidArgumentError(f"{count} pictures; at least 1")
    pictures = load(DataConfig(dataset=dataset), data)  # type: ignore[arg-type]  # checked above
    folder.mkdir(parents=True, exist_ok=True)
    held_out = pictures.held_out
    for k in range(min(count, len(held_out))):
        label = pictures.labels[int(held_out.targets[k])].replace(" ", "-")
        image = held_out.image(k)
        grey = bool((image[..., :1] == image).all())
        content = portfire.encode_png((image[..., 0] if grey else image).contiguous().numpy())
        (folder / f"{label}_{k:04d}.png").write_bytes(content)
    return min(count, len(held_out))
