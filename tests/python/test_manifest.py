import json
from dataclasses import replace
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

import portfire
from portfire.manifest import (
    GoldenSample,
    Manifest,
    MethodSpec,
    PackagedFile,
    RawInput,
    TensorSpec,
    Tolerance,
)

SCHEMA = Path(__file__).parents[2] / "docs/manifest.schema.json"


def spec(name: str, *shape: int | str) -> TensorSpec:
    return TensorSpec(name=name, dtype="float32", shape=shape)


def manifest() -> Manifest:
    image = TensorSpec(name="image", dtype="uint8", shape=("H", "W", 3), minimum=0, maximum=255, layout="HWC")
    return Manifest(
        name="digits-cnn",
        version=2,
        task="image-classification",
        licence="Apache-2.0",
        description="Ziffern, Größe 8 x 8",
        raw_input=RawInput(kind="image", max_pixels=1 << 20),
        methods={
            "preprocess": MethodSpec(inputs=(image,), outputs=(spec("sample", 1, 8, 8),)),
            "forward": MethodSpec(inputs=(spec("batch", "N", 1, 8, 8),), outputs=(spec("logits", "N", 2),)),
            "postprocess": MethodSpec(inputs=(spec("logits", 2),), outputs=(spec("probabilities", 2),)),
        },
        labels=("no", "yes"),
        max_batch=64,
        tolerances={"float32": Tolerance(atol=1e-5, rtol=1e-4)},
        golden=(GoldenSample(input="golden/0/input.png", expected="golden/0/expected.safetensors"),),
        files={
            "golden/0/input.png": PackagedFile(bytes=3, sha256="0" * 64),
            "golden/0/expected.safetensors": PackagedFile(bytes=4, sha256="1" * 64),
        },
        provenance={"seed": 0},
    )


def test_json_follows_the_schema() -> None:
    jsonschema.validate(json.loads(manifest().dumps()), json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_json_comes_back_equal() -> None:
    assert Manifest.loads(manifest().dumps()) == manifest()


def test_optional_fields_are_left_out() -> None:
    (tensor,) = json.loads(manifest().dumps())["methods"]["forward"]["inputs"]
    assert tensor == {"name": "batch", "dtype": "float32", "shape": ["N", 1, 8, 8]}


@pytest.mark.parametrize("field", [*json.loads(manifest().dumps())])
def test_loads_refuses_a_missing_field(field: str) -> None:
    data = json.loads(manifest().dumps())
    del data[field]
    with pytest.raises(portfire.InvalidPackageError, match=field):
        Manifest.loads(json.dumps(data))


def test_loads_refuses_a_newer_format_version() -> None:
    data = {**json.loads(manifest().dumps()), "format_version": 2}
    with pytest.raises(portfire.VersionMismatchError, match="version 2"):
        Manifest.loads(json.dumps(data))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "Digits"}, "Digits"),
        ({"name": "a" * 65}, "no package name"),
        ({"version": 0}, "version 0"),
        ({"task": "translation"}, "translation"),
        ({"licence": ""}, "licence"),
        ({"labels": ()}, "labels"),
        ({"labels": ("no", "no")}, "each once"),
        ({"labels": ("a", "b", "c")}, "3 labels"),
        ({"max_batch": 0}, "max_batch"),
        ({"raw_input": RawInput(kind="tensor")}, "raw input"),
        ({"tolerances": {"float31": Tolerance()}}, "float31"),
        ({"methods": {}}, "preprocess"),
    ],
)
def test_refuses(change: dict[str, object], said: str) -> None:
    with pytest.raises(portfire.InvalidArgumentError, match=said):
        replace(manifest(), **change)  # type: ignore[arg-type]


def test_a_classifier_needs_the_batch_axis() -> None:
    methods = {**manifest().methods}
    methods["forward"] = MethodSpec(inputs=(spec("batch", 1, 8, 8),), outputs=(spec("logits", "N", 2),))
    with pytest.raises(portfire.InvalidArgumentError, match=r"batch must begin with .* \"N\""):
        replace(manifest(), methods=methods)


@pytest.mark.parametrize("shape", [(-1,), (1.5,), ("H x W",), (True,)])
def test_a_spec_refuses_a_dimension(shape: tuple[int | str, ...]) -> None:
    with pytest.raises(portfire.InvalidArgumentError, match=r"^x: "):
        TensorSpec(name="x", dtype="float32", shape=shape)


def test_a_spec_refuses_bounds_that_contradict_each_other() -> None:
    with pytest.raises(portfire.InvalidArgumentError, match="above maximum"):
        TensorSpec(name="x", dtype="float32", shape=(1,), minimum=1, maximum=0)


def test_a_tolerance_is_finite() -> None:
    with pytest.raises(portfire.InvalidArgumentError, match="nan"):
        Tolerance(atol=float("nan"))


def test_provenance_must_be_plain_json() -> None:
    with pytest.raises(portfire.InvalidArgumentError, match="provenance"):
        replace(manifest(), provenance={"when": object()}).dumps()
