import hashlib
import io
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

import portfire
from portfire.train import datasets
from portfire.train.datasets import DATASETS, DataSet, RemoteFile, cache_folder, data_folder, locate_files


def small(content: bytes = b"abc") -> DataSet:
    file = RemoteFile(
        url="http://127.0.0.1:1/a.bin", sha256=hashlib.sha256(content).hexdigest(), size=len(content)
    )
    return DataSet(name="small", title="", licence="MIT", source="", folder="small", files=(file,))


def test_every_row_is_complete() -> None:
    for name, row in DATASETS.items():
        assert row.name == name
        assert row.title
        assert row.licence
        assert row.source.startswith("https://")
        for file in row.files:
            assert re.fullmatch(r"https?://.+/[^/]+", file.url)
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert file.size > 0


@pytest.mark.parametrize("place", ["", "small", "images/small"])
def test_a_local_copy_is_found(tmp_path: Path, place: str) -> None:
    path = tmp_path / place / "a.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"abc")
    assert locate_files(small(), tmp_path) == {"a.bin": path}


def test_a_changed_local_copy_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"abd")
    with pytest.raises(portfire.InvalidInputError, match=r"a\.bin: sha256"):
        locate_files(small(), tmp_path)


def test_a_local_copy_without_the_set_names_the_files(tmp_path: Path) -> None:
    with pytest.raises(portfire.NotFoundError, match=r"a\.bin"):
        locate_files(small(), tmp_path)


def test_the_cache_follows_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "portfire" / "data"
    (cache_folder() / "small").mkdir(parents=True)
    (cache_folder() / "small" / "a.bin").write_bytes(b"abc")
    assert locate_files(small(), None) == {"a.bin": cache_folder() / "small" / "a.bin"}


def test_the_environment_names_a_local_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTFIRE_DATA", str(tmp_path))
    assert data_folder(None) == tmp_path
    assert data_folder(tmp_path / "..") == tmp_path / ".."
    monkeypatch.setenv("PORTFIRE_DATA", str(tmp_path / "no-such"))
    with pytest.raises(portfire.NotFoundError, match="no-such"):
        data_folder(None)


def test_a_folder_is_known_by_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "text" / "small" / "train").mkdir(parents=True)
    for data in (tmp_path, tmp_path / "text", tmp_path / "text" / "small"):
        assert datasets.locate_folder(small(), data, holds="train") == tmp_path / "text" / "small"
    with pytest.raises(portfire.NotFoundError, match="does not hold small"):
        datasets.locate_folder(small(), tmp_path, holds="test")


def archive(path: Path, name: str) -> None:
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = 3
        if name == "link":
            entry.size, entry.type, entry.linkname = 0, tarfile.SYMTYPE, "/tmp"
        tar.addfile(entry, io.BytesIO(b"abc"))


def zip_archive(path: Path, name: str) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(name, b"abc")


def test_an_archive_is_unpacked_whole(tmp_path: Path) -> None:
    archive(tmp_path / "a.tgz", "photos/rose/1.jpg")
    datasets.unpack(tmp_path / "a.tgz", tmp_path / "photos")
    assert (tmp_path / "photos" / "rose" / "1.jpg").read_bytes() == b"abc"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tgz", "photos"]


@pytest.mark.parametrize("name", ["../outside.jpg", "photos/../../outside.jpg", "/tmp/outside.jpg", "link"])
def test_an_archive_cannot_write_elsewhere(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    archive(folder / "a.tgz", name)
    with pytest.raises(portfire.InvalidInputError, match="no file or folder within it"):
        datasets.unpack(folder / "a.tgz", folder / "photos")
    assert [path.name for path in tmp_path.rglob("*")] == ["cache", "a.tgz"]


def test_a_zip_is_unpacked_whole(tmp_path: Path) -> None:
    zip_archive(tmp_path / "a.zip", "texts/train.tsv")
    datasets.unpack(tmp_path / "a.zip", tmp_path / "texts")
    assert (tmp_path / "texts" / "train.tsv").read_bytes() == b"abc"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "texts"]


@pytest.mark.parametrize("name", ["../outside.tsv", "texts/../../outside.tsv", "/tmp/outside.tsv"])
def test_a_zip_cannot_write_elsewhere(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    zip_archive(folder / "a.zip", name)
    with pytest.raises(portfire.InvalidInputError, match="no file or folder within it"):
        datasets.unpack(folder / "a.zip", folder / "texts")
    assert [path.name for path in tmp_path.rglob("*")] == ["cache", "a.zip"]
