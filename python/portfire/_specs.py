"""Method specs: derived from the golden samples, or given and held against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from portfire import InvalidArgumentError
from portfire._golden import Stage, Stages
from portfire.manifest import DTYPES, MethodSpec, TensorSpec

_OUTPUTS = {"preprocess": "sample", "forward": "logits", "postprocess": "probabilities"}
_LAYOUTS = {"preprocess": {3: "CHW"}, "forward": {4: "NCHW"}}


def derive_specs(
    task: str, order: Mapping[str, Sequence[str]], samples: Sequence[Stages], vocabulary: int = 0
) -> dict[str, MethodSpec]:
    """What the golden calls show. A size that varies from sample to sample becomes a symbol, the same one
    wherever the same sizes occur; a classifier's batch axis is "N". Of texts the number of tokens is "L", and
    int64 tensors of that shape hold ids of a vocabulary of `vocabulary` tokens."""
    if task == "text-generation":
        return {}
    if task == "tensor":
        return {"forward": _derive("forward", order["forward"], "output", samples, batched=False)}
    lengths = tuple(stages["preprocess"].inputs[0].shape[0] for stages in samples)
    known = {lengths: "L"} if vocabulary else {}
    if known and len(set(lengths)) == 1:
        raise InvalidArgumentError(
            f"all golden texts have {lengths[0]} tokens; give two of different lengths at least, so that the "
            "sizes that follow them are known"
        )
    specs = {
        method: _derive(method, order[method], output, samples, batched=method == "forward", known=known)
        for method, output in _OUTPUTS.items()
    }
    if vocabulary:
        return {
            method: _with_ids(spec, vocabulary, batched=method == "forward") for method, spec in specs.items()
        }
    image = TensorSpec(
        name=order["preprocess"][0], dtype="uint8", shape=("H", "W", 3), minimum=0, maximum=255, layout="HWC"
    )
    return {**specs, "preprocess": MethodSpec(inputs=(image,), outputs=specs["preprocess"].outputs)}


def _with_ids(method: MethodSpec, vocabulary: int, *, batched: bool) -> MethodSpec:
    shape = ("N", "L") if batched else ("L",)

    def bounded(spec: TensorSpec, padding: float | None) -> TensorSpec:
        if spec.dtype != "int64" or spec.shape != shape:
            return spec
        return replace(spec, minimum=0, maximum=vocabulary - 1, padding=padding)

    return MethodSpec(
        inputs=tuple(bounded(spec, 0 if batched else None) for spec in method.inputs),
        outputs=tuple(bounded(spec, None) for spec in method.outputs),
    )


def check_specs(specs: Mapping[str, MethodSpec], samples: Sequence[Stages]) -> None:
    """Raises InvalidArgumentError where a golden call is not as its spec says."""
    for k, stages in enumerate(samples):
        for method, stage in stages.items():
            symbols: dict[str, int] = {}
            for kind in ("inputs", "outputs"):
                tensors, rows = getattr(stage, kind), getattr(specs[method], kind)
                if len(tensors) != len(rows):
                    raise InvalidArgumentError(
                        f"{method} has {len(tensors)} {kind}; its spec names {len(rows)}"
                    )
                for tensor, spec in zip(tensors, rows, strict=True):
                    problem = _problem(tensor, spec, symbols)
                    if problem:
                        raise InvalidArgumentError(f"golden sample {k}: {method}'s {spec.name} {problem}")


def _derive(
    method: str,
    arguments: Sequence[str],
    output: str,
    samples: Sequence[Stages],
    *,
    batched: bool,
    known: Mapping[tuple[int, ...], str] | None = None,
) -> MethodSpec:
    calls: list[Stage] = [stages[method] for stages in samples]
    symbols: dict[tuple[int, ...], str] = dict(known or {})

    def specs(names: Sequence[str], groups: Sequence[Sequence[Tensor]]) -> tuple[TensorSpec, ...]:
        return tuple(
            _spec(name, [group[k] for group in groups], symbols, batched, _LAYOUTS.get(method, {}))
            for k, name in enumerate(names)
        )

    count = len(calls[0].outputs)
    if len(arguments) != len(calls[0].inputs):
        raise InvalidArgumentError(
            f"{method} takes {len(arguments)} tensors and is given {len(calls[0].inputs)}"
        )
    outputs = [output] if count == 1 else [f"{output}_{k}" for k in range(count)]
    return MethodSpec(
        inputs=specs(arguments, [call.inputs for call in calls]),
        outputs=specs(outputs, [call.outputs for call in calls]),
    )


def _spec(
    name: str,
    tensors: Sequence[Tensor],
    symbols: dict[tuple[int, ...], str],
    batched: bool,
    layouts: Mapping[int, str],
) -> TensorSpec:
    rank, dtype = tensors[0].dim(), dtype_name(tensors[0])
    if any(x.dim() != rank or dtype_name(x) != dtype for x in tensors):
        raise InvalidArgumentError(f"{name} has another rank or dtype from golden sample to golden sample")
    shape: list[int | str] = []
    for axis in range(rank):
        sizes = tuple(x.shape[axis] for x in tensors)
        if batched and axis == 0:
            shape.append("N")
        elif len(set(sizes)) == 1:
            shape.append(sizes[0])
        else:
            shape.append(symbols.setdefault(sizes, f"D{len(symbols)}"))
    return TensorSpec(name=name, dtype=dtype, shape=tuple(shape), layout=layouts.get(rank, ""))


def _problem(tensor: Tensor, spec: TensorSpec, symbols: dict[str, int]) -> str:
    said = f"its spec says {spec.dtype} [{', '.join(map(str, spec.shape))}]"
    given = f"is {dtype_name(tensor)} {list(tensor.shape)}; {said}"
    if dtype_name(tensor) != spec.dtype or tensor.dim() != len(spec.shape):
        return given
    for size, wanted in zip(tensor.shape, spec.shape, strict=True):
        if size != (symbols.setdefault(wanted, size) if isinstance(wanted, str) else wanted):
            return given
    values = tensor.double()
    low = spec.minimum is not None and not bool((values >= spec.minimum).all())
    high = spec.maximum is not None and not bool((values <= spec.maximum).all())
    return f"leaves its range {spec.minimum} to {spec.maximum}" if low or high else ""


def dtype_name(tensor: Tensor) -> str:
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise InvalidArgumentError(f"a tensor of dtype {name}; allowed: {', '.join(DTYPES)}")
    return name
