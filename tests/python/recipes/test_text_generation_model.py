"""Every kind of network: that it reads a text in any pieces as it was trained to, and can be scripted."""

import math
from typing import Any

import pytest
import torch

import portfire
from portfire import _torchscript
from portfire._generation import empty_state, score
from portfire.recipes.text_generation.config import Config, DataConfig, ModelConfig, TokenizerConfig
from portfire.recipes.text_generation.data import Corpus
from portfire.recipes.text_generation.model import LanguageModel
from portfire.recipes.text_generation.tokenizer import build_tokenizer
from portfire.recipes.text_generation.train import build, carried_nats, measure, window_nats

VOCABULARY = 20
KINDS: list[dict[str, Any]] = [
    {"kind": "gpt", "dropout": 0.3},
    {"kind": "llama", "hidden": 24},
    {"kind": "gru", "dropout": 0.3},
    {"kind": "lstm", "dropout": 0.3},
    {"kind": "lstm", "tied": True},
]


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def model(request: pytest.FixtureRequest) -> LanguageModel:
    torch.manual_seed(0)
    config = Config(
        name="x",
        description="",
        data=DataConfig(window=16),
        model=ModelConfig(layers=2, width=16, heads=4, **request.param),
    )
    made = build(config, VOCABULARY).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(4)  # so that every part of it counts
    return made


def ids(count: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, VOCABULARY, (count,), generator=torch.Generator().manual_seed(seed))


def test_forward_in_pieces_is_what_training_sees(model: LanguageModel) -> None:
    text = ids(12)
    with torch.inference_mode():
        whole = model.logits(text.unsqueeze(0))[0, :-1]
        assert torch.allclose(score(model, text, model.state_shapes()), whole, atol=1e-4)


def test_texts_do_not_meet_in_a_batch(model: LanguageModel) -> None:
    texts = torch.stack([ids(9, seed=1), ids(9, seed=2)])
    places = torch.arange(9).expand(2, 9)
    with torch.inference_mode():
        state = empty_state(model.state_shapes(), 2, 9)
        together = model(texts, places, torch.tensor([8, 17]), *state)
        for row in range(2):
            alone = empty_state(model.state_shapes(), 1, 9)
            logits = model(texts[row : row + 1], places[:1], torch.tensor([8]), *alone)
            assert torch.allclose(together[row : row + 1], logits, atol=1e-4)


def test_no_token_sees_what_follows(model: LanguageModel) -> None:
    first, second = ids(10), ids(10)
    second[6:] = (second[6:] + 1) % VOCABULARY
    with torch.inference_mode():
        a, b = model.logits(torch.stack([first, second]))
    assert torch.allclose(a[:6], b[:6], atol=1e-5)
    assert not torch.allclose(a[6:], b[6:], atol=1e-3)


def test_script_answers_as_python(model: LanguageModel) -> None:
    scripted = _torchscript.script(model, ("forward",))
    text, shapes = ids(11), model.state_shapes()
    with torch.inference_mode():
        assert torch.allclose(score(scripted, text, shapes), score(model, text, shapes), atol=1e-4)


def test_the_loss_of_a_text_is_that_of_its_parts(model: LanguageModel) -> None:
    """One window that holds the text whole is the text read from its beginning."""
    text = ids(15)
    with torch.inference_mode():
        logits = model.logits(text[:-1].unsqueeze(0))[0]
        expected = float(torch.nn.functional.cross_entropy(logits, text[1:], reduction="sum"))
    assert window_nats(model, text, 16) == pytest.approx(expected, rel=1e-5)
    if "hidden" in model.state_shapes():
        assert carried_nats(model, text) == pytest.approx(expected, rel=1e-5)
        long = ids(2100)  # three calls of forward
        assert carried_nats(model, long) == pytest.approx(window_nats(model, long, 4096), rel=1e-5)


def test_windows_are_read_from_their_own_beginnings(model: LanguageModel) -> None:
    text = ids(14)
    parts = [text[:9], text[8:]]
    separate = sum(window_nats(model, part, 8) for part in parts)
    assert window_nats(model, text, 8) == pytest.approx(separate, rel=1e-5)


@pytest.mark.parametrize("kind", ["gpt", "llama", "lstm"])
def test_nothing_is_likelier_than_another_at_first(kind: str) -> None:
    torch.manual_seed(0)
    config = Config(
        name="x",
        description="",
        data=DataConfig(window=16),
        model=ModelConfig(kind=kind, tied=kind == "lstm"),
    )
    made = build(config, 1000)
    loss = window_nats(made, ids(400), 16) / 399
    assert loss == pytest.approx(math.log(1000), abs=0.4)
    if kind == "lstm":
        assert made.head.weight is made.token.weight


class Unigram(LanguageModel):
    """The same probabilities wherever it is asked."""

    def __init__(self, probabilities: list[float]) -> None:
        super().__init__()
        self.register_buffer("known", torch.tensor(probabilities).log())

    def logits(self, ids: torch.Tensor) -> torch.Tensor:
        return self.get_buffer("known").expand(*ids.shape, -1)

    def state_shapes(self) -> dict[str, tuple[int | str, ...]]:
        return {}


def corpus(**parts: str) -> Corpus:
    return Corpus(name="x", title="", licence="", sha256="", split="", **parts)


def test_perplexity_is_that_of_all_tokens_but_the_first() -> None:
    given = corpus(train="a a b\n", validation="b a a\n", test="a b <unk>\n zebra a")
    words = TokenizerConfig(kind="words")
    tokenizer = portfire.Tokenizer.from_bytes(build_tokenizer(words, given.train))
    assert [tokenizer.token(k) for k in range(4)] == ["<unk>", "a", "<eos>", "b"]
    config = Config(name="x", description="", data=DataConfig(window=4), tokenizer=words)
    metrics = measure(Unigram([1 / 8, 1 / 2, 1 / 8, 1 / 4]), config, given, tokenizer)
    assert metrics == pytest.approx(
        {
            "validation_loss": math.log(2 * 2 * 8) / 3,  # a, a, <eos>
            "validation_perplexity": 32 ** (1 / 3),
            "test_loss": math.log(4 * 8 * 8 * 8 * 2) / 5,  # b, <unk>, <eos>, zebra, a
            "test_perplexity": 4096 ** (1 / 5),
            "test_unknown": 2 / 6,
            "test_unknown_in_the_file": 1 / 6,
        }
    )


def test_bits_are_of_all_characters() -> None:
    given = corpus(train="ab", validation="abba")
    tokenizer = portfire.Tokenizer.from_bytes(build_tokenizer(TokenizerConfig(), given.train))
    config = Config(name="x", description="", data=DataConfig(window=4))
    metrics = measure(Unigram([1 / 4, 1 / 2, 1 / 4]), config, given, tokenizer)  # <unk>, a, b
    assert metrics == pytest.approx({"validation_loss": math.log(32) / 3, "bits_per_character": 5 / 4})
