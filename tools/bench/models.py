#!/usr/bin/env python3
"""The models that tools/bench/engines.py compares engines on, and the files that the engines read.

Weights are random with a fixed seed. Each batch norm's statistics are the layer's own on random inputs, then
randomised, so that folding them is not trivial and no signal dies on the way.

Usage: python tools/bench/models.py torch|onnx|aoti MODEL PRECISION FOLDER [BATCH ...]   (engines.py calls it)
"""

from __future__ import annotations

import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

SEED = 20


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]


def head(channels: int, classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))


def cnn() -> nn.Module:
    features = [*conv_bn(1, 16, 3), nn.ReLU(), *conv_bn(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(*features, nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10))


def lenet() -> nn.Module:
    first = [nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    dense = [nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
    return nn.Sequential(*first, *second, *dense)


class Residual(nn.Module):
    """ResNet's basic block."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv_bn(inputs, outputs, 3, stride), nn.ReLU(), *conv_bn(outputs, outputs, 3)
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(*conv_bn(inputs, outputs, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


def resnet18() -> nn.Module:
    layers = [*conv_bn(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for outputs in (64, 128, 256, 512):
        layers += [Residual(inputs, outputs, 1 if outputs == 64 else 2), Residual(outputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(*layers, *head(512, 1000))


class Inverted(nn.Module):
    """MobileNet v2's block: widen, depthwise, narrow."""

    def __init__(self, inputs: int, outputs: int, stride: int, widen: int) -> None:
        super().__init__()
        wide = inputs * widen
        first = [*conv_bn(inputs, wide, 1), nn.ReLU6()] if widen > 1 else []
        depthwise = [*conv_bn(wide, wide, 3, stride, wide), nn.ReLU6()]
        self.body = nn.Sequential(*first, *depthwise, *conv_bn(wide, outputs, 1))
        self.around = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.around else y


def mobilenet() -> nn.Module:
    layers, inputs = [*conv_bn(3, 32, 3, 2), nn.ReLU6()], 32
    for widen, outputs, count, stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for k in range(count):
            layers.append(Inverted(inputs, outputs, stride if k == 0 else 1, widen))
            inputs = outputs
    return nn.Sequential(*layers, *conv_bn(320, 1280, 1), nn.ReLU6(), *head(1280, 1000))


class Dense(nn.Module):
    """DenseNet's layer: batch norm and ReLU before each convolution, so they do not fold."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        first = [nn.BatchNorm2d(inputs), nn.ReLU(), *conv_bn(inputs, 4 * growth, 1)]
        self.body = nn.Sequential(*first, nn.ReLU(), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], 1)


def densenet() -> nn.Module:
    layers, channels, growth = [*conv_bn(3, 32, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 32, 12
    for k, count in enumerate((4, 4, 6, 4)):
        if k:
            shrink = nn.Conv2d(channels, channels // 2, 1, bias=False)
            layers += [nn.BatchNorm2d(channels), nn.ReLU(), shrink, nn.AvgPool2d(2)]
            channels //= 2
        for _ in range(count):
            layers.append(Dense(channels, growth))
            channels += growth
    return nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU(), *head(channels, 1000))


class UNet(nn.Module):
    """Depth 3, base 16; convolution, ReLU, batch norm, in this order."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = self.twice(7, 16), self.twice(16, 32)
        self.bottom = self.twice(32, 64)
        self.up2, self.merge2 = nn.ConvTranspose2d(64, 32, 2, 2), self.twice(64, 32)
        self.up1, self.merge1 = nn.ConvTranspose2d(32, 16, 2, 2), self.twice(32, 16)
        self.pool, self.last = nn.MaxPool2d(2), nn.Conv2d(16, 1, 1)

    @staticmethod
    def twice(inputs: int, outputs: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for channels in (inputs, outputs):
            layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(outputs)]
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        one = self.down1(x)
        two = self.down2(self.pool(one))
        y = self.up2(self.bottom(self.pool(two)))
        y = self.up1(self.merge2(torch.cat([two, y], 1)))
        y = self.merge1(torch.cat([one, y], 1))
        return torch.sigmoid(self.last(y))


def lung3d() -> nn.Module:
    """Each block two convolutions, then half the side."""
    layers: list[nn.Module] = []
    inputs = 1
    for outputs in (8, 16, 32, 64):
        for channels in (inputs, outputs):
            convolution = nn.Conv3d(channels, outputs, 3, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm3d(outputs), nn.ReLU()]
        layers.append(nn.MaxPool3d(2))
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(64, 2))


class Layer(nn.Module):
    """A transformer's encoder layer, norms first. (N items, T tokens, D features)"""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        qkv = self.qkv(self.norm1(x)).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        seen = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(seen.transpose(1, 2).reshape(n, t, d))
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


def encoder() -> nn.Module:
    return nn.Sequential(*[Layer(256, 4) for _ in range(4)], nn.LayerNorm(256))


class BiLstm(nn.Module):
    """Tokens to two scores: embedding, both directions, the mean over time."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5000, 100)
        self.lstm = nn.LSTM(100, 64, batch_first=True, bidirectional=True)
        self.last = nn.Linear(128, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden, _ = self.lstm(self.embedding(tokens))
        scores: Tensor = self.last(hidden.mean(1))
        return scores


def dcgan() -> nn.Module:
    layers: list[nn.Module] = []
    inputs = 100
    for outputs in (512, 256, 128, 64):
        stride, padding = (1, 0) if inputs == 100 else (2, 1)
        layers.append(nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False))
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
        inputs = outputs
    return nn.Sequential(*layers, nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh())


@dataclass(frozen=True)
class Spec:
    """`shape` is one item's; `vocabulary` is set where the inputs are tokens."""

    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    vocabulary: int = 0
    largest_batch: int = 4096


MODELS = {
    "mlp": Spec(mlp, (64,)),
    "cnn": Spec(cnn, (1, 8, 8)),
    "lenet": Spec(lenet, (1, 28, 28)),
    "resnet18": Spec(resnet18, (3, 224, 224)),
    "mobilenet": Spec(mobilenet, (3, 224, 224)),
    "densenet": Spec(densenet, (3, 224, 224)),
    "unet": Spec(UNet, (7, 512, 512), largest_batch=4),
    "lung3d": Spec(lung3d, (1, 32, 48, 48)),
    "encoder": Spec(encoder, (128, 256)),
    "bilstm": Spec(BiLstm, (256,), vocabulary=5000),
    "dcgan": Spec(dcgan, (100, 1, 1)),
}


class InBfloat16(nn.Module):
    """The same module computing in bfloat16, float32 outside."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner.bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        if x.is_floating_point():
            x = x.to(torch.bfloat16)
        y: Tensor = self.inner(x).float()
        return y


def inputs(name: str, batch: int) -> Tensor:
    """The same for each engine, drawn from the seed."""
    spec, generator = MODELS[name], torch.Generator().manual_seed(SEED + batch)
    if spec.vocabulary:
        return torch.randint(spec.vocabulary, (batch, *spec.shape), generator=generator)
    return torch.randn((batch, *spec.shape), generator=generator)


def randomised(name: str) -> nn.Module:
    torch.manual_seed(SEED)
    module = MODELS[name].make()
    norms = [one for one in module.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    for one in module.modules():
        if isinstance(one, nn.Linear | nn.modules.conv._ConvNd):
            nn.init.kaiming_normal_(one.weight)
    for norm in norms:
        norm.momentum = 1.0
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, 0.0, 0.2)
    with torch.no_grad():
        module.train()(inputs(name, 2))
        for norm in norms:
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_var.mul_(torch.empty_like(norm.running_var).uniform_(0.7, 1.4))
            norm.running_mean.add_(torch.randn_like(norm.running_mean) * norm.running_var.sqrt() * 0.2)
    return module.eval()


def restore(name: str, precision: str, folder: Path) -> nn.Module:
    """The module with the weights that `write_torch` saved."""
    module = MODELS[name].make()
    module.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    return (InBfloat16(module) if precision == "bfloat16" else module).eval()


def write_torch(name: str, precision: str, folder: Path, batches: list[int]) -> None:
    """weights.pt; x-N.npy and eager float32's y-N.npy for each batch; model.pt; model.pt2."""
    module = randomised(name)
    torch.save(OrderedDict(module.state_dict()), folder / "weights.pt")
    with torch.inference_mode():
        for batch in batches:
            x = inputs(name, batch)
            np.save(folder / f"x-{batch}.npy", x.numpy())
            np.save(folder / f"y-{batch}.npy", module(x).numpy())
    module = restore(name, precision, folder)
    torch.jit.save(torch.jit.script(module), folder / "model.pt")
    batch_size = torch.export.Dim("batch", min=1, max=MODELS[name].largest_batch)
    program = torch.export.export(module, (inputs(name, 3),), dynamic_shapes=({0: batch_size},))
    torch.export.save(program, folder / "model.pt2")


def write_onnx(name: str, folder: Path) -> None:
    """model.onnx in float32 (OpenVINO makes bfloat16 of it by itself); for an interpreter with the peers."""
    shapes = ({0: torch.export.Dim("batch", min=1, max=MODELS[name].largest_batch)},)
    path = folder / "model.onnx"
    module = restore(name, "float32", folder)
    torch.onnx.export(
        module, (inputs(name, 3),), path, dynamo=True, dynamic_shapes=shapes, external_data=False
    )


def write_aoti(folder: Path) -> None:
    """aoti-T.pt2, for the T threads that this process has: AOTInductor builds their number in."""
    import torch._inductor.config as inductor

    inductor.freezing = True
    path = folder / f"aoti-{torch.get_num_threads()}.pt2"
    program = torch.export.load(folder / "model.pt2")
    with torch.no_grad():
        torch._inductor.aoti_compile_and_package(program, package_path=str(path))


def write_compiled(name: str, precision: str, folder: Path) -> None:
    """compiled/1/model.pt2: AOTInductor's code in a package of ours, for any number of threads."""
    import portfire
    from portfire.manifest import MethodSpec, TensorSpec, Tolerance

    x, y = inputs(name, 1).numpy(), np.load(folder / "y-1.npy")
    bounds = {"minimum": 0, "maximum": MODELS[name].vocabulary - 1} if MODELS[name].vocabulary else {}
    portfire.package(
        restore(name, precision, folder),
        folder / "compiled" / "1" / "model.pt2",
        name=name,
        task="tensor",
        licence="Apache-2.0",
        golden=[x, inputs(name, 2).numpy()],
        formats=("graph", "compiled"),
        methods={
            "forward": MethodSpec(
                inputs=(TensorSpec(name="x", dtype=str(x.dtype), shape=("N", *x.shape[1:]), **bounds),),
                outputs=(TensorSpec(name="y", dtype="float32", shape=("N", *y.shape[1:])),),
            )
        },
        tolerances={"float32": Tolerance(atol=1.0, rtol=1.0)},  # the benchmark holds answers against eager's
    )


def write_static(name: str, precision: str, folder: Path, batches: list[int]) -> None:
    """static-N.pt2: exported for each batch alone."""
    for batch in batches:
        program = torch.export.export(restore(name, precision, folder), (inputs(name, batch),))
        torch.export.save(program, folder / f"static-{batch}.pt2")


def main() -> int:
    warnings.simplefilter("ignore")
    what, name, precision, folder, *batches = sys.argv[1:]
    sizes = [int(batch) for batch in batches]
    if what == "torch":
        write_torch(name, precision, Path(folder), sizes)
    elif what == "compiled":
        write_compiled(name, precision, Path(folder))
    elif what == "static":
        write_static(name, precision, Path(folder), sizes)
    elif what == "onnx":
        write_onnx(name, Path(folder))
    else:
        write_aoti(Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
