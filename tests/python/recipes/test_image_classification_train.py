"""Whole runs: what they write, that they resume bit for bit, and how good they get."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import portfire
from portfire.recipes.image_classification import train
from portfire.recipes.image_classification.config import AugmentConfig, Config, DataConfig, ModelConfig
from portfire.train.config import override
from portfire.train.loop import LoopConfig
from portfire.train.run import RunOptions, RunResult


def quick(**changes: Any) -> Config:
    """Dropout, batch norm, random changes and a schedule: all that a resumed run could get wrong."""
    config = Config(
        name="quick",
        description="A test.",
        data=DataConfig(dataset="digits"),
        model=ModelConfig(kind="mlp", size=8, width=16, dropout=0.3),
        augment=AugmentConfig(rotate_deg=10, shift=0.1),
        train=LoopConfig(epochs=4, batch_size=64, threads=1, accelerator="cpu", tensorboard=False),
    )
    return replace(config, **changes)


def run(config: Config, folder: Path, **options: Any) -> RunResult:
    result = train.run(
        config,
        RunOptions(models=folder / "models", runs=folder / "runs", report=lambda line: None, **options),
    )
    assert result is not None
    return result


def weights(folder: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(folder / "runs/quick/last.ckpt", weights_only=True)["state_dict"]
    return state


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_a_run_writes_package_card_and_pictures(tmp_path: Path) -> None:
    result = run(quick(), tmp_path, command="portfire-train image-classification --preset quick")
    folder = tmp_path / "models" / "quick"
    assert result.package == folder / "1" / "model.pt"
    assert sorted(path.name for path in folder.iterdir()) == [
        "1", "card.md", "config.json", "confusion.png", "learning-curve.png",
    ]  # fmt: skip
    card = result.card.read_text(encoding="utf-8")
    assert f"{result.metrics.accuracy:.2%}" in card
    assert "portfire-train image-classification --preset quick" in card
    assert str(tmp_path) not in card
    for name in ("confusion.png", "learning-curve.png"):
        assert 1000 < (folder / name).stat().st_size < 60_000
    record = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert record["config"]["train"]["epochs"] == 4 == len(record["curve"])
    assert sum(map(sum, record["metrics"]["confusion"])) == 360
    assert record["latency"]["forward_us"] > 0
    with zipfile.ZipFile(result.package) as package:
        (name,) = [name for name in package.namelist() if name.endswith("assets/input_statistics.json")]
        quantities = json.loads(package.read(name))["quantities"]
    assert [one["measure"] for one in quantities] == ["mean", "spread", "answer"]
    assert [sum(one["counts"]) for one in quantities] == [360] * 3


@pytest.mark.slow
def test_a_run_that_comes_to_the_same_leaves_the_card_and_another_writes_its_own(tmp_path: Path) -> None:
    card = run(quick(), tmp_path).card
    files = [card, *(card.parent / name for name in ("config.json", "confusion.png", "learning-curve.png"))]
    for file in files:
        os.utime(file, (1, 1))
    run(quick(), tmp_path)
    assert [file.stat().st_mtime for file in files] == [1, 1, 1, 1]
    run(quick(description="Another."), tmp_path)
    assert all(file.stat().st_mtime > 1 for file in files)
    assert "Another." in card.read_text(encoding="utf-8")


def test_the_package_answers_as_the_run_measured(tmp_path: Path) -> None:
    config = quick()
    result = run(config, tmp_path)
    held_out = train.data.load(config.data).held_out
    model = portfire.load(result.package)
    answers = model.run([portfire.encode_png(held_out.image(k).contiguous().numpy()) for k in range(360)])
    labels = [str(int(target)) for target in held_out.targets]
    right = sum(answer.label == label for answer, label in zip(answers, labels, strict=True))  # type: ignore[union-attr]
    assert right == result.metrics.correct


@pytest.mark.slow
@pytest.mark.parametrize(("stopped_in", "workers"), [(0, 0), (2, 0), (1, 2)])
def test_a_run_that_was_stopped_resumes_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_in: int, workers: int
) -> None:
    run(quick(), tmp_path / "whole")
    config = override(quick(), [f"train.workers={workers}"])
    step = train.TrainableClassifier.training_step
    number = 0

    def interrupted(self: Any, batch: Any, batch_number: int) -> Tensor:
        nonlocal number
        number += 1
        if self.current_epoch == stopped_in + 1 and batch_number == 3:
            raise KeyboardInterrupt
        return step(self, batch, batch_number)

    with monkeypatch.context() as patch:
        patch.setattr(train.TrainableClassifier, "training_step", interrupted)
        with pytest.raises(portfire.CancelledError, match=f"epoch {stopped_in + 2} of 4"):
            run(config, tmp_path / "parts")
    assert number > 3
    assert not (tmp_path / "parts" / "models").exists()
    result = run(config, tmp_path / "parts", resume=True)
    assert [epoch.number for epoch in result.curve] == [1, 2, 3, 4]
    assert same(weights(tmp_path / "parts"), weights(tmp_path / "whole"))


@pytest.mark.slow
def test_more_epochs_of_a_constant_rate_are_the_longer_run(tmp_path: Path) -> None:
    def config(epochs: int) -> Config:
        return override(quick(), ["train.schedule=constant", f"train.epochs={epochs}"])

    run(config(4), tmp_path / "whole")
    run(config(2), tmp_path / "parts")
    assert not same(weights(tmp_path / "parts"), weights(tmp_path / "whole"))
    run(config(4), tmp_path / "parts", resume=True)
    assert same(weights(tmp_path / "parts"), weights(tmp_path / "whole"))


@pytest.mark.slow
def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    run(quick(), tmp_path / "a")
    run(quick(seed=1), tmp_path / "b")
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "b"))


@pytest.mark.slow
def test_resuming_another_configuration_is_refused(tmp_path: Path) -> None:
    run(override(quick(), ["train.epochs=1"]), tmp_path)
    with pytest.raises(portfire.InvalidArgumentError, match=r"another model\.width"):
        run(override(quick(), ["model.width=17"]), tmp_path, resume=True)


def test_resuming_to_fewer_epochs_is_refused(tmp_path: Path) -> None:
    run(override(quick(), ["train.epochs=2"]), tmp_path)
    with pytest.raises(portfire.InvalidArgumentError, match="2 epochs already"):
        run(override(quick(), ["train.epochs=1"]), tmp_path, resume=True)


@pytest.mark.slow
def test_resuming_a_complete_run_packages_it_again(tmp_path: Path) -> None:
    first = run(quick(), tmp_path)
    first.package.unlink()
    again = run(quick(), tmp_path, resume=True)
    assert again.package.is_file()
    assert (again.metrics, again.curve) == (first.metrics, first.curve)


@pytest.mark.slow
def test_patience_stops_early_and_keeps_the_best(tmp_path: Path) -> None:
    config = override(quick(), ["train.epochs=50", "train.patience=2", "train.learning_rate=0.05"])
    result = run(config, tmp_path)
    losses = [epoch.metrics["validation_loss"] for epoch in result.curve]
    assert len(losses) < 50
    assert losses.index(min(losses)) == len(losses) - 3
    best = torch.load(tmp_path / "runs/quick/best.ckpt", weights_only=True)["state_dict"]
    model = portfire.load(result.package)
    x = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    reference = train.build(config.model, 10).eval()
    reference.load_state_dict({key.removeprefix("model."): value for key, value in best.items()})
    assert np.allclose(np.asarray(model.forward(x)), reference(torch.from_numpy(x)).detach(), atol=1e-5)


@pytest.mark.slow
def test_mixed_precision_trains(tmp_path: Path) -> None:
    result = run(override(quick(), ["train.precision=bf16-mixed", "train.epochs=2"]), tmp_path)
    assert result.metrics.accuracy > 0.3


@pytest.mark.slow
def test_tensorboard_gets_the_curves(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = run(override(quick(), ["train.tensorboard=true", "train.epochs=2"]), tmp_path)
    (events,) = (tmp_path / "runs" / "quick" / "tensorboard").glob("**/events.out.tfevents.*")
    curves = EventAccumulator(str(events)).Reload()
    for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
        drawn = [point.value for point in curves.Scalars(name)]
        assert drawn == pytest.approx([epoch.metrics[name] for epoch in result.curve], rel=1e-6), name


def test_a_run_that_diverges_is_an_error(tmp_path: Path) -> None:
    config = override(quick(), ["train.learning_rate=1e30", "train.clip_norm=0", "train.epochs=2"])
    with pytest.raises(portfire.InvalidArgumentError, match=r"train\.learning_rate"):
        run(config, tmp_path)
    assert not (tmp_path / "models").exists()


@pytest.mark.slow
def test_a_folder_of_pictures_is_learnt(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for k, label in enumerate(("dark", "light")):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for n in range(15):
            image = generator.integers(130 * k, 130 * k + 100, (20 + n, 30, 3), np.uint8)
            (tmp_path / "photos" / label / f"{n}.png").write_bytes(portfire.encode_png(image))
    config = Config(
        name="shades",
        description="A test.",
        data=DataConfig(dataset="folder", folder=tmp_path / "photos"),
        model=ModelConfig(kind="resnet", size=16, channels=3, fit="crop", width=4),
        augment=AugmentConfig(crop_area=0.5, flip=True, colour=0.1),
        train=LoopConfig(epochs=8, batch_size=8, learning_rate=1e-2, threads=1, tensorboard=False),
    )
    result = run(config, tmp_path)
    assert result.metrics.accuracy == 1
    assert str(tmp_path) not in (result.card.parent / "config.json").read_text(encoding="utf-8")
    answer = portfire.load(result.package).run(tmp_path / "photos" / "light" / "0.png")
    assert answer.label == "light"  # type: ignore[union-attr]


@pytest.mark.slow
def test_an_interrupt_is_one_line_and_leaves_a_run_to_go_on_with(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "portfire.train", "image-classification", "--preset", "digits-cnn"]
    process = subprocess.Popen(
        [*command, "--set", "train.epochs=500"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "runs/digits-cnn/last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.startswith("portfire-train: stopped in epoch ")
    assert error.count("\n") == 1
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "models").exists()


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "portfire.train", "image-classification", "--preset", "digits-linear",
        "--set", "train.epochs=3", "--set", "train.devices=2", "--set", "train.strategy=ddp",
        "--set", "train.accelerator=cpu",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 3
    record = json.loads((tmp_path / "models/digits-linear/config.json").read_text(encoding="utf-8"))
    assert record["metrics"]["accuracy"] > 0.9


@pytest.mark.slow
def test_a_run_says_three_lines_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "portfire.train", "image-classification", "--preset", "digits-linear"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [*command, "--set", "train.epochs=2"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.slow
def test_digits_cnn_is_right_on_at_least_98_5_percent(tmp_path: Path) -> None:
    assert run(train.PRESETS["digits-cnn"](), tmp_path).metrics.accuracy >= 0.985
