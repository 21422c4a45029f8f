"""The card of a trained classifier: card.md, config.json and two pictures, beside the package's versions."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import portfire
from portfire.recipes.image_classification.config import Config
from portfire.recipes.image_classification.data import PictureSet
from portfire.train.config import to_json
from portfire.train.plots import plot_confusion, plot_curve
from portfire.train.run import RunResult


def config_json(config: Config) -> dict[str, Any]:
    """The configuration without what holds for one machine only."""
    data = to_json(config)
    if config.data.folder is not None:
        data["data"]["folder"] = config.data.folder.name
    return data


def provenance(config: Config, pictures: PictureSet, command: str) -> dict[str, Any]:
    """What the package says of how it came to be."""
    return {
        "recipe": "image-classification",
        "command": command,
        "config": config_json(config),
        "seed": config.seed,
        "data": {
            "name": pictures.name,
            "licence": pictures.licence,
            "sha256": pictures.sha256,
            "train": len(pictures.train),
            "held_out": len(pictures.held_out),
        },
    }


def write_card(result: RunResult, config: Config, pictures: PictureSet, command: str) -> None:
    """Writes the files beside `result.card`, unless they tell of the same run: training a committed preset
    again where it comes to the same numbers changes nothing in a clone."""
    folder = result.card.parent
    folder.mkdir(parents=True, exist_ok=True)
    outcome = {**provenance(config, pictures, command), "metrics": asdict(result.metrics)}
    if result.card.exists() and _recorded(folder / "config.json", outcome):
        return
    plot_curve(result.curve, folder / "learning-curve.png")
    plot_confusion(result.metrics, folder / "confusion.png")
    record = {
        **outcome,
        "curve": [{"epoch": row.number, **row.metrics} for row in result.curve],
        "parameters": result.parameters,
        "package_bytes": result.package_bytes,
        "training_seconds": round(result.seconds, 1),
        "latency": asdict(result.latency),
        "versions": _versions(),
    }
    (folder / "config.json").write_text(
        json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    result.card.write_text(_markdown(result, config, pictures, command), encoding="utf-8")


def _recorded(path: Path, outcome: dict[str, Any]) -> bool:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and json.loads(json.dumps(outcome)).items() <= record.items()


def _versions() -> dict[str, str]:
    return {"portfire": portfire.__version__, "torch": torch.__version__, "python": platform.python_version()}


def _markdown(result: RunResult, config: Config, pictures: PictureSet, command: str) -> str:
    facts = "\n".join(f"| {name} | {value} |" for name, value in _facts(result, config, pictures))
    classes = "\n".join(
        f"| {row.label} | {row.precision:.3f} | {row.recall:.3f} | {row.f1:.3f} | {row.count:,} |"
        for row in result.metrics.classes
    )
    return f"""# {config.name}

{config.description}

```console
$ {command}
```

| | |
|---|---|
{facts}

All figures are of held-out pictures, which neither training nor the choice of weights has seen. The whole
configuration and the numbers behind the pictures are in [config.json](config.json).

![Learning curve](learning-curve.png)

The training loss is that of changed pictures with dropout on, and of smoothed labels where the configuration
smooths them; the validation loss is plain.

## Classes

| class | precision | recall | F1 | pictures |
|---|---|---|---|---|
{classes}

![Confusion matrix](confusion.png)
"""


def _facts(result: RunResult, config: Config, pictures: PictureSet) -> list[tuple[str, str]]:
    metrics, latency, versions = result.metrics, result.latency, _versions()
    watched = f"{config.data.validation:.0%} of them watched as validation"
    return [
        ("held-out accuracy", f"**{metrics.accuracy:.2%}** ({metrics.correct:,} of {metrics.count:,})"),
        ("held-out macro F1", f"{metrics.macro_f1:.4f}"),
        ("parameters", f"{result.parameters:,}"),
        ("package", f"{_size(result.package_bytes)}, version {config.version}, {config.licence}"),
        ("`forward`, one sample", f"{latency.forward_us:,.0f} µs, native, median, called from Python"),
        ("`run`, bytes to answer", f"{latency.run_us:,.0f} µs, likewise"),
        ("training", f"{len(result.curve)} epochs in {result.seconds:.0f} s"),
        ("processor", f"{latency.processor}, threads: {latency.threads}"),
        ("data", f"{pictures.title}; licence: {pictures.licence}"),
        ("data sha256", f"`{pictures.sha256}`"),
        (
            "pictures",
            f"{len(pictures.train):,} to train with ({watched}), {len(pictures.held_out):,} held out",
        ),
        ("seed", f"{config.seed}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ]


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def card_path(models: Path, name: str) -> Path:
    return models / name / "card.md"
