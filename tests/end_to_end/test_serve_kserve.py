"""`portfire serve` asked by KServe's own client, unchanged, from an environment that has it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kserve_picture import picture
from serving import Server

import portfire

_HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def found(grpc_server: Server) -> Any:
    """What the client got, by protocol and check."""
    python = os.environ.get("PORTFIRE_KSERVE", "")
    if not python:
        pytest.skip("PORTFIRE_KSERVE names no interpreter that has kserve: see requirements-kserve.txt")
    ran = subprocess.run(
        [python, _HERE / "kserve_client.py", f"127.0.0.1:{grpc_server.port}", grpc_server.grpc],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def logits(served_models: Path) -> np.ndarray:
    return np.asarray(portfire.load(str(served_models / "digits")).forward(picture(3)))


def is_answer(given: Any, logits: np.ndarray, version: str | None) -> None:
    assert "error" not in given, given
    assert (given["id"], given["model"], given["version"]) == ("seven", "digits", version)
    np.testing.assert_allclose(given["outputs"]["logits"], logits, rtol=1e-4, atol=1e-4)


def test_it_is_live_and_ready(found: Any) -> None:
    for protocol in ("rest", "grpc"):
        checks = found[protocol]
        assert checks["live"] is checks["ready"] is checks["model ready"] is True, checks
        assert checks["no model ready"] is False
    assert found["rest"]["v1 model ready"] is True
    assert "404" in found["rest"]["v1 no model ready"]["error"]


@pytest.mark.parametrize("takes", ["", ", asks for json", ", asks for binary"])
@pytest.mark.parametrize("sends", ["json", "binary"])
def test_it_infers_over_rest(found: Any, logits: np.ndarray, sends: str, takes: str) -> None:
    is_answer(found["rest"][sends + takes], logits, None)  # the client reads no version there


@pytest.mark.parametrize("check", ["typed", "raw", "version"])
def test_it_infers_over_grpc(found: Any, logits: np.ndarray, check: str) -> None:
    is_answer(found["grpc"][check], logits, "10")


def test_many_at_once(found: Any, logits: np.ndarray) -> None:
    assert len(found["rest"]["many"]) == 32
    for one in found["rest"]["many"]:
        is_answer(one, logits, None)


@pytest.mark.parametrize(
    ("protocol", "check"),
    [("rest", "kinds, binary False"), ("rest", "kinds, binary True"), ("grpc", "kinds")],
)
def test_every_datatype_goes_and_comes(found: Any, protocol: str, check: str) -> None:
    outputs = found[protocol][check]["outputs"]
    assert outputs.pop("truth_out") == [True, False, False]
    assert len(outputs) == 7 and all(value == [1, 2, 2] for value in outputs.values()), outputs


@pytest.mark.parametrize(
    ("protocol", "check", "said"),
    [
        ("rest", "no model", "there is no model"),
        ("rest", "wrong shape", "[N, 1, 8, 8] is needed, '400 Bad Request'"),
        ("grpc", "no model", "NOT_FOUND: there is no model"),
        ("grpc", "no version", "NOT_FOUND: the model digits has no version 11"),
    ],
)
def test_it_hears_what_was_wrong(found: Any, protocol: str, check: str, said: str) -> None:
    assert said in found[protocol][check]["error"]
