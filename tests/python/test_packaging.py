import io
import json
import resource
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from means import Means, TwoTensors, nothing_left, picture, write
from torch import Tensor, nn
from torch.nn import functional as F

import portfire
from portfire import _torchscript, _verified
from portfire.manifest import Manifest, MethodSpec, TensorSpec


class Noisy(Means):
    def forward(self, batch: Tensor) -> Tensor:
        return F.dropout(self.linear(batch), 0.5)  # on in eval mode too


class OtherAsScript(Means):
    def forward(self, batch: Tensor) -> Tensor:
        if torch.jit.is_scripting():
            return self.linear(batch) + 0.25
        return self.linear(batch)


class NotScriptable(Means):
    def forward(self, batch: Tensor) -> Tensor:
        return self.linear(batch).no_such_method()


class NoPostprocess(nn.Module):
    def preprocess(self, image: Tensor) -> Tensor:
        return image

    def forward(self, batch: Tensor) -> Tensor:
        return batch


class NoBatchAxis(Means):
    def forward(self, batch: Tensor) -> Tensor:
        return self.linear(batch)[0]


def extra(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if "/extra/portfire/" in name]
        return {name.partition("/extra/portfire/")[2]: archive.read(name) for name in names}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "means" / "1" / "model.pt"


def test_the_archive_holds_the_manifest_and_golden_samples(path: Path) -> None:
    manifest = write(path, golden=[picture(), picture(9, 9, 200)])
    files = extra(path)
    assert Manifest.loads(files.pop("manifest.json")) == manifest
    assert sorted(files) == [
        "golden/0/expected.safetensors",
        "golden/0/input.png",
        "golden/1/expected.safetensors",
        "golden/1/input.png",
    ]
    assert {name: len(content) for name, content in files.items()} == {
        name: row.bytes for name, row in manifest.files.items()
    }


