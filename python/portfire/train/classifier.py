"""Training a classifier, whatever it classifies."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from portfire.train.loop import Trainable


class TrainableClassifier(Trainable):
    """Cross-entropy and accuracy. The model takes a batch's tensors but the last, and gives logits float32
    [N, K]; the last are the targets, int64 [N]."""

    def training_step(self, batch: tuple[Tensor, ...], batch_number: int) -> Tensor:
        *inputs, targets = batch
        logits = self.model(*inputs)
        loss = F.cross_entropy(logits, targets, label_smoothing=self.loop.label_smoothing)
        self._log("train", loss, logits, targets)
        return loss

    def validation_step(self, batch: tuple[Tensor, ...], batch_number: int) -> None:
        *inputs, targets = batch
        logits = self.model(*inputs)
        self._log("validation", F.cross_entropy(logits, targets), logits, targets)

    def _log(self, part: str, loss: Tensor, logits: Tensor, targets: Tensor) -> None:
        accuracy = (logits.argmax(1) == targets).float().mean()
        self.log_dict(
            {f"{part}_loss": loss, f"{part}_accuracy": accuracy},
            on_step=False,
            on_epoch=True,
            batch_size=len(targets),
            sync_dist=self.trainer.world_size > 1,
        )
