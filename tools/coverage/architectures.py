#!/usr/bin/env python3
"""Which architectures of the library transformers run in the engine `graph`, and with the same numbers.

Each is built from a small random configuration (nothing is downloaded), exported with torch.export twice,
with static and with dynamic shapes, loaded with Portfire, and held bit for bit against what PyTorch makes of
the same file. The attention is the one that transformers chooses: sdpa where the architecture has it. Run it
in an environment that has the project's packages and those of tools/coverage/requirements.txt.

Usage: .venv/bin/pip install -r tools/coverage/requirements.txt      (once, after tools/build)
       .venv/bin/python tools/coverage/architectures.py [--only NAME ...] [--write]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configurations import ARCHITECTURES, Architecture, make_inputs

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "coverage.md"
SECONDS = 180  # for one architecture in one form
FORMS = ("static", "dynamic")
EXPORTED = (2, 7)  # the batch, and the length of texts, that a program is exported with
OTHERS = ((3, 11), (1, 5))  # those that a dynamic one is called with as well


@dataclass(frozen=True)
class Outcome:
    """`reason` is empty for a program that runs; `difference` is the largest from the eager module."""

    reason: str = ""
    parameters: int = 0
    difference: float = 0.0


def first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def make_model(architecture: Architecture) -> nn.Module:
    import torch

    kind = getattr(import_module("transformers"), architecture.model)
    config = kind.config_class(**architecture.config)
    if hasattr(config, "use_cache"):
        config.use_cache = False
    model: nn.Module = kind(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # none stays a zero or a one that would hide what it multiplies
            parameter.add_(0.02 * torch.randn_like(parameter))
    return model


def make_program(model: nn.Module, inputs: dict[str, Tensor], form: str) -> ExportedProgram:
    """Batch and length are symbols in the dynamic form; Dim.AUTO is asked where Dim.DYNAMIC is refused."""
    from torch.export import Dim, export

    if form == "static":
        return export(model, (), inputs)
    sizes = {name: (0, 1) if name.endswith(("_ids", "_mask")) else (0,) for name in inputs}
    try:
        shapes = {name: dict.fromkeys(which, Dim.DYNAMIC) for name, which in sizes.items()}
        return export(model, (), inputs, dynamic_shapes=shapes)
    except Exception:
        shapes = {name: dict.fromkeys(which, Dim.AUTO) for name, which in sizes.items()}
        return export(model, (), inputs, dynamic_shapes=shapes)


def same(a: Tensor, b: Tensor) -> bool:
    equal = a.dtype == b.dtype and a.shape == b.shape
    return equal and bool(((a == b) | ((a != a) & (b != b))).all())


def largest_difference(some: list[Tensor], others: list[Tensor]) -> float:
    return max(float((a.double() - b.double()).abs().max()) for a, b in zip(some, others, strict=True))


def values_of(answer: Any) -> list[Tensor]:
    from torch.utils.dlpack import from_dlpack

    return [from_dlpack(value) for value in (answer.values() if isinstance(answer, dict) else [answer])]


def attempt(name: str, form: str, path: Path) -> Outcome:
    import torch
    from torch.utils._pytree import tree_leaves

    import portfire

    torch.set_num_threads(1)
    torch.manual_seed(0)
    architecture = ARCHITECTURES[name]
    model = make_model(architecture)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    batches = [make_inputs(architecture.inputs, *sizes) for sizes in (EXPORTED, *OTHERS)]
    try:
        torch.export.save(make_program(model, batches[0], form), path)
        reference = torch.export.load(path).module()
    except Exception as error:
        return Outcome(f"torch.export refuses: {first_line(error)}", parameters)
    difference = 0.0
    try:
        exact = portfire.load(path, engine="graph", threads=1, optimization="none")
        passes = portfire.load(path, engine="graph", threads=1)
        for inputs in batches if form == "dynamic" else batches[:1]:
            with torch.inference_mode():
                eager = tree_leaves(model(**inputs))
                try:
                    expected = tree_leaves(reference(**inputs))
                except Exception as error:
                    return Outcome(f"torch.export refuses: it fixed a size: {first_line(error)}", parameters)
            given, fast = (values_of(one.forward(*inputs.values())) for one in (exact, passes))
            if [one.shape for one in given] != [one.shape for one in expected]:
                return Outcome("differs: other outputs than PyTorch's", parameters)
            difference = max(difference, largest_difference(fast, eager))
            if not all(map(same, given, expected)):
                by = f"{largest_difference(given, expected):.1e}"
                return Outcome(f"differs: by {by} from PyTorch on the same file", parameters, difference)
            if not all(torch.allclose(a, b, 1e-3, 1e-4, True) for a, b in zip(fast, expected, strict=True)):
                by = f"{largest_difference(fast, expected):.1e}"
                return Outcome(f"differs: by {by} with passes", parameters, difference)
    except portfire.Error as error:
        return Outcome(f"graph refuses: {str(error).removeprefix(f'{path}: ')}", parameters)
    return Outcome("", parameters, difference)


def environment() -> dict[str, str]:
    paths = [os.environ.get("PYTHONPATH", ""), str(ROOT / "python")]
    search = os.pathsep.join(filter(None, paths))
    return os.environ | {"PYTHONPATH": search, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


def run(name: str, form: str) -> Outcome:
    """`attempt` in another process, so that a crash or a hang is an outcome too."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--attempt", name, form, folder]
        try:
            done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return Outcome(f"takes more than {SECONDS} s")
    if done.returncode < 0:
        return Outcome(f"crashes: {signal.Signals(-done.returncode).name}")
    if done.returncode > 0:
        return Outcome(f"fails: {(done.stderr.strip() or 'without a word').splitlines()[-1]}")
    return Outcome(**json.loads(done.stdout.splitlines()[-1]))


