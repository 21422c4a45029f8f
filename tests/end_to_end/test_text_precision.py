"""Models that write, on weights of fewer bits: the same text whoever writes beside it."""

from __future__ import annotations

import copy
import json
import string
from pathlib import Path

import numpy as np
import pytest
import torch
from agreement import steps_of
from faces import Program
from torch import Tensor, nn
from torch.nn import functional as F

import portfire
from portfire.manifest import GenerationSpec
from portfire.recipes.text_generation.model import GPT, LanguageModel, Llama

_LETTERS = string.ascii_letters + string.digits + " .,"
_CONTEXT = 96
_MULTIPLIES_BYTES = "avx512_vnni" in Path("/proc/cpuinfo").read_text(encoding="ascii")
_PROMPTS = ("a quick brown fox", "z", "Jumps over 13 lazy dogs, and 7 more.")


def _module(kind: str) -> LanguageModel:
    torch.manual_seed(2)
    size = len(_LETTERS)
    module: GPT | Llama = (
        GPT(size, context=_CONTEXT, layers=2, heads=2, channels=80)
        if kind == "gpt"
        else Llama(size, context=_CONTEXT, layers=2, heads=4, kv_heads=2, channels=64, hidden=96)
    )
    with torch.no_grad():  # neither uniform nor one token again and again
        for parameter in module.parameters() if kind == "gpt" else [module.token.weight]:
            parameter.mul_(3 if kind == "gpt" else 0.15)
    return module.eval()


@pytest.fixture(scope="module", params=["gpt", "llama"])
def writer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[LanguageModel, Path]:
    module = _module(request.param)
    path = tmp_path_factory.mktemp(request.param) / "writer" / "1" / "model.pt2"
    vocabulary = {letter: k for k, letter in enumerate(_LETTERS)}
    tokenizer = {
        "model": {"type": "BPE", "vocab": vocabulary, "merges": [], "unk_token": "."},
        "decoder": {"type": "Fuse"},
    }
    portfire.package(
        module,
        path,
        name="writer",
        task="text-generation",
        tokenizer=json.dumps(tokenizer).encode(),
        golden=["the quick brown fox", "A lazy one."],
        licence="Apache-2.0",
        generation=GenerationSpec(context=_CONTEXT),
        state=module.state_shapes(),
        formats=("graph",),
    )
    return module, path.parent


def _rounded(module: LanguageModel, precision: str) -> LanguageModel:
    """Weights as the precision keeps them, where there are enough for it; computing in float32."""
    module = copy.deepcopy(module)
    seen: list[Tensor] = []
    for layer in module.modules():
        weight = getattr(layer, "weight", None)
        is_table = isinstance(layer, nn.Embedding) and layer.num_embeddings == len(_LETTERS)
        if (
            not isinstance(weight, Tensor)
            or not (isinstance(layer, nn.Linear) or is_table)
            or weight.numel() < 4096
        ):
            continue
        if any(weight is one for one in seen):
            continue
        seen.append(weight)
        scale = weight.data.abs().amax(1, keepdim=True) / 127
        weight.data = (
            (weight.data / scale).round() * scale if precision == "int8" else weight.data.bfloat16().float()
        )
    return module


def _as_bytes(x: Tensor) -> Tensor:
    """What is left of rows that become bytes."""
    low, high = x.amin(-1, True).clamp(max=0), x.amax(-1, True).clamp(min=0)
    worth = high / 255 - low / 255
    zero = (-low / worth).round()
    return ((x / worth).round() + zero).clamp(0, 255).sub(zero) * worth


