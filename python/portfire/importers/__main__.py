"""The command line: `python -m portfire.importers llama2c FOLDER`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import portfire
from portfire import NotFoundError
from portfire.importers import llama2c
from portfire.manifest import GenerationSpec, Manifest

_GOLDEN = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside.",
    "The cat sat on the mat and looked at the big red ball.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 on an error (one line on stderr)."""
    parser = argparse.ArgumentParser(
        prog="python -m portfire.importers",
        description="Makes a package, with golden samples, of a model from elsewhere.",
    )
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    kind = kinds.add_parser("llama2c", help="a folder with a llama2.c checkpoint (.bin) and tokenizer.bin")
    kind.add_argument("folder", type=Path)
    kind.add_argument("--name", required=True, help="of the package")
    kind.add_argument("--licence", required=True, help='of the weights, such as "MIT"')
    kind.add_argument("--models", type=Path, default=Path("models"), help="model repository (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        path = options.models / options.name / "1" / "model.pt"
        import_llama2c(options.folder, path, name=options.name, licence=options.licence)
    except portfire.Error as error:
        print(f"importers: {error}", file=sys.stderr)
        return 1
    print(f"{path}: verified")
    return 0


def import_llama2c(folder: Path, path: Path, *, name: str, licence: str) -> Manifest:
    """Packages the one checkpoint of `folder`. Raises what `portfire.package` raises, InvalidInputError on a
    damaged file, NotFoundError where one is missing."""
    checkpoints = sorted(file for file in folder.glob("*.bin") if file.name != "tokenizer.bin")
    if len(checkpoints) != 1 or not (folder / "tokenizer.bin").is_file():
        raise NotFoundError(
            f"{folder}: holds {len(checkpoints)} checkpoints; one .bin file and tokenizer.bin are needed"
        )
    model, context = llama2c.read_model(checkpoints[0])
    return portfire.package(
        model,
        path,
        name=name,
        task="text-generation",
        tokenizer=llama2c.read_tokenizer(folder / "tokenizer.bin", model.token.num_embeddings),
        golden=_GOLDEN,
        licence=licence,
        description="Imported from llama2.c's format.",
        generation=GenerationSpec(context=context, stop_tokens=(1, 2)),
        state=model.state_shapes(),
        formats=("torchscript", "graph"),
        provenance={"importer": "llama2c", "checkpoint": checkpoints[0].name},
    )


if __name__ == "__main__":
    sys.exit(main())
