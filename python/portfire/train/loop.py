"""The training loop that recipes share: Lightning, kept quiet, with one progress bar and resumable runs."""

from __future__ import annotations

import json
import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import nn
from torch.utils.data import DataLoader

from portfire import CancelledError, InvalidArgumentError, NotFoundError, cpu_budget
from portfire.train.batches import Batches, SampleSet, mixed_seed
from portfire.train.callbacks import Bar, Curve, Epoch
from portfire.train.config import differences, require

# What a resumed run may do otherwise than the run that it goes on with.
_FREE = (
    "train.epochs",
    "train.patience",
    "train.accelerator",
    "train.devices",
    "train.strategy",
    "train.workers",
    "train.threads",
    "train.tensorboard",
    "description",
    "licence",
    "version",
    "golden",
    "name",
    "prompt",
    "anchor",
    "data.folder",
)


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    epochs: int = 10
    batch_size: int = 64  # samples, over all processes
    learning_rate: float = 1e-3  # the highest
    weight_decay: float = 1e-2
    schedule: Literal["cosine", "constant"] = "cosine"  # after a linear warm-up over a tenth of the steps
    label_smoothing: float = 0.0
    clip_norm: float = 1.0  # of the gradient; 0 leaves it
    patience: int = 0  # epochs without a better validation loss until it stops and keeps the best; 0: never
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = 1  # processes on a CPU
    strategy: Literal["auto", "ddp"] = "auto"
    workers: int = 0  # processes that read data
    threads: int = 0  # for one operator; 0 is all processors. Small networks are fastest with 1
    tensorboard: bool = True

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "devices"):
            require(getattr(self, name) >= 1, f"train.{name} is {getattr(self, name)}; at least 1 is needed")
        for name in ("weight_decay", "clip_norm", "patience", "workers", "threads"):
            require(getattr(self, name) >= 0, f"train.{name} is {getattr(self, name)}; at least 0 is needed")
        require(self.learning_rate > 0, f"train.learning_rate is {self.learning_rate}; above 0 is needed")
        require(
            0 <= self.label_smoothing < 1, f"train.label_smoothing is {self.label_smoothing}; 0 to below 1"
        )


