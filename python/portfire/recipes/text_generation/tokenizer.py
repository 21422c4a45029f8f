"""The tokenizer.json of a configuration: the training text's characters or words, or a file of one's own."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from portfire import NotFoundError
from portfire.recipes.text_generation.config import TokenizerConfig

UNKNOWN = "<unk>"
END_OF_LINE = "<eos>"


def build_tokenizer(config: TokenizerConfig, text: str) -> bytes:
    """Characters are numbered from 1 by their code points, words by how often they are in `text`; 0 is any
    other one."""
    if config.file is not None:
        if not config.file.is_file():
            raise NotFoundError(f"{config.file}: no such file")
        return config.file.read_bytes()
    content: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "post_processor": None,
        **(_words(text) if config.kind == "words" else _characters(text)),
    }
    return json.dumps(content, ensure_ascii=False).encode()


def split_words(text: str) -> list[str]:
    """What lies between spaces, and END_OF_LINE for each end of a line."""
    return text.replace("\n", f" {END_OF_LINE} ").split()


def _characters(text: str) -> dict[str, Any]:
    return {
        "normalizer": None,
        "pre_tokenizer": None,
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": UNKNOWN,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": _numbered(sorted(set(text))),
            "merges": [],
        },
    }


def _words(text: str) -> dict[str, Any]:
    counts = Counter(split_words(text))
    counts.pop(UNKNOWN, None)  # a text may have it already, as WikiText-2 has
    return {
        "normalizer": {"type": "Replace", "pattern": {"String": "\n"}, "content": f" {END_OF_LINE} "},
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "decoder": None,  # puts a space between two
        "model": {
            "type": "WordLevel",
            "vocab": _numbered(sorted(counts, key=lambda word: (-counts[word], word))),
            "unk_token": UNKNOWN,
        },
    }


def _numbered(tokens: list[str]) -> dict[str, int]:
    return {UNKNOWN: 0, **{token: k for k, token in enumerate(tokens, 1)}}
