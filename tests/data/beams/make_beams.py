#!/usr/bin/env python3
"""Writes searches.json: language models that are tables, settings, and what transformers' beam search makes
of them. The logits after token i at place p of the text are table[i] + (8 + p) / 16 * table[(i + 3 * p) % V];
`table_of` says what is in a table. Needs transformers, of any environment: `python make_beams.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import GenerationConfig, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

_VOCABULARY = 12
_SETTINGS = [
    {
        "num_beams": beams,
        "num_sequences": 1 if number % 2 else beams,
        "length_penalty": penalty,
        "early_stopping": stopping,
        "repetition_penalty": repetition,
        "max_new_tokens": length,
        "stop_tokens": stops,
    }
    for number, (beams, penalty, stopping, repetition, length, stops) in enumerate(
        (beams, penalty, stopping, repetition, length, stops)
        for beams in (2, 3, 4)
        for penalty in (1.0, 0.0, 2.0, -1.0)
        for stopping in ("no", "yes", "never")
        for repetition in (1.0, 1.3)
        for length, stops in ((9, [0]), (6, [2, 7]), (14, [0, 5, 11]), (4, []))
    )
]


class TableConfig(PretrainedConfig):
    model_type = "table"

    def __init__(self, **named: Any) -> None:
        super().__init__(vocab_size=_VOCABULARY, **named)
        self.num_hidden_layers = 1


class Table(PreTrainedModel, GenerationMixin):
    config_class = TableConfig

    def __init__(self, table: Tensor) -> None:
        super().__init__(TableConfig())
        self.table = torch.nn.Parameter(table)

    def forward(self, input_ids: Tensor, **_: Any) -> CausalLMOutputWithPast:
        places = torch.arange(input_ids.shape[1])
        weights = ((8 + places) / 16)[None, :, None]
        logits = self.table[input_ids] + weights * self.table[(input_ids + 3 * places) % _VOCABULARY]
        return CausalLMOutputWithPast(logits=logits)


def table_of(case: int) -> Tensor:
    """Numbers of 0 to 8 that beam_search_test.cpp computes too, none of them rounded."""
    numbers = torch.arange(_VOCABULARY * _VOCABULARY) + 1000 * (case + 1)
    hashed = (numbers * 2654435761) % 2**32
    hashed = ((hashed ^ (hashed >> 15)) * 2246822519) % 2**32
    return ((hashed >> 12).double() / 2**17).float().view(_VOCABULARY, _VOCABULARY)


def search(table: Tensor, prompt: list[int], settings: dict[str, Any]) -> list[list[int]]:
    config = GenerationConfig(
        num_beams=settings["num_beams"],
        num_return_sequences=settings["num_sequences"],
        length_penalty=settings["length_penalty"],
        early_stopping={"no": False, "yes": True, "never": "never"}[settings["early_stopping"]],
        repetition_penalty=settings["repetition_penalty"],
        max_new_tokens=settings["max_new_tokens"],
        eos_token_id=settings["stop_tokens"] or None,
        pad_token_id=_VOCABULARY,
        do_sample=False,
        use_cache=False,
    )
    written = Table(table).generate(torch.tensor([prompt]), config, attention_mask=torch.ones(1, len(prompt)))
    return [[int(x) for x in row[len(prompt) :] if x != _VOCABULARY] for row in written]


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    cases = []
    for number, settings in enumerate(_SETTINGS):
        prompt = torch.randint(_VOCABULARY, (1 + number % 4,), generator=generator).tolist()
        cases.append({**settings, "prompt": prompt, "texts": search(table_of(number), prompt, settings)})
    whole = {"transformers": transformers.__version__, "cases": cases}
    path = Path(__file__).with_name("searches.json")
    path.write_text(json.dumps(whole, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
