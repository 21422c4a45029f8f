"""AOTInductor's machine code: only where it is trusted and fits, and given what it was compiled for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from means import TwoTensors, nothing_left, write
from torch import Tensor, nn

import portfire
from portfire.manifest import MethodSpec, TensorSpec

pytestmark = pytest.mark.slow  # a compiler runs

CODE = "data/aotinductor/model/"


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(10, 64)
        self.layers = nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 4))

    def forward(self, ids: Tensor) -> Tensor:
        y: Tensor = self.layers(self.words(ids)).mean(1)
        return y


def ids(batch: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.random.default_rng(seed).integers(0, 10, (batch, 5))


def spec(**bounds: float) -> dict[str, MethodSpec]:
    return {
        "forward": MethodSpec(
            inputs=(TensorSpec(name="ids", dtype="int64", shape=("N", 5), **bounds),),
            outputs=(TensorSpec(name="logits", dtype="float32", shape=("N", 4)),),
        )
    }


OPTIONS: dict[str, Any] = {"task": "tensor", "labels": (), "golden": [ids(1), ids(3)]}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "words" / "1" / "model.pt2"
    write(
        path,
        Words(),
        methods=spec(minimum=0, maximum=9),
        formats=("torchscript", "graph", "compiled"),
        **OPTIONS,
    )
    return path


@pytest.fixture(scope="module")
def model(path: Path) -> portfire.Model:
    return portfire.load(path, engine="compiled", trust_compiled=True)


def edited(path: Path, target: Path, edit: Callable[[dict[str, bytes]], None]) -> Path:
    with zipfile.ZipFile(path) as archive:
        files = {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}
    edit(files)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(f"model/{name}"), data)
    return target


def code_of(files: dict[str, bytes], ending: str) -> str:
    return next(name for name in files if name.startswith(CODE) and name.endswith(ending))


def test_it_computes_what_eager_does_for_every_batch(model: portfire.Model) -> None:
    assert model.info.engine == "compiled"
    assert model.verify().passed
    eager = Words().eval()
    for batch in (1, 2, 7, 64):
        x = ids(batch, batch)
        with torch.no_grad():
            y = eager(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(np.asarray(model.forward(x)), y, atol=1e-6)


def test_layouts_other_than_the_compiled_one_are_made_plain(model: portfire.Model) -> None:
    x = ids(4)
    wanted = np.asarray(model.forward(x))
    wide = np.repeat(x, 2, 1)
    for same in (wide[:, ::2], np.asfortranarray(x), x[::-1][::-1]):
        np.testing.assert_array_equal(np.asarray(model.forward(same)), wanted)
    shifted = np.frombuffer(b"12345678" + x.tobytes(), np.int64, offset=8).reshape(x.shape)
    np.testing.assert_array_equal(np.asarray(model.forward(shifted)), wanted)
    one = torch.from_numpy(ids(1)).expand(4, 5)
    row = np.asarray(model.forward(ids(1)))
    np.testing.assert_allclose(np.asarray(model.forward(one)), np.repeat(row, 4, 0), atol=1e-6)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (np.full((2, 5), 10), "outside 0 to 9"),
        (np.full((2, 5), -1), "outside 0 to 9"),
        (np.full((2, 5), 2**40), "outside 0 to 9"),
        (np.zeros((2, 6), np.int64), r"shape \[2, 6\]"),
        (np.zeros((0, 5), np.int64), "is empty"),
        (np.zeros(5, np.int64), r"shape \[5\]"),
        (np.zeros((2, 5), np.int32), "dtype int32"),
        (np.zeros((2, 5), np.float32), "dtype float32"),
    ],
)
def test_what_would_end_the_process_is_one_line(
    model: portfire.Model, bad: np.ndarray[Any, Any], says: str
) -> None:
    with pytest.raises(portfire.InvalidInputError, match=says):
        model.forward(bad)


def test_the_token_that_kills_the_stock_loader(path: Path) -> None:
    """So the checks before it are worth having."""
    script = (
        "import sys, torch\n"
        "run = torch._inductor.aoti_load_package(sys.argv[1])\n"
        "run(torch.zeros(2, 5, dtype=torch.int64)); print('alive', flush=True)\n"
        "run(torch.full((2, 5), 10)); print('still alive')\n"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("alive\n", -6)


def test_nothing_is_loaded_before_it_is_trusted(path: Path) -> None:
    for options in ({}, {"optimization": "none"}):
        with pytest.raises(
            portfire.UntrustedPackageError, match=r"can do whatever this process can.*--trust-comp"
        ):
            portfire.load(path, engine="compiled", **options)
    script = (
        "import sys, portfire\n"
        "maps = lambda: 'memfd:portfire' in open('/proc/self/maps').read()\n"
        "portfire.inspect(sys.argv[1]); a = portfire.load(sys.argv[1])\n"
        "b = portfire.load(sys.argv[1], trust_compiled=True); print(a.info.engine, b.info.engine, maps())\n"
        "c = portfire.load(sys.argv[1], engine='compiled', trust_compiled=True)\n"
        "print(c.info.engine, maps())\n"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert done.stdout == "graph graph False\ncompiled True\n"


def test_the_rule_leaves_it_alone_and_tune_measures_it(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert portfire.engines(path.parent) == ["graph", "torchscript"]
    quick: dict[str, Any] = {"seconds": 0.01, "threads": [1]}
    assert "compiled" not in {row.engine for row in portfire.tune(path.parent, keep=False, **quick).rows}
    report = portfire.tune(path.parent, trust_compiled=True, **quick)
    assert {row.engine for row in report.rows if not row.problem} == {"graph", "compiled", "torchscript"}
    profile = json.loads(Path(report.profile).read_text())
    for row in profile["rows"]:
        row["p50_us"] = 1.0 if row["engine"] == "compiled" else 100.0
    Path(report.profile).write_text(json.dumps(profile))
    assert portfire.load(path.parent, trust_compiled=True).info.engine == "compiled"
    assert portfire.load(path.parent).info.engine == "graph"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"AOTI_CPU_ISA": "AVX99"}, 'this processor has no "AVX99"'),
        ({"AOTI_MACHINE": "riscv64"}, "compiled for linux riscv64 .*, but this is linux "),
        ({"AOTI_PLATFORM": "darwin"}, "but this is linux "),
        ({"AOTI_DEVICE_KEY": "cuda"}, "but the device asked for is cpu"),
        ({"PORTFIRE_TORCH": "2.12.0"}, "torch 2.12.0, but this is torch 2.13.0"),
        ({"PORTFIRE_TORCH": ""}, "torch of an unknown version, but this is torch"),
    ],
)
def test_code_for_another_machine_is_refused_and_the_graph_serves(
    path: Path, tmp_path: Path, change: dict[str, str], says: str
) -> None:
    def edit(files: dict[str, bytes]) -> None:
        name = code_of(files, "_metadata.json")
        files[name] = json.dumps({**json.loads(files[name]), **change}).encode()

    other = edited(path, tmp_path / "model.pt2", edit)
    with pytest.raises(portfire.UnsupportedError, match=f"{says}.*; use the engine graph"):
        portfire.load(other, engine="compiled", trust_compiled=True)
    assert portfire.load(other, trust_compiled=True).verify().passed


def test_damaged_packages_are_refused_by_name(path: Path, tmp_path: Path) -> None:
    def refused(edit: Callable[[dict[str, bytes]], None], kind: type[portfire.Error], says: str) -> None:
        other = edited(path, tmp_path / "model.pt2", edit)
        with pytest.raises(kind, match=says) as error:
            portfire.load(other, engine="compiled", trust_compiled=True)
        assert "\n" not in str(error.value)

    def no_target(files: dict[str, bytes]) -> None:
        del files[code_of(files, "_metadata.json")]

    def rubbish(files: dict[str, bytes]) -> None:
        files[code_of(files, ".so")] = b"rubbish"

    def cut(files: dict[str, bytes]) -> None:
        files[code_of(files, ".so")] = files[code_of(files, ".so")][:5000]

    def empty(files: dict[str, bytes]) -> None:
        """A shared object, but none of AOTInductor's."""
        library = next(Path(portfire.__file__).parent.glob("_core*.so"))
        files[code_of(files, ".so")] = library.read_bytes()

    def none(files: dict[str, bytes]) -> None:
        for ending in (".so", "_metadata.json"):
            del files[code_of(files, ending)]

    def elsewhere(files: dict[str, bytes]) -> None:
        files["extra/helper.so"] = b"rubbish"

    def disguised(files: dict[str, bytes]) -> None:
        files["data/weights/weight_9"] = files[code_of(files, ".so")]

    refused(no_target, portfire.InvalidPackageError, "does not say what it was compiled for")
    refused(rubbish, portfire.InvalidPackageError, "its shared object is none, or cut off")
    refused(cut, portfire.InvalidPackageError, "its shared object is none, or cut off")
    refused(empty, portfire.UnsupportedError, "model.pt2: .*undefined symbol: AOTInductor")
    refused(none, portfire.UnsupportedError, "which the engine compiled does not run")
    refused(elsewhere, portfire.UntrustedPackageError, "extra/helper.so: a shared object where none belongs")
    refused(disguised, portfire.UntrustedPackageError, "weight_9: a shared object where none belongs")


