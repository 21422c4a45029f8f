"""portfire.Model: answers, bare calls, threads and the event loop."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import resource
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from brightness import picture
from PIL import Image

import portfire

LIGHT = 1 / (1 + np.exp(-16 * (200 / 255 - 0.5)))  # what `Brightness` computes for picture(200)


@pytest.fixture
def png(tmp_path: Path) -> Path:
    path = tmp_path / "light.png"
    path.write_bytes(portfire.encode_png(picture(200)))
    return path


def test_run_takes_every_kind_of_picture(brightness: portfire.Model, png: Path) -> None:
    pixels = picture(200)
    inputs = [
        str(png),
        png,
        png.read_bytes(),
        bytearray(png.read_bytes()),
        pixels,
        torch.from_numpy(pixels),
        portfire.tensor(pixels),
        {"image": pixels},
        Image.fromarray(pixels),
        Image.open(png),
        Image.fromarray(pixels[..., 0]),
        Image.fromarray(pixels).quantize(2),
        Image.fromarray(pixels).convert("CMYK"),
    ]
    for source in inputs:
        answer = brightness.run(source)
        assert isinstance(answer, portfire.Classification)
        assert answer.label == "light"
        assert answer.probability == pytest.approx(LIGHT, abs=1e-6)


def test_pil_images_become_what_their_files_become(brightness: portfire.Model) -> None:
    """Transparent black is composited on white, as the codec does with the file."""
    image = Image.new("RGBA", (6, 8), (0, 0, 0, 0))
    file = io.BytesIO()
    image.save(file, "PNG")
    assert brightness.run(image) == brightness.run(file.getvalue())
    assert brightness.run(image).label == "light"


def test_a_list_gives_a_list(brightness: portfire.Model, png: Path) -> None:
    answers = brightness.run([picture(0), png, picture(255), picture(30), picture(220)])
    assert [answer.label for answer in answers] == ["dark", "light", "light", "dark", "light"]
    assert brightness.run([]) == []
    with pytest.raises(portfire.InvalidInputError):
        brightness.run([png, b"not a picture"])


def test_a_classification_is_typed(brightness: portfire.Model) -> None:
    answer = brightness.run(picture(200))
    assert [scored.label for scored in answer.top] == ["light", "dark"]
    assert [scored.index for scored in answer.top] == [1, 0]
    assert sum(scored.probability for scored in answer.top) == pytest.approx(1)
    assert answer == brightness.run(picture(200))
    assert hash(answer) == hash(brightness.run(picture(200)))
    assert answer != brightness.run(picture(10))
    assert len(brightness.run(picture(200), top_k=1).top) == 1
    assert json.loads(answer.to_json())["label"] == "light"
    assert repr(answer).startswith(
        "Classification(label='light', top=(ScoredLabel(index=1, label='light', prob"
    )


@pytest.mark.parametrize("kind", ["path", "bytes", "array", "pil"])
def test_a_notebook_shows_the_picture_and_the_labels(
    brightness: portfire.Model, png: Path, kind: str
) -> None:
    source = {
        "path": str(png),
        "bytes": png.read_bytes(),
        "array": picture(200),
        "pil": Image.fromarray(picture(200)),
    }[kind]
    page = brightness.run(source)._repr_html_()
    assert '<img src="data:image/png;base64,' in page
    assert "light" in page and "dark" in page


def test_a_notebook_shows_the_labels_when_the_picture_is_gone(brightness: portfire.Model, png: Path) -> None:
    answer = brightness.run(png)
    png.unlink()
    page = answer._repr_html_()
    assert "<img" not in page
    assert "light" in page


def test_labels_are_escaped_in_a_notebook(tmp_path: Path) -> None:
    from brightness import Brightness

    path = tmp_path / "model.pt"
    portfire.package(Brightness(), path, name="b", golden=[picture(1)], licence="MIT", labels=("<b>", "&"))
    page = portfire.load(path).run(picture(1))._repr_html_()
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


def test_a_tensor_answer_is_a_mapping(arithmetic: portfire.Model) -> None:
    answer = arithmetic.run({"b": np.ones((2, 3), np.float32), "a": torch.full((2, 3), 5.0)})
    assert isinstance(answer, portfire.TensorAnswer)
    assert len(answer) == 2
    assert list(answer) == list(answer.keys())
    first, second = answer.values()
    assert first.tolist() == [[6] * 3] * 2
    assert second.tolist() == [[4] * 3] * 2
    assert dict(answer) == dict(answer.items())
    name = next(iter(answer))
    assert name in answer and answer[name] == first
    with pytest.raises(KeyError):
        answer["nothing"]
    assert json.loads(answer.to_json())[name]["shape"] == [2, 3]


def test_forward_gives_the_memory_that_it_was_given(identity: portfire.Model) -> None:
    array = np.arange(6, dtype=np.float32)
    assert identity.forward(array).data_ptr == array.ctypes.data
    tensor = torch.arange(6)
    assert identity.forward(tensor).data_ptr == tensor.data_ptr()
    array.flags.writeable = False
    assert identity.forward(array).data_ptr == array.ctypes.data


def test_the_output_of_an_identity_outlives_its_input(identity: portfire.Model) -> None:
    output = identity.forward(np.arange(100_000))
    gc.collect()
    assert output.numpy().sum() == 4999950000


def test_forward_by_place_and_by_name(arithmetic: portfire.Model) -> None:
    a, b = np.full((2, 3), 5, np.float32), np.ones((2, 3), np.float32)
    expected = [[[6.0] * 3] * 2, [[4.0] * 3] * 2]
    for outputs in (arithmetic.forward(a, b), arithmetic.forward(b=b, a=a), arithmetic.forward(a, b=b)):
        assert isinstance(outputs, dict)
        assert [output.tolist() for output in outputs.values()] == expected
    with pytest.raises(portfire.InvalidInputError):
        arithmetic.forward(a)
    with pytest.raises(portfire.InvalidInputError):
        arithmetic.forward(a, c=b)


def test_forward_agrees_with_torch(brightness: portfire.Model) -> None:
    x = torch.rand(4, 1)
    expected = torch.cat([0.5 - x, x - 0.5], dim=1) * 8
    torch.testing.assert_close(torch.from_dlpack(brightness.forward(x)), expected)


def test_verify_reports_every_stage(brightness: portfire.Model) -> None:
    report = brightness.verify()
    assert report and report.passed
    assert {stage.stage for stage in report.stages} == {"preprocess", "forward", "postprocess"}
    assert {stage.sample for stage in report.stages} == {0, 1}
    assert all(stage.passed and stage.max_abs_error <= stage.atol + 1 for stage in report.stages)
    assert str(report) == report.summary()
    assert report.to_dict() == json.loads(report.to_json())


def test_info_says_what_was_loaded(brightness: portfire.Model, models: Path) -> None:
    info = brightness.info
    assert info.path == str(models / "brightness" / "1" / "model.pt")
    assert (info.name, info.version, info.task, info.labels) == (
        "brightness",
        1,
        "image-classification",
        ("dark", "light"),
    )
    assert (info.max_batch, info.device, info.threads) == (4, "cpu", portfire.cpu_budget())
    assert {method.name for method in info.methods} >= {"preprocess", "forward", "postprocess"}
    assert info.to_dict() == json.loads(info.to_json())
    assert repr(brightness) == "Model(brightness v1, image-classification, torchscript on cpu)"


def test_inspect_runs_nothing_and_says_the_same(models: Path) -> None:
    info = portfire.inspect(models / "brightness")
    assert info.name == "brightness"
    assert info.optimization == ""
    bare = portfire.inspect(models / "identity.pt")
    assert (bare.name, bare.version, bare.labels, bare.task) == (None, None, (), "tensor")
    assert portfire.resolve_package(models / "brightness") == info.path


class Slow(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(40):
            x = torch.tanh(x @ x)
        return x


def test_other_python_threads_run_while_a_model_computes(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(Slow()), str(tmp_path / "slow.pt"))
    slow = portfire.load(tmp_path / "slow.pt", threads=1)
    x = np.zeros((500, 500), np.float32)
    slow.forward(x)
    done = threading.Event()

    def compute() -> None:
        slow.forward(x)
        done.set()

    thread = threading.Thread(target=compute)
    thread.start()
    turns = 0
    while not done.is_set():
        turns += 1
        time.sleep(0.0005)
    thread.join()
    assert turns > 5  # with the GIL held there would be one


def test_eight_threads_share_one_model(brightness: portfire.Model) -> None:
    def work(seed: int) -> bool:
        x = np.random.default_rng(seed).random((3, 1), np.float32)
        expected = np.concatenate([0.5 - x, x - 0.5], axis=1) * 8
        return all(np.allclose(brightness.forward(x), expected, atol=1e-6) for _ in range(200))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_run_async_answers_many_at_once(brightness: portfire.Model) -> None:
    async def main() -> list[str]:
        pictures = [picture(value) for value in (10, 240, 20, 230)]
        return [answer.label for answer in await asyncio.gather(*map(brightness.run_async, pictures))]

    assert asyncio.run(main()) == ["dark", "light", "dark", "light"]


def test_run_async_does_not_block_the_event_loop(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(Slow()), str(tmp_path / "slow.pt"))
    slow = portfire.load(tmp_path / "slow.pt", threads=1)
    x = np.zeros((500, 500), np.float32)

    async def main() -> int:
        task = asyncio.ensure_future(slow.run_async(x))
        turns = 0
        while not task.done():
            turns += 1
            await asyncio.sleep(0.0005)
        await task
        return turns

    assert asyncio.run(main()) > 5


def test_run_async_raises_the_error_of_run(brightness: portfire.Model) -> None:
    with pytest.raises(portfire.NotFoundError):
        asyncio.run(brightness.run_async("nowhere.png"))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_dropped_model_gives_its_memory_back(models: Path) -> None:
    x = np.zeros((1, 1), np.float32)
    for _ in range(5):
        portfire.load(models / "brightness").forward(x)
    before = resident_bytes()
    for _ in range(20):
        portfire.load(models / "brightness").forward(x)
    gc.collect()
    assert resident_bytes() - before < 8 << 20


def test_forward_leaks_nothing(identity: portfire.Model) -> None:
    arrays = [np.zeros((size, 1000), np.float32) for size in (1, 3, 7)]
    for _ in range(1000):
        identity.forward(arrays[0])
    before = resident_bytes()
    for k in range(30_000):
        identity.forward(arrays[k % 3])
        identity.forward(torch.from_numpy(arrays[k % 3]))
    assert resident_bytes() - before < 4 << 20
