"""The tokenizer.json of a configuration, with a vocabulary learnt from the training texts."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import portfire
from portfire import InvalidInputError, NotFoundError
from portfire.recipes.text_classification.config import TokenizerConfig

_UNKNOWN = "[UNK]"


def build_tokenizer(config: TokenizerConfig, texts: Iterable[str]) -> bytes:
    """A tokenizer.json. Words or characters are numbered from 1, the commonest first; 0 is the unknown."""
    if config.file is not None:
        if not config.file.is_file():
            raise NotFoundError(f"{config.file}: no such file")
        return config.file.read_bytes()
    if config.kind == "ngrams":
        model: dict[str, Any] = {
            "type": "HashedNGrams",
            "words": list(config.words),
            "characters": list(config.characters),
            "buckets": config.buckets,
        }
        return _render(config, model)
    # Before there is a vocabulary every piece is unknown, and its place in the text says what it was.
    pieces = portfire.Tokenizer.from_bytes(_render(config, _with_vocabulary(config, {_UNKNOWN: 0})))
    counts: Counter[str] = Counter()
    for text in texts:
        normal = unicodedata.normalize("NFC", text)
        if config.lowercase:  # one by one, as the tokenizer does: Python knows of a last sigma
            normal = "".join(character.lower() for character in normal)
        counts.update(normal[first:last] for first, last in pieces.encode(normal).offsets)
    common = sorted(
        (piece for piece, count in counts.items() if count >= config.least_count),
        key=lambda piece: (-counts[piece], piece),
    )
    if not common:
        raise InvalidInputError(
            f"no word or character is {config.least_count} times in the training texts; "
            "set a lower tokenizer.least_count"
        )
    vocabulary = {_UNKNOWN: 0, **{piece: k for k, piece in enumerate(common[: config.most], 1)}}
    return _render(config, _with_vocabulary(config, vocabulary))


def _with_vocabulary(config: TokenizerConfig, vocabulary: Mapping[str, int]) -> dict[str, Any]:
    if config.kind == "words":
        return {"type": "WordLevel", "vocab": dict(vocabulary), "unk_token": _UNKNOWN}
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": _UNKNOWN,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "vocab": dict(vocabulary),
        "merges": [],
    }


def _render(config: TokenizerConfig, model: Mapping[str, Any]) -> bytes:
    normalizers = [{"type": "NFC"}, *([{"type": "Lowercase"}] if config.lowercase else [])]
    content: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": None if config.kind == "characters" else {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": model,
    }
    return json.dumps(content, ensure_ascii=False).encode()
