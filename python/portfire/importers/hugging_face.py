"""Folders as Hugging Face's `save_pretrained` writes them: config.json, safetensors and a tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

import portfire
from portfire import InvalidInputError, NotFoundError, Tokenizer, UnsupportedError
from portfire._golden import read_file
from portfire.recipes.text_generation.model import LanguageModel

_LARGEST = 1 << 20  # of any size in a configuration
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)
_END = "<|endoftext|>"

M = TypeVar("M", bound=LanguageModel)


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a folder has for a package."""

    model: LanguageModel
    context: int  # tokens
    tokenizer: bytes
    stop_tokens: tuple[int, ...]


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file. Raises InvalidInputError where it holds something else."""
    try:
        whole = json.loads(read_file(path))
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{path}: not JSON ({error})") from error
    if not isinstance(whole, dict):
        raise InvalidInputError(f"{path}: holds no JSON object")
    return whole


class Config:
    """A configuration, of which each value is looked at when it is asked for; null counts as left out."""

    def __init__(self, values: Mapping[str, Any], label: str) -> None:
        self.values = values
        self._label = label  # what errors put before a key

    def integer(self, key: str, default: int | None = None, *, most: int = _LARGEST) -> int:
        """From 1 to `most`."""
        value = self._value(key, default)
        if type(value) is not int or not 1 <= value <= most:
            raise self._error(key, value, f"a whole number from 1 to {most} is needed")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """Above 0, and no infinity."""
        value = self._value(key, default)
        if type(value) not in (int, float) or not 0 < value < 1e30:
            raise self._error(key, value, "a number above 0 is needed")
        return float(value)

    def part(self, key: str) -> Config | None:
        """The object of that name, if there is one."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, dict):
            raise self._error(key, value, "an object is needed")
        return None if value is None else Config(value, f"{self._label}{key}.")

    def choice(self, key: str, *known: Any) -> Any:
        """One of the values that are implemented, of which the first is meant where the key is left out."""
        value = self._value(key, known[0])
        if value not in known:
            names = " or ".join(_shown(one) for one in known)
            raise UnsupportedError(f"{self._label}{key} is {_shown(value)}; implemented is {names}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        return bool(self.choice(key, default, not default))

    def divides(self, key: str, value: int, of: str, whole: int) -> None:
        """Raises InvalidInputError unless `whole` is a multiple of `value`."""
        if whole % value:
            raise InvalidInputError(f"{self._label}{of} is {whole}; a multiple of {key} ({value}) is needed")

    def _value(self, key: str, default: Any) -> Any:
        value = self.values.get(key)
        return default if value is None else value

    def _error(self, key: str, value: Any, needed: str) -> InvalidInputError:
        state = "is missing" if value is None else f"is {_shown(value)}"
        return InvalidInputError(f"{self._label}{key} {state}; {needed}")


def _shown(value: Any) -> str:
    return json.dumps(value)[:80]


def read_config(folder: Path, kind: str) -> Config:
    """config.json of a model of that type, with weights that are plain numbers."""
    path = folder / "config.json"
    config = Config(read_json(path), f"{path}: ")
    config.choice("model_type", kind)
    config.choice("quantization_config", None)
    return config


def read_stop_tokens(folder: Path, config: Config, vocabulary: int) -> tuple[int, ...]:
    """Those of generation_config.json, else of config.json; ids beyond the vocabulary never come."""
    path = folder / "generation_config.json"
    value = read_json(path).get("eos_token_id") if path.is_file() else None
    if value is None:
        path, value = folder / "config.json", config.values.get("eos_token_id")
    ids = value if isinstance(value, list) else [] if value is None else [value]
    if any(type(one) is not int or one < 0 for one in ids):
        raise InvalidInputError(
            f"{path}: eos_token_id is {_shown(value)}; a token id or a list of them is needed"
        )
    return tuple(one for one in ids if one < vocabulary)


def read_tokenizer(folder: Path, vocabulary: int) -> tuple[bytes, int]:
    """tokenizer.json, tokenizer.model, or of vocab.json and merges.txt a tokenizer.json; and its number of
    tokens, which are at most `vocabulary`."""
    for name in ("tokenizer.json", "tokenizer.model"):
        if (folder / name).is_file():
            label, content = str(folder / name), read_file(folder / name)
            break
    else:
        if not ((folder / "vocab.json").is_file() and (folder / "merges.txt").is_file()):
            raise NotFoundError(
                f"{folder}: holds no tokenizer; tokenizer.json, tokenizer.model or vocab.json with "
                "merges.txt is needed"
            )
        label, content = f"{folder}/vocab.json", _bpe(folder)
    tokenizer = Tokenizer.from_bytes(content, label)
    if tokenizer.vocabulary_size > vocabulary:
        raise InvalidInputError(
            f"{label}: {tokenizer.vocabulary_size} tokens; the model has {vocabulary}, so this is another "
            "model's tokenizer"
        )
    _require_added(folder, tokenizer, label)
    return content, tokenizer.vocabulary_size


def _bpe(folder: Path) -> bytes:
    try:
        lines = read_file(folder / "merges.txt").decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{folder}/merges.txt: not UTF-8 at byte {error.start}") from error
    vocabulary = read_json(folder / "vocab.json")
    special = {"content": _END, "special": True, "normalized": False}
    spelling = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    merges = [line for line in lines[lines[0].startswith("#version") :] if line]
    whole = {
        "added_tokens": [{"id": vocabulary[_END], **special}] if _END in vocabulary else [],
        "pre_tokenizer": spelling,
        "decoder": spelling,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": merges},
    }
    return json.dumps(whole).encode()


def _require_added(folder: Path, tokenizer: Tokenizer, label: str) -> None:
    """transformers follows tokenizer_config.json in what begins and ends a text; a package, its tokenizer."""
    path = folder / "tokenizer_config.json"
    config = read_json(path) if path.is_file() else {}
    ids = tokenizer.encode("a").ids
    for name, place in (("bos", 0), ("eos", -1)):
        wanted, token = config.get(f"add_{name}_token"), config.get(f"{name}_token")
        token = token.get("content") if isinstance(token, dict) else token
        added = isinstance(token, str) and bool(ids) and ids[place] == tokenizer.id(token)
        if isinstance(wanted, bool) and wanted != added:
            raise UnsupportedError(
                f"{label}: {'adds' if added else 'does not add'} the {name}_token, and tokenizer_config.json "
                f"says add_{name}_token {_shown(wanted)}; save the tokenizer anew with save_pretrained"
            )


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Of model.safetensors, or of the files that model.safetensors.index.json names."""
    names = ["model.safetensors"]
    index = folder / "model.safetensors.index.json"
    if not (folder / names[0]).is_file():
        if not index.is_file():
            raise NotFoundError(
                f"{folder}: holds neither model.safetensors nor model.safetensors.index.json; save it with "
                "save_pretrained"
            )
        listed = read_json(index).get("weight_map")
        files = list(listed.values()) if isinstance(listed, dict) else []
        if not files or not all(isinstance(name, str) and Path(name).name == name for name in files):
            raise InvalidInputError(f"{index}: weight_map does not name files of this folder")
        names = sorted(set(files))
    tensors: dict[str, Tensor] = {}
    for name in names:
        found = portfire.decode_safetensors(read_file(folder / name), str(folder / name))
        for twice in tensors.keys() & found.keys():
            raise InvalidInputError(f"{folder / name}: tensor {twice} is in another file of the folder too")
        tensors.update({key: from_dlpack(tensor) for key, tensor in found.items()})
    return tensors


def drop_copy(folder: Path, tensors: dict[str, Tensor], name: str, of: str) -> None:
    """Forgets a tensor that the model has by another name. Raises InvalidInputError where they differ."""
    copy = tensors.pop(name, None)
    if copy is not None and of in tensors and not torch.equal(copy, tensors[of]):
        raise InvalidInputError(f"{folder}: tie_word_embeddings is true, but {name} and {of} differ")


@dataclass(frozen=True, kw_only=True)
class Weight:
    """A parameter, and how the file has it."""

    parameter: Tensor
    transposed: bool = False
    rotary_heads: int = 0  # of each, the first halves of all pairs come before the second ones
    rows: int = 0  # in the file, if it has more than the parameter

    @property
    def stored_shape(self) -> tuple[int, ...]:
        first, *rest = self.parameter.shape
        shape = (self.rows or first, *rest)
        return shape[::-1] if self.transposed else shape

    def taken(self, stored: Tensor) -> Tensor:
        """As the parameter has it."""
        if self.transposed:
            stored = stored.t()
        if self.rotary_heads:
            halves = stored.reshape(self.rotary_heads, 2, -1, *stored.shape[1:])
            stored = halves.transpose(1, 2).flatten(0, 2)
        return stored[: self.parameter.shape[0]]


def filled(
    folder: Path,
    tensors: Mapping[str, Tensor],
    build: Callable[[], M],
    weights: Callable[[M], dict[str, Weight]],
) -> M:
    """The model with the folder's weights, widened to float32: exactly those, in exactly their shapes, or
    InvalidInputError; that is looked at before memory for it is taken."""
    with torch.device("meta"):
        wanted = weights(build())
    for problem, names in (
        ("is missing", wanted.keys() - tensors),
        ("is not known", tensors.keys() - wanted),
    ):
        if names:
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise InvalidInputError(
                f"{folder}: tensor {min(names)}{more} {problem}; is this another model's folder?"
            )
    for name, weight in wanted.items():
        stored, shape = tensors[name], weight.stored_shape
        if stored.dtype not in _FLOATS or stored.shape != shape:
            raise InvalidInputError(
                f"{folder}: tensor {name} is {str(stored.dtype)[6:]} {list(stored.shape)}; float32, float16 "
                f"or bfloat16 {list(shape)} is needed"
            )
    model = build()
    with torch.no_grad():
        for name, weight in weights(model).items():
            weight.parameter.copy_(weight.taken(tensors[name]))
    return model.eval()
