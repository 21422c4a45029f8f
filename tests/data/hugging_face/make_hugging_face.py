#!/usr/bin/env python3
"""Writes folders as transformers saves them, of tiny models with random weights, and what transformers
computes with each: logits.safetensors (of `ids`), greedy.json (of prompts) and beams.json (of the prompts
together). Run it only to add a case; it needs transformers and sentencepiece, of any environment:

    python tests/data/hugging_face/make_hugging_face.py
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import sentencepiece
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

HERE = Path(__file__).parent
TEXT = """
Once upon a time, there was a little girl named Lily. She loved to play outside.
The cat sat on the mat and looked at the big red ball.
It read the words from the left, and the longest of them came first.
""".strip().splitlines()
PROMPTS = (
    "The cat",
    "Once upon a time, there was a little girl",
    "é 漢!",
    "She loved to play with the cat, and",
)
NEW_TOKENS = 24
GROUPED = {"num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2}


def byte_level(begin: str | None, end: str) -> Tokenizer:
    """GPT-2's, or with a token to begin with Llama 3's."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = [end, *([begin] if begin else [])]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(TEXT, trainer)
    made.post_processor = processors.ByteLevel(trim_offsets=True)
    if begin:
        made.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A", special_tokens=[(begin, made.token_to_id(begin))]
        )
    return made


def pieces() -> bytes:
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT),
        model_writer=out,
        model_type="bpe",
        vocab_size=310,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        num_threads=1,
        minloglevel=2,
    )
    return out.getvalue()


def randomize(model: torch.nn.Module, seed: int) -> None:
    """Weights that tell tokens apart, scales and biases that are not 1 and 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = 0.1 if parameter.dim() == 1 else 0.5 if "embed" in name or "wte" in name else 0.6
            shift = 1.0 if parameter.dim() == 1 and name.endswith("weight") else 0.0
            parameter.copy_(shift + scale * torch.randn(parameter.shape, generator=generator))


def write(name: str, model: PreTrainedModel, encode: Callable[[str], list[int]], **options: object) -> None:
    folder = HERE / name
    model.save_pretrained(folder, **options)
    for path in folder.iterdir():
        path.chmod(0o644)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.randint(300, (2, 8), generator=torch.Generator().manual_seed(1))
    rows = []
    with torch.inference_mode():
        save_file({"ids": ids, "logits": model(ids).logits}, folder / "logits.safetensors")
        for prompt in PROMPTS:
            read = encode(prompt)
            whole = model.generate(
                torch.tensor([read]), max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=None
            )
            rows.append({"prompt": prompt, "ids": read, "greedy": whole[0, len(read) :].tolist()})
        found = beams(model, [row["ids"] for row in rows])
    for file, what in (("greedy.json", rows), ("beams.json", found)):
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in what)
        (folder / file).write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def beams(model: PreTrainedModel, prompts: list[list[int]]) -> list[dict[str, object]]:
    """What beam search makes of all prompts in one batch, filled up on the left."""
    longest = max(len(ids) for ids in prompts)
    filled = torch.tensor([[0] * (longest - len(ids)) + ids for ids in prompts])
    mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts])
    ends = [7, 40, 150]
    rows = []
    for count, penalty, stopping in ((3, 1.0, False), (4, 0.0, True), (5, 1.5, "never")):
        settings = {"num_beams": count, "length_penalty": penalty, "early_stopping": stopping}
        written = model.generate(
            filled,
            attention_mask=mask,
            max_new_tokens=NEW_TOKENS,
            do_sample=False,
            num_return_sequences=2,
            eos_token_id=ends,
            pad_token_id=-1,
            **settings,
        )
        texts = [[token for token in row[longest:].tolist() if token != -1] for row in written]
        pairs = [texts[k : k + 2] for k in range(0, len(texts), 2)]
        rows.append({**settings, "stop_tokens": ends, "texts": pairs})
    return rows


def gpt2() -> None:
    made = byte_level(None, "<|endoftext|>")
    config = GPT2Config(
        vocab_size=300, n_positions=64, n_embd=8, n_layer=2, n_head=2, n_inner=24, layer_norm_epsilon=1e-3
    )
    config.eos_token_id = config.bos_token_id = 0
    model = GPT2LMHeadModel(config)
    randomize(model, 0)
    PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|endoftext|>").save_pretrained(HERE / "gpt2")
    write("gpt2", model, lambda text: made.encode(text).ids)


def llama_3() -> None:
    """Grouped queries, a head of its own, slowed angles, bfloat16, three files, more rows than tokens."""
    made = byte_level("<|begin|>", "<|end|>")
    scaling = {"factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    rope = {"rope_type": "llama3", "rope_theta": 500.0, "original_max_position_embeddings": 32, **scaling}
    config = LlamaConfig(
        vocab_size=304,
        hidden_size=16,
        intermediate_size=20,
        max_position_embeddings=128,
        rope_parameters=rope,
        bos_token_id=1,
        eos_token_id=[0, 299],
        **GROUPED,
    )
    model = LlamaForCausalLM(config)
    randomize(model, 2)
    with torch.no_grad():
        model.lm_head.weight[300:] = 0  # tokens that the tokenizer has not are never the likeliest
    fast = PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<|begin|>", eos_token="<|end|>")
    fast.save_pretrained(HERE / "llama_3")
    write("llama_3", model.bfloat16(), lambda text: made.encode(text).ids, max_shard_size="12KB")


def llama_tied() -> None:
    """Heads of a size of their own, the embedding as the head, float16, a SentencePiece model."""
    content = pieces()
    reader = sentencepiece.SentencePieceProcessor(model_proto=content)
    config = LlamaConfig(
        vocab_size=310,
        hidden_size=8,
        head_dim=6,
        intermediate_size=12,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        rms_norm_eps=1e-4,
        **GROUPED,
    )
    model = LlamaForCausalLM(config)
    randomize(model, 3)
    (HERE / "llama_tied").mkdir()
    (HERE / "llama_tied" / "tokenizer.model").write_bytes(content)
    write("llama_tied", model.half(), reader.encode)


def main() -> None:
    for name in ("gpt2", "llama_3", "llama_tied"):
        shutil.rmtree(HERE / name, ignore_errors=True)
    gpt2()
    llama_3()
    llama_tied()


if __name__ == "__main__":
    main()
