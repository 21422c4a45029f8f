"""What a model's inputs were like: `assets/input_statistics.json` of a package, which a server holds its own
inputs against. docs/package-format.md, field by field.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

import portfire
from portfire import InvalidArgumentError
from portfire._golden import Golden, Stages
from portfire.manifest import MethodSpec, TensorSpec

FILE = "input_statistics.json"
LEAST_STATISTICS = 100  # tenths of fewer say nothing
_MOST_QUANTITIES = 64
_MOST_CHANNELS = 16
_MOST_LABELS = 64
_MOST_ELEMENTS = 256  # of one channel; of more some are looked at, as cpp/serving/drift.cpp does
_GOLDEN = 0x9E3779B97F4A7C15

# What tells a quantity from others, as it is written: {"measure": "mean", "input": "x", "channel": 0}.
_Key = tuple[tuple[str, Any], ...]


def statistics_file(
    name: str,
    task: str,
    samples: Iterable[Golden],
    run: Callable[[Golden], Stages],
    *,
    forward: MethodSpec,
    labels: Sequence[str],
    unknown: int | None,
) -> bytes:
    """Measures each sample as a server does. `run` gives its stages; `unknown` is the id of what a tokenizer
    has no token for. Raises InvalidArgumentError on too few samples and on numbers that are none."""
    values: dict[_Key, list[float]] = {}
    channels = _channels(forward.inputs)
    answers = [0] * len(labels)
    count = 0
    for sample in samples:
        if task.startswith("text-"):
            _add(values, _of_tokens(sample.tensors[""], unknown))
        if task == "text-generation":
            count += 1
            continue
        with _one_thread():
            stages = run(sample)
        batch = stages["forward"].inputs
        if not task.startswith("text-"):
            for measured in _of_batch(batch, forward.inputs, channels):
                _add(values, measured)
        output = stages["forward"].outputs[0]
        if "postprocess" in stages:
            output = stages["postprocess"].outputs[0].unsqueeze(0)
        rows = _rows(batch, forward.inputs)
        if labels and output.shape == (rows, len(labels)):
            for label in output.argmax(1).tolist():
                answers[label] += 1
        count += rows
    if count < LEAST_STATISTICS:
        raise InvalidArgumentError(
            f"{name}: statistics of {count} samples; give at least {LEAST_STATISTICS}, or none"
        )
    quantities = [{**dict(key), **_bins(name, key, column)} for key, column in values.items()]
    if 2 <= len(labels) <= _MOST_LABELS and any(answers):
        quantities.append({"measure": "answer", "counts": answers})
    if not 1 <= len(quantities) <= _MOST_QUANTITIES:
        raise InvalidArgumentError(
            f"{name}: statistics of {len(quantities)} quantities; 1 to {_MOST_QUANTITIES} are taken"
        )
    return f"{json.dumps({'quantities': quantities}, allow_nan=False)}\n".encode()


def unknown_token(content: bytes, tokenizer: portfire.Tokenizer) -> int | None:
    """The id of what a tokenizer has no token for; None where there is no such thing."""
    if not content.lstrip().startswith(b"{"):
        return tokenizer.id("<unk>")
    model: Mapping[str, Any] = json.loads(content).get("model", {})
    if isinstance(model.get("unk_id"), int):
        return int(model["unk_id"])
    token = model.get("unk_token")
    return tokenizer.id(token) if isinstance(token, str) else None


@contextmanager
def _one_thread() -> Iterator[None]:
    """One sample is too little to share, and threads that wait for each other take longer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _add(values: dict[_Key, list[float]], measured: Mapping[_Key, float]) -> None:
    for key, value in measured.items():
        values.setdefault(key, []).append(value)


def _of_tokens(ids: Tensor, unknown: int | None) -> dict[_Key, float]:
    found: dict[_Key, float] = {(("measure", "tokens"),): float(len(ids))}
    if unknown is not None:
        share = (ids == unknown).to(torch.float64).mean()
        found[("measure", "token_share"), ("token", unknown)] = float(share)
    return found


