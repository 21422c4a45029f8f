"""What a training run is given beside its configuration, and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portfire.train.calibration import Calibration
from portfire.train.callbacks import Epoch
from portfire.train.latency import Latency
from portfire.train.metrics import Metrics


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where things lie, and how to go about it; nothing here changes what is learnt."""

    models: Path = Path("models")  # the model repository that the package and its card go to
    runs: Path = Path("runs")  # checkpoints and TensorBoard logs
    data: Path | None = None  # a local copy of the data; else $PORTFIRE_DATA, else it is downloaded
    resume: bool = False
    command: str = ""  # for the card
    report: Callable[[str], None] = print  # gets a line for a person now and then


@dataclass(frozen=True, kw_only=True)
class RunResult:
    name: str
    package: Path
    card: Path
    metrics: Metrics
    curve: tuple[Epoch, ...]
    latency: Latency
    parameters: int
    package_bytes: int
    seconds: float  # of training
    calibration: Calibration | None = None  # where the probabilities were calibrated


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One task's training program."""

    name: str
    summary: str
    presets: Callable[[], dict[str, Any]]  # name to configuration
    run: Callable[[Any, RunOptions], object]  # what came of it; None in all processes but the main one