def test_many_threads_at_once(model: portfire.Model) -> None:
    inputs = [ids(1 + k % 9, k) for k in range(200)]
    alone = [np.asarray(model.forward(x)) for x in inputs]
    with ThreadPoolExecutor(8) as pool:
        for wanted, given in zip(alone, pool.map(model.forward, inputs), strict=True):
            np.testing.assert_array_equal(np.asarray(given), wanted)


class Clamps(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.clamp_(0, 5).sum(1)


class Looks(nn.Module):
    """Looks up what it computes: NaN becomes an index beyond the table."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.rand(10, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.table[(x * 2).long()]


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        return x * self.count


@pytest.mark.parametrize(
    ("module", "says"),
    [
        (Counts(), "it writes to its inputs or weights|gives another output when it is called again"),
        (Looks(), r"it computes the indices of aten::\w+, which compiled code does not check"),
    ],
)
def test_what_could_end_the_process_or_change_is_not_compiled(
    tmp_path: Path, module: nn.Module, says: str
) -> None:
    path = tmp_path / "one" / "1" / "model.pt2"
    one = np.ones((2, 3), np.float32)
    with pytest.raises(portfire.Error, match=says):
        write(path, module, task="tensor", labels=(), golden=[one], formats=("graph", "compiled"))
    assert nothing_left(path)


def test_what_works_in_place_leaves_the_callers_input_alone(tmp_path: Path) -> None:
    path = tmp_path / "one" / "1" / "model.pt2"
    golden = [np.ones((2, 3), np.float32), np.ones((4, 3), np.float32)]
    write(path, Clamps(), task="tensor", labels=(), golden=golden, formats=("graph", "compiled"))
    model = portfire.load(path, engine="compiled", trust_compiled=True)
    for writeable in (True, False):
        x = np.full((16, 3), 9, np.float32)
        x.flags.writeable = writeable
        np.testing.assert_array_equal(np.asarray(model.forward(x)), np.full(16, 15, np.float32))
        assert (x == 9).all()


class Keeps(nn.Module):
    """Gives what lies in its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.arange(12.0).reshape(3, 4))
        self.register_buffer("whole", torch.ones(5))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return x * 2, self.table.t(), self.table[1:], self.whole


