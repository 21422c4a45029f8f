"""`.pt2` files of torch.export in the engine graph: eager's own numbers."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exported import PROGRAMS, Exported, Saved, call, eager, edited, in_program
from faces import Program
from torch import Tensor, nn
from torch.export import Dim

import portfire


@pytest.mark.parametrize("optimization", ["none", "freeze", "full"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_gives_eagers_numbers(name: str, optimization: str, saved: Saved) -> None:
    """Bit for bit without passes, and within rounding with them."""
    exported = PROGRAMS[name]
    path = saved(name)
    model = portfire.load(path, threads=1, optimization=optimization)
    assert (model.info.engine, model.info.task) == ("graph", "tensor")
    assert model.info.optimization == optimization
    torch.set_num_threads(1)
    for inputs in (exported.inputs, *exported.others):
        before = [one.clone() for one in inputs]
        answers = [call(model, inputs) for _ in range(2)]
        assert all(torch.equal(a, b) for a, b in zip(inputs, before, strict=True)), (
            "the caller's input changed"
        )
        expected = eager(path, tuple(one.clone() for one in inputs))
        for given in answers:
            assert [(one.dtype, one.shape) for one in given] == [(one.dtype, one.shape) for one in expected]
            for a, b in zip(given, expected, strict=True):
                if optimization == "none":
                    assert torch.equal(a, b)
                else:
                    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_the_plan_shows_what_the_passes_did(saved: Saved, program: Program) -> None:
    path = saved("layers")
    before = program("inspect", "--plan", "none", path).out
    frozen = program("inspect", "--plan", "freeze", path).out
    full = program("inspect", "--plan", "full", path).out
    assert (before.count("aten::batch_norm"), frozen.count("aten::batch_norm")) == (5, 1)
    assert frozen.count("aten::conv2d") == before.count("aten::conv2d") == 8
    assert "portfire::" not in frozen
    assert full.count("portfire::convolution") == 10
    assert full.count("portfire::scale_and_shift") == 1  # the one that could not be folded
    assert not any(f"aten::{name}(" in full for name in ("relu_", "leaky_relu", "hardtanh", "gelu", "silu"))
    assert full.count("aten::add(") == 2  # of four: one goes to a convolution, and one to a chain
    assert full.count("portfire::pointwise") == 1
    recurrent = program("inspect", "--plan", "full", saved("recurrent layers")).out
    assert (recurrent.count("portfire::lstm"), recurrent.count("aten::lstm")) == (2, 1)
    assert "portfire::max_pool" in program("inspect", "--plan", "full", saved("convolutions")).out
    path = saved("linears")
    full = program("inspect", "--plan", "full", path).out
    assert full.count("portfire::linear") == 6 and "aten::batch_norm" not in full
    refused = program("inspect", "--plan", "half", path)
    assert refused.status == 64 and "half" in refused.err


def test_a_pass_can_be_left_out(saved: Saved, program: Program) -> None:
    path = saved("layers")
    full = program("inspect", "--plan", "full", path).out
    without = program("inspect", "--plan", "full", "--skip-pass", "join_pointwise", path).out
    assert "portfire::pointwise" in full and "portfire::pointwise" not in without
    skipped = ("fold_batch_norms", "pack_batch_norms")
    left = portfire.load(path, skip_passes=skipped)
    assert left.info.optimization == "full; without fold_batch_norms; without pack_batch_norms"
    with pytest.raises(portfire.InvalidArgumentError, match='no pass "fold"; one of fold_constants, '):
        portfire.load(path, skip_passes=["fold"])


def test_what_depends_on_no_input_is_computed_once(saved: Saved, program: Program) -> None:
    path = saved("precomputed")
    before = program("inspect", "--plan", "none", path).out
    frozen = program("inspect", "--plan", "freeze", path).out
    for name in ("arange", "embedding", "ones", "tril", "cat", "rand"):
        assert f"aten::{name}(" in before
    left = {line.split(" = ")[1].split("(")[0] for line in frozen.splitlines() if " = " in line}
    assert left == {"aten::add", "aten::matmul", "aten::rand", "aten::clamp"}
    assert "portfire::linear" in program("inspect", "--plan", "full", path).out  # of the turned table


@pytest.mark.parametrize("optimization", ["none", "full"])
def test_a_caller_may_write_to_what_it_gets(saved: Saved, optimization: str) -> None:
    model = portfire.load(saved("precomputed"), optimization=optimization)
    inputs = PROGRAMS["precomputed"].inputs
    _, mask, table, _ = call(model, inputs)
    wanted = [mask.clone(), table.clone()]
    mask.fill_(7)
    table.fill_(7)
    _, *again, _ = call(model, inputs)
    assert all(torch.equal(a, b) for a, b in zip(again, wanted, strict=True))


def test_the_program_inspects_runs_and_times_it(perceptron: Path, tmp_path: Path, program: Program) -> None:
    x = PROGRAMS["perceptron"].inputs[0].numpy()
    np.save(tmp_path / "x.npy", x)
    (info,) = program("inspect", "--json", perceptron).objects
    assert (info["engine"], info["parameters"]) == ("graph", 8 * 16 + 16 + 16 * 4 + 4)
    (argument,) = info["methods"][0]["arguments"]
    assert argument["type"].startswith("float32[") and argument["type"].endswith(", 8]")
    done = program("run", perceptron, tmp_path / "x.npy", "--output", tmp_path / "y.npy")
    assert (done.status, done.err) == (0, "")
    with torch.inference_mode():
        np.testing.assert_array_equal(
            np.load(tmp_path / "y.npy"), PROGRAMS["perceptron"].module(torch.from_numpy(x))
        )
    done = program("bench", perceptron, "--batch", 4, "--seconds", 0.05, "--json")
    assert done.objects[0]["engine"] == "graph"
    assert "plain_libtorch" not in done.objects[0]


def test_a_version_folder_may_hold_it(perceptron: Path, tmp_path: Path) -> None:
    folder = tmp_path / "name" / "3"
    folder.mkdir(parents=True)
    (folder / "model.pt2").write_bytes(perceptron.read_bytes())
    assert portfire.load(tmp_path / "name").info.path == str(folder / "model.pt2")


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.zeros((3, 9), np.float32), "shape [3, 9]"),
        (np.zeros((3, 8), np.float64), "dtype float64; float32 is needed"),
        (np.zeros(8, np.float32), "shape [8]"),
        (np.zeros((0, 8), np.float32), "is empty"),
        (np.zeros((513, 8), np.float32), "of 1 to 512 is needed"),
    ],
)
def test_inputs_are_held_against_what_it_was_exported_for(perceptron: Path, x: Any, says: str) -> None:
    with pytest.raises(portfire.InvalidInputError) as error:
        portfire.load(perceptron).forward(x)
    assert says in str(error.value)


def test_an_index_out_of_range_is_an_error(tmp_path: Path) -> None:
    model = portfire.load(PROGRAMS["embedding"].save(tmp_path / "embedding.pt2"))
    with pytest.raises(portfire.InvalidInputError, match="out of range"):
        model.forward(np.full((2, 5), 20))
    assert model.forward(np.zeros((2, 5), np.int64)).shape == (2, 5, 6)


def test_another_engine_is_refused(perceptron: Path, tmp_path: Path) -> None:
    with pytest.raises(portfire.UnsupportedError, match="which the engine torchscript does not run"):
        portfire.load(perceptron, engine="torchscript")


def test_sizes_that_it_was_not_exported_for_are_named(tmp_path: Path) -> None:
    """PyTorch raises here too: where its conditions do not hold, the program is not the module."""
    model = portfire.load(PROGRAMS["conditions"].save(tmp_path / "conditions.pt2"))
    with pytest.raises(
        portfire.InvalidInputError,
        match=r"exported for sizes with .*y\.size\(0\).*these are \[6, 4\], \[9, 4\]",
    ):
        model.forward(torch.rand(6, 4), torch.rand(9, 4))


class _Autocast(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return x @ x


def test_what_cannot_run_is_named_at_load(tmp_path: Path) -> None:
    path = Exported(_Autocast(), (torch.rand(3, 3),)).save(tmp_path / "program.pt2")
    with pytest.raises(portfire.UnsupportedError, match=r"wrap_with_autocast.*is not supported") as error:
        portfire.load(path)
    assert "\n" not in str(error.value)


class _Numbers(nn.Module):
    def forward(self, x: Tensor, times: int, unused: None = None) -> Tensor:
        return x.repeat(times, 1) * times


def test_numbers_are_given_as_tensors_without_axes(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            _Numbers(), (torch.rand(2, 3), 4, None), dynamic_shapes=(None, Dim.DYNAMIC, None)
        )
        torch.export.save(program, tmp_path / "program.pt2")
    model = portfire.load(tmp_path / "program.pt2")
    assert [(one.name, one.type) for one in model.info.methods[0].arguments][1:] == [("times", "int64[]")]
    x = torch.rand(2, 3)
    assert torch.equal(torch.from_dlpack(model.forward(x, torch.tensor(5))), x.repeat(5, 1) * 5)
    with pytest.raises(portfire.InvalidInputError, match="times"):
        model.forward(x, torch.tensor([5]))


def rename_graph_input(document: Any) -> None:
    nodes = document["graph_module"]["graph"]["nodes"]
    branch = next(node for node in nodes if node["target"].endswith(".cond"))["inputs"][1]["arg"]["as_graph"]
    branch["graph"]["inputs"].append({"as_tensor": {"name": "one_too_many"}})


def test_a_branch_that_takes_other_values_is_refused(tmp_path: Path) -> None:
    path = PROGRAMS["branches"].save(tmp_path / "branches.pt2")
    changed = edited(path, tmp_path / "changed.pt2", in_program(rename_graph_input))
    with pytest.raises(portfire.Error, match="values for a block that takes"):
        portfire.load(changed).forward(torch.rand(2, 4))


def test_many_threads_with_changing_shapes(saved: Saved) -> None:
    """More shapes than packed weights are kept for."""
    path = saved("layers")
    exact, full = (portfire.load(path, threads=1, optimization=level) for level in ("none", "full"))
    batches = [torch.rand(n, 4, 14, 14) for n in (8, 16, 24, 32, 40, 48)]
    expected = [call(exact, (x,)) for x in batches]

    def work(seed: int) -> None:
        for k in range(12):
            which = (seed + k * (1 + seed % 5)) % len(batches)
            for a, b in zip(call(full, (batches[which],)), expected[which], strict=True):
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, seed) for seed in range(8)]:
            done.result()
