"""Pictures with classes, from arrays or files, and the samples that training draws from them.

Shapes: H, W of a picture; C channels, S the side of a sample; N samples.
"""

from __future__ import annotations

import gzip
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

import portfire
from portfire import InvalidArgumentError, InvalidInputError, NotFoundError
from portfire.recipes.image_classification.augment import random_crop, recolour, warp
from portfire.recipes.image_classification.config import AugmentConfig, DataConfig
from portfire.recipes.image_classification.model import Classifier
from portfire.train.batches import Batch, SampleSet
from portfire.train.datasets import DATASETS, data_folder, locate_files, locate_folder
from portfire.train.splits import stratified_split

FASHION = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
_SUFFIXES = (".png", ".jpg", ".jpeg")


class Pictures(ABC):
    """Pictures and their classes, in a fixed order."""

    targets: Tensor  # int64 [count]

    def __len__(self) -> int:
        return len(self.targets)

    @abstractmethod
    def image(self, index: int) -> Tensor:
        """uint8 [H, W, 3], as the runtime decodes it."""

    @abstractmethod
    def take(self, indices: Sequence[int]) -> Pictures:
        """A selection."""


class ArrayPictures(Pictures):
    """Grey pictures uint8 [count, H, W]; as a PNG each is the grey picture of the same bytes."""

    def __init__(self, arrays: Tensor, targets: Tensor) -> None:
        self.arrays = arrays
        self.targets = targets

    def image(self, index: int) -> Tensor:
        return self.arrays[index].unsqueeze(-1).expand(-1, -1, 3)

    def take(self, indices: Sequence[int]) -> ArrayPictures:
        return ArrayPictures(self.arrays[list(indices)], self.targets[list(indices)])


class FilePictures(Pictures):
    """PNG and JPEG files, decoded by the runtime's own codec each time they are asked for."""

    def __init__(self, paths: Sequence[Path], targets: Tensor) -> None:
        self.paths = list(paths)
        self.targets = targets

    def image(self, index: int) -> Tensor:
        path = self.paths[index]
        return from_dlpack(portfire.decode_image(path.read_bytes(), str(path)))

    def take(self, indices: Sequence[int]) -> FilePictures:
        return FilePictures([self.paths[k] for k in indices], self.targets[list(indices)])


@dataclass(frozen=True, kw_only=True)
class PictureSet:
    name: str
    title: str
    licence: str
    sha256: str  # of the pictures and classes, however they are stored
    labels: tuple[str, ...]
    train: Pictures
    held_out: Pictures


def load(config: DataConfig, data: Path | None = None) -> PictureSet:
    """The set that `config` names; `data` is a local copy, else $PORTFIRE_DATA or a download is used."""
    if config.dataset == "digits":
        return _digits(config)
    if config.dataset in ("mnist", "fashion-mnist"):
        return _idx(config, data)
    if config.dataset == "flowers":
        return _folder(config, locate_folder(DATASETS["flowers"], data_folder(data)))
    folder = config.folder or data
    if folder is None:
        raise InvalidArgumentError("a folder of class folders is needed; give it with --data FOLDER")
    return _folder(config, folder)


def _digits(config: DataConfig) -> PictureSet:
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    bunch: Any = load_digits()
    # Ink 0 to 16 becomes 0 to 255, so that a picture and its PNG are the same bytes.
    arrays = torch.from_numpy(np.rint(bunch.images * (255 / 16)).astype(np.uint8))
    whole = ArrayPictures(arrays, torch.from_numpy(bunch.target.astype(np.int64)))
    rest, part = stratified_split(whole.targets, config.held_out, config.split_seed, noun="pictures")
    digest = hashlib.sha256(arrays.numpy().tobytes() + whole.targets.numpy().tobytes()).hexdigest()
    row = DATASETS["digits"]
    return PictureSet(
        name=row.name,
        title=row.title,
        licence=row.licence,
        sha256=digest,
        labels=tuple("0123456789"),
        train=whole.take(rest),
        held_out=whole.take(part),
    )


def _idx(config: DataConfig, data: Path | None) -> PictureSet:
    row = DATASETS[config.dataset]
    files = locate_files(row, data_folder(data))
    arrays = {name: read_idx(path) for name, path in files.items()}
    parts = [
        ArrayPictures(
            arrays[f"{part}-images-idx3-ubyte.gz"], arrays[f"{part}-labels-idx1-ubyte.gz"].to(torch.int64)
        )
        for part in ("train", "t10k")
    ]
    digest = hashlib.sha256("".join(file.sha256 for file in row.files).encode()).hexdigest()
    return PictureSet(
        name=row.name,
        title=row.title,
        licence=row.licence,
        sha256=digest,
        labels=FASHION if config.dataset == "fashion-mnist" else tuple("0123456789"),
        train=parts[0],
        held_out=parts[1],
    )


