"""Golden samples: raw inputs, and what every stage of a module makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.dlpack import from_dlpack

import portfire
from portfire import InvalidArgumentError, NotFoundError
from portfire._generation import StateShapes, example_inputs, score
from portfire.manifest import RawInput, Tolerance

RawSample = bytes | str | Path | np.ndarray[Any, Any] | Tensor | Mapping[str, "np.ndarray[Any, Any] | Tensor"]


@dataclass(frozen=True, kw_only=True)
class Golden:
    """A raw input as stored, and decoded: the tensors of the first method by name ("" by place)."""

    file_name: str  # "input.png"
    content: bytes
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One call of one method."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


Stages = Mapping[str, Stage]  # by method, in the order of the calls


def read_golden(
    raw: RawSample, raw_input: RawInput, label: str, tokenizer: portfire.Tokenizer | None = None
) -> Golden:
    """Reads and decodes one raw input as the runtime does it; `label` is what errors call it, `tokenizer` the
    one of a text."""
    if isinstance(raw, Path) or (isinstance(raw, str) and tokenizer is None):
        label = str(raw)
        raw = read_file(raw)
    if tokenizer is not None:
        return _text(raw, raw_input, tokenizer, label)
    return _image(raw, label) if raw_input.kind == "image" else _tensors(raw, label)


def read_file(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise NotFoundError(f"{path}: cannot be read ({error.strerror})") from error


def _text(raw: Any, raw_input: RawInput, tokenizer: portfire.Tokenizer, label: str) -> Golden:
    content = raw.encode() if isinstance(raw, str) else raw
    if not isinstance(content, bytes):
        raise InvalidArgumentError(f"{label}: a text is str, UTF-8 bytes or a Path to them")
    errors = "replace" if raw_input.invalid_utf8 == "replace" else "strict"
    try:
        text = content.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"{label}: not UTF-8 at byte {error.start}") from error
    truncates = raw_input.longer == "truncate"
    ids = tokenizer.encode(text, max_tokens=raw_input.max_tokens + (0 if truncates else 1)).tensor
    if not 1 <= len(ids) <= raw_input.max_tokens or len(content) > raw_input.max_bytes:
        raise InvalidArgumentError(
            f"{label}: {len(ids)} tokens in {len(content)} bytes; 1 to {raw_input.max_tokens} tokens in at "
            f"most {raw_input.max_bytes} bytes are taken"
        )
    return Golden(file_name="input.txt", content=content, tensors={"": from_dlpack(ids)})


def _image(raw: Any, label: str) -> Golden:
    if not isinstance(raw, bytes):
        if isinstance(raw, Mapping):
            raise InvalidArgumentError(f"{label}: an image is PNG or JPEG bytes, a path or one uint8 array")
        raw = portfire.encode_png(raw)
    image = from_dlpack(portfire.decode_image(raw, label))
    name = "input.jpg" if raw.startswith(b"\xff\xd8") else "input.png"
    return Golden(file_name=name, content=raw, tensors={"": image})


def _tensors(raw: Any, label: str) -> Golden:
    if not isinstance(raw, bytes | Mapping):
        raw = portfire.encode_npy(raw)
    if isinstance(raw, Mapping):
        raw = to_safetensors(raw)
    if raw.startswith(b"\x93NUMPY"):
        tensors = {"": portfire.decode_npy(raw, label)}
        return Golden(file_name="input.npy", content=raw, tensors=_to_torch(tensors))
    return Golden(
        file_name="input.safetensors", content=raw, tensors=_to_torch(portfire.decode_safetensors(raw, label))
    )


def _to_torch(tensors: Mapping[str, portfire.Tensor]) -> dict[str, Tensor]:
    return {name: from_dlpack(tensor) for name, tensor in tensors.items()}


def to_safetensors(tensors: Mapping[str, Any]) -> bytes:
    return bytes(portfire.encode_safetensors(tensors))


def replay(
    module: nn.Module,
    task: str,
    sample: Golden,
    order: Mapping[str, Sequence[str]],
    state: StateShapes | None = None,
) -> Stages:
    """Runs the stages as the runtime does, each on the outputs of the one before; `state` is that of
    text-generation."""
    with torch.inference_mode():
        if state is not None:
            ids = sample.tensors[""]
            return {"forward": Stage(inputs=example_inputs(ids, state), outputs=(score(module, ids, state),))}
        if task == "tensor":
            return {"forward": _call(module, "forward", _in_order(sample, order["forward"]))}
        preprocess = _call(module, "preprocess", tuple(sample.tensors.values()))
        forward = _call(module, "forward", tuple(torch.stack([x]) for x in preprocess.outputs))
        if any(not x.shape or x.shape[0] != 1 for x in forward.outputs):
            raise InvalidArgumentError(
                "forward gives no batch axis: its outputs for a batch of 1 are "
                + ", ".join(str(list(x.shape)) for x in forward.outputs)
            )
        postprocess = _call(module, "postprocess", tuple(x[0] for x in forward.outputs))
    return {"preprocess": preprocess, "forward": forward, "postprocess": postprocess}


def _in_order(sample: Golden, names: Sequence[str]) -> tuple[Tensor, ...]:
    if list(sample.tensors) == [""] and len(names) == 1:
        return (sample.tensors[""],)
    if set(sample.tensors) != set(names):
        given = ", ".join(sample.tensors)
        raise InvalidArgumentError(
            f"a golden sample has the tensors {given}; forward takes {', '.join(names)}"
        )
    return tuple(sample.tensors[name] for name in names)


def _call(module: nn.Module, method: str, inputs: tuple[Tensor, ...]) -> Stage:
    try:
        value = getattr(module, method)(*inputs)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        shapes = ", ".join(f"{str(x.dtype)[6:]} {list(x.shape)}" for x in inputs)
        raise InvalidArgumentError(f"{method} fails on a golden sample ({shapes}): {reason}") from error
    return Stage(inputs=inputs, outputs=_flat(value, method))


def _flat(value: Any, method: str) -> tuple[Tensor, ...]:
    if isinstance(value, Tensor):
        return (value.detach(),)
    if isinstance(value, tuple | list):
        return tuple(x for part in value for x in _flat(part, method))
    raise InvalidArgumentError(
        f"{method} gives a {type(value).__name__}; a tensor or a tuple of tensors is needed"
    )


def difference(expected: Tensor, actual: Tensor, tolerance: Tolerance) -> str:
    """Empty when `actual` is within the tolerance, else one line that says by how much it is not."""
    if expected.dtype != actual.dtype or expected.shape != actual.shape:
        return (
            f"{str(actual.dtype)[6:]} {list(actual.shape)} instead of "
            f"{str(expected.dtype)[6:]} {list(expected.shape)}"
        )
    x, y = expected.double(), actual.double()
    if torch.allclose(y, x, atol=tolerance.atol, rtol=tolerance.rtol, equal_nan=True):
        return ""
    worst = torch.where(x.isnan() & y.isnan(), 0.0, (x - y).abs()).nan_to_num(nan=torch.inf).max().item()
    return f"off by {worst:.3g}; allowed are {tolerance.atol:g} + {tolerance.rtol:g} x |expected|"