class Trainable(lightning.LightningModule):
    """What recipes derive from: `model`, AdamW with the schedule, and reproducible dropout."""

    def __init__(self, model: nn.Module, loop: LoopConfig, seed: int) -> None:
        super().__init__()
        self.model = model
        self.loop = loop
        self.seed = seed

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(mixed_seed(self.seed, self.current_epoch, self.global_rank))

    def optimizer(self) -> torch.optim.Optimizer:
        """What takes the steps; a recipe may take them otherwise."""
        return torch.optim.AdamW(
            self.model.parameters(), lr=self.loop.learning_rate, weight_decay=self.loop.weight_decay
        )

    def configure_optimizers(self) -> Any:
        loop = self.loop
        # Not trainer.estimated_stepping_batches: it makes the loader before a resumed run knows its epoch.
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        steps = loop.epochs * len(data.batches())
        optimizer = self.optimizer()
        warmup = max(1, steps // 10)

        def factor(step: int) -> float:
            if loop.schedule == "constant":
                return 1.0
            rise = min(1.0, (step + 1) / warmup)
            done = min(1.0, max(0.0, (step - warmup) / max(1, steps - warmup)))
            return rise * 0.5 * (1 + math.cos(math.pi * done))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Data(lightning.LightningDataModule):
    """Makes the loaders inside each process, where its rank is known."""

    def __init__(
        self, train: SampleSet, validation: SampleSet | None, loop: LoopConfig, seed: int, curve: Curve
    ) -> None:
        super().__init__()
        self._train = train
        self._validation = validation
        self._loop = loop
        self._curve = curve
        self._seed = seed

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader(self._train, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        return [] if self._validation is None else self._loader(self._validation, shuffle=False)

    def batches(self) -> Batches:
        return self._batches(self._train, shuffle=True)

    def _batches(self, samples: SampleSet, *, shuffle: bool) -> Batches:
        trainer = self.trainer
        assert trainer is not None
        batches = Batches(
            len(samples),
            max(1, self._loop.batch_size // trainer.world_size),
            seed=self._seed,
            shuffle=shuffle,
            rank=trainer.global_rank,
            processes=trainer.world_size,
            sizes=samples.sizes,
        )
        # With workers a resumed run's first batches are read before Lightning calls `set_epoch`.
        batches.set_epoch(len(self._curve.epochs))
        return batches

    def _loader(self, samples: SampleSet, *, shuffle: bool) -> DataLoader[Any]:
        workers = self._loop.workers
        return DataLoader(
            samples,
            batch_size=None,
            sampler=self._batches(samples, shuffle=shuffle),
            num_workers=workers,
            persistent_workers=workers > 0,
            generator=torch.Generator(),  # else each new iterator draws from the one that dropout uses
        )


def is_main() -> bool:
    """False in all processes of a multi-process run but one."""
    return getattr(rank_zero_only, "rank", 0) == 0


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What came of `fit`: the module holds the weights to keep."""

    curve: tuple[Epoch, ...]
    kept: str  # "last" or "best"


def fit(
    module: Trainable,
    train: SampleSet,
    validation: SampleSet | None,
    *,
    run_dir: Path,
    title: str,
    config: Mapping[str, Any],
    resume: bool,
) -> Fitted:
    """Trains to the end of the last epoch. `run_dir` gets config.json, last.ckpt after every epoch, best.ckpt
    where there is patience, and tensorboard/. With `resume` it goes on after the epoch of last.ckpt, and the
    weights come out as if it had never stopped. Raises CancelledError on an interrupt."""
    loop = module.loop
    torch.set_num_threads(loop.threads or cpu_budget())
    last, best = run_dir / "last.ckpt", run_dir / "best.ckpt"
    if is_main():
        _open_run(run_dir, config, loop.epochs, resume)
    curve = Curve()
    data = _Data(train, validation, loop, module.seed, curve)
    callbacks: list[Callback] = [curve, Bar(title), _keep(run_dir, "last", None)]
    if loop.patience:
        callbacks += [
            _keep(run_dir, "best", "validation_loss"),
            EarlyStopping("validation_loss", patience=loop.patience),
        ]
    with _quiet():
        logger = TensorBoardLogger(run_dir, name="tensorboard") if loop.tensorboard else False
        trainer = lightning.Trainer(
            accelerator=loop.accelerator,
            devices=loop.devices,
            strategy=loop.strategy,
            precision=loop.precision,
            max_epochs=loop.epochs,
            gradient_clip_val=loop.clip_norm or None,
            callbacks=callbacks,
            logger=logger,
            default_root_dir=run_dir,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=10,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        try:
            trainer.fit(module, datamodule=data, ckpt_path=last if resume else None)
        except (KeyboardInterrupt, SystemExit) as error:
            raise CancelledError(
                f"stopped in epoch {trainer.current_epoch + 1} of {loop.epochs}; "
                "--resume goes on after the last whole one"
            ) from error
    if curve.epochs and not math.isfinite(curve.epochs[-1].metrics.get("train_loss", 0.0)):
        raise InvalidArgumentError(
            f"{title}: the training loss is no number any more; set a lower train.learning_rate"
        )
    if loop.patience and best.is_file():
        state = torch.load(best, map_location="cpu", weights_only=True)["state_dict"]
        module.load_state_dict(state)
    return Fitted(curve=tuple(curve.epochs), kept="best" if loop.patience else "last")


def _open_run(run_dir: Path, config: Mapping[str, Any], epochs: int, resume: bool) -> None:
    last, stored = run_dir / "last.ckpt", run_dir / "config.json"
    if resume:
        if not (last.is_file() and stored.is_file()):
            raise NotFoundError(f"{last}: no run to go on with; start one without --resume")
        changed = [
            path for path in differences(json.loads(stored.read_text()), dict(config)) if path not in _FREE
        ]
        if changed:
            raise InvalidArgumentError(
                f"{run_dir}: was run with another {', '.join(changed)}; "
                "set the same, or start anew without --resume"
            )
        done = torch.load(last, map_location="cpu", weights_only=True)["epoch"] + 1
        if done > epochs:
            raise InvalidArgumentError(
                f"{run_dir}: has {done} epochs already, more than train.epochs={epochs}; set at least {done}"
            )
    else:
        run_dir.mkdir(parents=True, exist_ok=True)
        for checkpoint in run_dir.glob("*.ckpt"):
            checkpoint.unlink()
    stored.write_text(json.dumps(config, indent=2) + "\n")


def _keep(run_dir: Path, name: str, monitor: str | None) -> ModelCheckpoint:
    return ModelCheckpoint(
        run_dir, filename=name, monitor=monitor, save_on_train_epoch_end=True, enable_version_counter=False
    )


@contextmanager
def _quiet() -> Iterator[None]:
    loggers = [
        logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning")
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
