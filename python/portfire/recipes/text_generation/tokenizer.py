"""The tokenizer.json of a configuration: the characters of the training text, or a file of one's own."""

from __future__ import annotations

import json
from typing import Any

from portfire import NotFoundError
from portfire.recipes.text_generation.config import TokenizerConfig

UNKNOWN = "<unk>"


def build_tokenizer(config: TokenizerConfig, text: str) -> bytes:
    """Characters are numbered from 1 by their code points; 0 is any other one."""
    if config.file is not None:
        if not config.file.is_file():
            raise NotFoundError(f"{config.file}: no such file")
        return config.file.read_bytes()
    content: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": UNKNOWN,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {UNKNOWN: 0, **{character: k for k, character in enumerate(sorted(set(text)), 1)}},
            "merges": [],
        },
    }
    return json.dumps(content, ensure_ascii=False).encode()
