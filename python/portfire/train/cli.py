"""portfire-train: trains a preset of a recipe, or writes sample pictures."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import portfire
from portfire import CancelledError, Error, InvalidArgumentError

RECIPES = {
    "image-classification": "portfire.recipes.image_classification.train",
    "text-classification": "portfire.recipes.text_classification.train",
    "text-generation": "portfire.recipes.text_generation.train",
}
# Flags of one recipe that stand for an assignment: field, metavar, help.
_FLAGS = {
    "text-classification": {
        "--text-column": ("data.text_column", "NAME", "the file's column of texts (text)"),
        "--label-column": ("data.label_column", "NAME", "the file's column of classes (label)"),
    }
}

_EXAMPLES = """examples:
  portfire-train image-classification --preset digits-cnn
  portfire-train image-classification --preset digits-cnn --set train.epochs=80 --set model.width=48
  portfire-train image-classification --preset image-folder --data photos --name my-photos
  portfire-train image-classification --preset mnist-cnn --resume
  portfire-train text-classification --preset polarity-ngrams
  portfire-train text-classification --preset text-file --data mail.csv --label-column folder
  portfire-train text-generation --preset shakespeare-gpt
  portfire-train text-generation --preset gpt-file --data book.txt
  portfire-train samples digits /tmp/digits --count 20
  portfire-train --list
"""
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 on an error (one line on stderr), 2 on a wrong command line, 130 when
    interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.list:
            _list()
        elif options.command is None:
            parser.error("give a recipe, samples or --list")
        elif options.command == "samples":
            _samples(options)
        else:
            _train(options)
    except CancelledError as error:
        print(f"portfire-train: {error}", file=sys.stderr)
        return _INTERRUPTED
    except KeyboardInterrupt:
        print("portfire-train: stopped", file=sys.stderr)
        return _INTERRUPTED
    except (Error, OSError) as error:
        print(f"portfire-train: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="portfire-train",
        description="Trains models and packages them.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"portfire {portfire.__version__}")
    parser.add_argument("--list", action="store_true", help="list recipes, presets and data sets")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name in RECIPES:
        train = commands.add_parser(name, help="train a preset of this recipe")
        train.add_argument("--preset", required=True, help="a complete configuration; see --list")
        train.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="SECTION.FIELD=VALUE",
            dest="assignments",
            help="change one field; may be repeated",
        )
        for flag, (path, metavar, described) in _FLAGS.get(name, {}).items():
            train.add_argument(flag, metavar=metavar, dest=path, help=described)
        train.add_argument("--name", help="of the package; by custom the preset's")
        train.add_argument(
            "--data",
            type=Path,
            metavar="FOLDER",
            help="local copy of the data ($PORTFIRE_DATA), or the file of a preset that takes one",
        )
        train.add_argument(
            "--models",
            type=Path,
            default=Path("models"),
            metavar="FOLDER",
            help="model repository to write to (%(default)s)",
        )
        train.add_argument(
            "--runs",
            type=Path,
            default=Path("runs"),
            metavar="FOLDER",
            help="checkpoints and TensorBoard logs (%(default)s)",
        )
        train.add_argument("--resume", action="store_true", help="go on after the last whole epoch")
        train.add_argument("--show", action="store_true", help="print the configuration and stop")
    samples = commands.add_parser("samples", help="write held-out samples of a data set as PNG or text files")
    samples.add_argument("dataset", help="a data set; see --list")
    samples.add_argument("folder", type=Path, help="where the files go")
    samples.add_argument("--count", type=int, default=10, help="how many at most (%(default)s)")
    samples.add_argument(
        "--data", type=Path, metavar="FOLDER", help="local copy of the data ($PORTFIRE_DATA)"
    )
    return parser


def _train(options: argparse.Namespace) -> None:
    from portfire.train.config import override, to_json
    from portfire.train.run import RunOptions

    recipe = import_module(RECIPES[options.command]).RECIPE
    presets = recipe.presets()
    if options.preset not in presets:
        raise InvalidArgumentError(f'there is no preset "{options.preset}"; allowed: {", ".join(presets)}')
    config: Any = override(presets[options.preset], [*_flagged(options), *options.assignments])
    if options.name:
        config = replace(config, name=options.name)
    if options.show:
        import json

        print(json.dumps(to_json(config), indent=2))
        return
    recipe.run(
        config,
        RunOptions(
            models=options.models,
            runs=options.runs,
            data=options.data,
            resume=options.resume,
            command=_command(options),
        ),
    )


def _flagged(options: argparse.Namespace) -> list[str]:
    """What the recipe's own flags set."""
    rows = _FLAGS.get(options.command, {}).values()
    return [f"{path}={vars(options)[path]}" for path, _, _ in rows if vars(options)[path] is not None]


def _command(options: argparse.Namespace) -> str:
    """The command line without what holds for one machine only."""
    words = ["portfire-train", options.command, "--preset", options.preset]
    for assignment in (*_flagged(options), *options.assignments):
        words += ["--set", assignment]
    if options.name:
        words += ["--name", options.name]
    return shlex.join(words)


def _samples(options: argparse.Namespace) -> None:
    from portfire.train.datasets import DATASETS
    from portfire.train.text_sets import CORPORA, TEXT_SETS

    if options.dataset not in DATASETS:
        known = ", ".join(DATASETS)
        raise InvalidArgumentError(f'there is no data set "{options.dataset}"; {known} are known')
    if options.count < 1:
        raise InvalidArgumentError(f"--count is {options.count}; at least 1")
    recipe, noun = "image_classification", "pictures"
    if options.dataset in {row.name for row in TEXT_SETS}:
        recipe, noun = "text_classification", "texts"
    if options.dataset in {row.name for row in CORPORA}:
        recipe, noun = "text_generation", "texts"
    export = import_module(f"portfire.recipes.{recipe}.samples").export_samples
    count = export(options.dataset, options.folder, count=options.count, data=options.data)
    print(f"{count} {noun} of {options.dataset} in {options.folder}")


def _list() -> None:
    from portfire.train.datasets import DATASETS

    for name, module in RECIPES.items():
        recipe = import_module(module).RECIPE
        print(f"{name}: {recipe.summary}")
        for preset, config in recipe.presets().items():
            print(f"  {preset:20} {config.description}")
    print("data sets:")
    for row in DATASETS.values():
        print(f"  {row.name:20} {row.title} ({row.licence})")
