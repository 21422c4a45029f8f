"""What is held out of a data set, and the rest."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from torch import Tensor

from portfire import InvalidArgumentError
from portfire._statistics import LEAST_STATISTICS

_MOST_STATISTICS = 1000


def stratified_split(
    targets: Tensor, share: float | int, seed: int, *, noun: str, groups: Sequence[Hashable] | None = None
) -> tuple[list[int], list[int]]:
    """Indices of the rest and of a `share` (or number) of samples, each class in proportion.

    targets: int64 [count]. Samples of one group stay together; a group with several classes counts as one of
    its rarest. `noun` is what errors call the samples.
    """
    from sklearn.model_selection import train_test_split  # type: ignore[import-untyped]

    members = _members(targets, groups)
    sizes = targets.bincount().tolist()
    classes = [min((int(targets[k]) for k in group), key=lambda c: (sizes[c], c)) for group in members]
    try:
        rest, part = train_test_split(
            range(len(members)), test_size=share, random_state=seed, shuffle=True, stratify=classes
        )
    except ValueError as error:
        raise InvalidArgumentError(
            f"{len(targets)} {noun} cannot be split so that each part has every class "
            f"({str(error).splitlines()[0]}); more {noun} a class are needed"
        ) from error
    return sorted(k for group in rest for k in members[group]), sorted(
        k for group in part for k in members[group]
    )


def _members(targets: Tensor, groups: Sequence[Hashable] | None) -> list[list[int]]:
    if groups is None:
        return [[k] for k in range(len(targets))]
    members: dict[Hashable, list[int]] = {}
    for k, group in enumerate(groups):
        members.setdefault(group, []).append(k)
    return list(members.values())


def for_statistics(count: int) -> list[int]:
    """Which of `count` held-out samples a package's statistics are made of, evenly spread; none where there
    are too few."""
    most = min(count, _MOST_STATISTICS)
    return [k * count // most for k in range(most)] if count >= LEAST_STATISTICS else []


def one_of_each_first(targets: Tensor) -> list[int]:
    """All indices of int64 [count]: the first of every class, then their second, and so on."""
    seen: dict[int, int] = {}
    turns = []
    for k, target in enumerate(targets.tolist()):
        turns.append((seen.get(target, 0), k))
        seen[target] = seen.get(target, 0) + 1
    return [k for _, k in sorted(turns)]
