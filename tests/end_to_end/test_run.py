"""`portfire run` on pictures: files, folders, patterns, standard input, and the bad among the good."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from faces import Program
from small_models import DigitsWorld


@pytest.fixture
def album(digits: DigitsWorld, tmp_path: Path) -> Path:
    """A folder of three pictures, one of them in a folder beneath, and two that are hidden."""
    album = tmp_path / "album"
    (album / "more").mkdir(parents=True)
    (album / ".cache").mkdir()
    for source, name in zip(
        digits.pictures, ("a.png", "more/b.png", "z.png", ".h.png", ".cache/c.png"), strict=False
    ):
        shutil.copy(source, album / name)
    return album


def _inputs(out: list[dict[str, object]]) -> list[object]:
    return [line["input"] for line in out]


def test_one_picture_gives_its_label_and_the_next_likely_ones(digits: DigitsWorld, program: Program) -> None:
    done = program("run", digits.folder, digits.pictures[0])
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"{digits.pictures[0]}: {digits.targets[0]}  ")
    assert done.out.count("%") == 5
    assert done.out.count("\n") == 1


def test_top_sets_how_many_classes_are_named(digits: DigitsWorld, program: Program) -> None:
    for given, named in ((3, 3), (99, 10)):
        (line,) = program("run", "--json", "--top", given, digits.folder, digits.pictures[0]).objects
        assert len(line["answer"]["top"]) == named
    done = program("run", "--top", 0, digits.folder, digits.pictures[0])
    assert done.status == 64
    assert "0" in done.error


def test_json_lines_have_the_input_and_the_typed_answer(digits: DigitsWorld, program: Program) -> None:
    done = program("run", "--json", digits.folder, *digits.pictures[:40])
    assert (done.status, done.err) == (0, "")
    assert _inputs(done.objects) == [str(path) for path in digits.pictures[:40]]
    for line in done.objects:
        answer = line["answer"]
        assert set(line) == {"input", "answer"}
        assert set(answer["top"][0]) == {"index", "label", "probability"}
        assert answer["label"] == answer["top"][0]["label"]
        assert answer["probability"] == answer["top"][0]["probability"]
        assert 0 <= answer["top"][4]["probability"] <= answer["top"][0]["probability"] <= 1


def test_a_folder_stands_for_all_files_beneath_it(digits: DigitsWorld, album: Path, program: Program) -> None:
    done = program("run", "--json", digits.folder, album)
    assert done.status == 0
    assert _inputs(done.objects) == [str(album / name) for name in ("a.png", "more/b.png", "z.png")]


def test_a_quoted_pattern_is_matched_by_the_program(
    digits: DigitsWorld, album: Path, program: Program
) -> None:
    done = program("run", "--json", digits.folder, "[az].*", "*/?.png", cwd=album)
    assert _inputs(done.objects) == ["a.png", "z.png", "more/b.png"]


def test_a_pattern_that_matches_nothing_is_a_missing_file(
    digits: DigitsWorld, album: Path, program: Program
) -> None:
    done = program("run", digits.folder, str(album / "*.gif"))
    assert done.status == 66
    assert done.error == f"{album}/*.gif: no such file"


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(
    digits: DigitsWorld, album: Path, program: Program
) -> None:
    (album / "a.png").rename(album / "[z].png")
    done = program("run", "--json", digits.folder, album / "[z].png")
    assert _inputs(done.objects) == [str(album / "[z].png")]


def test_a_folder_without_files_is_an_error(digits: DigitsWorld, tmp_path: Path, program: Program) -> None:
    (tmp_path / "void").mkdir()
    done = program("run", digits.folder, tmp_path / "void")
    assert done.status == 66
    assert "no files in it" in done.error


def test_a_dash_reads_standard_input(digits: DigitsWorld, program: Program) -> None:
    done = program("run", "--json", digits.folder, "-", stdin=digits.pictures[1].read_bytes())
    (line,) = done.objects
    assert line["input"] == "standard input"
    (same,) = program("run", "--json", digits.folder, digits.pictures[1]).objects
    assert line["answer"] == same["answer"]


def test_an_empty_standard_input_is_named_in_the_error(digits: DigitsWorld, program: Program) -> None:
    done = program("run", digits.folder, "-")
    assert done.status == 65
    assert done.error.startswith("standard input: ")


def test_bad_files_are_reported_and_the_others_answered(
    digits: DigitsWorld, album: Path, program: Program
) -> None:
    (album / "loop.png").symlink_to("loop.png")  # refuses to be opened, for root too
    (album / "text.png").write_text("Once upon a time")
    names = ["a.png", "text.png", "gone.png", "loop.png", "z.png"]
    done = program("run", "--json", digits.folder, *names, cwd=album)
    assert done.status == 65  # the first error's
    assert done.err == ""
    assert _inputs(done.objects) == names
    assert [line.get("error", {}).get("code") for line in done.objects] == [
        None,
        "invalid-input",
        "not-found",
        "io",
        None,
    ]
    people = program("run", digits.folder, *names, cwd=album)
    assert people.status == 65
    assert [line.split(":")[0] for line in people.lines] == ["a.png", "z.png"]
    assert [line.split(":")[1].strip() for line in people.err.splitlines()] == [
        "text.png",
        "gone.png",
        "loop.png",
    ]


def test_a_bad_picture_does_not_change_the_answers_of_its_batch(
    digits: DigitsWorld, album: Path, program: Program
) -> None:
    (album / "m.png").write_bytes(b"")
    alone = [program("run", "--json", digits.folder, album / name).objects[0] for name in ("a.png", "z.png")]
    together = program(
        "run", "--json", digits.folder, *(album / name for name in ("a.png", "m.png", "z.png"))
    )
    assert [together.objects[0]["answer"]["label"], together.objects[2]["answer"]["label"]] == [
        line["answer"]["label"] for line in alone
    ]
    for line, same in zip((together.objects[0], together.objects[2]), alone, strict=True):
        assert line["answer"]["probability"] == pytest.approx(same["answer"]["probability"], abs=1e-6)


def test_names_that_are_no_utf8_and_hold_line_breaks_stay_one_line(
    digits: DigitsWorld, tmp_path: Path, program: Program
) -> None:
    name = tmp_path / "two\nlines\udcff.png"  # a byte 0xff
    shutil.copy(digits.pictures[0], name)
    done = program("run", "--json", digits.folder, tmp_path)
    (line,) = done.objects
    assert "two\nlines" in line["input"]
    name.write_text("Once")
    bad = program("run", "--json", digits.folder, tmp_path)
    assert len(bad.objects) == 1
    assert bad.objects[0]["error"]["code"] == "invalid-input"


def test_device_engine_and_threads_are_taken(digits: DigitsWorld, program: Program) -> None:
    options = ("--device", "cpu", "--engine", "torchscript", "--threads", 1)
    done = program("run", "--json", *options, digits.folder, digits.pictures[0])
    (line,) = done.objects
    (same,) = program("run", "--json", digits.folder, digits.pictures[0]).objects
    assert line["answer"]["label"] == same["answer"]["label"]
