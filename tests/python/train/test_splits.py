from itertools import pairwise

import pytest
import torch

import portfire
from portfire.train.splits import for_statistics, one_of_each_first, stratified_split


def test_the_split_is_the_same_every_time_and_without_overlap() -> None:
    targets = torch.arange(100) % 4
    rest, part = stratified_split(targets, 0.25, 3, noun="pictures")
    assert stratified_split(targets, 0.25, 3, noun="pictures") == (rest, part)
    assert stratified_split(targets, 0.25, 4, noun="pictures") != (rest, part)
    assert sorted(rest + part) == list(range(100))
    assert targets[part].bincount().tolist() == [7, 6, 6, 6] or targets[part].bincount().max() <= 7


def test_a_group_stays_together() -> None:
    targets, groups = torch.arange(60) % 2, [k // 3 for k in range(60)]
    rest, part = stratified_split(targets, 0.2, 0, noun="texts", groups=groups)
    assert sorted(rest + part) == list(range(60))
    assert not {groups[k] for k in rest} & {groups[k] for k in part}
    assert len(part) == 12


def test_a_rare_class_that_others_share_their_groups_with_is_on_both_sides() -> None:
    targets = torch.tensor([0] * 20 + [1] * 20 + [2] * 4)  # each of the last with the text of a first
    groups = [*range(40), *range(4)]
    rest, part = stratified_split(targets, 0.25, 0, noun="texts", groups=groups)
    assert set(targets[rest].tolist()) == set(targets[part].tolist()) == {0, 1, 2}


def test_too_few_of_a_class_are_named() -> None:
    with pytest.raises(portfire.InvalidArgumentError, match=r"5 texts cannot be split .*more texts a class"):
        stratified_split(torch.tensor([0, 0, 0, 0, 1]), 0.2, 0, noun="texts")


def test_one_of_each_class_comes_first() -> None:
    assert one_of_each_first(torch.tensor([1, 1, 0, 1, 0, 2])) == [0, 2, 5, 1, 4, 3]


def test_statistics_are_of_at_most_a_thousand_evenly_spread() -> None:
    assert for_statistics(99) == []
    assert for_statistics(100) == list(range(100))
    many = for_statistics(2500)
    assert len(many) == 1000 and many[0] == 0 and many[-1] == 2497
    assert {b - a for a, b in pairwise(many)} == {2, 3}