def test_assets_travel_and_are_held_against_their_hashes(path: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("one\ntwo\n")
    manifest = write(path, assets={"words.txt": tmp_path / "words.txt", "deep/er.bin": b"\x00\x01"})
    files = extra(path)
    assert files["assets/words.txt"] == b"one\ntwo\n"
    assert files["assets/deep/er.bin"] == b"\x00\x01"
    assert manifest.files["assets/words.txt"].bytes == 8
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(path.with_name("changed.pt"), "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry, b"one\nTwo\n" if entry.filename.endswith("words.txt") else content)
    with pytest.raises(
        portfire.InvalidPackageError, match=r"assets/words.txt.*it was changed after packaging"
    ):
        portfire.load(path.with_name("changed.pt"))


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../up", "a//b", "a/./b", "a\\b", "a\nb"])
def test_assets_have_plain_relative_names(path: Path, name: str) -> None:
    with pytest.raises(portfire.InvalidArgumentError, match="names no asset"):
        write(path, assets={name: b"x"})
    assert nothing_left(path)


def test_a_missing_asset_is_named(path: Path) -> None:
    with pytest.raises(portfire.NotFoundError, match=r"none\.txt: cannot be read"):
        write(path, assets={"words.txt": "none.txt"})
    assert nothing_left(path)


def test_golden_outputs_are_eager_pythons(path: Path) -> None:
    module = Means().eval()
    write(path, module)
    expected = portfire.decode_safetensors(extra(path)["golden/0/expected.safetensors"])
    sample = module.preprocess(torch.from_numpy(picture()))
    logits = module(sample[None])
    assert sorted(expected) == ["forward/logits", "postprocess/probabilities", "preprocess/sample"]
    assert np.array_equal(expected["preprocess/sample"].numpy(), sample.numpy())
    assert np.array_equal(expected["forward/logits"].numpy(), logits.detach().numpy())
    assert expected["forward/logits"].shape == (1, 2)
    assert np.array_equal(
        expected["postprocess/probabilities"].numpy(), logits[0].softmax(0).detach().numpy()
    )


def test_the_runtime_answers_what_python_answers(path: Path) -> None:
    module = Means().eval()
    write(path, module)
    image = picture(3, 8, 130)
    logits = module(module.preprocess(torch.from_numpy(image))[None])[0].detach()
    answer = portfire.load(path).run(portfire.encode_png(image))
    assert isinstance(answer, portfire.Classification)
    assert answer.probability == pytest.approx(float(logits.softmax(0).max()), abs=1e-6)


def test_specs_are_derived(path: Path) -> None:
    methods = write(path).methods
    assert methods["preprocess"].inputs[0] == TensorSpec(
        name="image", dtype="uint8", shape=("H", "W", 3), minimum=0, maximum=255, layout="HWC"
    )
    assert methods["preprocess"].outputs[0].shape == (3,)
    assert methods["forward"].inputs[0] == TensorSpec(name="batch", dtype="float32", shape=("N", 3))
    assert methods["forward"].outputs[0] == TensorSpec(name="logits", dtype="float32", shape=("N", 2))
    assert methods["postprocess"].outputs[0].shape == (2,)


def test_a_given_spec_that_the_module_does_not_keep_is_refused(path: Path) -> None:
    row = TensorSpec(name="batch", dtype="float32", shape=("N", 4))
    forward = MethodSpec(inputs=(row,), outputs=(TensorSpec(name="y", dtype="float32", shape=("N", 2)),))
    with pytest.raises(portfire.InvalidArgumentError, match=r"batch is float32 \[1, 3\]; its spec says"):
        write(path, methods={"forward": forward})
    assert nothing_left(path)


def test_golden_inputs_may_be_bytes_paths_or_arrays(path: Path, tmp_path: Path) -> None:
    encoded = portfire.encode_png(picture())
    file = tmp_path.parent / f"{tmp_path.name}.png"
    file.write_bytes(encoded)
    write(path, golden=[encoded, file, str(file), picture(), picture()[..., 0], torch.from_numpy(picture())])
    files = extra(path)
    assert {files[f"golden/{k}/input.png"] for k in range(3)} == {encoded}
    assert np.array_equal(portfire.decode_image(files["golden/4/input.png"]).numpy(), picture())


def test_a_jpeg_is_stored_as_it_is(path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    buffer = io.BytesIO()
    image.fromarray(picture(16, 16)).save(buffer, "JPEG")
    write(path, golden=[buffer.getvalue()])
    assert extra(path)["golden/0/input.jpg"] == buffer.getvalue()


def test_the_module_is_left_as_it_was(path: Path) -> None:
    module = Means().train()
    write(path, module)
    assert module.training
    assert all(x.requires_grad for x in module.parameters())


def test_a_scripted_module_is_packaged_too(path: Path) -> None:
    write(path, _torchscript.script(Means(), ("preprocess", "forward", "postprocess")))
    assert portfire.load(path).verify().passed


def test_a_class_that_was_scripted_before_is_packaged_too(path: Path) -> None:
    class Before(Means):
        pass

    torch.jit.script(Before())
    write(path, Before())
    assert portfire.load(path).verify().passed


def test_a_failure_keeps_the_package_that_was_there(path: Path) -> None:
    write(path)
    before = path.read_bytes()
    with pytest.raises(portfire.VerificationFailedError):
        write(path, OtherAsScript())
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_noise_in_eval_mode_is_refused(path: Path) -> None:
    torch.manual_seed(0)
    with pytest.raises(portfire.VerificationFailedError, match=r"forward gives another output.*dropout"):
        write(path, Noisy(), golden=[picture(value=k) for k in (10, 60, 110, 160, 210)])
    assert nothing_left(path)


def test_a_module_that_is_another_as_script_is_refused(path: Path) -> None:
    with pytest.raises(
        portfire.VerificationFailedError,
        match=r"forward computes something else as TorchScript.*output logits: off by 0\.25",
    ):
        write(path, OtherAsScript())
    assert nothing_left(path)


def test_a_native_mismatch_names_stage_output_and_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = _torchscript.save

    def save_another(scripted: nn.Module, files: dict[str, bytes]) -> bytes:
        with torch.no_grad():
            scripted.linear.bias += 0.5  # type: ignore[operator]
        return save(scripted, files)

    monkeypatch.setattr(_torchscript, "save", save_another)
    with pytest.raises(portfire.VerificationFailedError, match=r"model\.pt.*forward.*logits.*0\.5") as caught:
        write(path)
    assert ".model-" not in str(caught.value)
    assert nothing_left(path)


def test_what_the_runtime_refuses_is_not_packaged(path: Path) -> None:
    class Viewer(Means):
        def forward(self, batch: Tensor) -> Tensor:
            return torch.as_strided(self.linear(batch), (1, 2), (2, 1))

    with pytest.raises(portfire.UntrustedPackageError, match="as_strided"):
        write(path, Viewer())
    assert nothing_left(path)


def test_an_interrupt_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(scratch: Path, target: Path) -> None:
        assert scratch.stat().st_size > 1000
        raise KeyboardInterrupt

    monkeypatch.setattr(_verified, "_verify", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(path)
    assert nothing_left(path)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_nothing_behind(path: Path) -> None:
    with largest_file(2000), pytest.raises(portfire.IoError, match=r"model\.pt: cannot be written"):
        write(path)
    assert nothing_left(path)


def test_a_folder_that_is_a_file_is_one_clear_error(path: Path) -> None:
    path.parents[1].write_text("in the way")
    with pytest.raises(portfire.IoError, match="cannot be written"):
        write(path)
    assert path.parents[1].read_text() == "in the way"


def test_a_missing_method_is_named(path: Path) -> None:
    with pytest.raises(portfire.InvalidArgumentError, match="NoPostprocess has no method postprocess"):
        write(path, NoPostprocess())


def test_a_module_that_cannot_be_scripted_says_why_and_where(path: Path) -> None:
    with pytest.raises(portfire.InvalidArgumentError) as caught:
        write(path, NotScriptable())
    message = str(caught.value)
    assert message.startswith("NotScriptable cannot be scripted: ")
    assert "no_such_method" in message
    assert "test_packaging.py:" in message
    assert len(message) < 300
    assert "\n" not in message


def test_forward_must_keep_the_batch_axis(path: Path) -> None:
    with pytest.raises(portfire.InvalidArgumentError, match="no batch axis"):
        write(path, NoBatchAxis())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"golden": []}, "no golden samples"),
        ({"golden": [b"text"]}, "golden sample 0"),
        ({"labels": ("one", "two", "three")}, "3 labels"),
        ({"name": "Means!"}, "Means!"),
        ({"task": "poetry"}, "poetry"),
    ],
)
def test_refuses(path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises((portfire.InvalidArgumentError, portfire.InvalidInputError), match=said):
        write(path, **changes)
    assert nothing_left(path)


def test_refuses_another_suffix(path: Path) -> None:
    with pytest.raises(portfire.InvalidArgumentError, match=r"model\.bin"):
        write(path.with_suffix(".bin"))


def test_a_missing_golden_file_is_named(path: Path) -> None:
    with pytest.raises(portfire.NotFoundError, match=r"no-such\.png"):
        write(path, golden=["no-such.png"])


def test_tensors_are_stored_by_argument_name(path: Path) -> None:
    pairs = [
        {"a": np.ones((n, 3), np.float32), "b": np.ones((3, 2), np.float32)} for n in (2, 5)
    ]  # a's rows vary
    manifest = write(path, TwoTensors(), task="tensor", labels=(), golden=pairs)
    forward = manifest.methods["forward"]
    assert [spec.shape for spec in forward.inputs] == [("D0", 3), (3, 2)]
    assert [spec.shape for spec in forward.outputs] == [("D0", 2), ()]
    assert manifest.raw_input.kind == "tensor"
    assert json.loads(manifest.dumps())["golden"][1]["input"] == "golden/1/input.safetensors"
    outputs = portfire.load(path).forward(np.ones((4, 3), np.float32), np.ones((3, 2), np.float32))
    assert [spec.name for spec in forward.outputs] == ["output_0", "output_1"] == list(outputs)
    assert outputs["output_0"].shape == (4, 2)
    assert float(outputs["output_1"].numpy()) == 12


def test_one_tensor_may_be_an_array_or_npy(path: Path) -> None:
    class Double(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2

    array = np.arange(6, dtype=np.int64).reshape(2, 3)
    write(path, Double(), task="tensor", labels=(), golden=[array, portfire.encode_npy(array)])
    assert sorted(name for name in extra(path) if "input" in name) == [
        "golden/0/input.npy",
        "golden/1/input.npy",
    ]


def test_wrong_argument_names_are_named(path: Path) -> None:
    with pytest.raises(portfire.InvalidArgumentError, match="has the tensors a, c; forward takes a, b"):
        pair = {"a": np.ones((1, 1), np.float32), "c": np.ones((1, 1), np.float32)}
        write(path, TwoTensors(), task="tensor", labels=(), golden=[pair])
