"""`portfire run` for task tensor: arrays in, arrays out, and pictures turned into tensors."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from exported import PROGRAMS, Saved
from faces import Program, run_in_python
from PIL import Image
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

import portfire

X = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def x_npy(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", X)
    return tmp_path / "x.npy"


def test_npy_in_and_npy_out(bare: Path, x_npy: Path, tmp_path: Path, program: Program) -> None:
    done = program("run", bare, x_npy, "--output", tmp_path / "y.npy")
    assert (done.status, done.out, done.err) == (0, "", "")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), 2 * X)


def test_safetensors_in_and_safetensors_out(two_outputs: Path, tmp_path: Path, program: Program) -> None:
    save_file({"x": X, "offset": np.array(3.0, np.float64)}, tmp_path / "in.safetensors")
    done = program("run", two_outputs, tmp_path / "in.safetensors", "--output", tmp_path / "out.safetensors")
    assert (done.status, done.err) == (0, "")
    outputs = load_file(tmp_path / "out.safetensors")
    assert sorted(output.shape for output in outputs.values()) == [(), (2,)]
    for output in outputs.values():
        np.testing.assert_allclose(output, [2, 3] if output.shape else 3.0, atol=1e-6)


def test_json_in_and_json_out(bare: Path, tmp_path: Path, program: Program) -> None:
    (tmp_path / "x.json").write_text(
        json.dumps({"x": {"dtype": "float32", "shape": [2, 3], "data": X.tolist()}})
    )
    done = program("run", bare, tmp_path / "x.json", "--output", tmp_path / "y.json")
    assert (done.status, done.err) == (0, "")
    (output,) = json.loads((tmp_path / "y.json").read_text()).values()
    assert (output["dtype"], output["shape"]) == ("float32", [2, 3])
    np.testing.assert_allclose(output["data"], 2 * X)


def test_standard_input_may_be_json_or_npy(bare: Path, x_npy: Path, program: Program) -> None:
    for stdin in (b"[1.5, 2]", x_npy.read_bytes()):
        done = program("run", "--json", bare, "-", stdin=stdin)
        assert done.status == 0
        (output,) = done.objects[0]["answer"].values()
        assert output["dtype"] == "float32"


def test_the_json_answer_is_that_of_python(scale: Path, tmp_path: Path, program: Program) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((3, 1, 8, 8), np.float32))
    done = program("run", "--json", scale, tmp_path / "x.npy")
    assert done.objects[0]["answer"] == run_in_python(scale, tmp_path / "x.npy").answer


def test_a_mapped_file_gives_the_same(saved: Saved, tmp_path: Path, program: Program) -> None:
    path = saved("perceptron")
    np.save(tmp_path / "x.npy", PROGRAMS["perceptron"].inputs[0].numpy())
    read, mapped = (
        program("run", "--json", path, tmp_path / "x.npy", *more) for more in ((), ("--map-file",))
    )
    assert (read.status, read.out) == (0, mapped.out)


def test_answers_for_people_show_dtype_and_shape(bare: Path, x_npy: Path, program: Program) -> None:
    done = program("run", bare, x_npy)
    assert done.status == 0
    assert "float32 [2, 3]" in done.out


@pytest.mark.parametrize("grey", [False, True])
def test_a_picture_becomes_a_tensor(grey: bool, bare: Path, tmp_path: Path, program: Program) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    options = ["--image-size", "12x8", "--mean", "0.5", "--std", "0.25", *(["--grey"] if grey else [])]
    done = program("run", bare, tmp_path / "p.png", *options, "--output", tmp_path / "y.npy")
    assert (done.status, done.err) == (0, "")
    x = F.interpolate(
        torch.from_numpy(pixels).permute(2, 0, 1)[None].float(), [8, 12], mode="bilinear", antialias=True
    )
    if grey:
        x = (x * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    expected = 2 * (x / 255 - 0.5) / 0.25
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("size", ["12", "0x8", "12x", "axb", "12x8x3", "99999x8", ""])
def test_a_wrong_image_size_is_refused(size: str, bare: Path, x_npy: Path, program: Program) -> None:
    done = program("run", bare, x_npy, f"--image-size={size}")
    assert done.status == 64
    assert "image-size" in done.error


def test_image_options_need_an_image_size(bare: Path, x_npy: Path, program: Program) -> None:
    for option in (["--grey"], ["--mean", "0.5"], ["--std", "0.5"]):
        done = program("run", bare, x_npy, *option)
        assert done.status == 64, option
        assert "--image-size" in done.error


def test_a_mean_for_two_of_three_channels_is_one_line(bare: Path, tmp_path: Path, program: Program) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "p.png")
    done = program("run", bare, tmp_path / "p.png", "--image-size", "4x4", "--mean", "0.1,0.2")
    assert done.status == 64
    assert done.error


def test_output_is_for_one_input(bare: Path, x_npy: Path, tmp_path: Path, program: Program) -> None:
    done = program("run", bare, x_npy, x_npy, "--output", tmp_path / "y.npy")
    assert done.status == 64
    assert "2 inputs" in done.error
    assert not (tmp_path / "y.npy").exists()


def test_output_needs_a_known_ending(bare: Path, x_npy: Path, tmp_path: Path, program: Program) -> None:
    done = program("run", bare, x_npy, "--output", tmp_path / "y.txt")
    assert done.status == 64
    assert ".safetensors" in done.error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.npy"]


def test_npy_holds_one_output_only(two_outputs: Path, x_npy: Path, tmp_path: Path, program: Program) -> None:
    done = program("run", two_outputs, x_npy, "--output", tmp_path / "y.npy")
    assert done.status == 64
    assert "2 outputs" in done.error


def test_arguments_are_known_by_name_and_place(two_outputs: Path, tmp_path: Path, program: Program) -> None:
    save_file({"y": X}, tmp_path / "in.safetensors")
    done = program("run", two_outputs, tmp_path / "in.safetensors")
    assert done.status == 65
    assert '"y"' in done.error and "x, offset" in done.error


def test_what_the_program_does_not_like_is_one_line(tmp_path: Path, program: Program) -> None:
    class Product(torch.nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a @ b

    torch.jit.save(torch.jit.script(Product()), str(tmp_path / "product.pt"))
    save_file({"a": X, "b": X}, tmp_path / "in.safetensors")
    done = program("run", tmp_path / "product.pt", tmp_path / "in.safetensors")
    assert done.status == 65
    assert "mat1 and mat2" in done.error
    with pytest.raises(portfire.InvalidInputError, match="mat1 and mat2"):
        portfire.load(tmp_path / "product.pt").forward(X, X)


class _Warns(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        warnings.warn("two\nlines", stacklevel=1)
        return x + 1


def test_what_a_model_warns_of_goes_nowhere(tmp_path: Path, program: Program) -> None:
    torch.jit.script(_Warns()).save(str(tmp_path / "warns.pt"))
    np.save(tmp_path / "x.npy", np.ones(3, np.float32))
    done = program("run", "--json", tmp_path / "warns.pt", tmp_path / "x.npy")
    assert (done.status, done.err) == (0, "")
    assert done.objects[0]["answer"]["output"]["data"] == [2, 2, 2]
