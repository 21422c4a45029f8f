"""The program, the C++ test program, and the models, made once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from browsing import chromium
from exported import PROGRAMS, Saved
from faces import CppLibrary, Program
from playwright.sync_api import Browser
from serving import Server
from small_models import DigitsWorld, MeanAndShape, Scale, make_digits, make_scale
from small_served import make_kinds, make_pair, make_slow
from small_texts import make_classifier, make_writer

_ROOT = Path(__file__).parents[2]


def _built(path: Path, target: str) -> Path:
    if not path.is_file():
        pytest.fail(f"{path} is not there; build it with: cmake --build --preset dev --target {target}")
    return path.resolve()


@pytest.fixture(scope="session")
def program() -> Program:
    named = os.environ.get("PORTFIRE_BIN", "")
    return Program(path=_built(Path(named) if named else _ROOT / "build/dev/bin/portfire", "portfire_app"))


@pytest.fixture(scope="session")
def cpp() -> CppLibrary:
    named = os.environ.get("PORTFIRE_FACES", "")
    return CppLibrary(
        path=_built(Path(named) if named else _ROOT / "build/dev/bin/portfire_faces", "portfire_faces")
    )


# Of a module: Playwright's loop would be in the way of other modules' asyncio.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> DigitsWorld:
    return make_digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="session")
def scale(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scale(tmp_path_factory.mktemp("scale") / "model.pt")


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TorchScript without a manifest: twice its input."""
    path = tmp_path_factory.mktemp("bare") / "bare.pt"
    torch.jit.save(torch.jit.script(Scale()), str(path))
    return path


@pytest.fixture(scope="session")
def two_outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("two") / "two.pt"
    torch.jit.save(torch.jit.script(MeanAndShape()), str(path))
    return path


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    folder = tmp_path_factory.mktemp("exported")
    return cache(lambda name: PROGRAMS[name].save(folder / f"{name}.pt2"))


@pytest.fixture(scope="session")
def perceptron(saved: Saved) -> Path:
    return saved("perceptron")


@pytest.fixture(scope="session")
def served_models(tmp_path_factory: pytest.TempPathFactory, digits: DigitsWorld) -> Path:
    """A folder for `portfire serve`: digits, bag and writer, scale, pair, kinds (all dtypes), slow."""
    folder = tmp_path_factory.mktemp("served")
    make_classifier(folder / "bag")
    make_scale(folder / "scale" / "1" / "model.pt")
    make_pair(folder / "pair")
    shutil.copytree(digits.folder / "10", folder / "digits" / "10")
    make_writer(folder / "writer", "gpt")
    make_kinds(folder / "kinds")
    make_slow(folder / "slow")
    return folder


@pytest.fixture(scope="session")
def grpc_server(program: Program, served_models: Path) -> Iterator[Server]:
    with Server(program, served_models, "--max-body", 1 << 20, grpc=True) as running:
        yield running


@pytest.fixture(scope="session")
def server(program: Program, served_models: Path) -> Iterator[Server]:
    """HTTP alone, for who changes nothing that others see."""
    with Server(program, served_models) as running:
        yield running
        assert running.stop() == 0
