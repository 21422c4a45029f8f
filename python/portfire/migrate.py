"""From TorchScript to torch.export's program of the same model: `python -m portfire.migrate MODEL`."""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import zipfile
from pathlib import Path

import portfire
from portfire import InvalidArgumentError, InvalidPackageError, _export, _torchscript
from portfire._golden import read_golden, replay
from portfire._verified import write_verified
from portfire.manifest import Manifest

_FOLDER = "extra/portfire/"


def migrate(path: str | Path) -> Path:
    """Writes `model.pt2` beside the package `model.pt` that `path` stands for, and returns its path.

    It has the same manifest, assets and golden samples, and is there once the engine graph gives what the
    golden samples say. Where torch cannot convert the program nothing is written.

    Raises InvalidArgumentError, in one line, where the program or one of its stages cannot be converted,
    or is right for some sizes only; VerificationFailedError where it computes something else; and what
    `portfire.inspect` raises for the file.
    """
    source = Path(portfire.resolve_package(path))
    target = source.with_suffix(".pt2")
    if target.exists():
        raise InvalidArgumentError(f"{target} is there already; remove it to write it again")
    content = _checked(source)
    files = _files(content)
    if "manifest.json" not in files:
        raise InvalidPackageError(
            f"{source}: has no manifest to prove a migration with; use portfire.package"
        )
    manifest = Manifest.loads(files["manifest.json"])
    if not manifest.golden:
        raise InvalidArgumentError(
            f"{source}: has no golden samples to prove a migration with; package it anew"
        )
    scripted = _torchscript.load(content)
    order = {method: _torchscript.argument_names(scripted, method) for method in manifest.methods}
    sample = manifest.golden[0].input
    raw = manifest.raw_input
    reader = portfire.Tokenizer.from_bytes(files[raw.tokenizer]) if raw.kind == "text" else None
    stages = replay(scripted, manifest.task, read_golden(files[sample], raw, sample, reader), order)
    programs = {}
    for method, stage in stages.items():
        spec = manifest.methods[method]
        example = _export.example(stage.inputs, spec)
        module = _export.converted(_torchscript.as_forward(scripted, method), method, example)
        programs[method] = _export.export(module, "forward", example, spec, name=method)
        narrow = _export.conditions(programs[method], spec)
        if narrow and manifest.task != "tensor":
            raise InvalidArgumentError(
                f"{method} cannot be converted: it would be right only where {narrow[0]}"
            )
    archive = _export.save(programs, {f"portfire/{name}": file for name, file in files.items()})
    write_verified({target: archive})
    return target


def _checked(path: Path) -> bytes:
    """The very bytes that the native runtime has checked: torch checks none of them."""
    content = path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(content)
        try:
            portfire.inspect(copy)
        except portfire.Error as error:
            raise type(error)(str(error).replace(str(copy), str(path))) from error
    return content


def _files(content: bytes) -> dict[str, bytes]:
    files = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for record in archive.namelist():
            name = record.partition("/")[2]
            if name.startswith(_FOLDER):
                files[name.removeprefix(_FOLDER)] = archive.read(record)
    return files


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m portfire.migrate", description=migrate.__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", type=Path, help="a package, or its <name> or <name>/<version> folder")
    try:
        target = migrate(parser.parse_args().model)
    except portfire.Error as error:
        print(f"migrate: {error}", file=sys.stderr)
        return 1
    print(f"{target}: verified in the engine {portfire.load(target).info.engine}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
