"""inspect, verify and bench, the help, the version and the exit statuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from exported import Saved
from faces import CppLibrary, Program
from small_models import DigitsWorld

import portfire

COMMANDS = ("inspect", "verify", "run", "bench", "tune", "completion")


def test_version_names_portfire_and_libtorch(program: Program) -> None:
    done = program("--version")
    assert (done.status, done.err) == (0, "")
    assert done.out == f"portfire {portfire.version()} (LibTorch {portfire.torch_version()})\n"


def test_help_lists_every_command(program: Program) -> None:
    done = program("--help")
    assert (done.status, done.err) == (0, "")
    for command in COMMANDS:
        assert f"\n  {command} " in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command: str, program: Program) -> None:
    done = program(command, "--help")
    assert (done.status, done.err) == (0, "")
    examples = done.out.partition("Examples:\n")[2]
    assert f"portfire {command} " in examples


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "subcommand is required"),
        (("fly",), 'no command "fly"'),
        (("fly", "--json"), "fly"),
        (("run",), "model is required"),
        (("run", "model.pt"), "no inputs; name files"),
        (("inspect", "model.pt", "--fast"), "--fast"),
        (("verify", "model.pt", "--optimize", "much"), "--optimize"),
        (("bench", "model.pt", "--batch", "many"), "--batch"),
        (("bench", "model.pt", "--shape", "x=1,two"), "--shape"),
        (("tune", "model.pt", "--batch", "0"), "batch is 0"),
        (("verify", "model.pt", "--precision", "int3"), "--precision"),
        (("verify", "model.pt", "--max-error", "-1"), "max_error is -1"),
        (("completion", "fish"), "shell"),
        (("verify", "model.pt", "--device", "tpu"), "tpu"),
        (("verify", "model.pt", "--engine", "steam"), "steam"),
        (("verify", "model.pt", "--threads", "-1"), "threads is -1"),
    ],
)
def test_a_wrong_argument_is_one_line_and_status_64(
    arguments: tuple[str, ...], says: str, program: Program
) -> None:
    done = program(*arguments)
    assert says in done.error
    assert done.status == 64
    assert done.out == "" or "--json" in arguments


def test_exit_statuses_tell_the_codes_apart(cpp: CppLibrary) -> None:
    codes = cpp.codes()
    statuses = [status for status, _ in codes.values()]
    assert len(set(statuses)) == len(statuses)
    assert 0 not in statuses
    assert codes["verification-failed"][0] == 1
    assert codes["cancelled"][0] == 130  # as shells have it for SIGINT


def test_python_has_an_exception_for_every_code(cpp: CppLibrary) -> None:
    for code, (_, name) in cpp.codes().items():
        exception = getattr(portfire, name)
        assert issubclass(exception, portfire.Error)
        assert exception.code == code


def test_inspect_says_what_a_package_takes_gives_and_weighs(digits: DigitsWorld, program: Program) -> None:
    done = program("inspect", digits.package)
    assert (done.status, done.err) == (0, "")
    for words in (
        "digits version 10",
        "image-classification",
        "uint8 [H, W, 3]",
        "Handwritten digits",
        "Apache-2.0",
    ):
        assert words in done.out
    assert "aten::softmax" in done.out


def test_inspect_json_is_what_the_other_faces_say(
    digits: DigitsWorld, bare: Path, program: Program, cpp: CppLibrary
) -> None:
    for model in (digits.package, bare):
        done = program("inspect", "--json", model)
        assert (done.status, done.err) == (0, "")
        (report,) = done.objects
        assert report == cpp.inspect(model).answer
        assert report == json.loads(portfire.inspect(model).to_json())
    report = program("inspect", "--json", digits.package).objects[0]
    assert report["manifest"]["name"] == "digits"
    assert report["parameters"] == sum(p.numel() for p in digits.eager.parameters())
    assert report["file_bytes"] == digits.package.stat().st_size
    assert {method["name"] for method in report["methods"]} == {"preprocess", "forward", "postprocess"}


def test_inspect_shows_the_signature_of_a_program_without_a_manifest(
    two_outputs: Path, program: Program
) -> None:
    done = program("inspect", two_outputs)
    assert done.status == 0
    assert "(x: Tensor, offset: float) -> " in done.out
    assert "aten::mean" in done.out


def test_a_folder_stands_for_its_highest_version(digits: DigitsWorld, program: Program) -> None:
    for path in (digits.folder, digits.folder / "10", digits.package):
        (report,) = program("inspect", "--json", path).objects
        assert report["path"] == str(digits.package)


@pytest.mark.parametrize("level", ["auto", "none", "freeze", "full"])
def test_verify_replays_every_stage_of_every_sample(
    level: str, digits: DigitsWorld, program: Program
) -> None:
    done = program("verify", "--json", "--optimize", level, digits.folder)
    assert (done.status, done.err) == (0, "")
    (report,) = done.objects
    assert report["passed"] is True
    stages = [(stage["sample"], stage["stage"]) for stage in report["stages"]]
    assert stages == [(k, stage) for k in range(3) for stage in ("preprocess", "forward", "postprocess")]
    for stage in report["stages"]:
        assert stage["passed"] is True
        assert stage["max_abs_error"] <= stage["atol"] + 1  # finite
    human = program("verify", "--optimize", level, digits.folder)
    assert human.status == 0
    assert "verified: 3 golden samples hold" in human.out


def test_verify_of_a_program_without_golden_samples_does_not_pass(bare: Path, program: Program) -> None:
    done = program("verify", bare)
    assert done.status == 1
    assert "nothing was verified" in done.out


def test_bench_prints_both_sides(digits: DigitsWorld, program: Program) -> None:
    done = program("bench", digits.folder, "--seconds", 0.1, "--threads", 1, "--batch", 4, "--json")
    assert (done.status, done.err) == (0, "")
    (report,) = done.objects
    assert (report["batch"], report["threads"], report["device"]) == (4, 1, "cpu")
    assert report["peak_bytes"] > 1 << 20
    for side in ("portfire", "plain_libtorch"):
        figures = report[side]
        assert 0 < figures["min_us"] <= figures["p50_us"] <= figures["p90_us"] <= figures["p99_us"]
        assert figures["first_us"] > 0 and figures["load_ms"] > 0 and figures["calls"] > 0
    assert report["items_per_second"] == pytest.approx(4e6 / report["portfire"]["p50_us"], rel=1e-3)


def test_bench_for_people_names_its_columns(bare: Path, program: Program) -> None:
    done = program("bench", bare, "--shape", "x=2,3", "--seconds", 0.05)
    assert (done.status, done.err) == (0, "")
    for words in ("load", "first call", "p50", "p90", "p99", "portfire", "plain LibTorch", "peak memory"):
        assert words in done.out
    assert (
        "plain LibTorch" not in program("bench", bare, "--shape", "2,3", "--seconds", 0.05, "--no-plain").out
    )


def test_bench_without_shapes_says_how_to_give_them(bare: Path, program: Program) -> None:
    done = program("bench", bare)
    assert done.status == 64
    assert "shape" in done.error


def test_bench_refuses_what_cannot_be_measured(bare: Path, program: Program) -> None:
    for option, value in (("--batch", 0), ("--seconds", 0), ("--seconds", "nan")):
        done = program("bench", bare, "--shape", "x=1", option, value)
        assert done.status == 64, option
        assert option.strip("-") in done.error


def test_an_engine_fault_in_a_bare_program_is_one_line(bare: Path, tmp_path: Path, program: Program) -> None:
    np.save(tmp_path / "x.npy", np.zeros(3, np.float32))
    done = program("run", bare, tmp_path / "x.npy", "--device", "cuda:99")
    assert done.status == 69
    assert "cuda:99" in done.error


def test_bench_shows_which_steps_take_the_time(saved: Saved, digits: DigitsWorld, program: Program) -> None:
    path = saved("layers")
    names = [
        line.split("# ")[1]
        for line in program("inspect", "--plan", "full", path).out.splitlines()
        if "# " in line
    ]
    done = program("bench", path, "--steps", "--threads", 1, "--seconds", 0.2, "--json")
    assert (done.status, done.err) == (0, "")
    (report,) = done.objects
    steps = report["steps"]
    assert [step["name"] for step in steps] == names
    assert any(
        step["operation"] == "portfire::convolution" and step["result"].startswith("float32[")
        for step in steps
    )
    assert all(step["us"] > 0 for step in steps)
    shown = program("bench", path, "--steps", "--threads", 1, "--seconds", 0.1).out
    assert "share" in shown and "portfire::convolution" in shown
    refused = program("bench", digits.folder, "--steps", "--engine", "torchscript", "--seconds", 0.1)
    assert refused.status == 69
    assert "torchscript has no steps" in refused.error
