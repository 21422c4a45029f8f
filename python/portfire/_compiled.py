"""AOTInductor: the only Python module that calls it."""

from __future__ import annotations

import os
import platform
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from portfire import InvalidArgumentError
from portfire._torchscript import summary

# The instructions that the target is named by: -march=native would use others, which its name does not tell.
_MARCH = {"AVX2": "x86-64-v3", "AVX512": "x86-64-v4", "ASIMD": "armv8-a"}
_EXTRA = "_metadata.json"


def compile(program: ExportedProgram, inputs: tuple[Tensor, ...]) -> dict[str, bytes]:
    """Machine code for processors like this machine's, by the record that it is to be.

    Raises InvalidArgumentError, in one line, where there is no compiler or the program cannot be compiled.
    """
    from torch._inductor.utils import fresh_cache  # seconds to import

    instructions = str(torch._inductor.cpu_vec_isa.pick_vec_isa()).upper().split()[0]
    if platform.system() != "Linux" or instructions not in _MARCH:
        raise InvalidArgumentError(
            f"no compiled program is made for {platform.system()} with {instructions}; "
            "leave compiled out of formats"
        )
    settings = {
        "freezing": True,
        "cpp.dynamic_threads": True,  # as many as the caller of the program says
        "cpp.march": _MARCH[instructions],
        "aot_inductor.enable_line_tables": False,  # they name places of this machine
        "aot_inductor.metadata": {"PORTFIRE_TORCH": torch.__version__},
    }
    program.example_inputs = (inputs, {})
    try:
        with tempfile.TemporaryDirectory() as folder, fresh_cache(), torch.no_grad():
            path = torch._inductor.aoti_compile_and_package(
                program, package_path=f"{folder}/compiled.pt2", inductor_configs=settings
            )
            folders = (os.environ["TORCHINDUCTOR_CACHE_DIR"], str(Path(torch.__file__).parent))
            return _records(Path(path), folders)
    except Exception as error:  # the compiler's errors have no type in common
        raise InvalidArgumentError(f"forward cannot be compiled: {summary(str(error))}") from error
    finally:
        program.example_inputs = None


def _records(path: Path, folders: Sequence[str]) -> dict[str, bytes]:
    """The shared object and what it is for; not the sources. In its assertions are `folders`, places of this
    machine: they are struck out."""
    records = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".so"):
                for one in (name, name.removesuffix(".so") + _EXTRA):
                    content = archive.read(one)
                    for folder in folders:
                        content = content.replace(folder.encode(), b"_" * len(folder.encode()))
                    records[one.partition("/")[2]] = content
    return records
