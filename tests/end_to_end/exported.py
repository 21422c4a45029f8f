"""Programs of torch.export with inputs to call them on: each shows another part of what they can hold."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._higher_order_ops import scan, while_loop
from torch.export import Dim
from torch.nn import functional as F

import portfire

N = Dim("N", min=1, max=512)
Edit = Callable[[dict[str, bytes]], None]
Saved = Callable[[str], Path]


@dataclass(frozen=True)
class Exported:
    """`inputs` are what it is exported with; `others` differ in the sizes that are symbols."""

    module: nn.Module
    inputs: tuple[Tensor, ...]
    shapes: Any = None
    others: tuple[tuple[Tensor, ...], ...] = ()

    def save(self, path: Path) -> Path:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(self.module.eval(), self.inputs, dynamic_shapes=self.shapes)
            torch.export.save(program, path)
        return path


def call(model: portfire.Model, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    outputs = model.forward(*inputs)
    given = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
    return [torch.from_dlpack(one) for one in given]


def edited(source: Path, target: Path, edit: Edit) -> Path:
    with zipfile.ZipFile(source) as archive:
        files = {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}
    edit(files)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(f"program/{name}"), data)
    return target


def in_json(record: str, change: Callable[[Any], None]) -> Edit:
    def edit(files: dict[str, bytes]) -> None:
        document = json.loads(files[record])
        change(document)
        files[record] = json.dumps(document).encode()

    return edit


def in_program(change: Callable[[Any], None]) -> Edit:
    return in_json("models/model.json", change)


def eager(path: Path, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """What PyTorch itself makes of the file. (A module may take faster paths than its export.)"""
    module = torch.export.load(path).module()  # not in inference mode: its parameters would be others
    with torch.inference_mode():
        return flat(module(*inputs))


def flat(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [one for item in value.values() for one in flat(item)]
    return [one for item in value for one in flat(item)]


class Function(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Tensor) -> Any:
        return self.function(*args)


class _One(Function):
    def forward(self, x: Tensor) -> Any:
        return self.function(x)


class _Two(Function):
    def forward(self, x: Tensor, y: Tensor) -> Any:
        return self.function(x, y)


class _Constant(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.rand(8), persistent=False)
        self.shift = torch.rand(8)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = x * self.scale + self.shift
        return {"y": y, "mean": y.mean(0)}


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(32, 96)
        self.out = nn.Linear(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        q, k, v = (part.view(batch, length, 4, 8).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(batch, length, 32))


def _sizes(x: Tensor) -> Tensor:
    n, width = x.shape
    rows = x.repeat(2, 1).view(n, 2 * width) * n + n % 3
    halves = torch.ones(n // 2 + 1).sum() + torch.zeros(3 * n - 1).numel()
    return rows + torch.arange(n * 2 - n).unsqueeze(1) + halves


def _lists(x: Tensor) -> Any:
    first, second, third = torch.split(x, [1, 3, 4], dim=1)
    values, places = torch.topk(third, 2)
    return first, (second, [values, places]), torch.stack([first[:, 0], third[:, 0]])


def _masks(x: Tensor, y: Tensor) -> Tensor:
    picked = x[:, None, y]
    return torch.where(picked > 0, picked, -1.0).masked_fill(picked.isnan(), 3).to(torch.float64)


def _in_place(x: Tensor) -> Tensor:
    x.add_(1)
    z = torch.zeros_like(x)
    z[:, 1:3] = x[:, :2].relu_()
    return z + x


class _Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Any:
        y = torch.cond(
            x.sum() > 0, lambda x: (self.linear(x), x.sum(1)), lambda x: (x - 1, x[:, 0] * 2), (x,)
        )
        with torch.no_grad():
            z = y[0] + 1
        return torch.cond(x.shape[0] > 2, lambda z: z * 2, lambda z: z / 2, (z,)), y[1]


def _loops(x: Tensor) -> Any:
    step = torch.tensor(0)
    count, y = while_loop(lambda i, y: (i < 5) & (y.sum() < 50), lambda i, y: (i + 1, y * 1.5 + x), (step, x))
    rows = torch._higher_order_ops.map(lambda row, shift: (row * shift, row.max()), y, x.sum())
    return count, rows


def _running(x: Tensor) -> Any:
    return scan(lambda carry, row: (carry + row, carry * row), torch.zeros(3), x)


class _Counts(nn.Module):
    """With state: every call begins with the one that was exported."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("seen", torch.zeros(2, 3))
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Any:
        self.calls.add_(1)
        self.seen[0].add_(x.sum(0))
        self.seen[1, :2] = x[0, :2]
        return F.batch_norm(
            x, self.norm.running_mean, self.norm.running_var, training=True
        ), self.seen + self.calls


