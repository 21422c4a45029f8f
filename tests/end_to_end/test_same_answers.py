"""Eager Python, the Python module, the C++ library and the program give the same answer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from faces import TOP, CppLibrary, Program, run_in_python
from PIL import Image
from small_models import png, train
from torch import Tensor, nn

import portfire

_CLOSE = 1e-6
_ROUNDED = 1e-5  # another engine adds in another order


def _eager(model: Any, pictures: Sequence[Path]) -> np.ndarray:
    """float32 [count, classes], decoded by Pillow."""
    rows = []
    with torch.inference_mode():
        for path in pictures:
            image = torch.from_numpy(np.asarray(Image.open(path).convert("RGB")).copy())
            rows.append(model.postprocess(model(model.preprocess(image).unsqueeze(0))[0]))
    return torch.stack(rows).numpy()


def _table(answers: Sequence[Any]) -> np.ndarray:
    """float64 [count, classes] from answers that name every class."""
    table = np.full((len(answers), TOP), np.nan)
    for row, answer in zip(table, answers, strict=True):
        for scored in answer["top"]:
            row[scored["index"]] = scored["probability"]
    return table


def _labels(answers: Sequence[Any]) -> list[str]:
    return [answer["label"] for answer in answers]


def _require_same(
    model: Any,
    package: Path,
    pictures: Sequence[Path],
    program: Program,
    cpp: CppLibrary,
    engines: Sequence[str] = ("torchscript", "graph"),
) -> np.ndarray:
    """Asserts that the faces and engines agree; returns the classes that eager Python names."""
    expected = _eager(model, pictures)
    done = program("run", "--json", "--top", TOP, package, *pictures)
    assert (done.status, done.err) == (0, "")
    assert [line["input"] for line in done.objects] == [str(path) for path in pictures]
    loaded = portfire.load(package)
    faces = {
        "program": [line["answer"] for line in done.objects],
        "C++": [outcome.answer for outcome in cpp.run([(package, path) for path in pictures])],
        "Python": [run_in_python(package, path).answer for path in pictures[:3]]
        + [_plain(answer) for answer in loaded.run(list(pictures[3:]), top_k=TOP)],
    }
    for engine in engines:
        options = ("--engine", engine, *(["--trust-compiled"] if engine == "compiled" else []))
        done = program("run", "--json", "--top", TOP, *options, package.parent, *pictures)
        assert (done.status, done.err) == (0, "")
        faces[engine] = [line["answer"] for line in done.objects]
    for face, answers in faces.items():
        close = _ROUNDED if face in engines else _CLOSE
        np.testing.assert_allclose(_table(answers), expected, rtol=0, atol=close, err_msg=face)
        assert _labels(answers) == [str(k) for k in expected.argmax(1)], face
    return expected.argmax(1)


def _plain(answer: Any) -> Any:
    return {
        "label": answer.label,
        "top": [{"index": x.index, "probability": x.probability} for x in answer.top],
    }


def test_360_held_out_digits_have_the_same_probabilities_in_every_face(
    tmp_path: Path, program: Program, cpp: CppLibrary
) -> None:
    from portfire.recipes.image_classification import model, samples
    from portfire.recipes.image_classification import train as recipe
    from portfire.train.config import override
    from portfire.train.run import RunOptions

    config = override(
        recipe.PRESETS["digits-cnn"](), ["train.epochs=3", "train.accelerator=cpu", "train.tensorboard=false"]
    )
    folders = {"models": tmp_path / "models", "runs": tmp_path / "runs"}
    result = recipe.run(config, RunOptions(**folders, report=lambda line: None))
    assert result is not None
    # The weights as training left them; nothing of the package.
    state = torch.load(folders["runs"] / "digits-cnn" / "last.ckpt", weights_only=True)["state_dict"]
    eager = model.build(config.model, 10).eval()
    eager.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})

    samples.export_samples("digits", tmp_path / "pictures", count=1000)
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert len(pictures) == 360
    named = _require_same(eager, result.package, pictures, program, cpp)
    right = sum(path.name.startswith(str(label)) for path, label in zip(pictures, named, strict=True))
    assert right == result.metrics.correct
    assert right > 330, f"the model itself is no good: {right} of 360 digits are right"


class _Mnist(nn.Module):
    """One hidden layer on 28 x 28 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))

    def preprocess(self, image: Tensor) -> Tensor:
        return (image.to(torch.float32).mean(2).unsqueeze(0) / 255 - 0.13) / 0.31

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x)
        return logits

    def postprocess(self, logits: Tensor) -> Tensor:
        return torch.softmax(logits, 0)


@pytest.mark.data
@pytest.mark.slow
def test_1000_mnist_test_pictures_have_the_same_probabilities_in_every_face(
    tmp_path: Path, program: Program, cpp: CppLibrary
) -> None:
    if not os.environ.get("PORTFIRE_DATA"):
        pytest.skip("PORTFIRE_DATA names no folder of data sets")
    from portfire.recipes.image_classification import data
    from portfire.recipes.image_classification.config import DataConfig

    pictures = data.load(DataConfig(dataset="mnist"))
    torch.manual_seed(0)
    model = _Mnist()
    first = range(6000)
    samples = torch.stack([model.preprocess(pictures.train.image(k)) for k in first])
    train(model, samples, pictures.train.targets[: len(first)], steps=30, learning_rate=3e-3)
    paths = [tmp_path / f"{k:04d}.png" for k in range(1000)]
    for k, path in enumerate(paths):
        path.write_bytes(png(pictures.held_out.image(k)[..., 0].numpy()))
    package = tmp_path / "mnist" / "1" / "model.pt"
    portfire.package(
        model,
        package,
        name="mnist",
        golden=paths[:3],
        licence="Apache-2.0",
        labels=pictures.labels,
        max_batch=64,
        formats=("torchscript", "graph", "compiled"),
    )
    named = _require_same(model, package, paths, program, cpp, ("torchscript", "graph", "compiled"))
    assert float((torch.from_numpy(named) == pictures.held_out.targets[:1000]).double().mean()) > 0.85