def _has_samples_first(spec: TensorSpec) -> bool:
    return bool(spec.shape) and isinstance(spec.shape[0], str)


def _rows(batch: Sequence[Tensor], specs: Sequence[TensorSpec]) -> int:
    batched = [x for x, spec in zip(batch, specs, strict=True) if _has_samples_first(spec)]
    return len(batched[0]) if batched else 1


def _channels(specs: Sequence[TensorSpec]) -> list[int]:
    """How many channels each input has; 0 where it is measured as a whole."""
    found = []
    for spec in specs:
        shape = spec.shape[1:] if _has_samples_first(spec) else spec.shape
        size = shape[0] if shape else 0
        found.append(size if isinstance(size, int) and 1 <= size <= _MOST_CHANNELS else 0)
    return found if 2 * sum(max(1, size) for size in found) < _MOST_QUANTITIES else [0] * len(found)


def _of_batch(
    batch: Sequence[Tensor], specs: Sequence[TensorSpec], channels: Sequence[int]
) -> Iterator[dict[_Key, float]]:
    """Of each sample."""
    for row in range(_rows(batch, specs)):
        found: dict[_Key, float] = {}
        for x, spec, count in zip(batch, specs, channels, strict=True):
            if row > 0 and not _has_samples_first(spec):
                continue
            sample = x[row] if _has_samples_first(spec) else x
            for channel in range(max(1, count)):
                part = (sample[channel] if count else sample).reshape(-1)
                where: _Key = (("input", spec.name), *((("channel", channel),) if count else ()))
                looked = part[_places(len(part))].to(torch.float64)
                found[("measure", "mean"), *where] = float(looked.mean())
                if len(part) > 1:
                    found[("measure", "spread"), *where] = float(looked.std(correction=0))
        yield found


def _places(count: int) -> Tensor:
    """Of `count` elements those that are looked at: by multiples of the golden ratio, for even steps would
    walk along a column of some picture."""
    if count <= _MOST_ELEMENTS:
        return torch.arange(count)
    return torch.tensor([((k * _GOLDEN % 2**64 >> 32) * count) >> 32 for k in range(_MOST_ELEMENTS)])


def _bins(name: str, key: _Key, column: Sequence[float]) -> dict[str, Any]:
    if not all(math.isfinite(value) for value in column):
        what = " ".join(str(part) for _, part in key)
        raise InvalidArgumentError(f"{name}: statistics: {what} of a sample is no number")
    edges = _edges(sorted(column))
    counts = [0] * (len(edges) + 1)
    for value in column:
        counts[bisect_left(edges, value)] += 1
    return {"edges": edges, "counts": counts}


def _edges(column: Sequence[float]) -> list[float]:
    """Between two values that are there, nearest to each tenth: an edge on a value would let rounding choose
    its bin. A value at the end that a tenth or more of the samples have gets an edge outside of it too, for
    else all beyond it would look the same."""
    slack = 1e-6 * max(abs(column[0]), abs(column[-1]), 1e-2)
    cuts = [k for k in range(1, len(column)) if column[k] - column[k - 1] > slack]
    edges = {}
    for tenth in range(1, 10):
        if not cuts:
            break
        k = min(cuts, key=lambda k: abs(k - tenth * len(column) / 10))
        edges[k] = (column[k - 1] + column[k]) / 2
    ends = [cuts[0], len(column) - cuts[-1]] if cuts else [len(column)] * 2
    if ends[0] * 10 >= len(column) and ends[0] > 1:
        edges[0] = column[0] - 10 * slack
    if ends[1] * 10 >= len(column) and ends[1] > 1:
        edges[len(column)] = column[-1] + 10 * slack
    return [float(f"{edges[k]:.9g}") for k in sorted(edges)]
