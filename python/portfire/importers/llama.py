"""Llama 1 to 3 as Hugging Face's transformers saves them."""

from __future__ import annotations

import math
import re
from pathlib import Path

import torch
from torch import Tensor

from portfire.importers.hugging_face import (
    Config,
    Source,
    Weight,
    drop_copy,
    filled,
    read_config,
    read_stop_tokens,
    read_tensors,
    read_tokenizer,
)
from portfire.recipes.text_generation.model import Llama

_ANGLES = re.compile(r"\.rotary_emb\.inv_freq$")  # in older files; the model computes them
_EMBEDDING = "model.embed_tokens.weight"
_BLOCK = {
    "input_layernorm": "norm_1",
    "self_attn.q_proj": "q",
    "self_attn.k_proj": "k",
    "self_attn.v_proj": "v",
    "self_attn.o_proj": "out",
    "post_attention_layernorm": "norm_2",
    "mlp.gate_proj": "gate",
    "mlp.up_proj": "up",
    "mlp.down_proj": "down",
}


def read_folder(folder: Path) -> Source:
    """Raises UnsupportedError for what Llama has not, InvalidInputError on damaged files, NotFoundError where
    one is missing."""
    config = read_config(folder, "llama")
    config.choice("hidden_act", "silu")
    config.choice("attention_bias", False)
    config.choice("mlp_bias", False)
    config.choice("sliding_window", None)
    vocabulary, context = config.integer("vocab_size"), config.integer("max_position_embeddings")
    channels, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    kv_heads = config.integer("num_key_value_heads", heads)
    config.divides("num_key_value_heads", kv_heads, "num_attention_heads", heads)
    if config.values.get("head_dim") is None:
        config.divides("num_attention_heads", heads, "hidden_size", channels)
    size = config.integer("head_dim", channels // heads)
    config.divides("2, the channels of a pair", 2, "head_dim", size)
    hidden, layers = config.integer("intermediate_size"), config.integer("num_hidden_layers", most=1024)
    epsilon = config.number("rms_norm_eps", 1e-6)
    tied = config.flag("tie_word_embeddings", False)
    tokenizer, tokens = read_tokenizer(folder, vocabulary)
    angles = frequencies(config, size, context)
    tensors = {name: tensor for name, tensor in read_tensors(folder).items() if not _ANGLES.search(name)}
    if tied:
        drop_copy(folder, tensors, "lm_head.weight", _EMBEDDING)

    def build() -> Llama:
        return Llama(
            tokens,
            context=context,
            layers=layers,
            heads=heads,
            kv_heads=kv_heads,
            channels=channels,
            hidden=hidden,
            tied=tied,
            epsilon=epsilon,
            frequencies=torch.tensor(angles),
            head_size=size,
        )

    def weights(model: Llama) -> dict[str, Weight]:
        named = {_EMBEDDING: Weight(parameter=model.token.weight, rows=vocabulary)}
        named["model.norm.weight"] = Weight(parameter=model.norm.weight)
        if not tied:
            named["lm_head.weight"] = Weight(parameter=model.head.weight, rows=vocabulary)
        turned = {"q": heads, "k": kv_heads}
        for k, block in enumerate(model.blocks):
            for name, module in _BLOCK.items():
                parameter: Tensor = getattr(block, module).weight
                weight = Weight(parameter=parameter, rotary_heads=turned.get(module, 0))
                named[f"model.layers.{k}.{name}.weight"] = weight
        return named

    return Source(
        model=filled(folder, tensors, build, weights),
        context=context,
        tokenizer=tokenizer,
        stop_tokens=read_stop_tokens(folder, config, tokens),
    )


def frequencies(config: Config, size: int, context: int) -> list[float]:
    """By how much each pair of `size` channels is turned for a position, in the arithmetic of transformers:
    rope_parameters as its release 5 writes them, or rope_theta and rope_scaling."""
    rope = config.part("rope_parameters") or config.part("rope_scaling") or Config({}, "")
    base = rope.number("rope_theta", config.number("rope_theta", 10000.0))
    rope.choice("partial_rotary_factor", 1.0)
    key = "rope_type" if "rope_type" in rope.values else "type"
    kind = rope.choice(key, "default", "linear", "llama3")
    angles = 1.0 / (base ** (torch.arange(0, size, 2).float() / size))
    if kind == "linear":
        angles = angles / rope.number("factor")
    if kind == "llama3":
        angles = _llama_3(
            angles,
            rope.number("factor"),
            rope.number("low_freq_factor"),
            rope.number("high_freq_factor"),
            rope.integer("original_max_position_embeddings", context),
        )
    numbers: list[float] = angles.tolist()
    return numbers


def _llama_3(angles: Tensor, factor: float, low: float, high: float, context: int) -> Tensor:
    """Pairs that turn fewer than `low` times within the first context are slowed down by `factor`, those of
    more than `high` are left, and between them it goes over from one to the other."""
    turns = context / (2 * math.pi / angles)
    share = (turns - low) / (high - low)
    between = (1 - share) * angles / factor + share * angles
    return torch.where(turns < low, angles / factor, torch.where(turns > high, angles, between))
