"""Whole runs: what they write, that they resume bit for bit, and that the package is what was measured."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import portfire
from portfire.recipes.text_generation import train
from portfire.recipes.text_generation.card import Result
from portfire.recipes.text_generation.config import (
    Config,
    DataConfig,
    ModelConfig,
    TokenizerConfig,
    TrainConfig,
)
from portfire.recipes.text_generation.tokenizer import build_tokenizer
from portfire.train.config import override
from portfire.train.run import RunOptions

TEXT = "The rain in Spain stays mainly in the plain.\n" * 60


def quick(**changes: Any) -> Config:
    """Dropout and a schedule: all that a resumed run could get wrong."""
    config = Config(
        name="quick",
        description="A test.",
        prompt="The",
        data=DataConfig(dataset="file", window=16, steps=15),
        model=ModelConfig(layers=1, width=16, heads=2, kv_heads=1, hidden=32, dropout=0.1),
        train=TrainConfig(
            epochs=3,
            batch_size=16,
            learning_rate=2e-2,
            warmup=5,
            threads=1,
            accelerator="cpu",
            tensorboard=False,
        ),
    )
    return replace(config, **changes)


def of_kind(kind: str) -> Config:
    return override(quick(), [f"model.dropout={0 if kind == 'llama' else 0.1}", f"model.kind={kind}"])


def run(config: Config, folder: Path, **options: Any) -> Result:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "book.txt").write_text(TEXT, encoding="utf-8")
    result = train.run(
        config,
        RunOptions(
            models=folder / "models",
            runs=folder / "runs",
            data=folder / "book.txt",
            report=lambda line: None,
            **options,
        ),
    )
    assert result is not None
    return result


def weights(folder: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(folder / "runs/quick/last.ckpt", weights_only=True)["state_dict"]
    return state


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_a_run_writes_package_card_and_picture(tmp_path: Path) -> None:
    result = run(of_kind("gru"), tmp_path, command="portfire-train text-generation --preset quick")
    folder = tmp_path / "models" / "quick"
    assert result.package == folder / "1" / "model.pt"
    assert result.package.with_suffix(".pt2").is_file()
    assert sorted(path.name for path in folder.iterdir()) == [
        "1", "card.md", "config.json", "learning-curve.png",
    ]  # fmt: skip
    loss = result.metrics["validation_loss"]
    assert loss < 2.0
    assert result.metrics["bits_per_character"] == pytest.approx(loss / math.log(2), rel=0.01)
    card = result.card.read_text(encoding="utf-8")
    assert f"**{loss:.4f}** nats a character" in card
    assert "with the state carried through" in card
    assert str(tmp_path) not in card
    record = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert record["config"]["train"]["epochs"] == 3 == len(record["curve"])
    assert record["curve"][-1]["validation_loss"] < record["curve"][0]["validation_loss"]
    assert record["data"]["name"] == "book.txt"
    assert record["data"]["train"] == len(TEXT) * 9 // 10
    model = portfire.load(result.package.parent)
    for sample in result.samples:
        written = model.generate("The", max_new_tokens=400, temperature=sample.temperature, seed=0)
        assert written.text == sample.text
        assert f"The{sample.text}" in card


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gpt", "llama", "lstm"])
def test_every_kind_is_packaged_in_both_formats(tmp_path: Path, kind: str) -> None:
    config = of_kind(kind)
    result = run(config, tmp_path)
    texts = [
        portfire.load(result.package.parent, engine=engine).generate("The rain", max_new_tokens=8).text
        for engine in ("torchscript", "graph")
    ]
    assert texts[0] == texts[1]
    assert len(texts[0]) == 8
    context = "up to 100,000 tokens" if kind == "lstm" else "16 tokens"
    assert context in result.card.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "optimizer"), [("gpt", "adamw"), ("gpt", "muon"), ("gru", "adamw")])
def test_a_run_that_was_stopped_resumes_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, optimizer: str
) -> None:
    config = override(of_kind(kind), [f"train.optimizer={optimizer}"])
    run(config, tmp_path / "whole")
    step = train._Trainable.training_step

    def interrupted(self: Any, batch: Any, batch_number: int) -> Tensor:
        if self.current_epoch == 1 and batch_number == 3:
            raise KeyboardInterrupt
        return step(self, batch, batch_number)

    with monkeypatch.context() as patch:
        patch.setattr(train._Trainable, "training_step", interrupted)
        with pytest.raises(portfire.CancelledError, match="epoch 2 of 3"):
            run(config, tmp_path / "parts")
    result = run(config, tmp_path / "parts", resume=True)
    assert [epoch.number for epoch in result.curve] == [1, 2, 3]
    assert same(weights(tmp_path / "parts"), weights(tmp_path / "whole"))


@pytest.mark.slow
def test_a_tokenizer_of_ones_own_has_tokens_of_several_characters(tmp_path: Path) -> None:
    content = json.loads(build_tokenizer(TokenizerConfig(), TEXT))
    for pair in (("i", "n"), ("a", "in")):
        content["model"]["merges"].append(" ".join(pair))
        content["model"]["vocab"]["".join(pair)] = len(content["model"]["vocab"])
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    result = run(override(of_kind("gru"), [f"tokenizer.file={file}"]), tmp_path)
    loss, bits = result.metrics["validation_loss"], result.metrics["bits_per_character"]
    assert bits < 0.95 * loss / math.log(2)
    card = result.card.read_text(encoding="utf-8")
    assert "nats a token" in card
    assert "a tokenizer that was given" in card
    assert str(tmp_path) not in card


@pytest.mark.slow
def test_a_run_that_comes_to_the_same_leaves_the_card(tmp_path: Path) -> None:
    card = run(quick(), tmp_path).card
    before = card.stat().st_mtime_ns
    run(quick(), tmp_path, resume=True)
    assert card.stat().st_mtime_ns == before
    run(quick(description="Another."), tmp_path)
    assert "Another." in card.read_text(encoding="utf-8")


def test_the_learning_rate_rises_and_falls_as_a_cosine() -> None:
    loop = TrainConfig(learning_rate=1.0, last_learning_rate=0.1, warmup=9)
    rates = [train.rate(loop, step, 109) for step in range(110)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[8] == pytest.approx(0.9)
    assert max(rates) == rates[9] == 1.0
    assert rates[59] == pytest.approx(0.55)
    assert rates[109] == pytest.approx(0.1)
    assert train.rate(replace(loop, schedule="constant"), 0, 109) == 1.0


def test_biases_and_scales_are_not_decayed() -> None:
    model = train.build(quick(), 10)
    module = train._Trainable(model, quick().train, 0, 45)
    decayed, others = module.optimizer().param_groups
    assert decayed["weight_decay"] == quick().train.weight_decay
    assert others["weight_decay"] == 0
    assert all(x.dim() > 1 for x in decayed["params"])
    assert len(decayed["params"]) + len(others["params"]) == len(list(model.parameters()))


@pytest.mark.parametrize("kind", ["gpt", "llama"])
def test_muon_has_the_matrices_of_the_blocks(kind: str) -> None:
    config = override(of_kind(kind), ["train.optimizer=muon"])
    model = train.build(config, 10)
    module = train._Trainable(model, config.train, 0, 45)
    matrices, tables, vectors = (group["params"] for group in module.optimizer().param_groups)
    inner = [x for x in model.blocks.parameters() if x.dim() == 2]
    assert len(matrices) == len(inner) and all(a is b for a, b in zip(matrices, inner, strict=True))
    assert any(x is model.token.weight for x in tables)
    assert all(x.dim() == 1 for x in vectors)
    assert len(matrices) + len(tables) + len(vectors) == len(list(model.parameters()))


@pytest.mark.slow
def test_words_are_measured_by_their_perplexity(tmp_path: Path) -> None:
    folder = tmp_path / "wikitext-2"
    folder.mkdir()
    lines = " the rain in Spain stays mainly in the plain . \n"
    for part, text in (
        ("train", lines * 60),
        ("valid", lines * 10),
        ("test", lines * 9 + " zebra <unk> . \n"),
    ):
        (folder / f"wiki.{part}.tokens").write_text(text, encoding="utf-8")
    config = override(of_kind("lstm"), ["data.dataset=wikitext-2", "tokenizer.kind=words", "prompt=the rain"])
    options = RunOptions(
        models=tmp_path / "models", runs=tmp_path / "runs", data=folder, report=lambda line: None
    )
    result = train.run(config, options)
    assert result is not None
    metrics = result.metrics
    assert metrics["test_perplexity"] == pytest.approx(math.exp(metrics["test_loss"]))
    assert 1 < metrics["validation_perplexity"] < metrics["test_perplexity"] < 6
    assert metrics["test_unknown"] == pytest.approx(2 / 103)
    assert "bits_per_character" not in metrics
    card = result.card.read_text(encoding="utf-8")
    assert f"**{metrics['test_perplexity']:.2f}** a word" in card
    assert "1.94% of the test file's are `<unk>` to the model: 0.97% in the file itself" in card
    assert "the training file to train with" in card
    written = portfire.load(result.package.parent).generate("the rain", max_new_tokens=4).text
    assert written.split() == ["in", "Spain", "stays", "mainly"]
