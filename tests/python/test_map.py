"""Model.map: a stream of inputs in, answers out in order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

import numpy as np
import pytest
from brightness import picture

import portfire


def labels(answers: Iterator[portfire.Answer]) -> list[str]:
    return [answer.label for answer in answers]


@pytest.mark.parametrize("batch_size", [None, 1, 3, 100])
def test_answers_come_in_the_order_of_the_inputs(brightness: portfire.Model, batch_size: int | None) -> None:
    values = np.random.default_rng(0).integers(0, 256, 23)
    answers = brightness.map((picture(value) for value in values), batch_size=batch_size)
    assert labels(answers) == ["light" if value > 127 else "dark" for value in values]


def test_an_endless_generator_is_read_a_batch_at_a_time(brightness: portfire.Model) -> None:
    read = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal read
        for k in count():
            read += 1
            yield picture(k % 256)

    answers = brightness.map(endless(), batch_size=5)
    assert read == 0
    for taken in range(1, 40):
        next(answers)
        assert taken <= read <= taken + 2 * 5
    assert len(list(islice(answers, 100))) == 100


def test_the_default_batch_is_what_the_package_allows(brightness: portfire.Model) -> None:
    source = iter([picture(0)] * 10)
    next(brightness.map(source))
    assert len(list(source)) == 10 - brightness.info.max_batch


def test_a_bad_input_raises_in_its_turn(brightness: portfire.Model) -> None:
    answers = brightness.map([picture(0), b"no picture", picture(255)])
    assert next(answers).label == "dark"
    with pytest.raises(portfire.InvalidInputError, match="not an image"):
        next(answers)


def test_a_bad_input_comes_back_as_its_error(brightness: portfire.Model) -> None:
    inputs = [picture(0), b"no picture", "nowhere.png", None, picture(255)]
    outcomes = list(brightness.map(inputs, errors="return"))  # type: ignore[arg-type]
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "Classification",
        "InvalidInputError",
        "NotFoundError",
        "InvalidArgumentError",
        "Classification",
    ]


def test_an_error_of_the_iterable_passes_through(brightness: portfire.Model) -> None:
    def broken() -> Iterator[np.ndarray]:
        yield picture(0)
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        list(brightness.map(broken()))


def test_options_reach_the_answers(brightness: portfire.Model) -> None:
    assert [len(answer.top) for answer in brightness.map([picture(0)], top_k=1)] == [1]


def test_options_are_checked_at_once(brightness: portfire.Model) -> None:
    with pytest.raises(portfire.InvalidArgumentError, match="batch_size 0"):
        brightness.map([], batch_size=0)
    with pytest.raises(portfire.InvalidArgumentError, match="errors"):
        brightness.map([], errors="ignore")  # type: ignore[call-overload]


def test_answers_keep_paths_but_not_pictures(brightness: portfire.Model, tmp_path) -> None:
    path = tmp_path / "light.png"
    path.write_bytes(portfire.encode_png(picture(200)))
    by_path, by_pixels = brightness.map([str(path), picture(200)])
    assert by_path.source == str(path)
    assert by_pixels.source is None
