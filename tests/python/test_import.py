"""What `import portfire` costs, loads and refuses; each in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import portfire

PACKAGE = Path(portfire.__file__).parent


def python(code: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    """Runs `code` where this portfire, and before it `paths`, can be imported."""
    search = os.pathsep.join(str(path) for path in (*paths, PACKAGE.parent))
    environment = {**os.environ, "PYTHONPATH": search}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_needs_neither_torch_nor_numpy_nor_asyncio() -> None:
    done = python("import portfire, sys; print({'torch', 'numpy', 'asyncio'} & sys.modules.keys())")
    assert done.stdout.strip() == "set()", done.stderr


@pytest.mark.parametrize("order", ["import torch, portfire", "import portfire, torch"])
def test_shares_its_libtorch_with_torch(order: str) -> None:
    code = f"""
{order}
import re
loaded = {{line.split()[-1] for line in open('/proc/self/maps') if '/' in line}}
for name in ('libtorch_cpu', 'libc10', 'libgomp'):
    files = [path for path in loaded if re.fullmatch(name + r'\\.so(\\.\\d+)?', path.rsplit('/', 1)[-1])]
    assert len(files) == 1, files
tensor = torch.arange(3)
assert torch.from_dlpack(portfire.tensor(tensor)).data_ptr() == tensor.data_ptr()
print('shared')
"""
    done = python(code)
    assert done.stdout.strip() == "shared", done.stderr


def fake_torch(folder: Path, version: str) -> None:
    (folder / "torch").mkdir()
    (folder / "torch" / "__init__.py").touch()
    (folder / "torch" / "version.py").write_text(f"__version__ = '{version}'\n")


def test_another_torch_is_one_clear_sentence(tmp_path: Path) -> None:
    fake_torch(tmp_path, "2.12.1+cpu")
    done = python("import portfire", tmp_path)
    built = portfire.torch_version()
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: portfire {portfire.__version__} was built against torch {built}, "
        f"but torch 2.12.1+cpu is installed; run `pip install torch=={built}` or rebuild portfire"
    )


def test_a_missing_torch_is_one_clear_sentence(tmp_path: Path) -> None:
    """An interpreter that sees portfire and nothing that is installed."""
    shutil.copytree(PACKAGE, tmp_path / "portfire", ignore=shutil.ignore_patterns("recipes", "train"))
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import portfire"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "but torch is not installed; run `pip install torch==" in done.stderr.splitlines()[-1]


def test_local_versions_are_the_same_torch(tmp_path: Path) -> None:
    """A CUDA build of the same version is accepted; this one only lacks its libraries."""
    fake_torch(tmp_path, portfire.torch_version() + "+cu130")
    assert "LibTorch does not load" in python("import portfire", tmp_path).stderr


def test_every_public_name_is_there() -> None:
    assert [name for name in portfire.__all__ if not hasattr(portfire, name)] == []
    assert callable(portfire.package)
    with pytest.raises(AttributeError):
        _ = portfire.nothing


def test_a_model_that_is_alive_at_exit_does_no_harm(models: Path) -> None:
    done = python(
        "import numpy, portfire\n"
        f"model = portfire.load({str(models / 'identity.pt')!r})\n"
        "output = model.forward(numpy.zeros(3))\n"
        "print(output.shape)"
    )
    assert (done.returncode, done.stdout.strip()) == (0, "(3,)"), done.stderr
