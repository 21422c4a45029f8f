"""Package files that are in their place once they are proven, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import portfire
from portfire import IoError, VerificationFailedError
from portfire._files import replacing


def write_verified(archives: Mapping[Path, bytes]) -> None:
    """All of them or none, each at its path once the native runtime has opened and verified it.

    Raises VerificationFailedError and whatever `load` raises, and IoError; then nothing is left behind.
    """
    path = next(iter(archives))
    try:
        with ExitStack() as stack:
            scratches = {path: stack.enter_context(replacing(path)) for path in archives}
            for path, archive in archives.items():
                scratches[path].write_bytes(archive)
                _verify(scratches[path], path)
    except portfire.Error:
        raise
    except OSError as error:
        raise IoError(f"{path}: cannot be written ({error.strerror or error})") from error


def _verify(scratch: Path, path: Path) -> None:
    try:
        engines = ["auto", "compiled"] if portfire.inspect(scratch).compiled_for else ["auto"]
        for engine in engines:
            report = portfire.load(scratch, engine=engine, trust_compiled=True).verify()
            if not report.passed:
                raise VerificationFailedError(f"{path}: {report.summary()}")
    except portfire.Error as error:
        raise type(error)(str(error).replace(str(scratch), str(path))) from error
