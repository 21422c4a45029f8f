"""What watches a training run: the learning curve and the progress bar."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from tqdm import tqdm  # type: ignore[import-untyped]


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One row of the learning curve; a metric's name begins with "train_" or "validation_"."""

    number: int  # from 1
    seconds: float
    metrics: Mapping[str, float]


class Curve(Callback):
    """Collects the epochs' metrics; part of the checkpoint, so that a resumed run has the whole curve."""

    def __init__(self) -> None:
        self.epochs: list[Epoch] = []
        self._start = 0.0

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        metrics = {
            key: float(value)
            for key, value in trainer.callback_metrics.items()
            if key.startswith(("train_", "validation_"))
        }
        seconds = time.perf_counter() - self._start
        self.epochs.append(Epoch(number=trainer.current_epoch + 1, seconds=seconds, metrics=metrics))

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": [asdict(epoch) for epoch in self.epochs]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epochs = [Epoch(**epoch) for epoch in state_dict["epochs"]]


class Bar(Callback):
    """One bar over all steps of the run; none where stderr is no terminal."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._bar: tqdm | None = None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        total = int(trainer.estimated_stepping_batches)
        self._bar = tqdm(
            total=total,
            initial=trainer.global_step,
            desc=self._title,
            unit="step",
            disable=None,
            leave=False,
            dynamic_ncols=True,
        )

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        if self._bar is not None:
            self._bar.update(trainer.global_step - self._bar.n)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self._bar is not None:
            metrics = trainer.callback_metrics
            shown = [f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"]
            for name in ("train_loss", "validation_accuracy"):
                if name in metrics:
                    shown.append(f"{name.replace('_', ' ')} {float(metrics[name]):.3f}")
            self._bar.set_postfix_str(", ".join(shown))

    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        if self._bar is not None:
            self._bar.close()
