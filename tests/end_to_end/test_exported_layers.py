"""Layers that kernels of our own compute: where they must not, and what hostile programs do to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from agreement import LEVELS, both_agree, steps_of
from exported import Edit, Exported, call, eager, edited, in_json, in_program
from faces import Program
from torch import Tensor, nn
from torch.export import Dim
from torch.nn import functional as F

import portfire


def set_arguments(target: str, **values: Any) -> Edit:
    """Other arguments of every call to `target`."""

    def change(document: Any) -> None:
        for node in document["graph_module"]["graph"]["nodes"]:
            for one in node["inputs"] if f".{target}." in node["target"] else ():
                one["arg"] = values.get(one["name"], one["arg"])

    return in_program(change)


def set_weights(sizes: list[int], *names: str) -> Edit:
    def change(document: Any) -> None:
        for name in names:
            meta = document["config"][name]["tensor_meta"]
            meta.update(sizes=[{"as_int": size} for size in sizes], strides=[{"as_int": 1} for _ in sizes])

    return in_json("data/weights/model_weights_config.json", change)


class LeNet(nn.Module):
    """With the view that every tutorial has."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.dense = nn.Linear(400, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.first(x), inplace=True), 2)
        x = F.max_pool2d(F.relu(self.second(x)), 2)
        y: Tensor = self.dense(x.view(-1, 400))
        return y


def test_a_view_of_what_is_channels_last(tmp_path: Path) -> None:
    one = (torch.rand(2, 1, 28, 28),)
    both_agree(Exported(LeNet(), one).save(tmp_path / "lenet.pt2"), one)
    program = torch.export.export(LeNet().eval(), one).run_decompositions()
    torch.export.save(program, tmp_path / "decomposed.pt2")
    both_agree(tmp_path / "decomposed.pt2", one)