@pytest.fixture
def rounded_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that meet a weight of 4096 numbers are rounded in PyTorch too, in the test of 8 bits."""
    plain = F.linear

    def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return plain(_as_bytes(x) if weight.numel() >= 4096 else x, weight, bias)

    if _MULTIPLIES_BYTES:
        monkeypatch.setattr(F, "linear", linear)


def _logits(model: portfire.Model, ids: Tensor, shapes: dict[str, tuple[int | str, ...]]) -> np.ndarray:
    """After each token of the rows, which are read in one call."""
    count, length = ids.shape
    state = [
        np.zeros(
            [count if size == "N" else length if size == "T" else int(size) for size in shape], np.float32
        )
        for shape in shapes.values()
    ]
    positions = np.tile(np.arange(length), (count, 1))
    return np.asarray(model.forward(ids.numpy(), positions, np.arange(count * length), *state))


@pytest.mark.parametrize("precision", ["packaged", "bfloat16", "int8"])
def test_logits_are_those_of_rounded_weights(
    writer: tuple[LanguageModel, Path], precision: str, request: pytest.FixtureRequest
) -> None:
    module, folder = writer
    if precision == "int8":
        request.getfixturevalue("rounded_rows")
    model = portfire.load(folder, precision=precision, max_error=0.5, threads=1)
    assert (model.info.precision, model.info.optimization) == (precision, "full")
    ids = torch.randint(0, len(_LETTERS), (3, 17))
    expected = module if precision == "packaged" else _rounded(module, precision)
    with torch.inference_mode():
        rows = expected.logits(ids).flatten(0, 1).numpy()
    given = _logits(model, ids, module.state_shapes())
    if precision == "int8":  # between two bytes the last bit decides
        assert np.median(np.abs(given - rows)) < 2e-4
        np.testing.assert_allclose(given, rows, atol=3e-2)
    else:
        np.testing.assert_allclose(given, rows, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("precision", ["packaged", "bfloat16", "int8"])
def test_what_is_written_is_read_again(
    writer: tuple[LanguageModel, Path], precision: str, request: pytest.FixtureRequest
) -> None:
    module, folder = writer
    near = 1e-3
    if precision == "int8":
        request.getfixturevalue("rounded_rows")
        near = 3e-2
    model = portfire.load(folder, precision=precision, max_error=0.5, threads=1)
    expected = module if precision == "packaged" else _rounded(module, precision)
    for prompt in _PROMPTS:
        ids = [_LETTERS.index(letter) for letter in prompt]
        text = model.generate(prompt, max_new_tokens=40).sequences[0]
        with torch.inference_mode():
            for token, score in zip(text.ids, text.log_probabilities, strict=True):
                scores = expected.logits(torch.tensor([ids]))[0, -1].log_softmax(0)
                assert scores[token] >= scores.max() - near
                assert abs(float(scores[token]) - score) < near
                ids.append(token)


@pytest.mark.parametrize("precision", ["packaged", "bfloat16", "int8"])
def test_texts_are_the_same_beside_others(writer: tuple[LanguageModel, Path], precision: str) -> None:
    model = portfire.load(writer[1], precision=precision, max_error=0.5, threads=1)
    for prompt in _PROMPTS:
        alone = model.generate(prompt, max_new_tokens=48, temperature=0.9, seed=4).sequences[0]
        for count in (2, 5, 11):
            texts = model.generate(
                prompt, max_new_tokens=48, temperature=0.9, seed=4, num_sequences=count
            ).sequences
            assert texts[0].log_probabilities == alone.log_probabilities
            assert texts[0].ids == alone.ids != texts[1].ids


def test_eight_bits_are_refused_where_they_are_too_coarse(writer: tuple[LanguageModel, Path]) -> None:
    with pytest.raises(portfire.VerificationFailedError, match="in int8: golden sample 0: "):
        portfire.load(writer[1], precision="int8")


@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"), reason="else oneDNN has long prompts"
)
def test_float32_weights_are_in_memory_once(writer: tuple[LanguageModel, Path], program: Program) -> None:
    """The embedding looks its rows up where the head has them, and the file's are let go."""
    steps = steps_of(program, writer[1])
    assert steps.count("portfire::embedding") == 1
    assert "portfire::linear" in steps
    assert "aten::linear" not in steps