Outcomes = dict[str, dict[str, Outcome]]


def reason(outcomes: Mapping[str, Outcome]) -> str:
    static, dynamic = (outcomes[form].reason for form in FORMS)
    if static == dynamic or not dynamic:
        return static
    return f"{static}; dynamic: {dynamic}" if static else f"dynamic: {dynamic}"


def table(all_outcomes: Outcomes) -> str:
    lines = [
        "| architecture | kind | class | static | dynamic | parameters | from eager | if not, why |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, outcomes in all_outcomes.items():
        architecture = ARCHITECTURES[name]
        ran = [one for one in outcomes.values() if not one.reason]
        cells = [
            name,
            architecture.kind,
            f"`{architecture.model}`",
            *("no" if outcomes[form].reason else "yes" for form in FORMS),
            f"{max(one.parameters for one in outcomes.values()):,}",
            f"{max(one.difference for one in ran):.1g}" if ran else "",
            reason(outcomes).replace("|", "\\|"),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def count(all_outcomes: Outcomes) -> str:
    static, dynamic = (sum(not one[form].reason for one in all_outcomes.values()) for form in FORMS)
    return f"{static} of {len(all_outcomes)} run with static shapes, {dynamic} with dynamic ones"


def page(all_outcomes: Outcomes) -> str:
    text = f"""\
# What runs: architectures of transformers

{count(all_outcomes)}. Each is an architecture of the library transformers in a small random configuration,
exported by `torch.export` with static shapes and with a dynamic batch (and length, where it takes text), and
run in the engine `graph`. "yes" means: without passes the same bits as PyTorch gives for the same file, and
with them numbers within 1e-4 + 1e-3 |x| of it, on the sizes it was exported with and, for dynamic shapes,
on others, of which one is a batch of 1. "from eager" is the largest difference, with passes, from the module
before its export.

`.venv/bin/python tools/coverage/architectures.py --write` made this page, in an environment that has the
project's packages and those of `tools/coverage/requirements.txt`: torch {version("torch").partition("+")[0]}
and transformers {version("transformers")}.

"""
    return f"{text}{table(all_outcomes)}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=list(ARCHITECTURES), help="these only")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    parser.add_argument("--attempt", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.attempt:
        name, form, folder = arguments.attempt
        print(json.dumps(asdict(attempt(name, form, Path(folder) / "program.pt2"))))
        return
    command = [sys.executable, "-c", "import portfire, transformers"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    if done.returncode != 0:
        parser.error(done.stderr.strip().splitlines()[-1])
    if arguments.write and arguments.only:
        parser.error("--write needs all of them, not --only some")
    all_outcomes: Outcomes = {}
    for name in arguments.only or ARCHITECTURES:
        start = time.monotonic()
        all_outcomes[name] = {form: run(name, form) for form in FORMS}
        what = reason(all_outcomes[name]) or "runs"
        print(f"{name} ({time.monotonic() - start:.0f} s): {what}", flush=True)
    print(f"\n{table(all_outcomes)}\n\n{count(all_outcomes)}")
    if arguments.write:
        PAGE.write_text(page(all_outcomes), encoding="utf-8")


if __name__ == "__main__":
    main()
