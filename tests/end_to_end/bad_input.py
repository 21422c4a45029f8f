"""Everything that a user or an enemy may hand to a model, and what must come of it."""

from __future__ import annotations

import io
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hostile
import numpy as np
import torch
from PIL import Image
from small_models import DigitsWorld

Files = dict[str, bytes]  # below extra/, by name
_MANIFEST = "portfire/manifest.json"


@dataclass(frozen=True, kw_only=True)
class Places:
    """What cases are made from, and where."""

    folder: Path
    digits: DigitsWorld
    scale: Path

    @property
    def picture(self) -> Path:
        return self.digits.pictures[0]

    def file(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def array(self, array: Any) -> Path:
        np.save(self.folder / "x.npy", array)
        return self.folder / "x.npy"


@dataclass(frozen=True, kw_only=True)
class Case:
    code: str
    says: str  # part of the message
    make: Callable[[Places], tuple[Path, Path]]  # the model and the input


def repack(
    source: Path, target: Path, *, edit: Callable[[Files], Files | None], perturb: float = 0.0
) -> Path:
    """A copy of a package with other files below extra/, and `perturb` added to its parameters."""
    with zipfile.ZipFile(source) as archive:
        prefix = archive.namelist()[0].split("/")[0] + "/extra/"
        files = {n.removeprefix(prefix): archive.read(n) for n in archive.namelist() if n.startswith(prefix)}
    module = torch.jit.load(str(source))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(perturb)
    torch.jit.save(module, str(target), _extra_files=edit(files) or files)
    return target


def _image(name: str, content: Callable[[bytes], bytes], code: str, says: str) -> Case:
    def make(places: Places) -> tuple[Path, Path]:
        return places.digits.package, places.file(name, content(places.picture.read_bytes()))

    return Case(code=code, says=says, make=make)


def _array(array: Any, says: str) -> Case:
    return Case(code="invalid-input", says=says, make=lambda places: (places.scale, places.array(array)))


def _model(content: Callable[[bytes], bytes], code: str, says: str, name: str = "model.pt") -> Case:
    def make(places: Places) -> tuple[Path, Path]:
        return places.file(name, content(places.digits.package.read_bytes())), places.picture

    return Case(code=code, says=says, make=make)


def _manifest(edit: Callable[[dict[str, Any]], object], code: str, says: str) -> Case:
    def edit_files(files: Files) -> Files:
        manifest = json.loads(files[_MANIFEST])
        edit(manifest)
        return {**files, _MANIFEST: json.dumps(manifest).encode()}

    return _repacked(edit_files, code, says)


def _repacked(edit: Callable[[Files], Files | None], code: str, says: str, perturb: float = 0.0) -> Case:
    def make(places: Places) -> tuple[Path, Path]:
        return repack(
            places.digits.package, places.folder / "model.pt", edit=edit, perturb=perturb
        ), places.picture

    return Case(code=code, says=says, make=make)


def _hostile(name: str, says: str) -> Case:
    def make(places: Places) -> tuple[Path, Path]:
        archive = hostile.make(name, places.folder)
        archive.undo()
        return archive.path, places.array(np.zeros(3, np.float32))

    return Case(code="untrusted-package", says=says, make=make)


def _missing(model: str, says: str) -> Case:
    return Case(code="not-found", says=says, make=lambda places: (places.folder / model, places.picture))


def _folder_without_a_version(places: Places) -> tuple[Path, Path]:
    places.file("repository/readme.txt", b"soon")
    return places.folder / "repository", places.picture


def _newest_is_empty(places: Places) -> tuple[Path, Path]:
    shutil.copytree(places.digits.folder, places.folder / "digits")
    (places.folder / "digits" / "11").mkdir()
    return places.folder / "digits", places.picture


def _jpeg(_: bytes) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()[: len(buffer.getvalue()) // 2]


def _huge_png(_: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _huge_jpeg(_: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG")
    content = bytearray(buffer.getvalue())
    at = content.index(b"\xff\xc0")
    content[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)
    return bytes(content)


def _zip(records: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _bomb(_: bytes) -> bytes:
    return _zip({"model/data.pkl": bytes(64 << 20)}, zipfile.ZIP_DEFLATED)


def _flip_golden(files: Files) -> Files:
    name = "portfire/golden/0/input.png"
    return {**files, name: files[name][:-1] + bytes([files[name][-1] ^ 1])}


def _not_a_number() -> Any:
    array = np.full((1, 1, 8, 8), 0.5, np.float32)
    array[0, 0, 3, 3] = np.nan
    return array


CASES: Mapping[str, Case] = {
    "an empty file": _image("empty.png", lambda _: b"", "invalid-input", "empty"),
    "a text named .png": _image(
        "seven.png", lambda _: b"Once upon a time", "invalid-input", 'starts with "Onc'
    ),
    "a truncated PNG": _image("cut.png", lambda png: png[:-20], "invalid-input", "cut.png"),
    "a truncated JPEG": _image("cut.jpg", _jpeg, "invalid-input", "cut.jpg"),
    "a PNG header of 60,000 x 60,000": _image("huge.png", _huge_png, "invalid-input", "60000 x 60000"),
    "a JPEG header of 60,000 x 60,000": _image("huge.jpg", _huge_jpeg, "invalid-input", "60000 x 60000"),
    "a missing input": Case(
        code="not-found",
        says="no such file",
        make=lambda places: (places.digits.package, places.folder / "no.png"),
    ),
    "a wrong channel count": _array(np.zeros((1, 3, 8, 8), np.float32), "shape [1, 3, 8, 8]"),
    "a wrong rank": _array(np.zeros((8, 8), np.float32), "shape [8, 8]"),
    "a wrong dtype": _array(np.zeros((1, 1, 8, 8), np.float64), "dtype float64; float32"),
    "a NaN": _array(_not_a_number(), "NaN"),
    "a value out of range": _array(np.full((1, 1, 8, 8), 1.5, np.float32), "outside 0 to 1"),
    "an empty batch": _array(np.zeros((0, 1, 8, 8), np.float32), "empty"),
    "a missing model": _missing("no.pt", "no such file or folder"),
    "a folder without a version": Case(
        code="not-found", says="neither model.pt nor a version folder", make=_folder_without_a_version
    ),
    "a version folder without a package": Case(
        code="not-found", says="11 is the highest", make=_newest_is_empty
    ),
    "an empty model": _model(lambda _: b"", "invalid-package", "empty file"),
    "a text as the model": _model(lambda _: b"Once upon a time", "invalid-package", "not a package"),
    "a truncated archive": _model(lambda whole: whole[: len(whole) // 2], "invalid-package", "cut short"),
    "a zip bomb": _model(_bomb, "untrusted-package", "unpacks from"),
    "a zip that is no model": _model(
        lambda _: _zip({"holiday/diary.txt": b"sunny"}), "invalid-package", "not a model", name="holiday.zip"
    ),
    "weights without a program": _model(lambda _: _weights(), "invalid-package", "weights without a program"),
    "a manifest without a field": _manifest(lambda m: m.pop("labels"), "invalid-package", "labels"),
    "a newer format version": _manifest(
        lambda m: m.update(format_version=m["format_version"] + 1), "version-mismatch", "format_version"
    ),
    "an asset with another hash": _repacked(_flip_golden, "invalid-package", "sha256"),
    "parameters that the golden samples deny": _repacked(
        lambda _: None, "verification-failed", "golden", perturb=0.1
    ),
    "code that runs while it is loaded": _hostile("writes at load", "__setstate__"),
    "aten::save": _hostile("writes", "aten::save"),
    "aten::from_file": _hostile("reads", "aten::from_file"),
}


def _weights() -> bytes:
    buffer = io.BytesIO()
    torch.save({"weight": torch.zeros(3)}, buffer)
    return buffer.getvalue()


def assert_one_clean_line(message: str) -> None:
    """One line of plain words: no traceback, no C++ symbols, no addresses."""
    assert message and "\n" not in message and len(message) < 400, message
    for noise in ("Traceback", "c10::", "at::", "jit::", "std::", "Exception raised", "frame #", "0x"):
        assert noise not in message, message
