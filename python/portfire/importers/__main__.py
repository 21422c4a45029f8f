"""The command line: `python -m portfire.importers llama2c FOLDER`, or `gpt2` or `llama`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import portfire
from portfire import NotFoundError
from portfire._chat import Chat
from portfire.importers import gpt2, llama, llama2c
from portfire.importers.chat import NotCarriedError, read_chat
from portfire.importers.hugging_face import Source
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
    for name, (_, summary) in _KINDS.items():
        kind = kinds.add_parser(name, help=summary)
        kind.add_argument("folder", type=Path)
        kind.add_argument("--name", required=True, help="of the package")
        kind.add_argument("--licence", required=True, help='of the weights, such as "MIT"')
        kind.add_argument(
            "--models", type=Path, default=Path("models"), help="model repository (%(default)s)"
        )
    options = parser.parse_args(arguments)
    try:
        path = options.models / options.name / "1" / "model.pt"
        manifest = _KINDS[options.kind][0](options.folder, path, name=options.name, licence=options.licence)
    except portfire.Error as error:
        print(f"importers: {error}", file=sys.stderr)
        return 1
    if left_out := manifest.provenance.get("chat_template"):
        print(f"importers: {options.folder}: chat_template: {left_out}", file=sys.stderr)
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
    tokenizer = llama2c.read_tokenizer(folder / "tokenizer.bin", model.token.num_embeddings)
    source = Source(model=model, context=context, tokenizer=tokenizer, stop_tokens=(1, 2))
    provenance = {"importer": "llama2c", "checkpoint": checkpoints[0].name}
    return _package(source, path, name, licence, "Imported from llama2.c's format.", provenance)


def import_gpt2(folder: Path, path: Path, *, name: str, licence: str) -> Manifest:
    """Packages a GPT-2 that transformers saved. Raises what `portfire.package` raises, UnsupportedError for
    what is not implemented, InvalidInputError on a damaged file, NotFoundError where one is missing."""
    return _hugging_face(folder, gpt2.read_folder(folder), path, name, licence, "gpt2")


def import_llama(folder: Path, path: Path, *, name: str, licence: str) -> Manifest:
    """Packages a Llama that transformers saved. Raises as `import_gpt2` does."""
    return _hugging_face(folder, llama.read_folder(folder), path, name, licence, "llama")


def _hugging_face(folder: Path, source: Source, path: Path, name: str, licence: str, kind: str) -> Manifest:
    """A chat template that a package cannot have is left out; the provenance says why."""
    chat, provenance = None, {"importer": kind}
    try:
        chat = read_chat(folder, source.tokenizer, source.stop_tokens)
    except NotCarriedError as error:
        provenance["chat_template"] = f"left out: {error}"
    return _package(source, path, name, licence, "Imported from Hugging Face's format.", provenance, chat)


def _package(
    source: Source,
    path: Path,
    name: str,
    licence: str,
    description: str,
    provenance: Mapping[str, str],
    chat: Chat | None = None,
) -> Manifest:
    return portfire.package(
        source.model,
        path,
        name=name,
        task="text-generation",
        tokenizer=source.tokenizer,
        max_tokens=source.context,
        golden=_GOLDEN,
        licence=licence,
        description=description,
        generation=GenerationSpec(context=source.context, stop_tokens=source.stop_tokens),
        state=source.model.state_shapes(),
        chat=chat,
        formats=("torchscript", "graph"),
        provenance=provenance,
    )


_KINDS: Mapping[str, tuple[Callable[..., Manifest], str]] = {
    "llama2c": (import_llama2c, "a folder with a llama2.c checkpoint (.bin) and tokenizer.bin"),
    "gpt2": (import_gpt2, "a GPT-2 as Hugging Face's save_pretrained writes it"),
    "llama": (import_llama, "a Llama as Hugging Face's save_pretrained writes it"),
}


if __name__ == "__main__":
    sys.exit(main())