class _Layers(nn.Module):
    """What the passes look for, and what looks like it and is not."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 8, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(8) for _ in range(5)])
        self.second = nn.Conv2d(8, 8, 3, padding="same", dilation=2, groups=2)
        self.each = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.strided = nn.Conv2d(8, 8, 2, stride=2)
        self.up = nn.ConvTranspose2d(8, 8, 3, stride=2, output_padding=1)
        self.volume = nn.Conv3d(1, 8, 3, padding=1)
        for norm in self.norms:
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)

    def forward(self, x: Tensor) -> Any:
        y = F.relu(self.norms[0](self.first(x)), inplace=True)
        y = F.relu(self.norms[1](self.second(y)) + y)  # a residual
        y = torch.sigmoid(self.each(y) + y)
        shared = self.strided(y)
        both = self.norms[2](shared) + shared  # not to be folded: another looks at the convolution
        wide = self.strided(y) + both.mean((2, 3), keepdim=True)  # not to be fused: shapes differ
        up = F.leaky_relu(self.norms[3](self.up(wide)), 0.2)
        z = F.hardtanh(self.volume(x.unsqueeze(1)), -0.5, 0.75)
        twice = self.second(y)
        return both, up, z, twice.relu() + twice, F.gelu(self.second(y)), F.silu(self.norms[4](self.first(x)))


class _Turned(nn.Module):
    """LibTorch multiplies a turned input another way by a weight, or its view, that requires a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(32, 32))
        self.bias = nn.Parameter(torch.randn(32))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.transpose(0, 1)
        return x @ self.table, F.linear(x, self.table, torch.cat([self.bias]))


class _Precomputed(nn.Module):
    """What depends on no input, on the way to an output and as one; and what depends on chance."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Embedding(6, 8)
        self.table = nn.Parameter(torch.randn(16, 8))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        places = torch.arange(6)
        mask = torch.ones(6, 6).tril()
        y = mask @ (x + self.positions(places)) @ self.table.t()
        return y, mask, self.table[:2], torch.rand(6).clamp(2, 3) + torch.cat([places, places])[3:9]


class _Linears(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Linear(96, 256)
        self.back = nn.Linear(256, 96)
        self.norm = nn.BatchNorm1d(256)
        self.table = nn.Parameter(torch.randn(96, 128))
        self.shift = nn.Parameter(torch.randn(128))
        nn.init.normal_(self.norm.running_mean)

    def forward(self, x: Tensor) -> Any:
        y = F.gelu(self.wide(x), approximate="tanh")
        y = self.back(y) + x
        rows = y[:, 0]
        flat = F.relu6(self.norm(self.wide(rows)))
        return (
            y,
            flat,
            torch.addmm(self.shift, rows, self.table),
            y @ self.table,
            self.back(flat) + self.shift[:96],
        )


class _Recurrent(nn.Module):
    """Layers and directions, without biases, with a state of the caller's, and one with a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.deep = nn.LSTM(5, 10, num_layers=2, bidirectional=True, batch_first=True)
        self.plain = nn.LSTM(20, 16, bias=False)
        self.projected = nn.LSTM(16, 8, proj_size=3)

    def forward(self, x: Tensor, h: Tensor) -> Any:
        y, (last, cell) = self.deep(x, (h, h * 2))
        z, _ = self.plain(y.transpose(0, 1))
        return y, last, cell, self.projected(z)[0]


