"""torch.export: the only Python module that calls it."""

from __future__ import annotations

import copy
import inspect
import io
import logging
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind
from torch.export.pt2_archive._package import package_pt2

from portfire import InvalidArgumentError
from portfire._recurrent import restore_layers, whole_layers
from portfire._torchscript import is_scripted, summary
from portfire.manifest import MethodSpec

_STORED = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)


def export(
    module: nn.Module, method: str, inputs: tuple[Tensor, ...], spec: MethodSpec, name: str = ""
) -> ExportedProgram:
    """`method` as a program that takes every size that `spec` has a symbol for; `inputs` are an example.
    `name` is what errors call it, if not by its class.

    Raises InvalidArgumentError, in one line, where it cannot be exported so.
    """
    kind = type(module).__name__
    if is_scripted(module):
        raise InvalidArgumentError(f"{kind} is TorchScript; the format graph needs the eager module")
    symbols: dict[str, Any] = {}
    shapes = tuple(
        {
            axis: symbols.setdefault(size, Dim(size, min=1))
            for axis, size in enumerate(row.shape)
            if isinstance(size, str)
        }
        for row in spec.inputs
    )
    try:
        with _quiet(), torch.no_grad(), whole_layers():
            program = torch.export.export(
                _as_forward(module, method), example(inputs, spec), dynamic_shapes=shapes
            )
    except Exception as error:  # the exporter's errors have no type in common
        what = name or f"{kind}.{method}"
        raise InvalidArgumentError(f"{what} cannot be exported: {summary(str(error))}") from error
    restore_layers(program)
    _drop_unused(program)
    _drop_origin(program)
    return program


def converted(scripted: nn.Module, kind: str, inputs: tuple[Tensor, ...]) -> nn.Module:
    """TorchScript's `forward` as an eager module that can be exported; `kind` is what errors call it.

    Raises InvalidArgumentError, in one line, where torch does not know how.
    """
    from torch._export.converter import TS2EPConverter

    try:
        with _quiet(), torch.no_grad():
            return TS2EPConverter(scripted, inputs).convert().module()  # type: ignore[arg-type]
    except Exception as error:  # the converter's errors have no type in common
        raise InvalidArgumentError(f"{kind} cannot be converted: {summary(str(error))}") from error


def example(inputs: tuple[Tensor, ...], spec: MethodSpec) -> tuple[Tensor, ...]:
    """The exporter takes a size of 1 for a constant: inputs of which no size with a symbol is 1."""

    def widened(x: Tensor, shape: tuple[int | str, ...]) -> Tensor:
        for axis, size in enumerate(shape):
            if isinstance(size, str) and x.shape[axis] == 1:
                x = x.repeat_interleave(2, axis)
        return x

    return tuple(widened(x, row.shape) for x, row in zip(inputs, spec.inputs, strict=True))


def conditions(program: ExportedProgram, spec: MethodSpec) -> list[str]:
    """What the export took for granted about the sizes, beyond what `spec` says: their ranges, and that a
    symbol is one size throughout."""
    symbols = {
        f"L['{row.name}'].size()[{axis}]": size
        for row in spec.inputs
        for axis, size in enumerate(row.shape)
        if isinstance(size, str)
    }

    def said(guard: str) -> bool:
        left, equal, right = guard.partition(" == ")
        return bool(equal) and left in symbols and symbols[left] == symbols.get(right)

    return [guard for guard in program._guards_code if not said(guard)]


def argument_names(module: nn.Module, method: str) -> list[str]:
    """The names of a method's arguments, without self and without those that have a default."""
    parameters = inspect.signature(getattr(module, method)).parameters.values()
    return [one.name for one in parameters if one.default is inspect.Parameter.empty]


def save(programs: Mapping[str, ExportedProgram], files: Mapping[str, bytes]) -> bytes:
    """The archive with `files` at its root; `forward` lies where `torch.export.load` looks."""
    buffer = io.BytesIO()
    named = {"model" if method == "forward" else method: program for method, program in programs.items()}
    with _quiet():
        package_pt2(buffer, exported_programs=named)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        root = archive.namelist()[0].partition("/")[0]
        for name, content in files.items():  # not in extra/, which torch.export.load takes for text
            archive.writestr(zipfile.ZipInfo(f"{root}/{name}"), content)
    return buffer.getvalue()


def _as_forward(module: nn.Module, method: str) -> nn.Module:
    if method == "forward":
        return module
    kind = type(module)
    module = copy.copy(module)
    module.__class__ = type(kind.__name__, (kind,), {"forward": getattr(kind, method)})
    return module


def _drop_unused(program: ExportedProgram) -> None:
    """A method's program lists every weight of the module; those it does not use are not stored with it."""
    signature = program.graph_signature
    placeholders = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    unused = [
        spec
        for spec in signature.input_specs
        if spec.kind in _STORED and not placeholders[spec.arg.name].users
    ]
    for spec in unused:
        program.graph.erase_node(placeholders[spec.arg.name])
        signature.input_specs.remove(spec)
        assert spec.target is not None
        program.state_dict.pop(spec.target, None)
        program.constants.pop(spec.target, None)
    program.graph_module.recompile()


def _drop_origin(program: ExportedProgram) -> None:
    """Where the source lies on this machine, and the example, which the golden samples hold already."""
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)
    program.example_inputs = None


@contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
