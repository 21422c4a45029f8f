"""Small models that read text: a classifier and two that write, with weights that a seed gives."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import portfire
from portfire.manifest import GenerationSpec
from portfire.recipes.text_generation.model import GPT, GRULanguageModel, LanguageModel, Llama

LABELS = ("low", "middle", "high")
WORDS = [f"w{k}" for k in range(200)]
_LETTERS = string.ascii_lowercase + " .,é漢"
CONTEXT = 48


@dataclass(frozen=True, kw_only=True)
class TextWorld:
    """A packaged model, the module that it was made of, and its tokenizer."""

    folder: Path
    module: Any
    tokenizer: portfire.Tokenizer


class BagOfWords(nn.Module):
    """The mean of the words' vectors, and a linear layer."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, 16)
        self.head = nn.Linear(16, len(LABELS))

    def preprocess(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return tokens, torch.ones_like(tokens).sum()

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        places = torch.arange(ids.size(1), device=ids.device).unsqueeze(0)
        mask = (places < lengths.unsqueeze(1)).unsqueeze(2)
        logits: Tensor = self.head((self.words(ids) * mask).sum(1) / lengths.unsqueeze(1))
        return 3 * logits

    def postprocess(self, logits: Tensor) -> Tensor:
        return torch.softmax(logits, 0)


def word_tokenizer() -> bytes:
    vocabulary = {word: k for k, word in enumerate(["<unk>", *WORDS])}
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"}
    whole = {"normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"}, "model": model}
    return json.dumps(whole).encode()


def letter_tokenizer() -> bytes:
    vocabulary = {letter: k for k, letter in enumerate(["<unk>", *_LETTERS])}
    model = {"type": "BPE", "vocab": vocabulary, "merges": [], "unk_token": "<unk>"}
    return json.dumps({"model": model, "decoder": {"type": "Fuse"}}).encode()


CHAT: Mapping[str, Any] = {
    "system": ["<|im_start|>system\n", "<|im_end|>\n"],
    "user": ["<|im_start|>user\n", "<|im_end|>\n"],
    "assistant": ["<|im_start|>assistant\n", "<|im_end|>\n"],
    "answer": "<|im_start|>assistant\n",
    "stop": ["<|im_end|>"],
}


def chat_tokenizer() -> bytes:
    """Letters, and two tokens that control; one letter begins every text but a conversation's."""
    vocabulary = {token: k for k, token in enumerate(["<unk>", *_LETTERS, "\n", "<", "|", ">", "_"])}
    size = len(vocabulary)
    added = [
        {"id": size + k, "content": token, "special": True}
        for k, token in enumerate(["<|im_start|>", "<|im_end|>"])
    ]
    model = {"type": "BPE", "vocab": vocabulary, "merges": [], "unk_token": "<unk>"}
    begin = {"SpecialToken": {"id": "a", "type_id": 0}}
    post = {
        "type": "TemplateProcessing",
        "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [],
        "special_tokens": {"a": {"id": "a", "ids": [vocabulary["a"]], "tokens": ["a"]}},
    }
    whole = {"added_tokens": added, "model": model, "post_processor": post, "decoder": {"type": "Fuse"}}
    return json.dumps(whole).encode()


def make_chatter(folder: Path, chat: Mapping[str, Any] | None = None) -> TextWorld:
    """Answers in conversations, with nonsense."""
    torch.manual_seed(2)
    tokenizer = portfire.Tokenizer.from_bytes(chat_tokenizer())
    module = GPT(tokenizer.vocabulary_size, context=160, layers=2, heads=2, channels=32)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(4)
    portfire.package(
        module.eval(),
        folder / "1" / "model.pt",
        name="chatter",
        task="text-generation",
        tokenizer=chat_tokenizer(),
        golden=["the quick brown fox", "é, a lazy 漢."],
        licence="Apache-2.0",
        generation=GenerationSpec(context=160),
        state=module.state_shapes(),
        chat=CHAT if chat is None else chat,
    )
    return TextWorld(folder=folder, module=module, tokenizer=tokenizer)


def make_classifier(folder: Path) -> TextWorld:
    torch.manual_seed(0)
    module = BagOfWords(len(WORDS) + 1).eval()
    portfire.package(
        module,
        folder / "1" / "model.pt",
        name="bag",
        task="text-classification",
        tokenizer=word_tokenizer(),
        max_tokens=32,
        labels=LABELS,
        golden=["w1 w2 w3", "W7, w8!", "nothing known"],
        licence="Apache-2.0",
        formats=("torchscript", "graph"),
    )
    return TextWorld(folder=folder, module=module, tokenizer=portfire.Tokenizer.from_bytes(word_tokenizer()))


def make_writer(
    folder: Path, kind: str, context: int = CONTEXT, statistics: Sequence[str] | None = None
) -> TextWorld:
    torch.manual_seed(1)
    size = len(_LETTERS) + 1
    module: LanguageModel = {
        "gpt": lambda: GPT(size, context=CONTEXT, layers=2, heads=2, channels=32),
        "llama": lambda: Llama(size, context=CONTEXT, layers=2, heads=4, kv_heads=2, channels=32, hidden=48),
        "gru": lambda: GRULanguageModel(size, layers=2, channels=32),
    }[kind]()
    with torch.no_grad():  # far from uniform, so that the likeliest token is not a matter of rounding
        for parameter in module.parameters():
            parameter.mul_(4)
    portfire.package(
        module.eval(),
        folder / "1" / "model.pt",
        name=f"letters-{kind}",
        task="text-generation",
        tokenizer=letter_tokenizer(),
        golden=["the quick brown fox", "é, a lazy 漢."],
        licence="Apache-2.0",
        generation=GenerationSpec(context=context),
        state=module.state_shapes(),
        formats=("torchscript", "graph"),
        statistics=statistics,
    )
    return TextWorld(
        folder=folder, module=module, tokenizer=portfire.Tokenizer.from_bytes(letter_tokenizer())
    )


def sentences(count: int) -> list[str]:
    """Of 1 to 40 words, some of them unknown."""
    drawn = random.Random(0)
    return [
        " ".join(drawn.choice([*WORDS, "unknown", "Häuser!"]) for _ in range(drawn.randint(1, 40)))
        for _ in range(count)
    ]


def prompts(count: int) -> list[str]:
    """Of 1 to 30 letters."""
    drawn = random.Random(1)
    return ["".join(drawn.choice(_LETTERS) for _ in range(drawn.randint(1, 30))) for _ in range(count)]
