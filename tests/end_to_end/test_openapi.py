"""The description of the server's routes: it is valid, complete, and true."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faces import Program
from openapi_spec_validator import validate
from serving import Server
from small_models import DigitsWorld, make_scale
from small_texts import make_writer

_ROOT = Path(__file__).parents[2]
# What schemathesis makes up hardly ever names a model that is there; these do.
_HOOKS = """
import schemathesis

@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if path_parameters and "name" in path_parameters:
        names = ("digits", "scale", "letters")
        path_parameters["name"] = names[len(str(path_parameters["name"])) % 3]
    if path_parameters and "version" in path_parameters:
        path_parameters["version"] = 1
    return path_parameters
"""
# 501 is the answer where a model is not of the task that is asked for.
_SETTINGS = """
[checks]
not_a_server_error.expected-statuses = ["2xx", "4xx", "501"]
"""


@pytest.fixture(scope="module")
def server(
    program: Program, digits: DigitsWorld, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    make_writer(folder / "letters", "gpt")
    for name in ("digits", "scale"):
        (folder / name / "1").mkdir(parents=True)
    (folder / "digits" / "1" / "model.pt").write_bytes(digits.package.read_bytes())
    make_scale(folder / "scale" / "1" / "model.pt")
    with Server(program, folder, "--threads", 1) as running:
        yield running


@pytest.fixture(scope="module")
def description(server: Server) -> Any:
    return server.ask("/openapi.json").json


def test_it_is_valid(description: Any) -> None:
    validate(description)
    assert description["openapi"].startswith("3.1.")


def test_each_path_takes_the_methods_that_are_described(server: Server, description: Any) -> None:
    for path, methods in description["paths"].items():
        known = path.replace("{name}", "digits").replace("{version}", "1").replace("{file}", "page.js")
        reply = server.ask(known, method="PATCH")
        assert reply.status == 405, path
        allowed = set(reply.headers["allow"].split(", ")) - {"HEAD"}
        assert allowed == {method.upper() for method in methods}, path


def test_each_route_is_described(description: Any) -> None:
    """Every piece of a pattern in the sources is in a path."""
    paths = [re.sub(r"\{\w+\}", "{}", path) for path in description["paths"]]
    pieces: set[str] = set()
    for source in (_ROOT / "cpp/transport/routes").glob("*.cpp"):
        text = source.read_text()
        for call in re.findall(r'router\.add\("\w+", ([^,]+),', text):
            pieces |= set(re.findall(r'"(/[^"]*)"', call))
        pieces |= set(re.findall(r'[?:] "(/v\d/[^"]*)"', text))
    assert len(pieces) > 20
    missing = {piece for piece in pieces if not any(piece in path for path in paths)}
    assert not missing


@pytest.mark.slow
def test_answers_are_as_described(server: Server, tmp_path: Path) -> None:
    """Requests made up from the description, right and wrong ones: none fails, and none differs from it."""
    (tmp_path / "hooks.py").write_text(_HOOKS)
    (tmp_path / "schemathesis.toml").write_text(_SETTINGS)
    checks = ("not_a_server_error", "status_code_conformance", "content_type_conformance")
    checks += ("response_schema_conformance", "negative_data_rejection")
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml"]
    command += [
        "run",
        f"{server.url}/openapi.json",
        f"--checks={','.join(checks)}",
        "--phases=examples,fuzzing",
    ]
    command += ["--max-examples=8", "--seed=1", "--no-color", "--exclude-path-regex=unload"]
    ran = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    assert json.loads(server.ask("/v1/models").body)["data"], "the server lives on"
