"""A small package and a picture for what gets installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from installed import ROOT, Brightness, Sample, run

import portfire


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("sample")
    model = folder / "model.pt"
    dark, light = np.full((8, 6, 3), 10, np.uint8), np.full((8, 6, 3), 240, np.uint8)
    portfire.package(
        Brightness(),
        model,
        name="brightness",
        golden=[dark, light],
        licence="Apache-2.0",
        labels=("dark", "light"),
    )
    picture = folder / "dusk.png"
    picture.write_bytes(portfire.encode_png(np.full((5, 7, 3), 90, np.uint8)))
    return Sample(model=model, picture=picture, answer=portfire.load(model).run(picture).to_json())


@pytest.fixture(scope="session")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`cmake --install` of the developer build."""
    folder = tmp_path_factory.mktemp("prefix")
    run(["cmake", "--install", ROOT / "build" / "dev", "--prefix", folder])
    return folder
