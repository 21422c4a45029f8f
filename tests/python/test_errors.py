"""One table of errors, on this face as exceptions."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import portfire

CODES = {
    "InvalidArgumentError": "invalid-argument",
    "InvalidInputError": "invalid-input",
    "NotFoundError": "not-found",
    "InvalidPackageError": "invalid-package",
    "UnsupportedError": "unsupported",
    "InternalError": "internal",
    "IoError": "io",
    "ResourceExhaustedError": "resource-exhausted",
    "VersionMismatchError": "version-mismatch",
    "UntrustedPackageError": "untrusted-package",
    "VerificationFailedError": "verification-failed",
    "CancelledError": "cancelled",
    "DeadlineExceededError": "deadline-exceeded",
    "OverloadedError": "overloaded",
    "UnavailableError": "unavailable",
}


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_each_code_has_its_class(name: str, code: str) -> None:
    error = getattr(portfire, name)
    assert issubclass(error, portfire.Error)
    assert error.code == code
    assert error.__module__ == "portfire"
    assert error.__doc__


def test_no_class_is_without_a_code() -> None:
    assert {error.__name__ for error in portfire.Error.__subclasses__()} == set(CODES)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (portfire.InvalidArgumentError, ValueError),
        (portfire.InvalidInputError, ValueError),
        (portfire.NotFoundError, FileNotFoundError),
        (portfire.IoError, OSError),
    ],
)
def test_errors_are_also_the_builtin_that_fits(error: type[portfire.Error], builtin: type[Exception]) -> None:
    with pytest.raises(builtin):
        raise error("of both kinds")


@pytest.mark.parametrize("name", CODES)
def test_errors_survive_pickling(name: str) -> None:
    error = getattr(portfire, name)("what was wrong")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == "what was wrong"


def test_a_text_that_is_named_png_is_one_line(tmp_path: Path, brightness: portfire.Model) -> None:
    path = tmp_path / "seven.png"
    path.write_text("Once\nupon a time")
    with pytest.raises(portfire.InvalidInputError, match="not an image") as caught:
        brightness.run(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.code == "invalid-input"


def test_a_missing_model_is_not_found(tmp_path: Path) -> None:
    for call in (portfire.load, portfire.inspect, portfire.resolve_package):
        with pytest.raises(portfire.NotFoundError, match="nowhere"):
            call(tmp_path / "nowhere")


def test_options_are_checked(models: Path) -> None:
    path = models / "brightness"
    with pytest.raises(portfire.InvalidArgumentError, match="tpu"):
        portfire.load(path, device="tpu")
    with pytest.raises(portfire.InvalidArgumentError, match='unknown optimization "most"; one of auto'):
        portfire.load(path, optimization="most")
    with pytest.raises(portfire.InvalidArgumentError, match="engine"):
        portfire.load(path, engine="steam")
    with pytest.raises(portfire.InvalidArgumentError, match="threads"):
        portfire.load(path, threads=-1)
    with pytest.raises(portfire.InvalidArgumentError, match="NUL"):
        portfire.load("model.pt\0.zip")
    with pytest.raises(portfire.InvalidArgumentError, match="a int is no path"):
        portfire.load(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((1, 2), np.float32),
        np.zeros((1,), np.float32),
        np.zeros((1, 1), np.float64),
        np.zeros((1, 1, 1), np.float32),
    ],
)
def test_forward_refuses_what_the_manifest_does_not_name(
    brightness: portfire.Model, array: np.ndarray
) -> None:
    with pytest.raises(portfire.InvalidInputError, match="brightness"):
        brightness.forward(array)


def test_a_picture_above_the_limit_is_refused(models: Path) -> None:
    strict = portfire.load(models / "brightness", max_pixels=50)
    with pytest.raises(portfire.Error, match="pixels"):
        strict.run(portfire.encode_png(np.zeros((8, 8), np.uint8)))
