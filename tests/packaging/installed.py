"""A small model for what gets installed, and a way to run programs apart from this tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

ROOT = Path(__file__).parents[2]
AS_DEV = "PORTFIRE_DEVELOPER=ON"  # the flags of build/dev, whose objects the compiler cache has


class Brightness(nn.Module):
    """Tells dark pictures from light ones, by their mean."""

    def preprocess(self, image: Tensor) -> Tensor:
        return image.to(torch.float32).mean().reshape(1) / 255

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([0.5 - x, x - 0.5], dim=1) * 8

    def postprocess(self, logits: Tensor) -> Tensor:
        return torch.softmax(logits, 0)


@dataclass(frozen=True)
class Sample:
    """A package, a picture that it has not seen, and the answer in JSON that every way in must give."""

    model: Path
    picture: Path
    answer: str


def run(command: Sequence[object], **more: object) -> str:
    """Runs a command without this tree's Python on its path; on failure its whole output is the message."""
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "LD_LIBRARY_PATH"}}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    if shutil.which("ccache"):
        environment["CMAKE_CXX_COMPILER_LAUNCHER"] = "ccache"
        environment.setdefault("CXX", "c++")  # the name that build/dev calls it by; pip's build would say g++
    done = subprocess.run(  # type: ignore[call-overload]
        [str(part) for part in command], capture_output=True, text=True, env=environment, check=False, **more
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return str(done.stdout)