@pytest.mark.parametrize("engine", ["graph", "compiled"])
def test_a_caller_may_write_to_what_lies_in_a_weight(engine: str, tmp_path: Path) -> None:
    write(
        tmp_path / "k.pt2",
        Keeps(),
        task="tensor",
        labels=(),
        golden=[np.ones((2, 3), np.float32)],
        formats=("graph", "compiled"),
    )
    model = portfire.load(tmp_path / "k.pt2", engine=engine, trust_compiled=True)
    x = np.ones((2, 3), np.float32)
    before = [np.array(one) for one in model.forward(x).values()]
    for one in model.forward(x).values():
        torch.from_dlpack(one).fill_(7)
    for a, b in zip(before, model.forward(x).values(), strict=True):
        np.testing.assert_array_equal(a, np.asarray(b))


def test_integers_without_a_range_are_not_compiled(tmp_path: Path) -> None:
    path = tmp_path / "words" / "1" / "model.pt2"
    with pytest.raises(portfire.InvalidArgumentError, match="give the minimum and maximum of ids"):
        write(path, Words(), methods=spec(minimum=0), formats=("graph", "compiled"), **OPTIONS)
    with pytest.raises(portfire.InvalidArgumentError, match='add "graph" to formats'):
        write(path, TwoTensors(), formats=("compiled",), **OPTIONS)
    assert nothing_left(path)


def test_no_place_of_this_machine_is_named(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        content = b"".join(archive.read(name) for name in archive.namelist() if CODE in name)
    assert b"AOTInductorModelContainerRun" in content
    assert str(Path(__file__).parent).encode() not in content
    for place in (tempfile.gettempdir(), str(Path(torch.__file__).parent)):
        assert place.encode() not in content


SIGNATURES = Path(__file__).parents[1] / "data" / "signatures"


def test_a_signature_of_a_trusted_key_is_trust(path: Path, tmp_path: Path) -> None:
    """With minisign itself where it is installed; the format has tests of its own in C++."""

    def load(*keys: object) -> portfire.Model:
        return portfire.load(signed, engine="compiled", trusted_keys=[str(key) for key in keys])

    signed = tmp_path / "model.pt2"
    signed.write_bytes(path.read_bytes())
    with pytest.raises(
        portfire.UntrustedPackageError, match=r"nobody signed it \(.*model.pt2.minisig is missing"
    ):
        load(SIGNATURES / "author.pub")
    signature = tmp_path / "model.pt2.minisig"
    signature.write_text((SIGNATURES / "model.minisig").read_text())
    with pytest.raises(portfire.UntrustedPackageError, match="its signature was made for another file"):
        load(SIGNATURES / "author.pub")
    with pytest.raises(
        portfire.UntrustedPackageError, match="by the key DB697A99372E7035, which is not trusted"
    ):
        load(SIGNATURES / "other.pub")
    with pytest.raises(portfire.InvalidArgumentError, match=r'"none.pub" is no public key of minisign'):
        load("none.pub")
    key, public = tmp_path / "own.key", tmp_path / "own.pub"
    minisign = shutil.which("minisign")
    if minisign is None:
        pytest.skip("minisign is not installed")
    subprocess.run([minisign, "-G", "-W", "-s", key, "-p", public], check=True, capture_output=True)
    subprocess.run([minisign, "-S", "-s", key, "-m", signed], check=True, capture_output=True)
    assert load(SIGNATURES / "author.pub", public).verify().passed
    assert load(public.read_text().splitlines()[1]).info.engine == "compiled"
    assert "compiled" in {
        row.engine for row in portfire.tune(signed, trusted_keys=[str(public)], keep=False).rows
    }
    signed.write_bytes(path.read_bytes()[:-1] + b"\x01")  # the comment's length: as a zip it is another
    with pytest.raises(portfire.Error):
        load(public)
