"""Whole runs: what they write, that they resume bit for bit, and that the package answers as measured."""

import json
import random
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import portfire
from portfire.recipes.text_classification import train
from portfire.recipes.text_classification.config import Config, DataConfig, ModelConfig, TokenizerConfig
from portfire.recipes.text_classification.data import Texts
from portfire.train.config import override
from portfire.train.loop import LoopConfig
from portfire.train.run import RunOptions, RunResult

_PLAIN = ("the", "film", "is", "a", "story", "of", "and", "it", "was")
_TELLING = {"bad": ("dull", "silly", "tedious"), "good": ("warm", "funny", "clever")}


def written(folder: Path, count: int = 200) -> Path:
    """A table of texts that one word in each tells apart."""
    draw = random.Random(0)
    rows = []
    for k in range(count):
        label = ("bad", "good")[k % 2]
        words = [*draw.choices(_PLAIN, k=draw.randint(2, 12)), draw.choice(_TELLING[label])]
        draw.shuffle(words)
        rows.append(f"{' '.join(words)},{label}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "texts.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    return folder / "texts.csv"


def quick(**changes: Any) -> Config:
    """Dropout of both kinds, batches by length, and a schedule: all that a resumed run could get wrong."""
    config = Config(
        name="quick",
        description="A test.",
        data=DataConfig(dataset="file", validation=0.2),
        tokenizer=TokenizerConfig(kind="words", max_tokens=32),
        model=ModelConfig(kind="gru", embedding=8, width=8, pool="max", dropout=0.2, token_dropout=0.1),
        train=LoopConfig(
            epochs=4, batch_size=16, learning_rate=2e-2, threads=1, accelerator="cpu", tensorboard=False
        ),
    )
    return replace(config, **changes)


def counted(**changes: Any) -> Config:
    return quick(
        tokenizer=TokenizerConfig(words=(1, 2), characters=(3, 3), buckets=4096),
        model=ModelConfig(kind="ngrams"),
        train=LoopConfig(
            epochs=3, batch_size=16, learning_rate=3, weight_decay=1e-4, threads=1, tensorboard=False
        ),
        **changes,
    )


def run(config: Config, folder: Path, **options: Any) -> RunResult:
    result = train.run(
        config,
        RunOptions(
            models=folder / "models",
            runs=folder / "runs",
            data=written(folder),
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


def statistics(result: RunResult) -> list[dict[str, Any]]:
    with zipfile.ZipFile(result.package) as package:
        names = [name for name in package.namelist() if name.endswith("assets/input_statistics.json")]
        return json.loads(package.read(names[0]))["quantities"] if names else []


def test_a_run_with_many_texts_writes_their_statistics(tmp_path: Path) -> None:
    config = counted()
    result = run(replace(config, data=replace(config.data, held_out=0.6)), tmp_path)
    found = statistics(result)
    assert {"tokens", "answer"} <= {one["measure"] for one in found}
    assert {sum(one["counts"]) for one in found} == {120}


def test_a_run_writes_package_card_and_pictures(tmp_path: Path) -> None:
    result = run(counted(), tmp_path, command="portfire-train text-classification --preset quick")
    folder = tmp_path / "models" / "quick"
    assert result.package == folder / "1" / "model.pt"
    assert sorted(path.name for path in folder.iterdir()) == [
        "1", "card.md", "config.json", "confusion.png", "learning-curve.png",
    ]  # fmt: skip
    card = result.card.read_text(encoding="utf-8")
    assert f"{result.metrics.accuracy:.2%}" in card
    assert "negative log-likelihood" in card
    assert "expected calibration error" in card
    assert str(tmp_path) not in card
    record = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert record["config"]["train"]["epochs"] == 3 == len(record["curve"])
    assert record["data"]["name"] == "texts.csv"
    assert len(record["data"]["sha256"]) == 64
    assert record["calibration"]["temperature"] > 0
    assert not statistics(result)  # forty texts are too few
    assert result.metrics.accuracy > 0.95


def test_the_package_answers_as_the_run_measured(tmp_path: Path) -> None:
    config = counted()
    result = run(config, tmp_path)
    held_out = train.data.load(config.data, tmp_path / "texts.csv").held_out
    model = portfire.load(result.package)
    answers = model.run([text.encode() for text in held_out.texts])
    labels = [("bad", "good")[int(target)] for target in held_out.targets]
    right = sum(answer.label == label for answer, label in zip(answers, labels, strict=True))  # type: ignore[union-attr]
    assert right == result.metrics.correct


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rnn", "birnn", "gru", "bigru", "lstm", "bilstm", "transformer"])
def test_every_kind_is_packaged_in_both_formats(tmp_path: Path, kind: str) -> None:
    config = override(quick(), [f"model.kind={kind}", "train.epochs=1", "model.layers=2"])
    result = run(config, tmp_path)
    assert result.package.with_suffix(".pt2").is_file()
    assert portfire.load(result.package).run(b"a silly film").label in ("bad", "good")  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.parametrize("make", [quick, counted])
def test_a_run_that_was_stopped_resumes_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    run(make(), tmp_path / "whole")
    step = train._Trainable.training_step

    def interrupted(self: Any, batch: Any, batch_number: int) -> Tensor:
        if self.current_epoch == 1 and batch_number == 3:
            raise KeyboardInterrupt
        return step(self, batch, batch_number)

    with monkeypatch.context() as patch:
        patch.setattr(train._Trainable, "training_step", interrupted)
        with pytest.raises(portfire.CancelledError, match=r"epoch 2 of [34]"):
            run(make(), tmp_path / "parts")
    result = run(make(), tmp_path / "parts", resume=True)
    assert [epoch.number for epoch in result.curve][-1] == make().train.epochs
    assert same(weights(tmp_path / "parts"), weights(tmp_path / "whole"))


@pytest.mark.slow
def test_a_run_that_comes_to_the_same_leaves_the_card(tmp_path: Path) -> None:
    card = run(counted(), tmp_path).card
    before = card.stat().st_mtime_ns
    run(counted(), tmp_path)
    assert card.stat().st_mtime_ns == before
    run(counted(description="Another."), tmp_path)
    assert "Another." in card.read_text(encoding="utf-8")


def test_golden_texts_are_of_every_class_and_of_two_lengths() -> None:
    targets = torch.tensor([0, 0, 0, 1, 1, 1])
    held_out = Texts(texts=tuple("abcdef"), targets=targets)
    rows = [torch.zeros(length, dtype=torch.int64) for length in (2, 2, 2, 2, 2, 5)]
    assert train.golden_texts(held_out, rows, 2) == [0, 5]
    assert train.golden_texts(held_out, rows, 6) == [0, 3, 1, 4, 2, 5]
    assert train.golden_texts(held_out, rows[::-1], 2) == [0, 3]
    assert train.golden_texts(held_out, [rows[0]] * 6, 2) == [0, 3]
    with pytest.raises(portfire.InvalidArgumentError, match="golden is 1"):
        quick(golden=1)


@pytest.mark.slow
def test_long_texts_are_cut_as_the_runtime_cuts_them(tmp_path: Path) -> None:
    config = override(quick(), ["tokenizer.max_tokens=4", "train.epochs=1"])
    result = run(config, tmp_path)
    model = portfire.load(result.package)
    first, longer = model.run([b"it is a silly", b"it is a silly funny funny film"])
    assert first.probability == pytest.approx(longer.probability, abs=1e-6)  # type: ignore[union-attr]
