"""llama2.c's files (github.com/karpathy/llama2.c): a checkpoint in the first format and its tokenizer.bin."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from portfire import InvalidInputError
from portfire._golden import read_file
from portfire.recipes.text_generation.model import Llama

_HEADER = struct.Struct("<7i")
_SPECIAL = ("<unk>", "<s>", "</s>")
BEGIN = 1  # which llama2.c also takes for the end of a text


def read_model(path: Path) -> tuple[Llama, int]:
    """The model, and its context in tokens."""
    content = read_file(path)
    if len(content) < _HEADER.size:
        raise InvalidInputError(f"{path}: {len(content)} bytes; a llama2.c checkpoint begins with 28")
    channels, hidden, layers, heads, kv_heads, vocabulary, context = _HEADER.unpack_from(content)
    tied, vocabulary = vocabulary > 0, abs(vocabulary)
    sizes = (channels, hidden, layers, heads, kv_heads, vocabulary, context)
    if min(sizes) < 1 or max(sizes) > 1 << 20 or channels % heads or heads % kv_heads:
        raise InvalidInputError(
            f"{path}: not a llama2.c checkpoint of the first format; its header says {sizes}"
        )
    model = Llama(
        vocabulary,
        context=context,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        channels=channels,
        hidden=hidden,
        tied=tied,
    )
    numbers = torch.from_numpy(np.frombuffer(content, "<f4", offset=_HEADER.size).copy())
    wanted = sum(x.numel() for x in _stored(model)) + context * channels // heads
    if len(numbers) != wanted:
        raise InvalidInputError(f"{path}: {len(numbers):,} numbers; its header asks for {wanted:,}")
    first = 0
    with torch.no_grad():
        for parameter in _stored(model):
            if parameter is model.head.weight and not tied:
                first += context * channels // heads  # the angles, which the model computes
            parameter.copy_(numbers[first : first + parameter.numel()].view_as(parameter))
            first += parameter.numel()
    return model.eval(), context


def _stored(model: Llama) -> Iterator[Tensor]:
    """The weights in the order of the file."""
    blocks: Any = model.blocks
    yield model.token.weight
    for name in ("norm_1", "q", "k", "v", "out", "norm_2", "gate", "down", "up"):
        for block in blocks:
            yield getattr(block, name).weight
    yield model.norm.weight
    if model.head.weight is not model.token.weight:
        yield model.head.weight


def read_tokenizer(path: Path, vocabulary: int) -> bytes:
    """tokenizer.bin as a tokenizer.json: pieces that are joined by their scores, bytes for what has none."""
    content = read_file(path)
    pieces: list[str] = []
    scores: list[float] = []
    at = 4
    try:
        for _ in range(vocabulary):
            score, size = struct.unpack_from("<fi", content, at)
            at += 8
            if size < 0 or at + size > len(content):
                raise InvalidInputError(
                    f"{path}: piece {len(pieces)} is of {size} bytes, beyond the file's end"
                )
            pieces.append(content[at : at + size].decode("utf-8").replace(" ", "▁"))
            scores.append(score)
            at += size
    except (struct.error, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"{path}: not a llama2.c tokenizer of {vocabulary} pieces ({error})"
        ) from error
    pieces[: len(_SPECIAL)] = _SPECIAL
    ids = {piece: k for k, piece in enumerate(pieces)}
    merges = []
    for piece in sorted(pieces[259:], key=lambda one: -scores[ids[one]]):
        merges += [
            [piece[:k], piece[k:]] for k in range(1, len(piece)) if piece[:k] in ids and piece[k:] in ids
        ]
    special = [
        {"id": k, "content": name, "special": True, "normalized": False} for k, name in enumerate(_SPECIAL)
    ]
    space = {"String": "▁"}
    whole = {
        "added_tokens": special,
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [BEGIN], "tokens": ["<s>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": space, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "unk_token": "<unk>",
            "byte_fallback": True,
            "fuse_unk": True,
            "vocab": ids,
            "merges": merges,
        },
    }
    return json.dumps(whole, ensure_ascii=False, indent=1).encode()
