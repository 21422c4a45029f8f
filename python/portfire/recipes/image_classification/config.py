"""The recipe's configuration, and its presets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from portfire.train.config import RecipeConfig, require
from portfire.train.loop import LoopConfig

DatasetName = Literal["digits", "mnist", "fashion-mnist", "flowers", "folder"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    dataset: DatasetName = "digits"
    folder: Path | None = (
        None  # of class folders, or of train/ and val/ with class folders; dataset "folder" only
    )
    held_out: float = 0.2  # share kept for the final figures, where the set has no split of its own
    validation: float = 0.1  # share of the training pictures that is watched while training
    split_seed: int = 0

    def __post_init__(self) -> None:
        require(0 < self.held_out < 1, f"data.held_out is {self.held_out}; it must lie between 0 and 1")
        require(0 <= self.validation < 1, f"data.validation is {self.validation}; 0 to below 1 is allowed")
        require(
            self.folder is None or self.dataset == "folder",
            f'data.folder is for data.dataset=folder, not "{self.dataset}"',
        )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    kind: Literal["linear", "mlp", "cnn", "resnet"] = "cnn"
    size: int = 28  # pixels; pictures become size x size
    channels: Literal[1, 3] = 1  # grey or RGB
    fit: Literal["stretch", "crop"] = "stretch"  # how a picture that is not square becomes so
    width: int = 32  # hidden units of an mlp; channels after the first convolution of the others
    dropout: float = 0.0

    def __post_init__(self) -> None:
        require(4 <= self.size <= 1024, f"model.size is {self.size}; 4 to 1024 pixels are allowed")
        require(1 <= self.width <= 4096, f"model.width is {self.width}; 1 to 4096 is allowed")
        require(0 <= self.dropout < 1, f"model.dropout is {self.dropout}; 0 to below 1 is allowed")


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random changes to training pictures; zeros and false leave them as they are."""

    rotate_deg: float = 0.0  # up to this, either way
    shift: float = 0.0  # share of the side, up to this, either way
    zoom: float = 0.0  # 0.1: 0.9 to 1.1 times
    crop_area: float = 1.0  # the least share of the picture that a random crop keeps
    flip: bool = False  # left and right
    colour: float = 0.0  # brightness, contrast and saturation, each 1 - colour to 1 + colour times

    def __post_init__(self) -> None:
        for name in ("rotate_deg", "shift", "zoom", "colour"):
            require(
                getattr(self, name) >= 0, f"augment.{name} is {getattr(self, name)}; at least 0 is needed"
            )
        require(self.zoom < 1 and self.colour < 1, "augment.zoom and augment.colour must be below 1")
        require(0 < self.crop_area <= 1, f"augment.crop_area is {self.crop_area}; above 0 to 1 is allowed")


@dataclass(frozen=True, kw_only=True)
class Config(RecipeConfig):
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            not (self.train.patience and not self.data.validation),
            "train.patience needs pictures to watch; set data.validation above 0",
        )


_INK = "white ink on black"


def digits_linear() -> Config:
    """Softmax regression on 8 x 8 digits: the yardstick."""
    return Config(
        name="digits-linear",
        description=f"Handwritten digits 0 to 9, {_INK}: softmax regression on 8 x 8 pixels.",
        data=DataConfig(dataset="digits"),
        model=ModelConfig(kind="linear", size=8),
        train=LoopConfig(epochs=60, batch_size=32, learning_rate=1e-2, weight_decay=1e-3, threads=1),
    )


def digits_mlp() -> Config:
    """One hidden layer on 8 x 8 digits."""
    return Config(
        name="digits-mlp",
        description=f"Handwritten digits 0 to 9, {_INK}: one hidden layer on 8 x 8 pixels.",
        data=DataConfig(dataset="digits"),
        model=ModelConfig(kind="mlp", size=8, width=128, dropout=0.2),
        augment=AugmentConfig(rotate_deg=8, shift=0.06, zoom=0.06),
        train=LoopConfig(epochs=60, batch_size=32, learning_rate=3e-3, weight_decay=1e-3, threads=1),
    )


def digits_cnn() -> Config:
    """A small convolutional network on 8 x 8 digits; under half a minute."""
    return Config(
        name="digits-cnn",
        description=f"Handwritten digits 0 to 9, {_INK}: a small convolutional network on 8 x 8 pixels.",
        data=DataConfig(dataset="digits"),
        model=ModelConfig(kind="cnn", size=8, width=32, dropout=0.2),
        augment=AugmentConfig(rotate_deg=10, shift=0.08, zoom=0.08),
        train=LoopConfig(
            epochs=30, batch_size=32, learning_rate=3e-3, weight_decay=1e-2, label_smoothing=0.05, threads=1
        ),
    )


def mnist_mlp() -> Config:
    """Two hidden layers on MNIST."""
    return Config(
        name="mnist-mlp",
        description=f"Handwritten digits 0 to 9, {_INK}: a fully connected network on 28 x 28 pixels.",
        data=DataConfig(dataset="mnist", validation=0.05),
        model=ModelConfig(kind="mlp", size=28, width=512, dropout=0.2),
        train=LoopConfig(epochs=6, batch_size=128, learning_rate=2e-3, weight_decay=1e-2),
    )


def mnist_cnn() -> Config:
    """A small convolutional network on MNIST; two epochs."""
    return Config(
        name="mnist-cnn",
        description=f"Handwritten digits 0 to 9, {_INK}: a small convolutional network on 28 x 28 pixels.",
        data=DataConfig(dataset="mnist", validation=0.05),
        model=ModelConfig(kind="cnn", size=28, width=32, dropout=0.1),
        train=LoopConfig(epochs=2, batch_size=64, learning_rate=4e-3, weight_decay=1e-2),
    )


def image_folder() -> Config:
    """Any folder of class folders (--data FOLDER), as colour photographs of 80 x 80."""
    return Config(
        name="image-folder",
        description="Photographs by class: a small residual network on 80 x 80 pixels, trained from scratch.",
        data=DataConfig(dataset="folder"),
        model=ModelConfig(kind="resnet", size=80, channels=3, fit="crop", width=24, dropout=0.2),
        augment=AugmentConfig(crop_area=0.25, flip=True, colour=0.3),
        train=LoopConfig(
            epochs=90, batch_size=32, learning_rate=4e-3, weight_decay=5e-2, label_smoothing=0.1
        ),
    )


def flowers_cnn() -> Config:
    """Preset image-folder on TensorFlow's flower photographs."""
    folder = image_folder()
    return Config(
        name="flowers-cnn",
        description="Daisies, dandelions, roses, sunflowers and tulips: a small residual network on 80 x 80 "
        "pixels, trained from scratch.",
        data=DataConfig(dataset="flowers"),
        model=folder.model,
        augment=folder.augment,
        train=folder.train,
    )


PRESETS: Mapping[str, Callable[[], Config]] = {
    "digits-linear": digits_linear,
    "digits-mlp": digits_mlp,
    "digits-cnn": digits_cnn,
    "mnist-mlp": mnist_mlp,
    "mnist-cnn": mnist_cnn,
    "image-folder": image_folder,
    "flowers-cnn": flowers_cnn,
}
