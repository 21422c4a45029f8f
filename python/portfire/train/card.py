"""The card of a trained classifier: card.md, config.json and two pictures, beside the package's versions."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import portfire
from portfire.train.config import RecipeConfig, to_json
from portfire.train.metrics import Metrics
from portfire.train.plots import plot_confusion, plot_curve
from portfire.train.run import RunResult

Fact = tuple[str, str]  # what it is, and its value


@dataclass(frozen=True, kw_only=True)
class DataSummary:
    """What a card says of the data."""

    name: str
    title: str
    licence: str
    sha256: str
    train: int  # samples
    held_out: int


@dataclass(frozen=True, kw_only=True)
class CardText:
    """What a recipe adds to the card of one run."""

    noun: str  # what the samples are called: pictures, texts
    samples: str  # how they were divided
    curve: str  # what has to be known of the learning curve
    facts: Sequence[Fact] = ()  # after those of accuracy
    about_data: str = ""  # a paragraph


def config_json(config: RecipeConfig) -> dict[str, Any]:
    """The configuration without what holds for one machine only: of a path its last part."""
    return to_json(config, lambda path: path.name)


def provenance(recipe: str, config: RecipeConfig, data: DataSummary, command: str) -> dict[str, Any]:
    """What the package says of how it came to be."""
    return {
        "recipe": recipe,
        "command": command,
        "config": config_json(config),
        "seed": config.seed,
        "data": {key: value for key, value in asdict(data).items() if key != "title"},
    }


def write_card(
    result: RunResult, origin: Mapping[str, Any], config: RecipeConfig, data: DataSummary, text: CardText
) -> None:
    """Writes the files beside `result.card`, unless they tell of the same run: training a committed preset
    again where it comes to the same numbers changes nothing in a clone. `origin` is the provenance."""
    folder = result.card.parent
    folder.mkdir(parents=True, exist_ok=True)
    outcome = {**origin, "metrics": asdict(result.metrics)}
    if result.calibration is not None:
        outcome["calibration"] = asdict(result.calibration)
    if result.card.exists() and recorded(folder / "config.json", outcome):
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
        "versions": versions(),
    }
    (folder / "config.json").write_text(
        json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    result.card.write_text(_markdown(result, origin["command"], config, data, text), encoding="utf-8")


def recorded(path: Path, outcome: Mapping[str, Any]) -> bool:
    """Whether the config.json at `path` tells of this outcome already."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and json.loads(json.dumps(outcome)).items() <= record.items()


def versions() -> dict[str, str]:
    """Of what a run depends on."""
    return {"portfire": portfire.__version__, "torch": torch.__version__, "python": platform.python_version()}


def _markdown(
    result: RunResult, command: str, config: RecipeConfig, data: DataSummary, text: CardText
) -> str:
    facts = "\n".join(f"| {name} | {value} |" for name, value in _facts(result, config, data, text))
    about_data = f"\n{text.about_data}\n" if text.about_data else ""
    return f"""# {config.name}

{config.description}

```console
$ {command}
```

| | |
|---|---|
{facts}

All figures are of held-out {text.noun}, which neither training nor the choice of weights has seen. The whole
configuration and the numbers behind the pictures are in [config.json](config.json).
{about_data}
![Learning curve](learning-curve.png)

{text.curve}

## Classes

| class | precision | recall | F1 | {text.noun} |
|---|---|---|---|---|
{_classes(result.metrics)}

![Confusion matrix](confusion.png)
"""


def _classes(metrics: Metrics) -> str:
    return "\n".join(
        f"| {row.label} | {row.precision:.3f} | {row.recall:.3f} | {row.f1:.3f} | {row.count:,} |"
        for row in metrics.classes
    )


def _facts(result: RunResult, config: RecipeConfig, data: DataSummary, text: CardText) -> list[Fact]:
    metrics, latency = result.metrics, result.latency
    return [
        ("held-out accuracy", f"**{metrics.accuracy:.2%}** ({metrics.correct:,} of {metrics.count:,})"),
        ("held-out macro F1", f"{metrics.macro_f1:.4f}"),
        *text.facts,
        ("parameters", f"{result.parameters:,}"),
        ("package", f"{size_text(result.package_bytes)}, version {config.version}, {config.licence}"),
        ("`forward`, one sample", f"{latency.forward_us:,.0f} µs, native, median, called from Python"),
        ("`run`, bytes to answer", f"{latency.run_us:,.0f} µs, likewise"),
        ("training", f"{len(result.curve)} epochs in {result.seconds:.0f} s"),
        ("processor", f"{latency.processor}, threads: {latency.threads}"),
        ("data", f"{data.title}; licence: {data.licence}"),
        ("data sha256", f"`{data.sha256}`"),
        (text.noun, text.samples),
        ("seed", f"{config.seed}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions().items())),
    ]


def size_text(count: int) -> str:
    """Bytes, for a person."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def card_path(models: Path, name: str) -> Path:
    return models / name / "card.md"
