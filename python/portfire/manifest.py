"""The package manifest as typed values: docs/package-format.md, field by field.

The C++ side reads the same JSON into the struct in `portfire/manifest.h`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from portfire import DEFAULT_MAX_PIXELS, InvalidArgumentError, InvalidPackageError, VersionMismatchError

FORMAT_VERSION = 1
TASKS = ("image-classification", "text-classification", "text-generation", "tensor")
RAW_KINDS = ("image", "text", "tensor")
DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")
_STAGES = ("preprocess", "forward", "postprocess")
METHODS = {
    "image-classification": _STAGES,
    "text-classification": _STAGES,
    "text-generation": ("forward",),
    "tensor": ("forward",),
}  # what a package of each task must export

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _refuse(message: str) -> NoReturn:
    raise InvalidArgumentError(message)


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """What a method takes or gives in one place."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]  # a size, or a symbol such as "N" that is one size throughout a call
    minimum: float | None = None  # inclusive; with either bound NaN is refused too
    maximum: float | None = None  # inclusive
    layout: str = ""  # "NCHW"; empty when it has none
    unit: str = ""  # "Hz"; empty when it has none
    padding: float | None = None  # of forward's inputs: what fills up shorter samples of a batch

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        if not self.name:
            _refuse("a tensor spec has an empty name")
        if self.dtype not in DTYPES:
            _refuse(f'{self.name}: unknown dtype "{self.dtype}"; allowed: {", ".join(DTYPES)}')
        for size in self.shape:
            if isinstance(size, bool) or not isinstance(size, int | str):
                _refuse(f"{self.name}: dimension {size!r} is neither a size nor a symbol")
            if isinstance(size, int) and size < 0:
                _refuse(f"{self.name}: dimension {size} is negative; name it with a symbol where it varies")
            if isinstance(size, str) and not _SYMBOL.fullmatch(size):
                _refuse(f'{self.name}: "{size}" is no symbol; letters, digits and _ are allowed')
        for bound in (self.minimum, self.maximum):
            if bound is not None and not math.isfinite(bound):
                _refuse(f"{self.name}: a bound of {bound} means nothing; leave it out")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            _refuse(f"{self.name}: minimum {self.minimum} is above maximum {self.maximum}")

    def to_json(self) -> dict[str, Any]:
        optional = {"minimum": self.minimum, "maximum": self.maximum, "padding": self.padding}
        texts = {"layout": self.layout, "unit": self.unit}
        return {
            "name": self.name,
            "dtype": self.dtype,
            "shape": list(self.shape),
            **{key: value for key, value in optional.items() if value is not None},
            **{key: value for key, value in texts.items() if value},
        }


