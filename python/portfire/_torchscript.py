"""TorchScript: the only Python module that calls torch.jit.

PyTorch has deprecated torch.jit; keeping its calls here is what makes another exporter one file's work.
"""

from __future__ import annotations

import copy
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from portfire import InvalidArgumentError

_PLACE = re.compile(r'^\s*File "(?P<path>[^"]+)", line (?P<line>\d+)')


def script(module: nn.Module, methods: Sequence[str]) -> nn.Module:
    """`module` as TorchScript with `methods` kept by name; a module that is scripted already stays so.

    Raises InvalidArgumentError, in one line, where a method is missing or cannot be compiled.
    """
    kind = getattr(module, "original_name", type(module).__name__)
    for method in methods:
        if not callable(getattr(module, method, None)):
            raise InvalidArgumentError(f"{kind} has no method {method}; {', '.join(methods)} are needed")
    if is_scripted(module):
        return module
    for method in methods:
        if method != "forward":
            torch.jit.export(getattr(type(module), method))
    # A type of its own: where the class was scripted before without these exports, that type would be reused.
    module = copy.copy(module)
    module._portfire_methods = len(methods)  # type: ignore[assignment]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            scripted: nn.Module = torch.jit.script(module)
    except Exception as error:  # the compiler's errors have no type in common
        raise InvalidArgumentError(f"{kind} cannot be scripted: {summary(str(error))}") from error
    return scripted


def load(content: bytes) -> nn.Module:
    """A TorchScript file that the native runtime has checked: reading one can run code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module: nn.Module = torch.jit.load(io.BytesIO(content), "cpu")  # type: ignore[no-untyped-call]
    return module.eval()


class _Preprocess(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.module.preprocess(x)  # type: ignore[operator]
        return y


class _Postprocess(_Preprocess):
    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.module.postprocess(x)  # type: ignore[operator]
        return y


def as_forward(scripted: nn.Module, method: str) -> nn.Module:
    """TorchScript whose `forward` is that method."""
    stages = {"preprocess": _Preprocess, "postprocess": _Postprocess}
    return scripted if method == "forward" else script(stages[method](scripted), ["forward"])


def is_scripted(module: nn.Module) -> bool:
    return isinstance(module, torch.jit.ScriptModule)


def save(scripted: nn.Module, files: Mapping[str, bytes]) -> bytes:
    """The archive with `files` under extra/."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(scripted, buffer, _extra_files=dict(files))
    return buffer.getvalue()


def argument_names(scripted: nn.Module, method: str) -> list[str]:
    """The names of a method's arguments, without self and without those that have a default."""
    schema: Any = getattr(scripted, method).schema
    return [argument.name for argument in schema.arguments[1:] if not argument.has_default_value()]


def summary(message: str) -> str:
    """The first line of a compiler error that says something, with the source line it is about."""
    lines = [line.rstrip() for line in message.splitlines() if line.strip()]
    saying = lines
    if lines and lines[0].startswith("Arguments for call are not valid"):
        saying = [line for line in lines if line.strip().startswith("Expected ")] or lines
    reason = saying[0].strip().rstrip(" :.") if saying else "no reason given"
    for number, line in enumerate(lines):
        place = _PLACE.match(line)
        if place:
            marks = (k for k in range(number + 1, len(lines)) if "~~~" in lines[k] or "<--- HERE" in lines[k])
            marked = next(marks, 0)
            source = lines[marked - 1].strip() if marked > 1 else ""
            file = place["path"].rsplit("/", 1)[-1]
            where = f"{file}:{place['line']}"
            return f"{reason} ({where}: {source})" if source else f"{reason} ({where})"
    return reason