class WrittenView(nn.Module):
    """A view that is written to: a copy in its place would lose what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(2, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        y.view(-1).mul_(2)
        return y


def test_a_view_that_is_written_to_is_never_a_copy(tmp_path: Path) -> None:
    one = (torch.rand(1, 2, 3, 4),)
    path = Exported(WrittenView(), one).save(tmp_path / "v.pt2")
    expected = eager(path, one)[0]
    try:
        given = call(portfire.load(path, threads=1, optimization="full"), one)[0]
    except portfire.Error as error:
        assert "view" in str(error)
    else:
        torch.testing.assert_close(given, expected)


class Activations(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Linear(1, 1, bias=False)
        nn.init.ones_(self.same.weight)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        y = self.same
        return (
            torch.tanh(y(x)),
            torch.sigmoid(y(x)),
            F.silu(y(x)),
            F.gelu(y(x)),
            F.gelu(y(x), approximate="tanh"),
        )


def test_activations_hold_at_the_ends_and_near_zero(tmp_path: Path) -> None:
    largest = torch.finfo(torch.float32).max
    ends = torch.tensor([0.0, 88.5, 100, 1e4, 1e38, largest, torch.inf])
    one = (torch.cat([ends, -ends, torch.tensor([torch.nan])]).view(-1, 1),)
    path = Exported(Activations(), one).save(tmp_path / "a.pt2")
    # With AVX-512, eager's gelu of the largest float32 is no number; float64 is right everywhere.
    exact = Activations().double()(one[0].double())
    for given, wanted in zip(
        call(portfire.load(path, threads=1, optimization="full"), one), exact, strict=True
    ):
        torch.testing.assert_close(given, wanted.float(), rtol=1e-5, atol=1e-30, equal_nan=True)
    small = torch.logspace(-12, 0, 601).view(-1, 1)
    path = Exported(Activations(), (small,)).save(tmp_path / "s.pt2")
    tanh = call(portfire.load(path, threads=1, optimization="full"), (small,))[0]
    torch.testing.assert_close(tanh, torch.tanh(small), rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_batch_norms_of_other_dtypes_keep_their_precision(dtype: torch.dtype, tmp_path: Path) -> None:
    norm = nn.BatchNorm2d(4)
    nn.init.uniform_(norm.running_mean, 29, 31)
    if dtype == torch.float64:
        norm = norm.double()
    one = (torch.randn(2, 4, 3, 3, dtype=dtype) + 30,)
    both_agree(Exported(norm, one).save(tmp_path / "n.pt2"), one, rtol=0, atol=0)


def test_a_number_that_is_negated_lazily(tmp_path: Path) -> None:
    class Imaginary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.pool = nn.Conv2d(2, 4, 3), nn.MaxPool2d(2)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            negated = torch.imag(torch.conj(torch.complex(x, x)))
            return self.layer(negated), self.pool(negated)

    one = (torch.rand(1, 2, 6, 6),)
    path = Exported(Imaginary(), one).save(tmp_path / "n.pt2")
    changed = edited(
        path,
        tmp_path / "changed.pt2",
        in_program(
            lambda d: [
                node.update(target=node["target"].replace("aten._conj.default", "aten.conj.default"))
                for node in d["graph_module"]["graph"]["nodes"]
            ]
        ),
    )
    none, full = (call(portfire.load(changed, threads=1, optimization=level), one) for level in LEVELS)
    for a, b in zip(none, full, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


class Many(nn.Module):
    def __init__(self, pixels: int, padding: int) -> None:
        super().__init__()
        self.pixels = pixels
        self.layer = nn.Conv2d(1, 2, 1, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x.expand(4, 1, self.pixels, self.pixels))
        return y


WRAPS = 737869762948382065  # times (3 + 2)^2, and the next, is a small number in 64 bits


@pytest.mark.parametrize(("images", "pixels"), [(2**60, 2), (WRAPS, 3)])
def test_sizes_whose_product_is_no_number(images: int, pixels: int, tmp_path: Path) -> None:
    one = (torch.rand(1, 1, pixels, pixels),)
    path = Exported(Many(pixels, padding=1), one).save(tmp_path / "m.pt2")
    sizes = {"as_ints": [images, 1, pixels, pixels]}
    changed = edited(path, tmp_path / "changed.pt2", set_arguments("expand", size=sizes))
    for level in LEVELS:
        with pytest.raises(portfire.Error):
            portfire.load(changed, threads=1, optimization=level).forward(*one)


@pytest.mark.parametrize("sizes", [[0], [8, 0]])
def test_batch_norms_of_no_numbers(sizes: list[int], tmp_path: Path) -> None:
    one = (torch.rand(1, 8, 2, 2).contiguous(memory_format=torch.channels_last),)
    path = Exported(nn.Sequential(nn.BatchNorm2d(8)), one).save(tmp_path / "n.pt2")
    names = [f"0.{name}" for name in ("weight", "bias", "running_mean", "running_var")]
    changed = edited(
        path, tmp_path / "changed.pt2", set_weights(sizes, *(names if len(sizes) == 2 else names[2:3]))
    )
    for level in LEVELS:
        with pytest.raises(portfire.Error):
            portfire.load(changed, threads=1, optimization=level).forward(*one)


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("arguments", [{"kernel_size": 2**62, "padding": 2**61}, {"padding": 2**63 - 1}])
def test_windows_that_are_no_windows(arguments: dict[str, int], axes: int, tmp_path: Path) -> None:
    format = torch.channels_last if axes == 2 else torch.channels_last_3d
    one = (torch.rand(1, 8, *[6] * axes).contiguous(memory_format=format),)
    pool = nn.MaxPool2d(3, 1, 1) if axes == 2 else nn.MaxPool3d(3, 1, 1)
    path = Exported(nn.Sequential(pool), one).save(tmp_path / "p.pt2")
    values = {name: {"as_ints": [value] * axes} for name, value in arguments.items()}
    changed = edited(path, tmp_path / "changed.pt2", set_arguments(f"max_pool{axes}d", **values))
    for level in LEVELS:
        with pytest.raises(portfire.Error):
            portfire.load(changed, threads=1, optimization=level).forward(*one)


def test_pooling_of_volumes(program: Program, tmp_path: Path) -> None:
    layers = nn.Sequential(nn.Conv3d(2, 9, 3), nn.MaxPool3d(2), nn.MaxPool3d((1, 2, 3), (2, 1, 2), (0, 1, 1)))
    one = (torch.randn(2, 2, 10, 9, 12),)
    path = Exported(layers, one).save(tmp_path / "v.pt2")
    both_agree(path, one)
    assert steps_of(program, path).count("portfire::max_pool") == 2
    both_agree(Exported(layers[1], (one[0],)).save(tmp_path / "p.pt2"), one)  # not channels-last


class Remembers(nn.Module):
    """`torch.nn.LSTM` looks at its state; what it calls does not."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(4, 3, batch_first=True)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        y: Tensor = torch.ops.aten.lstm.input(
            x, [h, h], self.layer._flat_weights, True, 1, 0.0, False, False, True
        )[0]
        return y


def test_a_state_of_another_batch(tmp_path: Path) -> None:
    """PyTorch 2.13 writes past its end, and dies of it."""
    one = (torch.rand(5, 3, 4), torch.rand(1, 5, 3))
    path = Exported(Remembers(), one).save(tmp_path / "r.pt2")
    both_agree(path, one)

    def other_state(document: Any) -> None:
        graph = document["graph_module"]["graph"]
        graph["tensor_values"]["h"]["sizes"][1] = {"as_int": 3}

    changed = edited(path, tmp_path / "changed.pt2", in_program(other_state))
    for level in LEVELS:
        with pytest.raises(portfire.Error, match="an LSTM's state"):
            portfire.load(changed, threads=1, optimization=level).forward(one[0], torch.rand(1, 3, 3))


