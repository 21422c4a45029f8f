"""A text in two parts, and the windows of it that training draws."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

import portfire
from portfire import InvalidArgumentError, InvalidInputError
from portfire.recipes.text_classification.tables import decode
from portfire.recipes.text_generation.config import DataConfig
from portfire.train.batches import Batch, SampleSet
from portfire.train.datasets import DATASETS, data_folder, locate_files

NO_TARGET = -100  # behind the end of a text; what cross_entropy leaves out


@dataclass(frozen=True, kw_only=True)
class Corpus:
    name: str
    title: str
    licence: str
    sha256: str  # of the file
    train: str
    validation: str  # what follows


def load(config: DataConfig, data: Path | None = None) -> Corpus:
    """The text that `config` names; `data` is a local copy, else $PORTFIRE_DATA or a download is used. For
    the set "file" it is the file."""
    if config.dataset == "file":
        path = config.file or data
        if path is None or path.is_dir():
            raise InvalidArgumentError("a text file is needed; give it with --data FILE")
        name, title, licence = path.name, f"the file {path.name}", "not stated"
    else:
        row = DATASETS[config.dataset]
        (path,) = locate_files(row, data_folder(data)).values()
        name, title, licence = row.name, row.title, row.licence
    text = decode(path)
    first = int(len(text) * (1 - config.validation))
    if first < 2 or len(text) - first < 4:
        raise InvalidInputError(
            f"{path}: {len(text)} characters are too few for a training part and "
            f"one of {config.validation:.0%}"
        )
    return Corpus(
        name=name,
        title=title,
        licence=licence,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        train=text[:first],
        validation=text[first:],
    )


def encode(text: str, tokenizer: portfire.Tokenizer) -> Tensor:
    """int64 [T], without tokens that the tokenizer would put at the ends of a text."""
    return from_dlpack(tokenizer.encode(text, add_special_tokens=False).tensor)


class RandomWindows(SampleSet):
    """Batches (int64 [N, W], int64 [N, W]) of windows from anywhere in `ids`, int64 [T], and of the tokens
    that follow theirs. An epoch has `count` of them, drawn with the batch's seed."""

    def __init__(self, ids: Tensor, window: int, count: int) -> None:
        if len(ids) <= window:
            raise InvalidInputError(
                f"the training text has {len(ids):,} tokens; a window of {window:,} needs more, "
                "set a smaller data.window"
            )
        self._windows = ids.unfold(0, window + 1, 1)
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(batch.seed)
        drawn = self._windows[torch.randint(len(self._windows), (len(batch.indices),), generator=generator)]
        return drawn[:, :-1], drawn[:, 1:]


class ConsecutiveWindows(SampleSet):
    """Batches (int64 [N, W], int64 [N, W]) of windows that follow one another, and of the tokens that follow
    theirs: every token of `ids`, int64 [T], but the first is asked for once. What lies behind the end is 0,
    and NO_TARGET there."""

    def __init__(self, ids: Tensor, window: int) -> None:
        count = -(-(len(ids) - 1) // window)
        missing = count * window + 1 - len(ids)
        self._ids = torch.cat([ids[:-1], ids.new_zeros(missing)]).view(count, window)
        self._targets = torch.cat([ids[1:], ids.new_full((missing,), NO_TARGET)]).view(count, window)

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return self._ids[list(batch.indices)], self._targets[list(batch.indices)]


def golden_texts(text: str, count: int, most: int, tokenizer: portfire.Tokenizer) -> list[str]:
    """`count` pieces of `text` from all over it, of lengths that grow to `most` tokens if it has them."""
    longest = min(most, len(text))
    pieces = []
    for k in range(count):
        size = max(2, longest * (k + 1) // count)
        first = (len(text) - size) * k // count
        piece = text[first : first + size]
        while len(piece) > 1 and len(tokenizer.encode(piece).ids) > most:
            piece = piece[: len(piece) // 2]
        pieces.append(piece)
    return pieces
