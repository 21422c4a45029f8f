"""Texts with classes, from data sets and files, and the batches that training draws from them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

import portfire
from portfire import InvalidArgumentError, InvalidInputError, NotFoundError
from portfire.recipes.text_classification.config import DataConfig
from portfire.recipes.text_classification.tables import Row, decode, read_rows
from portfire.train.batches import Batch, SampleSet
from portfire.train.datasets import DATASETS, data_folder, locate_files, locate_folder
from portfire.train.splits import stratified_split


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Texts and their classes, in a fixed order."""

    texts: tuple[str, ...]
    targets: Tensor  # int64 [count]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: Sequence[int]) -> Texts:
        """A selection."""
        return Texts(texts=tuple(self.texts[k] for k in indices), targets=self.targets[list(indices)])


@dataclass(frozen=True, kw_only=True)
class TextSet:
    name: str
    title: str
    licence: str
    sha256: str  # of the texts and labels, however they are stored
    labels: tuple[str, ...]
    train: Texts
    held_out: Texts
    repeated: (
        int  # rows that were left out, as another has the same text and label, or what is held out the text
    )
    ambiguous: int  # texts with several labels


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """What a set holds; `held_out` is empty where it has no split of its own."""

    rows: list[Row]
    held_out: list[Row]


def load(config: DataConfig, data: Path | None = None) -> TextSet:
    """The set that `config` names; `data` is a local copy, else $PORTFIRE_DATA or a download is used. For the
    set "file" it is the file."""
    if config.dataset == "file":
        return _file(config, data)
    row = DATASETS[config.dataset]
    return _divided(_READERS[config.dataset](data_folder(data)), config, row.name, row.title, row.licence)


def _file(config: DataConfig, data: Path | None) -> TextSet:
    path = config.file or data
    if path is None or path.is_dir():
        raise InvalidArgumentError("a .csv, .tsv or .jsonl file is needed; give it with --data FILE")
    rows = read_rows(path, config.text_column, config.label_column)
    if len({label for _, label in rows}) < 2:
        raise InvalidInputError(
            f'{path}: "{config.label_column}" is {rows[0][1]} in every row; at least 2 classes are needed'
        )
    return _divided(_Rows(rows=rows, held_out=[]), config, path.name, f"the file {path.name}", "not stated")


def _divided(found: _Rows, config: DataConfig, name: str, title: str, licence: str) -> TextSet:
    """Each text and label once; all rows of one text on the same side."""
    given = [*found.rows, *found.held_out]
    labels = tuple(sorted({label for _, label in given}))
    digest = hashlib.sha256(json.dumps([found.rows, found.held_out], ensure_ascii=False).encode())
    held_out = list(dict.fromkeys(found.held_out))
    kept = {text for text, _ in held_out}
    rows = [row for row in dict.fromkeys(found.rows) if row[0] not in kept]
    whole = _texts(rows, labels)
    if held_out:
        train, part = whole, _texts(held_out, labels)
    else:
        first, second = stratified_split(
            whole.targets, config.held_out, config.split_seed, noun="texts", groups=whole.texts
        )
        train, part = whole.take(first), whole.take(second)
    return TextSet(
        name=name,
        title=title,
        licence=licence,
        sha256=digest.hexdigest(),
        labels=labels,
        train=train,
        held_out=part,
        repeated=len(given) - len(rows) - len(held_out),
        ambiguous=sum(count > 1 for count in Counter(text for text, _ in [*rows, *held_out]).values()),
    )


def _texts(rows: Sequence[Row], labels: Sequence[str]) -> Texts:
    number = {label: k for k, label in enumerate(labels)}
    return Texts(
        texts=tuple(text for text, _ in rows), targets=torch.tensor([number[label] for _, label in rows])
    )


def _lines(path: Path, encoding: str = "utf-8") -> list[str]:
    return [line.strip() for line in decode(path, encoding).split("\n") if line.strip()]


