"""Make the tensor files in this folder, with NumPy and the `safetensors` package, for the C++ tests.

Run it only to add a case:

    python tests/data/tensors/make_tensors.py
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

HERE = Path(__file__).parent
NPY_DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")


def make_npy_files() -> None:
    """Write each dtype as `<dtype>.npy`, each layout and version, and what is refused."""
    for dtype in NPY_DTYPES:
        np.save(HERE / f"{dtype}.npy", np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype))
    np.save(HERE / "fortran.npy", np.asfortranarray(np.arange(24, dtype=np.int32).reshape(2, 3, 4)))
    np.save(HERE / "scalar.npy", np.float64(2.5))
    np.save(HERE / "vector.npy", np.array([np.nan, -np.inf, 1.5], dtype=np.float32))
    np.save(HERE / "empty.npy", np.zeros((3, 0, 2), dtype=np.int16))
    for version in ((2, 0), (3, 0)):
        with (HERE / f"version{version[0]}.npy").open("wb") as file:
            np.lib.format.write_array(file, np.arange(5, dtype=np.int64), version=version)
    refused = HERE / "refused"
    refused.mkdir(exist_ok=True)
    np.save(refused / "big_endian.npy", np.arange(3, dtype=">f4"))
    np.save(refused / "objects.npy", np.array([None, {}], dtype=object), allow_pickle=True)
    np.save(refused / "records.npy", np.zeros(2, dtype=[("x", "<f4"), ("y", "<i4")]))
    np.save(refused / "text.npy", np.array(["one", "two"]))
    np.save(refused / "complex.npy", np.zeros(2, dtype=np.complex64))


def make_safetensors_files() -> None:
    """Write every dtype in one file, as the reference implementation lays it out."""
    tensors = {dtype: torch.arange(6).reshape(2, 3).to(getattr(torch, dtype)) for dtype in NPY_DTYPES}
    tensors["bfloat16"] = torch.tensor([1, -2], dtype=torch.bfloat16)
    tensors["scalar"] = torch.tensor(2.5)
    tensors["nothing"] = torch.zeros((0, 4), dtype=torch.int64)
    tensors['a "quoted" \u00e9'] = torch.tensor([7], dtype=torch.uint8)
    (HERE / "every_dtype.safetensors").write_bytes(save(tensors))
    (HERE / "metadata.safetensors").write_bytes(save({"x": torch.tensor(2.5)}, {"format": "pt"}))
    float8 = torch.zeros(2, dtype=torch.float8_e4m3fn)
    (HERE / "refused/float8.safetensors").write_bytes(save({"x": float8}))


if __name__ == "__main__":
    make_npy_files()
    make_safetensors_files()
