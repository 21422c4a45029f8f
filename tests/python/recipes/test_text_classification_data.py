import json
from pathlib import Path

import pytest
import torch

import portfire
from portfire.recipes.text_classification.config import DataConfig, TokenizerConfig
from portfire.recipes.text_classification.data import Samples, TextSet, encode, load, padded
from portfire.recipes.text_classification.tokenizer import build_tokenizer
from portfire.train.batches import Batch
from portfire.train.cli import main


def table(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows), encoding="utf-8")
    return path


def from_file(path: Path, **changes: object) -> TextSet:
    return load(DataConfig(dataset="file", **changes), path)  # type: ignore[arg-type]


def many(count: int) -> list[tuple[str, str]]:
    return [(f"text {k}", "ab"[k % 2]) for k in range(count)]


def test_a_split_is_seeded_in_proportion_and_without_overlap(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", many(100))
    texts = from_file(path)
    assert (len(texts.train), len(texts.held_out)) == (80, 20)
    assert texts.held_out.targets.bincount().tolist() == [10, 10]
    assert not set(texts.train.texts) & set(texts.held_out.texts)
    assert from_file(path).held_out.texts == texts.held_out.texts
    assert from_file(path, split_seed=1).held_out.texts != texts.held_out.texts


def test_a_repeated_row_counts_once_and_a_text_lies_on_one_side(tmp_path: Path) -> None:
    rows = many(40)
    rows += rows[:10] + [(f"text {k}", "c") for k in range(20)]
    texts = from_file(table(tmp_path / "t.csv", rows), held_out=0.25)
    assert (texts.repeated, texts.ambiguous) == (10, 20)
    assert len(texts.train) + len(texts.held_out) == 60
    assert not set(texts.train.texts) & set(texts.held_out.texts)
    assert texts.labels == ("a", "b", "c")


def test_the_hash_follows_texts_and_labels(tmp_path: Path) -> None:
    first = from_file(table(tmp_path / "a.csv", many(20))).sha256
    lines = [json.dumps({"text": text, "label": label}) for text, label in many(20)]
    (tmp_path / "b.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert from_file(tmp_path / "b.jsonl").sha256 == first
    assert from_file(table(tmp_path / "c.csv", [*many(19), ("text 19", "a")])).sha256 != first


def test_a_file_of_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(portfire.InvalidInputError, match=r't\.csv: "label" is a in every row; at least 2'):
        from_file(table(tmp_path / "t.csv", [("one", "a"), ("two", "a")]))


def test_a_class_of_one_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(portfire.InvalidArgumentError, match="21 texts cannot be split"):
        from_file(table(tmp_path / "t.csv", [*many(20), ("rare", "c")]))


def test_a_file_has_to_be_given(tmp_path: Path) -> None:
    with pytest.raises(portfire.InvalidArgumentError, match="--data FILE"):
        load(DataConfig(dataset="file"))
    with pytest.raises(portfire.NotFoundError, match=r"no-such\.csv: no such file"):
        from_file(tmp_path / "no-such.csv")


def test_imdb_is_read_as_its_archive_lies(tmp_path: Path) -> None:
    for part, count in (("train", 3), ("test", 2)):
        for label in ("pos", "neg"):
            (tmp_path / "aclImdb" / part / label).mkdir(parents=True)
            for k in range(count):
                review = f"{part} {label} {k}<br /><br />é"
                (tmp_path / "aclImdb" / part / label / f"{k}_7.txt").write_text(review, encoding="utf-8")
    (tmp_path / "aclImdb" / "train" / "unsup").mkdir()
    for folder in (tmp_path, tmp_path / "aclImdb"):
        imdb = load(DataConfig(dataset="imdb"), folder)
        assert (len(imdb.train), len(imdb.held_out)) == (6, 4)
        assert imdb.labels == ("negative", "positive")
        assert imdb.train.texts[0] == "train neg 0\n\né"
        assert imdb.held_out.targets.tolist() == [0, 0, 1, 1]


def test_an_imdb_without_reviews_names_the_folder(tmp_path: Path) -> None:
    (tmp_path / "aclImdb" / "train" / "pos").mkdir(parents=True)
    with pytest.raises(portfire.NotFoundError, match=r"train/neg: holds no \.txt files"):
        load(DataConfig(dataset="imdb"), tmp_path)
    with pytest.raises(portfire.NotFoundError, match="does not hold sst2"):
        load(DataConfig(dataset="sst2"), tmp_path)


def glue(folder: Path, train: str, dev: str) -> Path:
    (folder / "SST-2").mkdir()
    for name, rows in (("train", train), ("dev", dev)):
        (folder / "SST-2" / f"{name}.tsv").write_text("sentence\tlabel\n" + rows, encoding="utf-8")
    (folder / "SST-2" / "test.tsv").write_text("index\tsentence\n0\tx\n", encoding="utf-8")
    return folder


def test_sst2_is_read_as_glue_lays_it_out(tmp_path: Path) -> None:
    folder = glue(tmp_path, 'a " gem \t1\nhide\t0\nworthless\t0\nhide\t0\n', "charming\t1\nhide\t0\n")
    sst2 = load(DataConfig(dataset="sst2"), folder)
    assert sst2.train.texts == ('a " gem', "worthless")  # without what dev.tsv has too
    assert sst2.train.targets.tolist() == [1, 0]
    assert sst2.held_out.texts == ("charming", "hide")
    assert sst2.repeated == 2


def test_a_wrong_label_in_sst2_is_named(tmp_path: Path) -> None:
    with pytest.raises(portfire.InvalidInputError, match=r'train\.tsv: "gem" has label 2; 0 or 1'):
        load(DataConfig(dataset="sst2"), glue(tmp_path, "gem\t2\nhide\t0\n", "hide\t0\n"))


def test_a_batch_is_padded_behind_the_texts() -> None:
    ids, lengths = padded([torch.tensor([3, 4]), torch.tensor([5])])
    assert ids.tolist() == [[3, 4], [5, 0]]
    assert lengths.tolist() == [2, 1]


def test_left_out_ids_depend_on_the_batchs_seed_alone() -> None:
    ids = [torch.arange(1, 30), torch.arange(1, 20)]
    samples = Samples(ids, torch.tensor([0, 1]), token_dropout=0.5)
    first, lengths, targets = samples[Batch(indices=(1, 0), seed=4)]
    torch.rand(3)
    assert torch.equal(first, samples[Batch(indices=(1, 0), seed=4)][0])
    assert not torch.equal(first, samples[Batch(indices=(1, 0), seed=5)][0])
    assert (lengths.tolist(), targets.tolist()) == ([19, 29], [1, 0])
    assert 0 < int((first[1] == 0).sum()) < 29
    assert samples.sizes == [29, 19]


@pytest.mark.data
@pytest.mark.parametrize(
    ("dataset", "train", "held_out", "repeated", "ambiguous"),
    [("names", 14420, 3592, 2038, 469), ("polarity", 8529, 2133, 0, 0), ("uci", 2385, 597, 18, 0)],
)
def test_a_public_set_is_read_whole(
    data_folder: Path, dataset: str, train: int, held_out: int, repeated: int, ambiguous: int
) -> None:
    texts = load(DataConfig(dataset=dataset), data_folder)  # type: ignore[arg-type]
    assert (len(texts.train), len(texts.held_out)) == (train, held_out)
    assert (texts.repeated, texts.ambiguous) == (repeated, ambiguous)
    assert not set(texts.train.texts) & set(texts.held_out.texts)
    assert len(texts.held_out.targets.unique()) == len(texts.labels)


@pytest.mark.data
def test_samples_are_text_files_named_by_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data_folder: Path
) -> None:
    assert main(["samples", "uci", str(tmp_path), "--count", "6", "--data", str(data_folder)]) == 0
    assert "6 texts of uci" in capsys.readouterr().out
    names = sorted(path.name.partition("_")[0] for path in tmp_path.iterdir())
    assert names == ["negative"] * 3 + ["positive"] * 3
    assert all(len(path.read_text(encoding="utf-8")) > 5 for path in tmp_path.iterdir())


def test_ids_are_the_first_of_each_text_and_one_without_is_named() -> None:
    tokenizer = portfire.Tokenizer.from_bytes(build_tokenizer(TokenizerConfig(kind="words"), ["a b c"]))
    assert [row.tolist() for row in encode(["a b", "c b a"], tokenizer, 2)] == [[1, 2], [3, 2]]
    with pytest.raises(portfire.InvalidInputError, match="has no token"):
        encode(["a", " "], tokenizer, 2)
