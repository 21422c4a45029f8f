"""Typed configurations: frozen dataclasses in sections, changed by `section.field=value`."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from portfire import InvalidArgumentError

ConfigT = TypeVar("ConfigT")


def require(condition: bool, message: str) -> None:
    """For `__post_init__`: raises InvalidArgumentError unless `condition` holds."""
    if not condition:
        raise InvalidArgumentError(message)


@dataclass(frozen=True, kw_only=True)
class RecipeConfig:
    """What every recipe's configuration begins with; sections follow."""

    name: str  # of the package
    description: str
    version: int = 1
    licence: str = "Apache-2.0"
    seed: int = 0
    golden: int = 4  # samples stored in the package

    def __post_init__(self) -> None:
        require(self.seed >= 0, f"seed is {self.seed}; at least 0 is needed")
        require(1 <= self.golden <= 100, f"golden is {self.golden}; 1 to 100 samples are allowed")


def override(config: ConfigT, assignments: Sequence[str]) -> ConfigT:
    """`config` with every "section.field=value" set, typed as the field is; it is validated when all are set,
    so that fields which need each other can be given in any order."""
    changes: dict[str, Any] = {}
    for assignment in assignments:
        path, equals, text = (part.strip() for part in assignment.partition("="))
        if not equals:
            raise InvalidArgumentError(f'"{assignment}" sets nothing; write section.field=value')
        *sections, name = path.split(".")
        value = _value(config, [*sections, name], text, path)
        section = changes
        for key in sections:
            section = section.setdefault(key, {})
        section[name] = value
    changed: ConfigT = _changed(config, changes)
    return changed


def _value(config: Any, keys: Sequence[str], text: str, path: str) -> Any:
    """`text` as a value of the field that `keys` lead to."""
    names = [field.name for field in dataclasses.fields(config)]
    if keys[0] not in names:
        raise InvalidArgumentError(f'there is no "{path}"; allowed here: {", ".join(names)}')
    value = getattr(config, keys[0])
    if dataclasses.is_dataclass(value):
        if len(keys) == 1:
            inner = ", ".join(f"{path}.{field.name}" for field in dataclasses.fields(value))
            raise InvalidArgumentError(f'"{path}" is a section; set one of {inner}')
        return _value(value, keys[1:], text, path)
    if len(keys) > 1:
        raise InvalidArgumentError(f'there is no "{path}"; {keys[0]} is a field, not a section')
    return parse(text, get_type_hints(type(config))[keys[0]], path)


def _changed(config: Any, changes: Mapping[str, Any]) -> Any:
    """`config` with these fields; those of a section are a mapping too."""
    fields = {
        key: _changed(getattr(config, key), value) if isinstance(value, dict) else value
        for key, value in changes.items()
    }
    return dataclasses.replace(config, **fields)


def parse(text: str, kind: Any, path: str) -> Any:
    """`text` as a value of type `kind`; `path` is what errors call it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        for value in arguments:
            if text == str(value):
                return value
        raise InvalidArgumentError(
            f'{path}: "{text}" is not allowed; one of {", ".join(map(str, arguments))} is'
        )
    if origin in (Union, types.UnionType):
        if text.lower() == "none" and type(None) in arguments:
            return None
        return parse(text, next(part for part in arguments if part is not type(None)), path)
    if origin is tuple:
        return tuple(parse(part.strip(), arguments[0], path) for part in text.split(",") if part.strip())
    if kind is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise InvalidArgumentError(f'{path}: "{text}" is not allowed; true or false is')
    try:
        return kind(text)
    except ValueError as error:
        raise InvalidArgumentError(f'{path}: "{text}" is no {kind.__name__}') from error


def to_json(config: Any, path_text: Callable[[Path], str] = str) -> dict[str, Any]:
    """Plain JSON of a configuration, in the order of its fields."""
    return {key: _plain(value, path_text) for key, value in dataclasses.asdict(config).items()}


def _plain(value: Any, path_text: Callable[[Path], str]) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part, path_text) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(part, path_text) for part in value]
    return path_text(value) if isinstance(value, Path) else value


def differences(a: Any, b: Any, prefix: str = "") -> list[str]:
    """The paths at which two plain JSON values differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        keys = [*a, *(key for key in b if key not in a)]
        return [path for key in keys for path in differences(a.get(key), b.get(key), f"{prefix}.{key}")]
    return [] if a == b else [prefix.lstrip(".")]
