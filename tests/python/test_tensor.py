"""Arrays in and out of portfire.Tensor, and whose memory they are in."""

from __future__ import annotations

import gc
import sys
import weakref

import numpy as np
import pytest
import torch

import portfire

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_goes_in_and_out_without_a_copy(dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    tensor = portfire.tensor(array)
    assert (tensor.dtype, tensor.shape, tensor.strides, tensor.device) == (dtype, (2, 3), (3, 1), "cpu")
    assert tensor.data_ptr == array.ctypes.data
    for back in (np.asarray(tensor), np.from_dlpack(tensor), tensor.numpy()):
        assert back.dtype == array.dtype
        assert back.ctypes.data == array.ctypes.data
        np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("dtype", [*DTYPES, "bfloat16"])
def test_torch_goes_in_and_out_without_a_copy(dtype: str) -> None:
    source = torch.arange(6).reshape(2, 3).to(getattr(torch, dtype))
    tensor = portfire.tensor(source)
    assert (tensor.dtype, tensor.shape) == (dtype, (2, 3))
    assert tensor.data_ptr == source.data_ptr()
    back = torch.from_dlpack(tensor)
    assert back.data_ptr() == source.data_ptr()
    assert torch.equal(back, source)


class OnlyDlpack:
    """An array library of which Portfire knows nothing."""

    def __init__(self, array: np.ndarray, versioned: bool) -> None:
        self.array = array
        self.versioned = versioned

    def __dlpack__(self, *, stream: object = None, **keywords: object) -> object:
        if not self.versioned and keywords:
            raise TypeError("unexpected keyword argument 'max_version'")
        return self.array.__dlpack__(**keywords)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


@pytest.mark.parametrize("versioned", [True, False])
def test_takes_any_object_with_dlpack(versioned: bool) -> None:
    array = np.arange(4.0)
    tensor = portfire.tensor(OnlyDlpack(array, versioned))
    assert tensor.data_ptr == array.ctypes.data
    assert tensor.tolist() == [0, 1, 2, 3]


def test_takes_read_only_arrays_without_a_copy() -> None:
    array = np.arange(4.0)
    array.flags.writeable = False
    assert portfire.tensor(array).data_ptr == array.ctypes.data


def test_keeps_strides_that_engines_can_read() -> None:
    array = np.arange(12, dtype=np.int32).reshape(3, 4)
    for view in (array.T, array[:, ::2], np.broadcast_to(array[0], (5, 4))):
        tensor = portfire.tensor(view)
        assert tensor.data_ptr == view.ctypes.data
        assert tensor.strides == tuple(stride // 4 for stride in view.strides)
        np.testing.assert_array_equal(tensor.numpy(), view)


def test_copies_layouts_that_engines_cannot_read() -> None:
    record = np.zeros(3, dtype=[("flag", "u1"), ("value", "f4")])
    record["value"] = [1, 2, 3]
    for view in (np.arange(6.0)[::-1], record["value"]):
        tensor = portfire.tensor(view)
        assert tensor.data_ptr != view.ctypes.data
        np.testing.assert_array_equal(tensor.numpy(), view)


def test_resolves_the_lazy_minus_of_torch() -> None:
    imaginary = torch.tensor([1 + 2j, 3 - 4j]).conj().imag
    assert imaginary.is_neg()
    assert portfire.tensor(imaginary).tolist() == [-2, 4]


def test_elements_do_not_change_through_a_view() -> None:
    tensor = portfire.tensor(np.zeros(3))
    assert not np.asarray(tensor).flags.writeable
    assert not np.from_dlpack(tensor).flags.writeable
    copy = np.from_dlpack(tensor, copy=True)
    copy[0] = 1
    assert tensor.tolist() == [0, 0, 0]


def test_memory_lives_as_long_as_its_last_share() -> None:
    array = np.arange(1000.0)
    alive = weakref.ref(array)
    tensor = portfire.tensor(array)
    view = torch.from_dlpack(tensor)
    del array, tensor
    gc.collect()
    assert alive() is not None
    assert view.sum() == 499500
    del view
    gc.collect()
    assert alive() is None


def test_a_capsule_that_nobody_takes_gives_its_share_back() -> None:
    array = np.arange(10.0)
    before = sys.getrefcount(array)
    capsules = [portfire.tensor(array).__dlpack__(), portfire.tensor(array).__dlpack__(max_version=(1, 0))]
    assert sys.getrefcount(array) > before
    del capsules
    assert sys.getrefcount(array) == before


def test_empty_and_scalar_tensors() -> None:
    empty = portfire.tensor(np.zeros((0, 3), np.float32))
    assert (empty.shape, len(empty), empty.nbytes, empty.tolist()) == ((0, 3), 0, 0, [])
    assert torch.from_dlpack(empty).shape == (0, 3)
    scalar = portfire.tensor(np.float32(3))
    assert (scalar.shape, scalar.tolist()) == ((), 3)
    with pytest.raises(TypeError):
        len(scalar)


def test_equality_is_by_dtype_shape_and_elements() -> None:
    array = np.arange(6.0)
    tensor = portfire.tensor(array)
    assert tensor == portfire.tensor(array.copy())
    assert tensor != portfire.tensor(array.reshape(2, 3))
    assert tensor != portfire.tensor(array.astype("f4"))
    assert tensor != "something else"


def test_repr_says_dtype_shape_device_and_elements() -> None:
    assert repr(portfire.tensor(np.array([1, 2]))) == "Tensor(int64 [2] cpu {1, 2})"


def test_numpy_has_no_bfloat16() -> None:
    tensor = portfire.tensor(torch.ones(2, dtype=torch.bfloat16))
    with pytest.raises(portfire.UnsupportedError, match=r"torch\.from_dlpack"):
        tensor.numpy()
    with pytest.raises(portfire.UnsupportedError, match=r"torch\.from_dlpack"):
        np.asarray(tensor)


@pytest.mark.parametrize(
    ("thing", "why"),
    [
        ([1, 2], "a list is no tensor; give a numpy or torch array"),
        (torch.ones(2, device="meta"), r"gives no tensor: Cannot pack tensors on meta$"),
        (torch.ones(2, dtype=torch.complex64), "DLPack tensor of type code 5"),
        (np.array(["a"]), 'elements of format "1w"'),
        (np.arange(3, dtype=">f4"), 'elements of format ">f"'),
        (np.arange(3, dtype=np.uint16), 'elements of format "H"'),
    ],
)
def test_refuses_what_is_no_tensor_in_one_line(thing: object, why: str) -> None:
    with pytest.raises(portfire.Error, match=why) as caught:
        portfire.tensor(thing)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_codecs_are_each_others_inverse() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    assert portfire.decode_image(portfire.encode_png(pixels)) == portfire.tensor(pixels)
    assert portfire.decode_npy(portfire.encode_npy(pixels.astype("f2"))) == portfire.tensor(
        pixels.astype("f2")
    )
    tensors = {"b": torch.ones(2, dtype=torch.bfloat16), "a": np.arange(3)}
    decoded = portfire.decode_safetensors(portfire.encode_safetensors(tensors))
    assert decoded == {name: portfire.tensor(array) for name, array in tensors.items()}
    assert portfire.decode_json_tensors(b'{"x": [[1, 2]]}')["x"].tolist() == [[1, 2]]


def test_codecs_take_any_contiguous_buffer() -> None:
    png = portfire.encode_png(np.zeros((2, 2), np.uint8))
    for data in (png, bytearray(png), memoryview(png), np.frombuffer(png, np.uint8)):
        assert portfire.decode_image(data).shape == (2, 2, 3)
