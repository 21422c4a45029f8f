"""GPT-2 as Hugging Face's transformers saves it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from portfire.importers.hugging_face import (
    Source,
    Weight,
    drop_copy,
    filled,
    read_config,
    read_stop_tokens,
    read_tensors,
    read_tokenizer,
)
from portfire.recipes.text_generation.model import GPT

_MASK = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)$")  # in older files; the model computes it
_NORMS = {"ln_1": "norm_1", "ln_2": "norm_2"}
_LINEAR = {"attn.c_attn": "qkv", "attn.c_proj": "out", "mlp.c_fc": "up", "mlp.c_proj": "down"}


def read_folder(folder: Path) -> Source:
    """Raises UnsupportedError for what GPT has not, InvalidInputError on damaged files, NotFoundError where
    one is missing."""
    config = read_config(folder, "gpt2")
    config.choice("activation_function", "gelu_new", "gelu_pytorch_tanh")
    config.choice("scale_attn_weights", True)
    config.choice("tie_word_embeddings", True)
    config.choice("scale_attn_by_inverse_layer_idx", False)
    config.choice("add_cross_attention", False)
    vocabulary, context = config.integer("vocab_size"), config.integer("n_positions")
    channels, heads = config.integer("n_embd"), config.integer("n_head")
    config.divides("n_head", heads, "n_embd", channels)
    hidden, layers = config.integer("n_inner", 4 * channels), config.integer("n_layer", most=1024)
    epsilon = config.number("layer_norm_epsilon", 1e-5)
    tokenizer, tokens = read_tokenizer(folder, vocabulary)
    tensors = {name: tensor for name, tensor in read_tensors(folder).items() if not _MASK.search(name)}
    prefix = "transformer." if any(name.startswith("transformer.") for name in tensors) else ""
    drop_copy(folder, tensors, "lm_head.weight", f"{prefix}wte.weight")

    def build() -> GPT:
        return GPT(
            tokens,
            context=context,
            layers=layers,
            heads=heads,
            channels=channels,
            hidden=hidden,
            epsilon=epsilon,
        )

    def weights(model: GPT) -> dict[str, Weight]:
        named = {"wte.weight": Weight(parameter=model.token.weight, rows=vocabulary)}
        named["wpe.weight"] = Weight(parameter=model.position.weight)
        for part in ("weight", "bias"):
            named[f"ln_f.{part}"] = Weight(parameter=getattr(model.norm, part))
            for k, block in enumerate(model.blocks):
                for name, module in {**_NORMS, **_LINEAR}.items():
                    parameter: Any = getattr(getattr(block, module), part)
                    turned = name in _LINEAR and part == "weight"
                    named[f"h.{k}.{name}.{part}"] = Weight(parameter=parameter, transposed=turned)
        return {prefix + name: weight for name, weight in named.items()}

    return Source(
        model=filled(folder, tensors, build, weights),
        context=context,
        tokenizer=tokenizer,
        stop_tokens=read_stop_tokens(folder, config, tokens),
    )
