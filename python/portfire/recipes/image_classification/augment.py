"""Random changes to training samples, drawn from a generator so that a run can be repeated."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from portfire.recipes.image_classification.config import AugmentConfig


def warp(batch: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Rotates, shifts and zooms each sample of float32 [N, C, S, S]; what comes in at the edge repeats it."""
    if not (config.rotate_deg or config.shift or config.zoom):
        return batch
    count = batch.size(0)

    def spread(limit: float) -> Tensor:  # [N], uniform in -limit..limit
        return (torch.rand(count, generator=generator) * 2 - 1) * limit

    angle, scale = spread(math.radians(config.rotate_deg)), 1 + spread(config.zoom)
    across, down = spread(2 * config.shift), spread(2 * config.shift)
    cosine, sine = angle.cos() / scale, angle.sin() / scale
    rows = torch.stack([cosine, -sine, across, sine, cosine, down], dim=1)
    grid = F.affine_grid(rows.view(count, 2, 3), list(batch.shape), align_corners=False)
    return F.grid_sample(batch, grid, mode="bilinear", padding_mode="border", align_corners=False)


def random_crop(image: Tensor, size: int, least_area: float, generator: torch.Generator) -> Tensor:
    """A random part of uint8 [H, W, 3], of near square form, as uint8 [size, size, 3]."""
    height, width = image.shape[:2]
    draw = torch.rand(4, generator=generator).tolist()
    area = (least_area + (1 - least_area) * draw[0]) * min(height, width) ** 2
    stretch = math.exp((draw[1] * 2 - 1) * math.log(4 / 3) / 2)
    rows = max(1, min(height, round(math.sqrt(area) / stretch)))
    columns = max(1, min(width, round(math.sqrt(area) * stretch)))
    top, left = int(draw[2] * (height - rows + 1)), int(draw[3] * (width - columns + 1))
    part = image[top : top + rows, left : left + columns].permute(2, 0, 1).unsqueeze(0).to(torch.float32)
    part = F.interpolate(part, (size, size), mode="bilinear", antialias=True)
    return part[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8)


def recolour(image: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Flips uint8 [S, S, 3] left to right half of the time, and changes brightness, contrast, saturation."""
    draw = torch.rand(4, generator=generator)
    if config.flip and draw[0] < 0.5:
        image = image.flip(1)
    if not config.colour:
        return image
    brightness, contrast, saturation = (1 + (draw[1:] * 2 - 1) * config.colour).tolist()
    x = image.to(torch.float32) * brightness
    grey = (x * torch.tensor([0.299, 0.587, 0.114])).sum(-1, keepdim=True)
    x = grey + (x - grey) * saturation
    x = grey.mean() + (x - grey.mean()) * contrast
    changed: Tensor = x.round().clamp(0, 255).to(torch.uint8)
    return changed
