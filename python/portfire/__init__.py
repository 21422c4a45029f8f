"""Train in PyTorch. Run without Python.

>>> import portfire
>>> model = portfire.load("models/digits")
>>> answer = model.run("seven.png")  # answer.label, answer.probability, answer.top
>>> logits = model.forward(x)  # x: numpy, torch or anything with DLPack

Importing this package loads LibTorch's libraries but not the `torch` module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portfire import _libtorch

_libtorch.load()

from portfire._batcher import TextBatcher  # noqa: E402
from portfire._core import (  # noqa: E402  (LibTorch must be loaded first)
    DEFAULT_MAX_PIXELS,
    ArgumentInfo,
    BatcherStats,
    CancelledError,
    Classification,
    DeadlineExceededError,
    DecodeStream,
    Encoding,
    Error,
    GeneratedText,
    Generation,
    InternalError,
    InvalidArgumentError,
    InvalidInputError,
    InvalidPackageError,
    IoError,
    MethodInfo,
    ModelInfo,
    NotFoundError,
    OverloadedError,
    ResourceExhaustedError,
    ScoredLabel,
    StageResult,
    Tensor,
    TensorAnswer,
    TextStream,
    Tokenizer,
    TuneReport,
    TuneRow,
    UnavailableError,
    UnsupportedError,
    UntrustedPackageError,
    VerificationFailedError,
    VerifyReport,
    VersionMismatchError,
    cpu_budget,
    cuda_available,
    decode_image,
    decode_json_tensors,
    decode_npy,
    decode_safetensors,
    encode_npy,
    encode_png,
    encode_safetensors,
    engines,
    inspect,
    resolve_package,
    tensor,
    torch_version,
    tune,
    version,
)
from portfire._model import Answer, Model, ModelInput, load  # noqa: E402

if TYPE_CHECKING:
    from portfire.manifest import GenerationSpec, Manifest, MethodSpec, RawInput, TensorSpec, Tolerance
    from portfire.packaging import package

__version__ = version()

# What writes packages is imported when it is first used: it needs torch.
_LAZY = {
    "GenerationSpec": "portfire.manifest",
    "Manifest": "portfire.manifest",
    "MethodSpec": "portfire.manifest",
    "RawInput": "portfire.manifest",
    "TensorSpec": "portfire.manifest",
    "Tolerance": "portfire.manifest",
    "package": "portfire.packaging",
}

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "Answer",
    "ArgumentInfo",
    "BatcherStats",
    "CancelledError",
    "Classification",
    "DeadlineExceededError",
    "DecodeStream",
    "Encoding",
    "Error",
    "GeneratedText",
    "Generation",
    "GenerationSpec",
    "InternalError",
    "InvalidArgumentError",
    "InvalidInputError",
    "InvalidPackageError",
    "IoError",
    "Manifest",
    "MethodInfo",
    "MethodSpec",
    "Model",
    "ModelInfo",
    "ModelInput",
    "NotFoundError",
    "OverloadedError",
    "RawInput",
    "ResourceExhaustedError",
    "ScoredLabel",
    "StageResult",
    "Tensor",
    "TensorAnswer",
    "TensorSpec",
    "TextBatcher",
    "TextStream",
    "Tokenizer",
    "Tolerance",
    "TuneReport",
    "TuneRow",
    "UnavailableError",
    "UnsupportedError",
    "UntrustedPackageError",
    "VerificationFailedError",
    "VerifyReport",
    "VersionMismatchError",
    "__version__",
    "cpu_budget",
    "cuda_available",
    "decode_image",
    "decode_json_tensors",
    "decode_npy",
    "decode_safetensors",
    "encode_npy",
    "encode_png",
    "encode_safetensors",
    "engines",
    "inspect",
    "load",
    "package",
    "resolve_package",
    "tensor",
    "torch_version",
    "tune",
    "version",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        value = globals()[name] = getattr(import_module(_LAZY[name]), name)
        return value
    raise AttributeError(f"module 'portfire' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
