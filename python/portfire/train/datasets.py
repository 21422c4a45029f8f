"""The data sets that recipes know by name, and where their files lie on this machine."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from portfire import InvalidInputError, NotFoundError
from portfire.train.download import download, sha256_of
from portfire.train.remote import DataSet, RemoteFile
from portfire.train.text_sets import CORPORA, TEXT_SETS

_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

_PICTURES = (
    DataSet(
        name="digits",
        title="Optical recognition of handwritten digits, 1,797 pictures of 8 x 8, shipped with scikit-learn",
        licence="CC BY 4.0",
        source="https://archive.ics.uci.edu/dataset/80",
        folder="",
    ),
    DataSet(
        name="mnist",
        title="MNIST handwritten digits, 60,000 + 10,000 pictures of 28 x 28",
        licence="CC BY-SA 3.0",
        source="https://yann.lecun.org/exdb/mnist/",
        folder="mnist",
        files=(
            RemoteFile(
                url=_MNIST + "train-images-idx3-ubyte.gz",
                size=9912422,
                sha256="440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            RemoteFile(
                url=_MNIST + "train-labels-idx1-ubyte.gz",
                size=28881,
                sha256="3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            RemoteFile(
                url=_MNIST + "t10k-images-idx3-ubyte.gz",
                size=1648877,
                sha256="8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            RemoteFile(
                url=_MNIST + "t10k-labels-idx1-ubyte.gz",
                size=4542,
                sha256="f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ),
    ),
    DataSet(
        name="fashion-mnist",
        title="Fashion-MNIST, 60,000 + 10,000 pictures of clothes, 28 x 28",
        licence="MIT",
        source="https://github.com/zalandoresearch/fashion-mnist",
        folder="fashion_mnist",
        files=(
            RemoteFile(
                url=_FASHION + "train-images-idx3-ubyte.gz",
                size=26421880,
                sha256="3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            RemoteFile(
                url=_FASHION + "train-labels-idx1-ubyte.gz",
                size=29515,
                sha256="a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            RemoteFile(
                url=_FASHION + "t10k-images-idx3-ubyte.gz",
                size=4422102,
                sha256="346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            RemoteFile(
                url=_FASHION + "t10k-labels-idx1-ubyte.gz",
                size=5148,
                sha256="67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
    ),
    DataSet(
        name="flowers",
        title="TensorFlow's flower photographs, JPEG in five classes (3,670 in the whole set)",
        licence="CC BY 2.0, per photograph",
        source="https://www.tensorflow.org/datasets/catalog/tf_flowers",
        folder="flowers",
        files=(
            RemoteFile(
                url="https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz",
                size=228813984,
                sha256="4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
            ),
        ),
        unpacks_to="flower_photos",
    ),
)
DATASETS: Mapping[str, DataSet] = {row.name: row for row in (*_PICTURES, *TEXT_SETS, *CORPORA)}


def cache_folder() -> Path:
    """Where downloads are kept: $XDG_CACHE_HOME/portfire/data, by custom ~/.cache/portfire/data."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "portfire" / "data"


def data_folder(data: Path | None) -> Path | None:
    """The local copy to use: `data`, else $PORTFIRE_DATA, else none."""
    if data is None:
        named = os.environ.get("PORTFIRE_DATA", "")
        data = Path(named) if named else None
    if data is not None and not data.is_dir():
        raise NotFoundError(f"{data}: no such folder; it was to hold a local copy of the data")
    return data


def locate_files(dataset: DataSet, data: Path | None) -> dict[str, Path]:
    """The set's files by name, each held against its sha256: from the local copy where there is one (the
    folder itself, or the set's folder in it at most two levels down), else downloaded to the cache."""
    if data is not None:
        for folder in (data, data / dataset.folder, *sorted(data.glob(f"*/{dataset.folder}"))):
            paths = {file.name: folder / file.name for file in dataset.files}
            if all(path.is_file() for path in paths.values()):
                for file in dataset.files:
                    _check(paths[file.name], file)
                return paths
        names = ", ".join(file.name for file in dataset.files)
        raise NotFoundError(
            f"{data}: does not hold {dataset.name} ({names}); give another --data, or none to download"
        )
    paths = {file.name: cache_folder() / dataset.folder / file.name for file in dataset.files}
    for file in dataset.files:
        if not paths[file.name].is_file():
            download(file.url, paths[file.name], sha256=file.sha256, size=file.size)
        _check(paths[file.name], file)
    return paths


def locate_folder(dataset: DataSet, data: Path | None, holds: str = "") -> Path:
    """The set's folder: in the local copy, else downloaded and unpacked in the cache. In a local copy it is
    the one with the file or folder `holds`, or with any folder in it."""
    if data is not None:
        for folder in (data / dataset.folder, *sorted(data.glob(f"*/{dataset.folder}")), data):
            if (
                (folder / holds).exists()
                if holds
                else folder.is_dir() and any(child.is_dir() for child in folder.iterdir())
            ):
                return folder
        raise NotFoundError(f"{data}: does not hold {dataset.name}; give another --data, or none to download")
    target = cache_folder() / dataset.folder / dataset.unpacks_to
    if not target.is_dir():
        (archive,) = locate_files(dataset, None).values()
        unpack(archive, target)
        archive.unlink()
    return target


def unpack(archive: Path, target: Path) -> None:
    """Unpacks the folder `target.name` of a tar or zip archive to `target`, whole or not at all."""
    scratch = Path(tempfile.mkdtemp(prefix=".unpack-", dir=archive.parent))
    try:
        (_unzip if archive.suffix == ".zip" else _untar)(archive, scratch)
        (scratch / target.name).replace(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _untar(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        # By hand what the filter "data" does: Debian 12's Python has no filters yet.
        for entry in tar:
            _require_within(archive, entry.name, entry.isreg() or entry.isdir())
            tar.extract(entry, folder, set_attrs=False)


def _unzip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        for name in file.namelist():
            _require_within(archive, name, True)
        file.extractall(folder)  # writes links as plain files


def _require_within(archive: Path, name: str, plain: bool) -> None:
    if not plain or name.startswith("/") or ".." in Path(name).parts:
        raise InvalidInputError(f"{archive}: {name!r} is no file or folder within it; nothing was unpacked")


def _check(path: Path, file: RemoteFile) -> None:
    given = sha256_of(path)
    if given != file.sha256:
        raise InvalidInputError(f"{path}: sha256 is {given}, not {file.sha256}; remove it and try again")
