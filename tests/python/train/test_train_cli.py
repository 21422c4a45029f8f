import json
from pathlib import Path

import pytest

import portfire
from portfire.recipes.image_classification.config import PRESETS
from portfire.recipes.text_classification.config import PRESETS as TEXT_PRESETS
from portfire.train.cli import main
from portfire.train.datasets import DATASETS


def test_list_names_every_preset_and_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in [*PRESETS, *TEXT_PRESETS, *DATASETS])


def test_show_prints_the_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--preset", "digits-mlp", "--set", "train.epochs=7", "--name", "mine", "--show"]
    assert main(["image-classification", *arguments]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["train"]["epochs"] == 7
    assert shown["name"] == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--preset", "digits"], "digits-cnn"),
        (["--preset", "digits-cnn", "--set", "train.epoch=1"], "epochs"),
        (["--preset", "digits-cnn", "--set", "train.epochs=0"], "at least 1"),
        (["--preset", "digits-cnn", "--set", "train.patience=2", "--set", "data.validation=0"], "validation"),
        (["--preset", "image-folder"], "--data FOLDER"),
        (["--preset", "image-folder", "--data", "no-such-folder"], "no-such-folder"),
        (["--preset", "digits-cnn", "--resume", "--runs", "no-such-runs"], "without --resume"),
    ],
)
def test_an_error_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image-classification", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("portfire-train: ")
    assert error.count("\n") == 1
    assert said in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--preset", "text-file"], "--data FILE"),
        (["--preset", "text-file", "--data", "no-such.csv"], "no-such.csv"),
        (["--preset", "text-file", "--data", "{table}"], 'no column "text"; it has body, folder'),
        (["--preset", "text-file", "--data", "{table}", "--text-column", "body"], 'no column "label"'),
        (
            ["--preset", "text-file", "--text-column", "body", "--label-column", "body"],
            'data.text_column and data.label_column are both "body"',
        ),
        (["--preset", "polarity-ngrams", "--set", "data.validation=0"], "the temperature"),
        (["--preset", "polarity-transformer", "--set", "model.heads=7"], "multiple of model.heads=7"),
    ],
)
def test_an_error_of_texts_is_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "mail.csv"
    table.write_text("body,folder\nhello,a\nbuy,b\n", encoding="utf-8")
    assert main(["text-classification", *(word.format(table=table) for word in arguments)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("portfire-train: ")
    assert error.count("\n") == 1
    assert said in error


def test_flags_of_a_recipe_set_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--preset", "text-file", "--text-column", "body", "--label-column", "a=b", "--show"]
    assert main(["text-classification", *arguments]) == 0
    shown = json.loads(capsys.readouterr().out)["data"]
    assert (shown["text_column"], shown["label_column"]) == ("body", "a=b")


def test_samples_are_pictures_named_by_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["samples", "digits", str(tmp_path / "out"), "--count", "25"]) == 0
    assert "25 pictures" in capsys.readouterr().out
    paths = sorted((tmp_path / "out").iterdir())
    assert len(paths) == 25
    for path in paths:
        label, _, number = path.stem.partition("_")
        assert 0 <= int(label) <= 9
        assert len(number) == 4
        assert portfire.decode_image(path.read_bytes()).shape == (8, 8, 3)


def test_samples_of_an_unknown_set_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["samples", "cats", str(tmp_path)]) == 1
    assert "digits, mnist" in capsys.readouterr().err