def read_idx(path: Path) -> Tensor:
    """uint8 tensor of an IDX file, gzipped or not."""
    content = path.read_bytes()
    try:
        content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except (OSError, EOFError) as error:
        raise InvalidInputError(f"{path}: damaged gzip ({error})") from error
    rank = content[3] if len(content) > 4 else 0
    if content[:3] != b"\x00\x00\x08" or not 1 <= rank <= 8 or len(content) < 4 + 4 * rank:
        raise InvalidInputError(f"{path}: not an IDX file of unsigned bytes")
    shape = np.frombuffer(content, ">u4", rank, 4).astype(np.int64)
    values = np.frombuffer(content, np.uint8, -1, 4 + 4 * rank)
    if len(values) != shape.prod():
        raise InvalidInputError(f"{path}: {len(values)} bytes for shape {shape.tolist()}")
    return torch.from_numpy(values.reshape(shape).copy())


def _folder(config: DataConfig, folder: Path) -> PictureSet:
    train, val = folder / "train", folder / "val"
    divided = train.is_dir() and val.is_dir()
    labels = _class_names(train if divided else folder)
    if divided:
        train_pictures, held_out = _files(train, labels), _files(val, labels)
    else:
        whole = _files(folder, labels)
        rest, part = stratified_split(whole.targets, config.held_out, config.split_seed, noun="pictures")
        train_pictures, held_out = whole.take(rest), whole.take(part)
    digest = hashlib.sha256()
    for path in (*train_pictures.paths, *held_out.paths):
        digest.update(
            f"{path.parent.name}/{path.name}\n".encode() + hashlib.sha256(path.read_bytes()).digest()
        )
    row = DATASETS.get(config.dataset)
    return PictureSet(
        name=row.name if row else folder.name,
        title=row.title if row else f"the folder {folder.name}",
        licence=row.licence if row else "not stated",
        sha256=digest.hexdigest(),
        labels=labels,
        train=train_pictures,
        held_out=held_out,
    )


def _class_names(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise NotFoundError(f"{folder}: no such folder")
    names = tuple(
        sorted(child.name for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    )
    if len(names) < 2:
        raise InvalidInputError(
            f"{folder}: {len(names)} class folders; at least 2 with PNG or JPEG files are needed"
        )
    return names


def _files(folder: Path, labels: Sequence[str]) -> FilePictures:
    paths, targets = [], []
    for target, label in enumerate(labels):
        found = sorted(path for path in (folder / label).rglob("*") if path.suffix.lower() in _SUFFIXES)
        if not found:
            raise InvalidInputError(f"{folder / label}: holds no PNG or JPEG file")
        paths += found
        targets += [target] * len(found)
    return FilePictures(paths, torch.tensor(targets))


class Samples(SampleSet):
    """Batches (float32 [N, C, S, S], int64 [N]) of preprocessed pictures, changed at random if asked for."""

    def __init__(self, pictures: Pictures, model: Classifier, augment: AugmentConfig | None = None) -> None:
        self._pictures = pictures
        self._model = model
        self._augment = augment
        self._ready: Tensor | None = None
        self._picture_wise = augment is not None and (
            augment.crop_area < 1 or augment.flip or augment.colour > 0
        )
        if isinstance(pictures, ArrayPictures) and not self._picture_wise:
            self._ready = torch.stack([model.preprocess(pictures.image(k)) for k in range(len(pictures))])

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        indices = list(batch.indices)
        generator = torch.Generator().manual_seed(batch.seed)
        if self._ready is not None:
            samples = self._ready[indices]
        else:
            samples = torch.stack([self._sample(k, generator) for k in indices])
        if self._augment is not None:
            samples = warp(samples, self._augment, generator)
        return samples, self._pictures.targets[indices]

    def _sample(self, index: int, generator: torch.Generator) -> Tensor:
        image = self._pictures.image(index)
        if self._augment is not None and self._picture_wise:
            if self._augment.crop_area < 1:
                image = random_crop(image, self._model.size, self._augment.crop_area, generator)
            image = recolour(image, self._augment, generator)
        return self._model.preprocess(image)
