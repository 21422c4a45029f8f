"""Writing a file so that it is there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new empty file beside `path`; on success it is fsynced and renamed to `path`, on any failure
    (KeyboardInterrupt too) it is removed, with the folders that were made for it."""
    made = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    scratch: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        scratch = Path(name)
        yield scratch
        _sync(scratch)
        scratch.chmod(0o666 & ~_umask())
        scratch.replace(path)
    except BaseException:
        if scratch is not None:
            scratch.unlink(missing_ok=True)
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
