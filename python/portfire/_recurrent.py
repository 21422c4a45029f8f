"""Recurrent layers for torch.export: it writes them out step by step, for the one length of the example; here
each stays one operator, for every length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

_NAMESPACE = "portfire_export"
_ATEN = torch.ops.aten
_OPERATORS = {
    "rnn_tanh": _ATEN.rnn_tanh.input,
    "rnn_relu": _ATEN.rnn_relu.input,
    "gru": _ATEN.gru.input,
    "lstm": _ATEN.lstm.input,
}


@contextmanager
def whole_layers() -> Iterator[None]:
    """Meanwhile `nn.RNN`, `nn.GRU` and `nn.LSTM` call operators that the exporter cannot look into."""
    _define()
    functions: Any = torch.nn.modules.rnn._VF  # type: ignore[attr-defined]
    for name in _OPERATORS:
        setattr(functions, name, getattr(getattr(torch.ops, _NAMESPACE), name))
    try:
        yield
    finally:
        for name in _OPERATORS:
            delattr(functions, name)


def restore_layers(program: ExportedProgram) -> None:
    """Puts torch's own operators in their places."""
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                namespace, _, name = str(node.target).partition(".")
                if node.op == "call_function" and namespace == _NAMESPACE:
                    node.target = _OPERATORS[name.partition(".")[0]]
            module.recompile()


_library: list[torch.library.Library] = []  # what is defined in it goes when it goes


def _define() -> None:
    if _library:
        return
    library = torch.library.Library(_NAMESPACE, "DEF")  # type: ignore[no-untyped-call]
    _library.append(library)
    for name, operator in _OPERATORS.items():
        schema = str(operator._schema)
        library.define(name + schema[schema.index("(") :])  # type: ignore[no-untyped-call]
        library.impl(name, _calling(operator), "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
        torch.library.register_fake(f"{_NAMESPACE}::{name}", _shapes, lib=library)


def _calling(operator: Any) -> Callable[..., Any]:
    return lambda *arguments: operator(*arguments)  # the library treats an operator itself otherwise


def _shapes(
    x: Tensor,
    state: Tensor | list[Tensor],
    weights: list[Tensor],
    biases: bool,
    layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, ...]:
    states = [state] if isinstance(state, Tensor) else state
    # The output is as wide as a direction's last state, for each direction.
    width = states[0].size(2) * (2 if bidirectional else 1)
    return x.new_empty(x.size(0), x.size(1), width), *(torch.empty_like(one) for one in states)