@pytest.mark.parametrize("layers", [2**62 + 1, 0, -1, 3])
def test_layers_that_are_not_there(layers: int, tmp_path: Path) -> None:
    one = (torch.rand(5, 3, 4), torch.rand(1, 5, 3))
    path = Exported(Remembers(), one).save(tmp_path / "r.pt2")
    changed = edited(path, tmp_path / "changed.pt2", set_arguments("lstm", num_layers={"as_int": layers}))
    for level in LEVELS:
        with pytest.raises(portfire.Error):
            portfire.load(changed, threads=1, optimization=level).forward(*one)


def test_an_activation_that_nobody_knows(tmp_path: Path) -> None:
    one = (torch.rand(3, 8),)
    layers = nn.Sequential(nn.Linear(8, 4), nn.GELU("tanh"))
    path = Exported(layers, one).save(tmp_path / "g.pt2")
    edit = set_arguments("gelu", approximate={"as_string": "nearly"})
    changed = edited(path, tmp_path / "changed.pt2", edit)
    for level in LEVELS:
        with pytest.raises(portfire.Error, match="approximate"):
            portfire.load(changed, threads=1, optimization=level).forward(*one)


class Blocks(nn.Module):
    """Convolutions of 3 x 3 with channels enough for tiles, and some that look like them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(32, 64, 3, padding=1), nn.Conv2d(64, 64, 3, padding=1, bias=False)
        self.norm, self.bare = nn.BatchNorm2d(64), nn.Conv2d(64, 32, 3)
        self.dilated = nn.Conv2d(32, 32, 3, padding=2, dilation=2)
        self.strided = nn.Conv2d(32, 32, 3, stride=2, padding=1)
        self.grouped = nn.Conv2d(32, 32, 3, padding=1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.first(x))
        x = F.relu(self.norm(self.second(x)) + x)
        x = F.gelu(self.bare(x))
        return self.grouped(self.dilated(x) + x) + F.interpolate(self.strided(x), x.shape[2:])


def test_large_convolutions_of_any_size(tmp_path: Path) -> None:
    torch.manual_seed(3)
    inputs = (torch.randn(2, 32, 20, 21),)
    dims = {0: Dim("n", min=1, max=64), 2: Dim("h", min=6, max=512), 3: Dim("w", min=6, max=512)}
    module = Blocks().eval()
    model = portfire.load(Exported(module, inputs, (dims,)).save(tmp_path / "blocks.pt2"))
    for sizes in ((2, 20, 21), (1, 6, 6), (1, 7, 64), (17, 9, 8), (3, 33, 40)):
        x = torch.randn(sizes[0], 32, *sizes[1:])
        torch.testing.assert_close(call(model, (x,))[0], module(x), rtol=1e-4, atol=1e-5)


class Trains(nn.Module):
    """Norms that write to their running statistics, which their schemas do not say."""

    def __init__(self) -> None:
        super().__init__()
        self.batch, self.instance = nn.BatchNorm2d(4), nn.InstanceNorm2d(4, track_running_stats=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        batch, instance = self.batch, self.instance
        y = F.batch_norm(x, batch.running_mean, batch.running_var, batch.weight, batch.bias, True, 0.5)
        y = F.instance_norm(
            y, instance.running_mean, instance.running_var, use_input_stats=True, momentum=0.5
        )
        return y, F.batch_norm(x, batch.running_mean, batch.running_var)


@pytest.mark.parametrize("map_file", [False, True])
@pytest.mark.parametrize("level", LEVELS)
def test_norms_in_training_leave_the_weights_alone(level: str, map_file: bool, tmp_path: Path) -> None:
    inputs = (torch.randn(2, 4, 5, 5),)
    path = Exported(Trains(), inputs).save(tmp_path / "trains.pt2")
    expected = eager(path, inputs)
    model = portfire.load(path, optimization=level, map_file=map_file)
    for _ in range(3):
        for a, b in zip(call(model, inputs), expected, strict=True):
            torch.testing.assert_close(a, b)


def test_batch_norms_of_layers_too_large_to_fold_in_one_piece(tmp_path: Path) -> None:
    layers = nn.Sequential(
        nn.Conv2d(40, 90, 5), nn.BatchNorm2d(90), nn.ConvTranspose2d(90, 40, 5), nn.BatchNorm2d(40)
    )
    for values in (*layers[1].state_dict().values(), *layers[3].state_dict().values()):
        if values.is_floating_point():
            nn.init.uniform_(values, 0.5, 2)
    one = (torch.randn(1, 40, 9, 9),)
    both_agree(Exported(layers, one).save(tmp_path / "n.pt2"), one)
