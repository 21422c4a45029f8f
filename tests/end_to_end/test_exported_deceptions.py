"""`.pt2` files that deceive: refused by name, and the process lives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exported import Edit, Exported, call, eager, edited, in_json, in_program
from faces import Program
from torch import Tensor, nn

import portfire


def in_weight(field: str, value: Any) -> Edit:
    def change(document: Any) -> None:
        entry = document["config"]["0.weight"]
        (entry if field in entry else entry["tensor_meta"])[field] = value

    return in_json("data/weights/model_weights_config.json", change)


def set_condition(text: str) -> Edit:
    return in_program(lambda d: d.update(guards_code=[text]))


def set_target(target: str) -> Edit:
    return in_program(lambda d: d["graph_module"]["graph"]["nodes"][0].update(target=target))


def short_record(files: dict[str, bytes]) -> None:
    files["data/weights/weight_0"] = files["data/weights/weight_0"][:-1]


def no_record(files: dict[str, bytes]) -> None:
    del files["data/weights/weight_0"]


def a_pickle(files: dict[str, bytes]) -> None:
    files["data/extra.pkl"] = b"\x80\x02K\x01."


def unknown_value(document: Any) -> None:
    node = document["graph_module"]["graph"]["nodes"][0]
    node["inputs"][0]["arg"] = {"as_tensor": {"name": "nobody"}}


def missing_argument(document: Any) -> None:
    del document["graph_module"]["graph"]["nodes"][0]["inputs"][1]


def wrong_kind(document: Any) -> None:
    document["graph_module"]["graph"]["nodes"][0]["inputs"][1]["arg"] = {"as_string": "weight"}


def too_many_outputs(document: Any) -> None:
    node = document["graph_module"]["graph"]["nodes"][0]
    node["outputs"].append({"as_tensor": {"name": "more"}})


def other_schema(document: Any) -> None:
    document["schema_version"]["major"] = 9


DECEPTIONS: dict[str, tuple[Edit, str, str]] = {
    "a pickled weight": (in_weight("use_pickle", True), "untrusted-package", "is pickled"),
    "a pickle": (a_pickle, "untrusted-package", "a pickle in a torch.export archive"),
    "a weight shorter than its shape": (short_record, "invalid-package", "leaves its record"),
    "a weight that is not there": (no_record, "invalid-package", "is missing"),
    "a shape beyond the record": (
        in_weight("sizes", [{"as_int": 1 << 40}, {"as_int": 1 << 40}]),
        "invalid-package",
        "leaves its record",
    ),
    "a stride beyond the record": (
        in_weight("strides", [{"as_int": 9}, {"as_int": 1}]),
        "invalid-package",
        "leaves its record",
    ),
    "a negative stride": (
        in_weight("strides", [{"as_int": -8}, {"as_int": 1}]),
        "invalid-package",
        "at least 0",
    ),
    "an offset beyond the record": (
        in_weight("storage_offset", {"as_int": 1}),
        "invalid-package",
        "leaves its record",
    ),
    "a path trick": (in_weight("path_name", "../../../secret"), "invalid-package", "is missing"),
    "an operator that reads files": (
        set_target("torch.ops.aten.from_file.default"),
        "untrusted-package",
        "aten::from_file",
    ),
    "an operator beside the tensor": (
        set_target("torch.ops.aten.as_strided.default"),
        "untrusted-package",
        "aten::as_strided",
    ),
    "a custom operator": (set_target("torch.ops.mine.run.default"), "untrusted-package", "mine::run"),
    "an operator that there is not": (
        set_target("torch.ops.aten.linnear.default"),
        "unsupported",
        "aten.linnear",
    ),
    "a condition that is code": (set_condition("exit()"), "unsupported", 'the condition "exit()"'),
    "a Python function": (set_target("os.system"), "unsupported", "os.system"),
    "a value that nobody gives": (in_program(unknown_value), "invalid-package", '"nobody" is used before'),
    "a missing argument": (
        in_program(missing_argument),
        "invalid-package",
        '"weight" of aten::linear is missing',
    ),
    "an argument of another kind": (
        in_program(wrong_kind),
        "invalid-package",
        "does not fit the type Tensor",
    ),
    "more outputs than there are": (in_program(too_many_outputs), "invalid-package", "gives 1 values"),
    "a newer schema": (in_program(other_schema), "version-mismatch", "schema version 9"),
    "no JSON": (lambda files: files.update({"models/model.json": b"{"}), "invalid-package", "not JSON"),
}


@pytest.mark.parametrize("name", DECEPTIONS)
def test_a_file_that_deceives_is_refused(
    name: str, perceptron: Path, tmp_path: Path, program: Program
) -> None:
    edit, code, says = DECEPTIONS[name]
    path = edited(perceptron, tmp_path / "program.pt2", edit)
    for ask in (portfire.load, portfire.inspect):
        with pytest.raises(portfire.Error) as error:
            ask(path)
        assert (error.value.code, says in str(error.value)) == (code, True), str(error.value)
        assert "\n" not in str(error.value)


def test_the_same_file_put_together_again_runs(perceptron: Path, tmp_path: Path) -> None:
    """Else the test above would prove nothing."""
    path = edited(perceptron, tmp_path / "program.pt2", lambda files: None)
    assert portfire.load(path).forward(np.zeros((1, 8), np.float32)).shape == (1, 4)


class _Layer(nn.Module):
    """Large enough for the packed kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 16, 3, padding=1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.conv(x) + y


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    inputs = (torch.rand(2, 8, 32, 32), torch.rand(16, 1, 1))
    return Exported(_Layer(), inputs).save(tmp_path_factory.mktemp("layer") / "layer.pt2")


