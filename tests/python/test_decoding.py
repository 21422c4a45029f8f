"""The codecs against the libraries they stand in for, as installed here: Pillow, NumPy and safetensors."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from safetensors.torch import load, save
from torch.utils.dlpack import from_dlpack

import portfire

IMAGES = Path(__file__).parent.parent / "data" / "images"
# Where Pillow is not followed; tests/data/images/make_images.py says why.
NOT_PILLOWS = {
    "grey16.png",
    "grey16_interlaced.png",
    "grey16_trns.png",
    "grey4_trns.png",
    "rgb16_trns.png",
}


def pillow_pixels(data: bytes) -> np.ndarray:
    """Upright, on white, RGB: uint8 (H, W, 3)."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if "A" in image.mode or "transparency" in image.info:
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        white.alpha_composite(image.convert("RGBA"))
        image = white
    return np.asarray(image.convert("RGB"))


def test_pictures_have_the_pixels_of_the_pillow_that_is_installed() -> None:
    paths = sorted(path for path in IMAGES.iterdir() if path.suffix in {".png", ".jpg"})
    assert len(paths) > 70
    for path in paths:
        if path.name in NOT_PILLOWS or path.name.startswith("text_bomb"):
            continue
        data = path.read_bytes()
        np.testing.assert_array_equal(np.asarray(portfire.decode_image(data)), pillow_pixels(data), path.name)


PNG_MODES = ["1", "L", "LA", "P", "RGB", "RGBA"]
JPEG_MODES = ["L", "RGB", "CMYK"]


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", mode) for mode in PNG_MODES] + [("JPEG", mode) for mode in JPEG_MODES]
)
def test_random_pictures_have_pillows_pixels(kind: str, mode: str) -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        height, width = generator.integers(1, 60, 2)
        noise = Image.fromarray(generator.integers(0, 256, (height, width, 4), dtype=np.uint8), "RGBA")
        picture = (noise if mode in {"LA", "RGBA"} else noise.convert("RGB")).convert(mode)
        out = io.BytesIO()
        options = {"progressive": bool(generator.integers(2))} if kind == "JPEG" else {}
        picture.save(out, kind, quality=int(generator.integers(1, 101)), **options)
        data = out.getvalue()
        np.testing.assert_array_equal(np.asarray(portfire.decode_image(data)), pillow_pixels(data))


@pytest.mark.parametrize("shape", [(5, 7, 3), (5, 7), (1, 1), (300, 2, 3)])
def test_an_encoded_png_is_read_by_pillow(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    image = Image.open(io.BytesIO(portfire.encode_png(pixels)))
    assert image.format == "PNG"
    np.testing.assert_array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4), (0, 2)])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int16", "int32", "int64", "f2", "f4", "f8"])
def test_npy_goes_both_ways(dtype: str, shape: tuple[int, ...], order: str) -> None:
    array = np.asarray(np.random.default_rng(0).integers(0, 2, shape).astype(dtype), order=order)  # type: ignore[call-overload]
    out = io.BytesIO()
    np.save(out, array)
    decoded = portfire.decode_npy(out.getvalue())
    assert np.asarray(decoded).dtype == array.dtype
    np.testing.assert_array_equal(np.asarray(decoded), array)
    again = np.load(io.BytesIO(portfire.encode_npy(decoded)), allow_pickle=False)
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)


def test_safetensors_go_both_ways() -> None:
    dtypes = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
    tensors = {dtype: torch.randint(0, 2, (2, 3)).to(getattr(torch, dtype)) for dtype in dtypes}
    tensors |= {"scalar": torch.tensor(1.5), "nothing": torch.zeros((0, 2)), 'a "name" é': torch.ones(1)}
    decoded = portfire.decode_safetensors(save(tensors))
    assert list(decoded) == sorted(tensors, key=str.encode)
    again = load(portfire.encode_safetensors(decoded))
    assert set(again) == set(tensors)
    for name, tensor in tensors.items():
        assert torch.equal(from_dlpack(decoded[name]), tensor), name
        assert torch.equal(again[name], tensor), name
        assert again[name].dtype == tensor.dtype


def test_json_lists_are_what_numpy_makes_of_them() -> None:
    decoded = portfire.decode_json_tensors(
        b'{"x": [[1, -2], [3, 4]], "y": [0.1, 1e30], "z": [[true], [false]]}'
    )
    np.testing.assert_array_equal(np.asarray(decoded["x"]), np.array([[1, -2], [3, 4]]))
    np.testing.assert_array_equal(np.asarray(decoded["y"]), np.array([0.1, 1e30], dtype=np.float32))
    np.testing.assert_array_equal(np.asarray(decoded["z"]), np.array([[True], [False]]))


@pytest.mark.parametrize(
    ("decode", "data"),
    [
        (portfire.decode_image, (IMAGES / "rgb8.png").read_bytes()[:-1]),
        (portfire.decode_image, b"Once upon a time"),
        (portfire.decode_npy, b"Once upon a time"),
        (portfire.decode_safetensors, b"Once upon a time"),
        (portfire.decode_json_tensors, b"Once upon a time"),
    ],
)
def test_bad_bytes_are_one_line_that_names_them(decode: Callable[..., object], data: bytes) -> None:
    with pytest.raises(portfire.InvalidInputError) as caught:
        decode(data, name="seven")
    assert str(caught.value).startswith("seven: ")
    assert "\n" not in str(caught.value)