torch.manual_seed(0)
PROGRAMS: dict[str, Exported] = {
    "perceptron": Exported(
        nn.Sequential(nn.Linear(8, 16), nn.ReLU(inplace=True), nn.Linear(16, 4), nn.Softmax(-1)),
        (torch.rand(3, 8),),
        ({0: N},),
        ((torch.rand(1, 8),), (torch.rand(512, 8),)),
    ),
    "convolutions": Exported(
        nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 16, 3, groups=16, padding="same"),
            nn.Hardswish(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(16, 5),
        ),
        (torch.rand(2, 3, 16, 16),),
        ({0: N},),
        ((torch.rand(5, 3, 16, 16),),),
    ),
    "layers": Exported(_Layers(), (torch.rand(2, 4, 14, 14),), ({0: N},), ((torch.rand(40, 4, 14, 14),),)),
    "linears": Exported(_Linears(), (torch.rand(2, 3, 96),), ({0: N},), ((torch.rand(64, 3, 96),),)),
    "precomputed": Exported(_Precomputed(), (torch.rand(2, 6, 8),), {"x": {0: N}}, ((torch.rand(5, 6, 8),),)),
    "turned": Exported(_Turned(), (torch.rand(2, 39, 32),)),
    "any size": Exported(nn.Linear(8, 4), (torch.rand(3, 8),), ({0: Dim.DYNAMIC},), ((torch.rand(1, 8),),)),
    "one picture": Exported(nn.Conv2d(3, 64, 5), (torch.rand(3, 40, 40),)),
    "static": Exported(nn.Sequential(nn.Conv1d(4, 4, 3), nn.GELU()), (torch.rand(1, 4, 9),)),
    "attention": Exported(
        _Attention(),
        (torch.rand(2, 7, 32),),
        ({0: N, 1: Dim("L", min=2, max=64)},),
        ((torch.rand(3, 64, 32),), (torch.rand(1, 2, 32),)),
    ),
    "transformer": Exported(
        nn.TransformerEncoderLayer(16, 2, 32, batch_first=True),
        (torch.rand(2, 5, 16),),
        ({0: N},),
        ((torch.rand(4, 5, 16),),),
    ),
    "recurrent": Exported(nn.LSTM(4, 6, batch_first=True), (torch.rand(2, 5, 4),)),
    "recurrent layers": Exported(
        _Recurrent(),
        (torch.randn(2, 7, 5), torch.randn(4, 2, 10)),
        ({0: N}, {1: N}),
        ((torch.randn(40, 7, 5), torch.randn(4, 40, 10)),),
    ),
    "embedding": Exported(
        nn.Sequential(nn.Embedding(20, 6), nn.LayerNorm(6)),
        (torch.randint(0, 20, (2, 5)),),
        ({0: N},),
        ((torch.randint(0, 20, (7, 5)),),),
    ),
    "constants": Exported(_Constant(), (torch.rand(3, 8),), ({0: N},), ((torch.rand(9, 8),),)),
    "sizes": Exported(
        _One(_sizes),
        (torch.rand(4, 6),),
        ({0: N},),
        ((torch.rand(7, 6),), (torch.rand(1, 6),)),
    ),
    "lists": Exported(_One(_lists), (torch.rand(3, 8),), ({0: N},), ((torch.rand(6, 8),),)),
    "masks": Exported(_Two(_masks), (torch.randn(3, 8), torch.tensor([1, 5])), None),
    "in place": Exported(_One(_in_place), (torch.randn(3, 4),), ({0: N},), ((torch.randn(5, 4),),)),
    "resize": Exported(
        _One(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)),
        (torch.rand(1, 2, 5, 6),),
    ),
    "half": Exported(
        nn.Sequential(nn.Linear(8, 8), nn.Tanh()).to(torch.bfloat16), (torch.rand(2, 8).to(torch.bfloat16),)
    ),
    "conditions": Exported(
        _Two(lambda x, y: (x + y[::2]).reshape(x.shape[0] // 2, 2, -1)),
        (torch.rand(6, 4), torch.rand(12, 4)),
        ({0: Dim.AUTO}, {0: Dim.AUTO}),
        ((torch.rand(8, 4), torch.rand(15, 4)),),
    ),
    "branches": Exported(
        _Branches(),
        (torch.rand(2, 4),),
        ({0: N},),
        ((torch.rand(3, 4),), (-torch.rand(3, 4),)),
    ),
    "loops": Exported(_One(_loops), (torch.rand(3, 4),), ({0: N},), ((torch.rand(5, 4) * 9,),)),
    "scan": Exported(_One(_running), (torch.rand(4, 3),), ({0: N},), ((torch.rand(6, 3),),)),
    "state": Exported(_Counts(), (torch.rand(4, 3),), ({0: N},), ((torch.rand(6, 3),),)),
    "einsum": Exported(
        _Two(lambda x, y: torch.einsum("nij,njk->nik", x, y).clamp(min=0.5)),
        (torch.rand(2, 3, 4), torch.rand(2, 4, 5)),
        ({0: N}, {0: N}),
        ((torch.rand(6, 3, 4), torch.rand(6, 4, 5)),),
    ),
}
