#!/usr/bin/env python3
"""The language models that language.py measures, as Hugging Face folders and as packages of them: GPT-2-small
with random weights, and TinyStories of llama2.c. Their tokens are the words w0, w1, ..., so that every engine
is given the same ids."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import portfire
from portfire.importers import llama2c
from portfire.importers.__main__ import import_gpt2, import_llama

CHANNELS, LAYERS, VOCABULARY, CONTEXT = 768, 12, 50257, 1024  # GPT-2-small
LLAMA_NAMES = {
    "norm_1": "input_layernorm",
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "out": "self_attn.o_proj",
    "norm_2": "post_attention_layernorm",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}


def make_gpt2_small(folder: Path) -> None:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return 0.02 * torch.randn(shape, generator=generator)

    tensors = {"wte.weight": normal(VOCABULARY, CHANNELS), "wpe.weight": normal(CONTEXT, CHANNELS)}
    linear = {"attn.c_attn": (1, 3), "attn.c_proj": (1, 1), "mlp.c_fc": (1, 4), "mlp.c_proj": (4, 1)}
    for k in range(LAYERS):
        for name, (inputs, outputs) in linear.items():
            tensors[f"h.{k}.{name}.weight"] = normal(inputs * CHANNELS, outputs * CHANNELS)
            tensors[f"h.{k}.{name}.bias"] = normal(outputs * CHANNELS)
    for name in (*(f"h.{k}.ln_{n}" for k in range(LAYERS) for n in (1, 2)), "ln_f"):
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = torch.ones(CHANNELS), torch.zeros(CHANNELS)
    config = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "n_embd": CHANNELS,
        "n_head": 12,
        "n_layer": LAYERS,
        "n_positions": CONTEXT,
    }
    write(folder, config, VOCABULARY, {f"transformer.{name}": x for name, x in tensors.items()})


def make_tinystories(folder: Path, source: Path) -> None:
    checkpoint = next(path for path in sorted(source.glob("*.bin")) if path.name != "tokenizer.bin")
    model, context = llama2c.read_model(checkpoint)
    layers, kv_heads, size = model.shape
    tensors = {"model.embed_tokens.weight": model.token.weight, "model.norm.weight": model.norm.weight}
    for k, block in enumerate(model.blocks):
        for ours, theirs in LLAMA_NAMES.items():
            weight: Tensor = getattr(block, ours).weight
            if ours in ("q", "k"):  # pairs side by side, to their first halves before their second ones
                weight = weight.unflatten(0, (-1, size // 2, 2)).transpose(1, 2).flatten(0, 2)  # type: ignore[no-untyped-call]
            tensors[f"model.layers.{k}.{theirs}.weight"] = weight
    channels = model.token.embedding_dim
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": channels,
        "intermediate_size": tensors["model.layers.0.mlp.up_proj.weight"].size(0),
        "max_position_embeddings": context,
        "num_attention_heads": channels // size,
        "num_hidden_layers": layers,
        "num_key_value_heads": kv_heads,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
    }
    write(folder, config, model.token.num_embeddings, tensors)


def write(folder: Path, config: dict[str, Any], vocabulary: int, tensors: dict[str, Tensor]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    plain = {name: x.detach().contiguous() for name, x in tensors.items()}
    (folder / "model.safetensors").write_bytes(portfire.encode_safetensors(plain))
    words = {f"w{k}": k for k in range(vocabulary)}
    parts = dict.fromkeys(("truncation", "padding", "normalizer", "post_processor", "decoder"))
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        **parts,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "model": {"type": "WordLevel", "vocab": words, "unk_token": "w0"},
    }
    special = {"unk_token": "w0", "bos_token": "w1", "eos_token": "w2"}
    files = {
        "config.json": {**config, "vocab_size": vocabulary, "bos_token_id": None, "eos_token_id": None},
        "generation_config.json": {"eos_token_id": None},
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", **special},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")


def make(name: str, folder: Path, stories: Path | None) -> dict[str, Any]:
    """folder/hf and folder/package/1, where they are not there yet; and how many numbers a step reads."""
    files, package = folder / "hf", folder / "package" / "1" / "model.pt"
    if not (files / "tokenizer_config.json").exists():
        if name == "gpt2-small":
            make_gpt2_small(files)
        else:
            assert stories is not None
            make_tinystories(files, stories)
    importer = import_gpt2 if name == "gpt2-small" else import_llama
    if not package.with_suffix(".pt2").exists():
        importer(files, package, name=name, licence="MIT")
    config = json.loads((files / "config.json").read_text(encoding="utf-8"))
    tensors = portfire.decode_safetensors((files / "model.safetensors").read_bytes())
    weights = sum(x.nbytes for key, x in tensors.items() if "wpe" not in key) // 4
    layers = config.get("n_layer") or config["num_hidden_layers"]
    size = config.get("n_embd") or config["hidden_size"]
    heads = config.get("n_head") or config["num_attention_heads"]
    cached = 2 * layers * size // heads * (config.get("num_key_value_heads") or heads)
    return {
        "vocabulary": config["vocab_size"],
        "weights": weights,
        "cached": cached,
    }


def prompts(vocabulary: int, count: int, length: int) -> list[list[int]]:
    draw = random.Random(0)
    return [[draw.randrange(3, vocabulary) for _ in range(length)] for _ in range(count)]
