"""Bad input is a one-line error with the right code in all three faces, and leaves nothing behind."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from bad_input import CASES, Places, assert_one_clean_line
from faces import CppLibrary, Outcome, Program, run_in_python
from small_models import DigitsWorld


@dataclass(frozen=True, kw_only=True)
class Made:
    """A case on the disk, and what the C++ library made of it."""

    folder: Path
    model: Path
    file: Path
    before: dict[str, str]
    cpp: Outcome


def _tree(folder: Path) -> dict[str, str]:
    """Each file's hash by its path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made(
    digits: DigitsWorld, scale: Path, cpp: CppLibrary, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Made]:
    """All cases; the C++ library meets them in one process, which none may bring down."""
    places = [Places(folder=tmp_path_factory.mktemp("case"), digits=digits, scale=scale) for _ in CASES]
    pairs = [case.make(place) for case, place in zip(CASES.values(), places, strict=True)]
    before = [_tree(place.folder) for place in places]
    outcomes = cpp.run(pairs)
    return {
        name: Made(folder=place.folder, model=pair[0], file=pair[1], before=tree, cpp=outcome)
        for name, place, pair, tree, outcome in zip(CASES, places, pairs, before, outcomes, strict=True)
    }


@pytest.mark.parametrize("name", CASES)
def test_every_face_gives_the_same_code_and_message(
    name: str, made: dict[str, Made], program: Program, cpp: CppLibrary, tmp_path: Path
) -> None:
    case, here = CASES[name], made[name]
    done = program("run", here.model, here.file, cwd=tmp_path, env={"TMPDIR": str(tmp_path)})
    python = run_in_python(here.model, here.file)

    assert_one_clean_line(done.error)
    assert case.says in done.error
    assert done.out == ""
    assert done.status == cpp.codes()[case.code][0]
    assert here.cpp == Outcome(code=case.code, text=done.error)
    assert python == here.cpp
    assert list(tmp_path.iterdir()) == []
    assert _tree(here.folder) == here.before


def test_the_same_message_is_in_the_json(made: dict[str, Made], program: Program) -> None:
    for name in ("a truncated PNG", "a NaN"):  # found while running
        here = made[name]
        done = program("run", "--json", here.model, here.file)
        (line,) = done.objects
        assert line == {"input": str(here.file), "error": {"code": here.cpp.code, "message": here.cpp.text}}
        assert done.err == ""
    here = made["a truncated archive"]  # found while loading
    done = program("run", "--json", here.model, here.file)
    assert done.objects == [{"error": {"code": here.cpp.code, "message": here.cpp.text}}]
    assert done.error == here.cpp.text


@pytest.mark.parametrize("command", ["inspect", "verify", "bench"])
def test_the_other_commands_refuse_a_bad_model_alike(
    command: str, made: dict[str, Made], program: Program, cpp: CppLibrary
) -> None:
    for name in ("a zip bomb", "a newer format version"):
        here = made[name]
        done = program(command, here.model)
        assert done.error == here.cpp.text
        assert done.status == cpp.codes()[here.cpp.code][0]
        assert done.out == ""


def test_verify_reports_what_the_golden_samples_deny(made: dict[str, Made], program: Program) -> None:
    here = made["parameters that the golden samples deny"]
    done = program("verify", "--json", here.model)
    assert done.status == 1
    (report,) = done.objects
    assert report["passed"] is False
    assert any(not stage["passed"] and stage["stage"] == "forward" for stage in report["stages"])
    assert "not verified" in program("verify", here.model).out
