"""Every kind of network: that it can be scripted, answers a text alone as in a batch, and learns."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from portfire import _torchscript
from portfire.recipes.text_classification.config import PRESETS, ModelConfig
from portfire.recipes.text_classification.counts import log_count_ratios
from portfire.recipes.text_classification.data import padded
from portfire.recipes.text_classification.model import Classifier, CountedBag, Recurrent, build

CLASSES, VOCABULARY = 3, 40
METHODS = ("preprocess", "forward", "postprocess")
KINDS: list[dict[str, Any]] = [
    {"kind": "ngrams"},
    {"kind": "ngrams", "counted": False},
    {"kind": "transformer", "layers": 2},
    *({"kind": kind, "layers": 2} for kind in ("rnn", "birnn", "gru", "bigru", "lstm", "bilstm")),
    *({"kind": kind, "pool": pool} for kind in ("gru", "bigru") for pool in ("mean", "max")),
]


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def model(request: pytest.FixtureRequest) -> Classifier:
    torch.manual_seed(0)
    return build(
        ModelConfig(width=16, embedding=12, dropout=0.3, **request.param), VOCABULARY, CLASSES
    ).eval()


def texts(*lengths: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(0, VOCABULARY, (length,), generator=generator) for length in lengths]


def test_a_presets_name_is_its_own() -> None:
    assert [preset().name for preset in PRESETS.values()] == list(PRESETS)


def test_a_text_is_answered_alone_as_in_a_batch(model: Classifier) -> None:
    rows = texts(7, 1, 12, 3)
    ids, lengths = padded(rows)
    with torch.inference_mode():
        together = model(ids, lengths)
        alone = torch.cat([model(*padded([row])) for row in rows])
        ids[torch.arange(12) >= lengths.unsqueeze(1)] = VOCABULARY - 1
        assert torch.allclose(together, alone, atol=1e-6)
        assert torch.allclose(model(ids, lengths), together, atol=1e-6)


def test_script_answers_as_python(model: Classifier) -> None:
    model.finish(1.7)
    scripted = _torchscript.script(model, METHODS)
    for row in texts(1, 2, 9):
        with torch.inference_mode():
            answers = []
            for m in (model, scripted):
                ids, length = m.preprocess(row)
                assert (ids.tolist(), length.tolist(), length.dtype) == (row.tolist(), len(row), torch.int64)
                answers.append(m.postprocess(m(ids[None], length[None])[0]))
        assert answers[0].shape == (CLASSES,)
        assert answers[0].sum().item() == pytest.approx(1, abs=1e-5)
        assert torch.allclose(answers[0], answers[1], atol=1e-6)


def test_every_weight_learns(model: Classifier) -> None:
    model.train()
    F.cross_entropy(model(*padded(texts(9, 7, 5))), torch.tensor([0, 1, 2])).backward()
    assert all(x.grad is not None and bool(x.grad.any()) for x in model.parameters())


def test_the_temperature_divides_the_logits() -> None:
    model = build(ModelConfig(), VOCABULARY, CLASSES)
    model.finish(2.0)
    assert torch.allclose(
        model.postprocess(torch.tensor([2.0, 0, -4])), torch.tensor([1.0, 0, -2]).softmax(0)
    )


@pytest.mark.parametrize("kind", ["birnn", "bigru", "bilstm"])
def test_both_ways_are_those_of_a_packed_sequence(kind: str) -> None:
    """A padded call comes to what torch's own packed sequences come to, layer by layer."""
    torch.manual_seed(0)
    config = ModelConfig(kind=kind, embedding=5, width=4, layers=2)  # type: ignore[arg-type]
    net = build(config, VOCABULARY, CLASSES).eval().net
    assert isinstance(net, Recurrent)
    cell = {"birnn": nn.RNN, "bigru": nn.GRU, "bilstm": nn.LSTM}[kind]
    reference = cell(5, 4, 2, batch_first=True, bidirectional=True)
    for number, layer in enumerate(net.layers):
        for part, suffix in (("ahead", ""), ("back", "_reverse")):
            for name, value in getattr(layer, part).named_parameters():
                getattr(reference, name.replace("_l0", f"_l{number}{suffix}")).data = value.data
    ids, lengths = padded(texts(7, 1, 12, 3))
    with torch.inference_mode():
        x = net.table(ids)
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        expected, _ = nn.utils.rnn.pad_packed_sequence(reference(packed)[0], batch_first=True)
        last = torch.stack(
            [torch.cat([row[n - 1, :4], row[0, 4:]]) for row, n in zip(expected, lengths, strict=True)]
        )
        for layer in net.layers:
            x = layer(x, lengths)
        for row, n in enumerate(lengths):
            assert torch.allclose(x[row, :n], expected[row, :n], atol=1e-6)
        assert torch.allclose(net(ids, lengths), net.head(last), atol=1e-6)


def test_log_count_ratios_count_texts_not_ids() -> None:
    ids = [torch.tensor([0, 0, 1]), torch.tensor([0]), torch.tensor([2])]
    ratios = log_count_ratios(ids, torch.tensor([0, 0, 1]), 4, 2)
    first = [3 / 7, 2 / 7, 1 / 7, 1 / 7]  # each one more than it was counted
    second = [1 / 5, 1 / 5, 2 / 5, 1 / 5]
    expected = [math.log(a / b) for a, b in zip(first, second, strict=True)]
    assert ratios[:, 0].tolist() == pytest.approx(expected)
    assert ratios[:, 1].tolist() == pytest.approx([-x for x in expected])


def test_counting_alone_tells_classes_apart_and_folding_changes_nothing() -> None:
    ids = [torch.tensor([0, 1, 2]), torch.tensor([0, 1]), torch.tensor([5, 6, 7]), torch.tensor([6, 7])]
    model = build(ModelConfig(), 10, 2).eval()
    model.begin(ids, torch.tensor([0, 0, 1, 1]))
    with torch.inference_mode():
        before = model(*padded(ids))
        assert before.argmax(1).tolist() == [0, 0, 1, 1]
        model.finish(1.0)
        assert not isinstance(model.net, CountedBag)
        assert torch.allclose(model(*padded(ids)), before, atol=1e-6)
    assert len(model.state_dict()) == 4  # table, head, its bias, temperature
