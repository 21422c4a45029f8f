import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

import portfire
from portfire.recipes.image_classification.config import AugmentConfig, DataConfig, ModelConfig
from portfire.recipes.image_classification.data import ArrayPictures, Samples, load, read_idx
from portfire.recipes.image_classification.model import build
from portfire.train.batches import Batch


def folder_of_pictures(root: Path, counts: dict[str, int], shade: int = 0) -> Path:
    for k, (label, count) in enumerate(counts.items()):
        (root / label).mkdir(parents=True)
        for n in range(count):
            image = np.full((10 + n, 12, 3), 40 * k + n + shade, np.uint8)
            (root / label / f"{n}.png").write_bytes(portfire.encode_png(image))
    return root


def test_digits_are_split_as_documented() -> None:
    digits = load(DataConfig(dataset="digits"))
    assert (len(digits.train), len(digits.held_out)) == (1437, 360)
    assert digits.labels == tuple("0123456789")
    assert digits.held_out.targets.bincount().min() >= 35


def test_a_png_of_a_digit_gives_what_training_saw() -> None:
    held_out = load(DataConfig(dataset="digits")).held_out
    assert isinstance(held_out, ArrayPictures)
    for k in range(len(held_out)):
        decoded = portfire.decode_image(portfire.encode_png(held_out.arrays[k].numpy())).numpy()
        assert np.array_equal(decoded, held_out.image(k).numpy())


def test_seventeen_shades_stay_apart() -> None:
    held_out = load(DataConfig(dataset="digits")).held_out
    assert isinstance(held_out, ArrayPictures)
    assert held_out.arrays.unique().tolist() == [round(k * 255 / 16) for k in range(17)]


def test_idx_files_are_read(tmp_path: Path) -> None:
    content = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3]) + bytes(range(6))
    (tmp_path / "plain").write_bytes(content)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(content))
    for name in ("plain", "packed.gz"):
        assert read_idx(tmp_path / name).tolist() == [[[0, 1, 2]], [[3, 4, 5]]]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text that is no IDX file",
        bytes([0, 0, 8, 3, 0, 0]),
        bytes([0, 0, 13, 1, 0, 0, 0, 1, 0]),
        bytes([0, 0, 8, 1, 0, 0, 0, 9, 1, 2]),
        gzip.compress(bytes(1000), mtime=0)[:20],
    ],
)
def test_a_damaged_idx_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "images").write_bytes(content)
    with pytest.raises(portfire.InvalidInputError, match="images: "):
        read_idx(tmp_path / "images")


def test_a_folder_with_train_and_val_keeps_its_split(tmp_path: Path) -> None:
    folder_of_pictures(tmp_path / "train", {"cat": 3, "ape": 2})
    folder_of_pictures(tmp_path / "val", {"cat": 1, "ape": 1}, shade=100)
    pictures = load(DataConfig(dataset="folder", folder=tmp_path))
    assert pictures.labels == ("ape", "cat")
    assert pictures.train.targets.tolist() == [0, 0, 1, 1, 1]
    assert pictures.held_out.targets.tolist() == [0, 1]
    assert pictures.held_out.image(0)[0, 0, 0] == 140


def test_a_plain_folder_is_split_by_class(tmp_path: Path) -> None:
    folder_of_pictures(tmp_path, {"cat": 10, "ape": 20})
    pictures = load(DataConfig(dataset="folder"), tmp_path)
    assert pictures.held_out.targets.tolist() == [0, 0, 0, 0, 1, 1]
    assert len(pictures.train) == 24


def test_the_hash_follows_the_pictures(tmp_path: Path) -> None:
    folder_of_pictures(tmp_path, {"cat": 10, "ape": 10})
    config = DataConfig(dataset="folder", folder=tmp_path)
    before = load(config).sha256
    assert load(config).sha256 == before
    (tmp_path / "cat" / "3.png").write_bytes(portfire.encode_png(np.zeros((9, 9, 3), np.uint8)))
    assert load(config).sha256 != before


def test_folders_without_pictures_are_named(tmp_path: Path) -> None:
    folder_of_pictures(tmp_path, {"cat": 10})
    with pytest.raises(portfire.InvalidInputError, match="at least 2"):
        load(DataConfig(dataset="folder", folder=tmp_path))
    (tmp_path / "ape").mkdir()
    with pytest.raises(portfire.InvalidInputError, match="ape: holds no PNG or JPEG"):
        load(DataConfig(dataset="folder", folder=tmp_path))


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    folder_of_pictures(tmp_path, {"cat": 10, "ape": 10})
    pictures = load(DataConfig(dataset="folder", folder=tmp_path)).train
    for path in (tmp_path / "cat").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(portfire.InvalidInputError, match=r"cat/\d\.png"):
        pictures.image(len(pictures) - 1)


def batch(seed: int, *indices: int) -> Batch:
    return Batch(indices=indices, seed=seed)


AUGMENTS = [
    AugmentConfig(rotate_deg=10, shift=0.1, zoom=0.1),
    AugmentConfig(crop_area=0.3, flip=True, colour=0.4),
]


@pytest.mark.parametrize("augment", AUGMENTS)
def test_random_changes_depend_on_the_batchs_seed_alone(augment: AugmentConfig) -> None:
    pictures = load(DataConfig(dataset="digits")).train
    samples = Samples(pictures, build(ModelConfig(kind="linear", size=8), 10), augment)
    first, targets = samples[batch(1, 0, 1, 2)]
    torch.rand(5)
    assert torch.equal(first, samples[batch(1, 0, 1, 2)][0])
    assert not torch.equal(first, samples[batch(2, 0, 1, 2)][0])
    assert first.shape == (3, 1, 8, 8)
    assert first.isfinite().all()
    assert targets.tolist() == pictures.targets[:3].tolist()


def test_samples_without_changes_are_the_preprocessed_pictures() -> None:
    pictures = load(DataConfig(dataset="digits")).train
    model = build(ModelConfig(kind="linear", size=8), 10)
    samples, _ = Samples(pictures, model)[batch(0, 5, 3)]
    assert torch.equal(samples, torch.stack([model.preprocess(pictures.image(k)) for k in (5, 3)]))


@pytest.mark.data
def test_mnist_is_read_whole(data_folder: Path) -> None:
    mnist = load(DataConfig(dataset="mnist"), data_folder)
    assert (len(mnist.train), len(mnist.held_out)) == (60000, 10000)
    assert mnist.train.targets[:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.train.image(0).shape == (28, 28, 3)


@pytest.mark.data
def test_flowers_are_read(data_folder: Path) -> None:
    flowers = load(DataConfig(dataset="flowers"), data_folder)
    assert flowers.labels == ("daisy", "dandelion", "roses", "sunflowers", "tulips")
    assert flowers.train.image(0).shape[2] == 3