@dataclass(frozen=True, kw_only=True)
class MethodSpec:
    """One exported method: its tensors in the order of its signature."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def __post_init__(self) -> None:
        for kind in ("inputs", "outputs"):
            specs = tuple(getattr(self, kind))
            object.__setattr__(self, kind, specs)
            if not specs:
                _refuse(f"a method needs at least one tensor among its {kind}")
            names = [spec.name for spec in specs]
            if len(set(names)) != len(names):
                _refuse(f"a method's {kind} need distinct names, not {', '.join(names)}")

    def to_json(self) -> dict[str, Any]:
        return {
            "inputs": [spec.to_json() for spec in self.inputs],
            "outputs": [spec.to_json() for spec in self.outputs],
        }


_RAW_FIELDS = {
    "image": ("max_pixels",),
    "text": ("tokenizer", "max_bytes", "max_tokens", "longer", "invalid_utf8"),
    "tensor": (),
}


@dataclass(frozen=True, kw_only=True)
class RawInput:
    """What comes in from outside, before any tensor."""

    kind: str  # "image", "text" or "tensor"
    max_pixels: int = DEFAULT_MAX_PIXELS  # image: more are refused before memory is taken
    tokenizer: str = ""  # text: the packaged file, "assets/tokenizer.json"
    max_bytes: int = 1 << 20  # text: longer ones are refused
    max_tokens: int = 512  # text
    longer: str = "truncate"  # text of more tokens: "truncate" takes the first ones; or "refuse"
    invalid_utf8: str = "replace"  # text: by U+FFFD; or "refuse"

    def __post_init__(self) -> None:
        if self.kind not in RAW_KINDS:
            _refuse(f'unknown raw input "{self.kind}"; allowed: {", ".join(RAW_KINDS)}')
        for limit in ("max_pixels", "max_bytes", "max_tokens"):
            if getattr(self, limit) < 1:
                _refuse(f"{limit} is {getattr(self, limit)}; at least 1 is needed")
        for name, allowed in (("longer", "truncate"), ("invalid_utf8", "replace")):
            if getattr(self, name) not in (allowed, "refuse"):
                _refuse(f'{name} is "{getattr(self, name)}"; allowed: {allowed}, refuse')

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, **{name: getattr(self, name) for name in _RAW_FIELDS[self.kind]}}


@dataclass(frozen=True, kw_only=True)
class GenerationSpec:
    """How task text-generation goes on."""

    context: int  # the most tokens of prompt and text together
    stop_tokens: tuple[int, ...] = ()  # each ends a text

    def __post_init__(self) -> None:
        object.__setattr__(self, "stop_tokens", tuple(self.stop_tokens))
        if self.context < 1:
            _refuse(f"a context of {self.context} tokens; at least 1 is needed")


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """|actual - expected| <= atol + rtol * |expected|, for outputs of one dtype."""

    atol: float = 0.0
    rtol: float = 0.0

    def __post_init__(self) -> None:
        for value in (self.atol, self.rtol):
            if not (math.isfinite(value) and value >= 0):
                _refuse(f"a tolerance of {value} is not allowed; it must be finite and at least 0")


@dataclass(frozen=True, kw_only=True)
class GoldenSample:
    """A raw input and the file with every stage's output that Python computed for it."""

    input: str  # "golden/0/input.png"
    expected: str  # "golden/0/expected.safetensors"; keys "<method>/<output name>"


