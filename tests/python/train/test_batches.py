import pytest

from portfire.train.batches import Batches, mixed_seed


def epochs(batches: Batches, number: int) -> list[tuple[int, ...]]:
    batches.set_epoch(number)
    return [batch.indices for batch in batches]


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 100])
def test_every_sample_comes_once_an_epoch(count: int) -> None:
    batches = Batches(count, 32, seed=0, shuffle=True)
    drawn = epochs(batches, 0)
    assert sorted(k for indices in drawn for k in indices) == list(range(count))
    assert len(drawn) == len(batches)
    assert max(map(len, drawn)) - min(map(len, drawn)) <= 1


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    first, second = (Batches(100, 10, seed=3, shuffle=True) for _ in range(2))
    later = epochs(first, 5)
    epochs(second, 0)
    assert epochs(second, 5) == later
    assert epochs(second, 6) != later
    assert epochs(Batches(100, 10, seed=4, shuffle=True), 5) != later


def test_seeds_of_batches_differ() -> None:
    batches = Batches(100, 10, seed=0, shuffle=True)
    seeds = {batch.seed for epoch in range(3) for batch in (batches.set_epoch(epoch) or batches)}
    assert len(seeds) == 30


def test_without_shuffling_the_order_is_that_of_the_data() -> None:
    assert epochs(Batches(5, 2, seed=9, shuffle=False), 7) == [(0, 1, 2), (3, 4)]


def test_processes_share_an_epoch_without_overlap() -> None:
    parts = [Batches(103, 10, seed=1, shuffle=True, rank=rank, processes=3) for rank in range(3)]
    drawn = [epochs(part, 2) for part in parts]
    assert len({len(part) for part in drawn}) == 1
    assert sorted(k for part in drawn for indices in part for k in indices) == list(range(103))


@pytest.mark.parametrize("processes", [1, 2])
def test_with_sizes_a_batch_has_samples_of_like_sizes(processes: int) -> None:
    sizes = [k * 37 % 101 for k in range(1000)]
    parts = [
        Batches(1000, 10, seed=1, shuffle=True, rank=rank, processes=processes, sizes=sizes)
        for rank in range(processes)
    ]
    drawn = [indices for part in parts for indices in epochs(part, 2)]
    assert sorted(k for indices in drawn for k in indices) == list(range(1000))
    spreads = [max(sizes[k] for k in indices) - min(sizes[k] for k in indices) for indices in drawn]
    assert sum(spreads) / len(spreads) < 15  # of 100
    assert epochs(parts[0], 2) == epochs(parts[0], 2) != epochs(parts[0], 3)
    means = [sum(sizes[k] for k in indices) for indices in epochs(parts[0], 2)]
    assert means != sorted(means)


def test_a_mixed_seed_is_stable() -> None:
    assert mixed_seed(1, 2) == mixed_seed(1, 2) != mixed_seed(2, 1)
    assert 0 <= mixed_seed(0) < 1 << 63
