"""A text in two parts, and the windows of it that training draws."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

import portfire
from portfire import InvalidArgumentError, InvalidInputError, NotFoundError
from portfire.recipes.text_classification.tables import decode
from portfire.recipes.text_generation.config import DataConfig
from portfire.recipes.text_generation.tokenizer import UNKNOWN, split_words
from portfire.train.batches import Batch, SampleSet
from portfire.train.datasets import DATASETS, data_folder, locate_files

NO_TARGET = -100  # behind the end of a text; what cross_entropy leaves out


@dataclass(frozen=True, kw_only=True)
class Corpus:
    name: str
    title: str
    licence: str
    sha256: str  # of the file; of several, one behind the other
    split: str  # how the parts were chosen, for the card
    train: str
    validation: str
    test: str = ""  # for the final figures, where the set has such a part


def load(config: DataConfig, data: Path | None = None) -> Corpus:
    """The text that `config` names; `data` is a local copy, else $PORTFIRE_DATA or a download is used. For
    the set "file" it is the file."""
    if config.dataset == "wikitext-2":
        return _wikitext(config, data_folder(data))
    if config.dataset == "file":
        path = config.file or data
        if path is None or path.is_dir():
            raise InvalidArgumentError("a text file is needed; give it with --data FILE")
        name, title, licence = path.name, f"the file {path.name}", "not stated"
    else:
        row = DATASETS[config.dataset]
        (path,) = locate_files(row, data_folder(data)).values()
        name, title, licence = row.name, row.title, row.licence
    train, validation = _divided(path, config.validation)
    return Corpus(
        name=name,
        title=title,
        licence=licence,
        sha256=_sha256([path]),
        split=f"the first {len(train):,} characters to train with, the last {len(validation):,} to validate",
        train=train,
        validation=validation,
    )


def _wikitext(config: DataConfig, data: Path | None) -> Corpus:
    """The official files as they are; without the training file, the validation file in two parts."""
    row = DATASETS["wikitext-2"]
    if data is None:
        raise NotFoundError(
            f"{row.name} is not downloaded, as its public home is gone; give the folder of "
            "wiki.train.tokens, wiki.valid.tokens and wiki.test.tokens with --data"
        )
    valid, test = _wikitext_file(data, "valid"), _wikitext_file(data, "test")
    if config.train_file == "train":
        paths = [_wikitext_file(data, "train"), valid, test]
        train, validation = decode(paths[0]), decode(valid)
        split = "the training file to train with, the validation file to validate"
    else:
        paths = [valid, test]
        train, validation = _divided(valid, config.validation)
        split = (
            f"of the validation file the first {len(train):,} characters to train with, the last "
            f"{len(validation):,} to validate; nothing of the training file"
        )
    return Corpus(
        name=row.name,
        title=row.title,
        licence=row.licence,
        sha256=_sha256(paths),
        split=f"{split}; the test file to test",
        train=train,
        validation=validation,
        test=decode(test),
    )


def _wikitext_file(data: Path, part: str) -> Path:
    """As the archive names it, or as pytorch/examples does."""
    names = (f"wiki.{part}.tokens", f"{part}.txt")
    for folder in (data / "wikitext-2", *sorted(data.glob("*/wikitext-2")), data):
        for path in (folder / name for name in names):
            if path.is_file():
                return path
    hint = "; data.train_file=valid does without" if part == "train" else ""
    raise NotFoundError(
        f"{data}: does not hold wikitext-2's {' or '.join(names)}; give their folder with --data{hint}"
    )


def _divided(path: Path, share: float) -> tuple[str, str]:
    """A file's text, and the last `share` of it."""
    text = decode(path)
    first = int(len(text) * (1 - share))
    if first < 2 or len(text) - first < 4:
        raise InvalidInputError(
            f"{path}: {len(text)} characters are too few for a training part and one of {share:.0%}"
        )
    return text[:first], text[first:]


def _sha256(paths: Sequence[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def encode(text: str, tokenizer: portfire.Tokenizer) -> Tensor:
    """int64 [T], without tokens that the tokenizer would put at the ends of a text."""
    return from_dlpack(tokenizer.encode(text, add_special_tokens=False).tensor)


def unknown_share(text: str) -> float:
    """Of the words of a text, those that it gives as unknown itself."""
    words = split_words(text)
    return words.count(UNKNOWN) / len(words)


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
