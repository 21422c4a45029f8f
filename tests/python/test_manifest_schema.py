"""The manifest's JSON schema accepts and refuses the same documents as the C++ reader does.

tests/cpp/archive/manifest_json_test.cpp reads the same files.
"""

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests/data/manifest"


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads((ROOT / "docs/manifest.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def documents(folder: str) -> list[Any]:
    paths = sorted((DATA / folder).glob("*.json"))
    assert paths, f"no documents in {folder}"
    return [pytest.param(path, id=path.stem) for path in paths]


@pytest.mark.parametrize("path", documents("valid"))
def test_schema_accepts(validator: Any, path: Path) -> None:
    errors = list(validator.iter_errors(json.loads(path.read_text(encoding="utf-8"))))
    assert not errors


@pytest.mark.parametrize("path", documents("invalid"))
def test_schema_refuses(validator: Any, path: Path) -> None:
    assert not validator.is_valid(json.loads(path.read_text(encoding="utf-8")))


def test_schema_is_strict_everywhere(validator: Any) -> None:
    """Every object that the schema describes names its fields, or bounds their names and values."""

    def walk(node: Any, path: str) -> None:
        if isinstance(node, dict):
            if "properties" in node and not path.endswith(("/then", "/if")) and "/then/" not in path:
                assert node.get("additionalProperties") is False, path
            for key, value in node.items():
                walk(value, f"{path}/{key}")
        elif isinstance(node, list):
            for index, value in enumerate(node):
                walk(value, f"{path}/{index}")

    walk(validator.schema, "")