def _names(data: Path | None) -> _Rows:
    files = locate_files(DATASETS["names"], data)
    rows = [(line, path.stem) for path in files.values() for line in _lines(path)]
    return _Rows(rows=rows, held_out=[])


def _polarity(data: Path | None) -> _Rows:
    files = locate_files(DATASETS["polarity"], data)
    rows = [
        (line, label)
        for suffix, label in (("neg", "negative"), ("pos", "positive"))
        for line in _lines(files[f"rt-polarity.{suffix}"], "latin-1")
    ]
    return _Rows(rows=rows, held_out=[])


_SENTIMENT = {"0": "negative", "1": "positive"}


def _uci(data: Path | None) -> _Rows:
    rows = []
    for path in locate_files(DATASETS["uci"], data).values():
        for number, line in enumerate(_lines(path), 1):
            text, tab, label = line.rpartition("\t")
            if not tab or label not in _SENTIMENT:
                raise InvalidInputError(f"{path}: row {number} is not a sentence, a tab and 0 or 1")
            rows.append((text.strip(), _SENTIMENT[label]))
    return _Rows(rows=rows, held_out=[])


def _imdb(data: Path | None) -> _Rows:
    folder = locate_folder(DATASETS["imdb"], data, holds="train/pos")
    parts = [
        [
            (decode(path).replace("<br />", "\n").strip(), label)
            for name, label in (("neg", "negative"), ("pos", "positive"))
            for path in _reviews(folder / part / name)
        ]
        for part in ("train", "test")
    ]
    return _Rows(rows=parts[0], held_out=parts[1])


def _reviews(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("*.txt"))
    if not paths:
        raise NotFoundError(f"{folder}: holds no .txt files; the layout of aclImdb_v1.tar.gz is needed")
    return paths


def _sst2(data: Path | None) -> _Rows:
    folder = locate_folder(DATASETS["sst2"], data, holds="train.tsv")
    parts = []
    for name in ("train.tsv", "dev.tsv"):  # the labels of test.tsv are not public
        rows = read_rows(folder / name, "sentence", "label")
        for text, label in rows:
            if label not in _SENTIMENT:
                raise InvalidInputError(
                    f'{folder / name}: "{text[:40]}" has label {label}; 0 or 1 is allowed'
                )
        parts.append([(text, _SENTIMENT[label]) for text, label in rows])
    return _Rows(rows=parts[0], held_out=parts[1])


_READERS: Mapping[str, Callable[[Path | None], _Rows]] = {
    "names": _names,
    "polarity": _polarity,
    "uci": _uci,
    "imdb": _imdb,
    "sst2": _sst2,
}


def encode(texts: Iterable[str], tokenizer: portfire.Tokenizer, most: int) -> list[Tensor]:
    """Of each text its first `most` ids, int64 [T]."""
    rows = []
    for text in texts:
        row = from_dlpack(tokenizer.encode(text, max_tokens=most).tensor)
        if not len(row):
            raise InvalidInputError(f'the text "{text[:40]}" has no token; leave it out')
        rows.append(row)
    return rows


def padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """A batch as the runtime makes it: int64 [N, L], 0 behind a text's end, and the lengths int64 [N]."""
    ids = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    return ids, torch.tensor([len(row) for row in rows])


class Samples(SampleSet):
    """Batches (int64 [N, L], int64 [N], int64 [N]) of ids, lengths and classes."""

    def __init__(self, ids: Sequence[Tensor], targets: Tensor, token_dropout: float = 0.0) -> None:
        self.sizes = [len(row) for row in ids]
        self._ids = ids
        self._targets = targets
        self._token_dropout = token_dropout

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        indices = list(batch.indices)
        ids, lengths = padded([self._ids[k] for k in indices])
        if self._token_dropout:
            draw = torch.rand(ids.shape, generator=torch.Generator().manual_seed(batch.seed))
            ids = ids.masked_fill(draw < self._token_dropout, 0)
        return ids, lengths, self._targets[indices]
