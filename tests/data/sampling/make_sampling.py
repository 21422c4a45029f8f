#!/usr/bin/env python3
"""Writes processors.json: logits, settings, and what transformers' logits processors make of them (null is
-inf). Needs transformers, of any environment: `python make_sampling.py`."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
import transformers
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

_FILTERS = (
    (0, 1.0, 0.0),
    (5, 1.0, 0.0),
    (0, 0.9, 0.0),
    (0, 0.3, 0.0),
    (0, 1.0, 0.1),
    (8, 0.8, 0.05),
    (1, 0.5, 0.0),
    (30, 0.95, 0.3),
)  # top_k, top_p, min_p
_SETTINGS = [
    {"temperature": t, "top_k": k, "top_p": p, "min_p": m, "repetition_penalty": penalty}
    for t in (1.0, 0.7, 1.7)
    for k, p, m in _FILTERS
    for penalty in (1.0, 1.3)
]


def processors(settings: dict[str, float]) -> LogitsProcessorList:
    """In the order in which `generate` has them."""
    chain = LogitsProcessorList()
    if settings["repetition_penalty"] != 1:
        chain.append(RepetitionPenaltyLogitsProcessor(settings["repetition_penalty"]))
    if settings["temperature"] != 1:
        chain.append(TemperatureLogitsWarper(settings["temperature"]))
    if settings["top_k"]:
        chain.append(TopKLogitsWarper(int(settings["top_k"])))
    if settings["top_p"] < 1:
        chain.append(TopPLogitsWarper(settings["top_p"]))
    if settings["min_p"]:
        chain.append(MinPLogitsWarper(settings["min_p"]))
    return chain


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    cases = []
    for number, settings in enumerate(_SETTINGS):
        logits = torch.randn(1, 24, generator=generator) * (1 + number % 4)
        if number % 3 == 0:  # ties
            logits = (logits * 2).round() / 2
        prompt = torch.randint(24, (1, 6), generator=generator)
        scores = processors(settings)(prompt, logits.clone())[0]
        cases.append(
            {
                **settings,
                "prompt": prompt[0].tolist(),
                "logits": logits[0].tolist(),
                "scores": [None if math.isinf(x) else x for x in scores.tolist()],
            }
        )
    whole = {"transformers": transformers.__version__, "cases": cases}
    path = Path(__file__).with_name("processors.json")
    path.write_text(json.dumps(whole, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