@dataclass(frozen=True, kw_only=True)
class PackagedFile:
    """A file under extra/portfire/, with what it must hash to."""

    bytes: int
    sha256: str  # 64 lower-case hexadecimal digits


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a package says of itself."""

    name: str
    task: str
    licence: str
    raw_input: RawInput
    methods: Mapping[str, MethodSpec]
    version: int = 1
    description: str = ""
    labels: tuple[str, ...] = ()
    max_batch: int = 1  # the most samples that `run` and `map` put through one call of `forward`
    generation: GenerationSpec | None = None  # of task text-generation
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)  # by dtype
    golden: tuple[GoldenSample, ...] = ()
    files: Mapping[str, PackagedFile] = field(default_factory=dict)  # by path under extra/portfire/
    provenance: Mapping[str, Any] = field(default_factory=dict)  # how the model came to be

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "golden", tuple(self.golden))
        if not _NAME.fullmatch(self.name):
            _refuse(
                f'"{self.name}" is no package name; 1 to 64 of a-z, 0-9, ".", "_", "-" are allowed, '
                "starting with a letter or digit"
            )
        if self.version < 1:
            _refuse(f"{self.name}: version {self.version} is not allowed; versions count from 1")
        if self.task not in TASKS:
            _refuse(f'{self.name}: unknown task "{self.task}"; allowed: {", ".join(TASKS)}')
        if not self.licence:
            _refuse(f'{self.name}: no licence is named; give an SPDX name such as "Apache-2.0"')
        if self.max_batch < 1:
            _refuse(f"{self.name}: max_batch is {self.max_batch}; at least 1 is needed")
        for method in METHODS[self.task]:
            if method not in self.methods:
                _refuse(f"{self.name}: no spec of method {method}; task {self.task} needs it")
        for dtype in self.tolerances:
            if dtype not in DTYPES:
                _refuse(f'{self.name}: a tolerance for unknown dtype "{dtype}"')
        if (self.task == "text-generation") != (self.generation is not None):
            _refuse(f"{self.name}: generation is for the task text-generation, which needs it")
        if self.task.endswith("-classification"):
            self._check_classifier(self.task.partition("-")[0])

    def _check_classifier(self, kind: str) -> None:
        if len(set(self.labels)) != len(self.labels) or not self.labels:
            _refuse(f"{self.name}: task {self.task} needs labels, each once")
        if self.raw_input.kind != kind:
            _refuse(f'{self.name}: task {self.task} takes raw input "{kind}", not "{self.raw_input.kind}"')
        if kind == "text" and self.raw_input.tokenizer not in self.files:
            _refuse(f'{self.name}: the tokenizer "{self.raw_input.tokenizer}" is not among the files')
        forward = self.methods["forward"]
        for spec in (*forward.inputs, *forward.outputs):
            if not spec.shape or spec.shape[0] != "N":
                _refuse(f'{self.name}: forward\'s {spec.name} must begin with the batch symbol "N"')
        classes = self.methods["postprocess"].outputs[0].shape
        if classes != (len(self.labels),):
            _refuse(f"{self.name}: postprocess gives shape {list(classes)} for {len(self.labels)} labels")

    def to_json(self) -> dict[str, Any]:
        return {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "version": self.version,
            "task": self.task,
            "licence": self.licence,
            "description": self.description,
            "raw_input": self.raw_input.to_json(),
            "methods": {name: spec.to_json() for name, spec in self.methods.items()},
            "labels": list(self.labels),
            "max_batch": self.max_batch,
            **(
                {
                    "generation": {
                        "context": self.generation.context,
                        "stop_tokens": list(self.generation.stop_tokens),
                    }
                }
                if self.generation
                else {}
            ),
            "tolerances": {key: {"atol": row.atol, "rtol": row.rtol} for key, row in self.tolerances.items()},
            "golden": [{"input": sample.input, "expected": sample.expected} for sample in self.golden],
            "files": {path: {"bytes": row.bytes, "sha256": row.sha256} for path, row in self.files.items()},
            "provenance": dict(self.provenance),
        }

    def dumps(self) -> bytes:
        """The JSON as stored: UTF-8, indented, ending in a line break."""
        try:
            text = json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            _refuse(f"{self.name}: provenance is not plain JSON ({error})")
        return f"{text}\n".encode()

    @staticmethod
    def loads(text: bytes | str) -> Manifest:
        """The inverse of `dumps`. Raises InvalidPackageError or VersionMismatchError."""
        return _parse(text)


def _parse(text: bytes | str) -> Manifest:
    try:
        data = json.loads(text)
        version = data["format_version"]
        if version != FORMAT_VERSION:
            raise VersionMismatchError(
                f"manifest.json has format version {version}; this Portfire reads {FORMAT_VERSION}"
            )
        raw = data["raw_input"]
        return Manifest(
            name=data["name"],
            version=data["version"],
            task=data["task"],
            licence=data["licence"],
            description=data["description"],
            raw_input=RawInput(**{name: raw[name] for name in ("kind", *_RAW_FIELDS[raw["kind"]])}),
            methods={name: _parse_method(spec) for name, spec in data["methods"].items()},
            labels=tuple(data["labels"]),
            max_batch=data["max_batch"],
            generation=GenerationSpec(**data["generation"]) if "generation" in data else None,
            tolerances={key: Tolerance(**row) for key, row in data["tolerances"].items()},
            golden=tuple(GoldenSample(**row) for row in data["golden"]),
            files={path: PackagedFile(**row) for path, row in data["files"].items()},
            provenance=data["provenance"],
        )
    except KeyError as error:
        raise InvalidPackageError(f"manifest.json has no field {error}") from error
    except InvalidArgumentError as error:
        raise InvalidPackageError(f"manifest.json: {error}") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise InvalidPackageError(f"manifest.json is malformed ({error})") from error


def _parse_method(data: Mapping[str, Sequence[Mapping[str, Any]]]) -> MethodSpec:
    return MethodSpec(
        inputs=tuple(TensorSpec(**row) for row in data["inputs"]),
        outputs=tuple(TensorSpec(**row) for row in data["outputs"]),
    )