def set_argument(name: str, values: list[int] | int) -> Edit:
    def change(document: Any) -> None:
        node = document["graph_module"]["graph"]["nodes"][0]
        node["inputs"] = [one for one in node["inputs"] if one["name"] != name]
        kind = "as_int" if isinstance(values, int) else "as_ints"
        node["inputs"].append({"name": name, "arg": {kind: values}, "kind": 1})

    return in_program(change)


def lie_about_shape(document: Any) -> None:
    graph = document["graph_module"]["graph"]
    graph["tensor_values"]["conv2d"]["sizes"] = graph["tensor_values"]["y"]["sizes"]


SENSELESS: dict[str, Edit] = {
    "no stride": set_argument("stride", [0, 0]),
    "a negative stride": set_argument("stride", [-1, -1]),
    "no dilation": set_argument("dilation", [0, 0]),
    "a negative padding": set_argument("padding", [-40, -40]),
    "a kernel beyond the picture": set_argument("dilation", [40, 40]),
    "no groups": set_argument("groups", 0),
    "groups that do not divide": set_argument("groups", 3),
    "other channels": set_argument("groups", 2),
    "another shape than it says": in_program(lie_about_shape),
}


@pytest.mark.parametrize("name", SENSELESS)
def test_a_senseless_layer_is_an_error(name: str, layer: Path, tmp_path: Path) -> None:
    """oneDNN takes on trust what LibTorch's own operators check."""
    path = edited(layer, tmp_path / "changed.pt2", SENSELESS[name])
    with pytest.raises(portfire.Error) as error:
        portfire.load(path, optimization="full").forward(torch.rand(2, 8, 32, 32), torch.rand(16, 1, 1))
    assert "\n" not in str(error.value)


def test_the_layer_itself_is_packed_and_right(layer: Path, program: Program) -> None:
    """Else the test above would prove nothing."""
    assert "portfire::convolution" in program("inspect", "--plan", "full", layer).out
    inputs = (torch.rand(2, 8, 32, 32), torch.rand(16, 1, 1))
    (given,) = call(portfire.load(layer, optimization="full"), inputs)
    torch.testing.assert_close(given, eager(layer, inputs)[0], rtol=1e-4, atol=1e-5)
