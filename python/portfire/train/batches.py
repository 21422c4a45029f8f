"""Batches that depend on nothing but a seed, an epoch and a number, so that a run resumes bit for bit."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Dataset, Sampler

_POOL = 16  # batches whose samples are put in order of size together


def mixed_seed(*parts: int) -> int:
    """One seed of 63 bits from several numbers; neighbours have nothing in common."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "little") >> 1


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a data set is asked for: which samples, and the seed of whatever it draws for them."""

    indices: tuple[int, ...]
    seed: int


class SampleSet(Dataset[Any], ABC):
    """A data set that is asked for whole batches."""

    sizes: Sequence[int] | None = None  # of the samples, where batches of like sizes are cheaper

    @abstractmethod
    def __len__(self) -> int:
        """How many samples."""

    @abstractmethod
    def __getitem__(self, batch: Batch) -> Any:
        """The batch; the same for the same `Batch`."""


class Batches(Sampler[Batch]):
    """All samples once an epoch, in batches of nearly equal count; shuffled by (seed, epoch).

    With the samples' `sizes`, neighbours of a shuffle are put in order of size before they are cut into
    batches, and the batches shuffled again: a batch has samples of like sizes, others in each epoch.

    For several processes the batches are dealt out in turn, each process getting as many as the others.
    """

    def __init__(
        self,
        count: int,
        size: int,
        *,
        seed: int,
        shuffle: bool,
        rank: int = 0,
        processes: int = 1,
        sizes: Sequence[int] | None = None,
    ) -> None:
        rounds = max(1, round(count / (size * processes)))
        self._count = count
        self._pieces = min(count, rounds * processes)
        self._seed = seed
        self._shuffle = shuffle
        self._rank = rank
        self._processes = processes
        self._sizes = None if sizes is None else torch.tensor(sizes)
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._pieces // self._processes

    def __iter__(self) -> Iterator[Batch]:
        seed = mixed_seed(self._seed, self._epoch)
        generator = torch.Generator().manual_seed(seed)
        order = torch.arange(self._count)
        if self._shuffle:
            order = torch.randperm(self._count, generator=generator)
        if self._sizes is not None:
            pools = torch.tensor_split(order, max(1, self._pieces // _POOL))
            order = torch.cat([pool[self._sizes[pool].argsort(stable=True)] for pool in pools])
        pieces = list(torch.tensor_split(order, self._pieces))
        if self._sizes is not None and self._shuffle:
            pieces = [pieces[k] for k in torch.randperm(len(pieces), generator=generator).tolist()]
        for k in range(len(self)):
            number = k * self._processes + self._rank
            yield Batch(indices=tuple(pieces[number].tolist()), seed=mixed_seed(seed, number))
