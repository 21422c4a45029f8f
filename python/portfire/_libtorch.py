"""Makes LibTorch's libraries findable, from the torch package that `import torch` would give."""

from __future__ import annotations

import ctypes
import importlib.util
import re
import sys
from pathlib import Path


def load() -> None:
    """Loads libtorch, so that `_core` and a later `import torch` share it. Does not import torch.

    Raises ImportError where torch is missing or of another version than Portfire was built against.
    """
    try:
        from portfire import _build
    except ImportError:
        raise ImportError("portfire is not built here; run `pip install .` in its source tree") from None
    root = _torch_root()
    if root is None:
        raise ImportError(
            f"portfire {_build.VERSION} needs torch {_build.TORCH_VERSION}, but torch is not installed; "
            f"run `pip install torch=={_build.TORCH_VERSION}`"
        )
    installed = _torch_version(root)
    if _release(installed) != _release(_build.TORCH_VERSION):
        raise ImportError(
            f"portfire {_build.VERSION} was built against torch {_build.TORCH_VERSION}, "
            f"but torch {installed} is installed; "
            f"run `pip install torch=={_build.TORCH_VERSION}` or rebuild portfire"
        )
    if "torch" not in sys.modules:
        try:
            ctypes.CDLL(str(root / "lib" / "libtorch.so"))
        except OSError as error:
            raise ImportError(f"LibTorch does not load ({error}); reinstall torch {installed}") from None


def _torch_root() -> Path | None:
    """The folder of the torch package, without importing it."""
    try:
        spec = importlib.util.find_spec("torch")
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _torch_version(root: Path) -> str:
    """ "2.13.0+cpu", from the file that torch itself takes it from."""
    try:
        text = (root / "version.py").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(r"^__version__\s*=\s*['\"]([^'\"]+)", text, re.MULTILINE)
    return found[1] if found else "of unknown version"


def _release(version: str) -> str:
    """Without the local part: CPU and CUDA builds of one version fit each other."""
    return version.partition("+")[0]
