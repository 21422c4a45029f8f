"""Task text-generation: what `forward` takes, and the reference that golden texts are made with.

Shapes: N texts, S tokens of each in one call, R places whose logits are wanted, T tokens that there is room
for, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from portfire import InvalidArgumentError
from portfire.manifest import MethodSpec, TensorSpec

StateShapes = Mapping[str, Sequence[int | str]]  # by argument name; with "N" once and "T" at most once


def forward_spec(vocabulary: int, context: int, state: StateShapes) -> MethodSpec:
    """`forward(ids, positions, select, *state) -> logits`."""

    def integers(name: str, shape: tuple[str, ...], maximum: int | None) -> TensorSpec:
        return TensorSpec(name=name, dtype="int64", shape=shape, minimum=0, maximum=maximum)

    return MethodSpec(
        inputs=(
            integers("ids", ("N", "S"), vocabulary - 1),
            integers("positions", ("N", "S"), context - 1),
            integers("select", ("R",), None),
            *(TensorSpec(name=name, dtype="float32", shape=tuple(shape)) for name, shape in state.items()),
        ),
        outputs=(TensorSpec(name="logits", dtype="float32", shape=("R", vocabulary)),),
    )


def empty_state(state: StateShapes, texts: int, room: int) -> list[Tensor]:
    """Zeros, for that many texts of at most `room` tokens."""
    sizes = {"N": texts, "T": room}
    return [
        torch.zeros([sizes[size] if isinstance(size, str) else size for size in shape])
        for shape in state.values()
    ]


def example_inputs(ids: Tensor, state: StateShapes) -> tuple[Tensor, ...]:
    """One call for all tokens but the last of `ids`, int64 [L]."""
    places = torch.arange(len(ids) - 1)
    return (ids[:-1].unsqueeze(0), places.unsqueeze(0), places, *empty_state(state, 1, len(places)))


def score(module: nn.Module, ids: Tensor, state: StateShapes) -> Tensor:
    """The logits after each token of `ids` but the last, float32 [L - 1, V]: the first half of them in one
    call, the others one by one, as the runtime makes them."""
    count = len(ids) - 1
    if count < 1:
        raise InvalidArgumentError("a golden text has one token; two at least are needed")
    kept = empty_state(state, 1, count)
    together = (count + 1) // 2
    parts = []
    first = 0
    while first < count:
        part = together if first == 0 else 1
        positions = torch.arange(first, first + part)
        parts.append(
            module(ids[first : first + part].unsqueeze(0), positions.unsqueeze(0), torch.arange(part), *kept)
        )
        first += part
    return torch.cat(parts)
