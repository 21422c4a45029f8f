"""The pictures of a card, as small PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from portfire.train.callbacks import Epoch
from portfire.train.metrics import Metrics

_DPI = 100
_TRAIN, _VALIDATION = "#c2571a", "#1f5f8b"


def plot_curve(curve: Sequence[Epoch], path: Path) -> None:
    """Loss and accuracy by epoch, of training and validation."""
    figure = Figure(figsize=(7.2, 2.8), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for part, colour in (("train", _TRAIN), ("validation", _VALIDATION)):
            points = [
                (row.number, row.metrics[f"{part}_{name}"])
                for row in curve
                if f"{part}_{name}" in row.metrics
            ]
            if points:
                axes.plot(
                    *zip(*points, strict=True),
                    color=colour,
                    label=part,
                    marker="o",
                    markersize=2 if len(points) > 20 else 4,
                    linewidth=1.2,
                )
        axes.set(xlabel="epoch", title=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False)
    _save(figure, path)


def plot_confusion(metrics: Metrics, path: Path) -> None:
    """Rows are true classes, columns what was said; shaded by share of the row."""
    labels = [row.label for row in metrics.classes]
    shares = [[value / max(1, sum(row)) for value in row] for row in metrics.confusion]
    side = min(9.0, 2.2 + 0.36 * len(labels))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted", ylabel="true")
    if len(labels) <= 30:
        ticks = range(len(labels))
        axes.set_xticks(ticks, labels, rotation=0 if max(map(len, labels)) <= 3 else 60, fontsize=8)
        axes.set_yticks(ticks, labels, fontsize=8)
        for i, row in enumerate(metrics.confusion):
            for j, value in enumerate(row):
                if value:
                    axes.text(
                        j,
                        i,
                        str(value),
                        ha="center",
                        va="center",
                        fontsize=8,
                        color="white" if shares[i][j] > 0.5 else "black",
                    )
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=_DPI, metadata={"Software": None}, pil_kwargs={"optimize": True})
