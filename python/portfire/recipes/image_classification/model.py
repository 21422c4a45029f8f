"""The classifier as it is packaged: preprocess, forward and postprocess in one scriptable module.

Shapes: H, W of the picture; C channels, S the side of a sample; N samples; K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from portfire.recipes.image_classification.config import ModelConfig


class Classifier(nn.Module):
    """From a decoded picture to class probabilities."""

    def __init__(
        self, net: nn.Module, *, size: int, channels: int, crop: bool, mean: float, deviation: float
    ) -> None:
        super().__init__()
        self.net = net
        self.size = size
        self.channels = channels
        self.crop = crop
        self.mean = mean
        self.deviation = deviation

    def preprocess(self, image: Tensor) -> Tensor:
        """uint8 [H, W, 3] RGB to float32 [C, S, S], normalised."""
        x = image.permute(2, 0, 1).to(torch.float32)
        if self.channels == 1:
            x = (0.299 * x[0] + 0.587 * x[1] + 0.114 * x[2]).unsqueeze(0)
        height = self.size
        width = self.size
        if self.crop:
            short = min(x.size(1), x.size(2))
            height = max(self.size, (x.size(1) * self.size + short // 2) // short)
            width = max(self.size, (x.size(2) * self.size + short // 2) // short)
        x = F.interpolate(x.unsqueeze(0), [height, width], mode="bilinear", antialias=True)[0]
        side = torch.arange(self.size, device=x.device)  # no slices: torch.export would branch on their sizes
        x = x.index_select(1, side + (height - self.size) // 2).index_select(
            2, side + (width - self.size) // 2
        )
        return (x / 255.0 - self.mean) / self.deviation

    def forward(self, batch: Tensor) -> Tensor:
        """float32 [N, C, S, S] to logits float32 [N, K]."""
        logits: Tensor = self.net(batch)
        return logits

    def postprocess(self, logits: Tensor) -> Tensor:
        """logits float32 [K] to probabilities float32 [K] in the order of the classes."""
        return torch.softmax(logits, dim=0)


class Residual(nn.Module):
    """Two convolutions and a way around them; `stride` 2 halves the side."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


def build(config: ModelConfig, classes: int) -> Classifier:
    """The untrained classifier of a configuration."""
    channels, pixels = config.channels, config.channels * config.size**2
    if config.kind == "linear":
        net: nn.Module = nn.Sequential(nn.Flatten(), nn.Linear(pixels, classes))
    elif config.kind == "mlp":
        net = _mlp(pixels, config.width, classes, config.dropout)
    elif config.kind == "cnn":
        net = _cnn(channels, config.size, config.width, classes, config.dropout)
    else:
        net = _resnet(channels, config.width, classes, config.dropout)
    mean, deviation = (0.5, 0.25) if channels == 3 else (0.2, 0.35)
    return Classifier(
        net, size=config.size, channels=channels, crop=config.fit == "crop", mean=mean, deviation=deviation
    )


def _mlp(pixels: int, width: int, classes: int, dropout: float) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(pixels, width),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(width, width),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(width, classes),
    )


def _cnn(channels: int, size: int, width: int, classes: int, dropout: float) -> nn.Module:
    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

    layers, side = block(channels, width), size
    if side > 14:
        layers, side = [*layers, nn.MaxPool2d(2)], side // 2
    while side > 7:
        layers += [*block(width, 2 * width), nn.MaxPool2d(2)]
        width, side = 2 * width, side // 2
    return nn.Sequential(
        *layers, *block(width, width), nn.Flatten(), nn.Dropout(dropout), nn.Linear(width * side**2, classes)
    )


def _resnet(channels: int, width: int, classes: int, dropout: float) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, 2, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        Residual(width, width, 1),
        Residual(width, 2 * width, 2),
        Residual(2 * width, 4 * width, 2),
        Residual(4 * width, 8 * width, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(8 * width, classes),
    )
