import json
from pathlib import Path
from typing import Any

import pytest
import torch

import portfire
from portfire.recipes.text_generation.config import (
    PRESETS,
    Config,
    DataConfig,
    ModelConfig,
    TokenizerConfig,
    TrainConfig,
)
from portfire.recipes.text_generation.data import (
    NO_TARGET,
    ConsecutiveWindows,
    Corpus,
    RandomWindows,
    encode,
    golden_texts,
    load,
    unknown_share,
)
from portfire.recipes.text_generation.tokenizer import build_tokenizer, split_words
from portfire.train.batches import Batch
from portfire.train.cli import main


def from_file(path: Path, content: bytes, **changes: Any) -> Corpus:
    path.write_bytes(content)
    return load(DataConfig(dataset="file", **changes), path)


def tokenizer(text: str) -> portfire.Tokenizer:
    return portfire.Tokenizer.from_bytes(build_tokenizer(TokenizerConfig(), text))


def test_a_presets_name_is_its_own() -> None:
    assert [preset().name for preset in PRESETS.values()] == list(PRESETS)


def test_the_last_characters_are_for_validation(tmp_path: Path) -> None:
    text = "0123456é89\r\n" * 5
    corpus = from_file(tmp_path / "b.txt", b"\xef\xbb\xbf" + text.encode())
    assert (corpus.train, corpus.validation) == (text[:54], text[54:])
    assert corpus.name == "b.txt"
    halves = from_file(tmp_path / "c.txt", b"abcdefgh", validation=0.5)
    assert (halves.train, halves.validation) == ("abcd", "efgh")
    assert len(halves.sha256) == 64


def test_a_text_that_cannot_be_used_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(portfire.InvalidInputError, match=r"a\.txt: 3 characters are too few"):
        from_file(tmp_path / "a.txt", b"abc")
    with pytest.raises(portfire.InvalidInputError, match=r"a\.txt: line 2 is not UTF-8"):
        from_file(tmp_path / "a.txt", b"one\ntw\xff\n")
    with pytest.raises(portfire.InvalidArgumentError, match="--data FILE"):
        load(DataConfig(dataset="file"))
    with pytest.raises(portfire.NotFoundError, match=r"no-such\.txt: no such file"):
        load(DataConfig(dataset="file"), tmp_path / "no-such.txt")
    with pytest.raises(portfire.NotFoundError, match="does not hold tinyshakespeare"):
        load(DataConfig(), tmp_path)


def wikitext(folder: Path, names: str = "wiki.{}.tokens", parts: str = "train valid test") -> Path:
    folder.mkdir(parents=True)
    for part in parts.split():
        (folder / names.format(part)).write_text(f" \n = {part} = \n a b c d . \n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("place", ["wikitext-2", "text/wikitext-2", "unpacked"])
@pytest.mark.parametrize("names", ["wiki.{}.tokens", "{}.txt"])
def test_wikitext_is_read_from_the_official_files(tmp_path: Path, place: str, names: str) -> None:
    folder = wikitext(tmp_path / place, names)
    corpus = load(DataConfig(dataset="wikitext-2"), folder if place == "unpacked" else tmp_path)
    assert [corpus.train, corpus.validation, corpus.test] == [
        f" \n = {part} = \n a b c d . \n" for part in ("train", "valid", "test")
    ]
    assert corpus.split.startswith("the training file to train with")
    assert corpus.name == "wikitext-2"


def test_without_the_training_file_wikitext_is_the_validation_file(tmp_path: Path) -> None:
    wikitext(tmp_path / "wikitext-2", parts="valid test")
    corpus = load(DataConfig(dataset="wikitext-2", train_file="valid", validation=0.2), tmp_path)
    assert corpus.train + corpus.validation == " \n = valid = \n a b c d . \n"
    assert corpus.validation == " d . \n"
    assert corpus.test == " \n = test = \n a b c d . \n"
    assert "nothing of the training file" in corpus.split
    with pytest.raises(portfire.NotFoundError, match=r"wiki\.train\.tokens or train\.txt.*train_file=valid"):
        load(DataConfig(dataset="wikitext-2"), tmp_path)


def test_wikitext_is_not_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORTFIRE_DATA", raising=False)
    with pytest.raises(portfire.NotFoundError, match=r"give the folder of wiki\.train\.tokens"):
        load(DataConfig(dataset="wikitext-2"))
    with pytest.raises(portfire.NotFoundError, match=r"wiki\.valid\.tokens or valid\.txt; give"):
        load(DataConfig(dataset="wikitext-2", train_file="valid"), tmp_path)


def test_characters_are_numbered_by_code_point() -> None:
    made = tokenizer("b\na é日b")
    assert made.vocabulary_size == 7
    assert [made.token(k) for k in range(7)] == ["<unk>", "\n", " ", "a", "b", "é", "日"]
    ids = encode("ab\n 日Z", made)
    assert ids.tolist() == [3, 4, 1, 2, 6, 0]
    assert made.decode(ids.tolist()[:-1]) == "ab\n 日"


def test_words_are_what_lies_between_spaces() -> None:
    text = " \n = b <unk> = \n a b , a b \n"
    made = portfire.Tokenizer.from_bytes(build_tokenizer(TokenizerConfig(kind="words"), text))
    assert [made.token(k) for k in range(made.vocabulary_size)] == ["<unk>", "<eos>", "b", "=", "a", ","]
    ids = encode(text, made).tolist()
    assert ids == [1, 3, 2, 0, 3, 1, 4, 2, 5, 4, 2, 1]
    assert [made.token(k) for k in ids] == split_words(text)
    assert encode("a zebra b", made).tolist() == [4, 0, 2]
    assert made.decode(ids[6:]) == "a b , a b <eos>"
    assert unknown_share(text) == 1 / 12


def test_a_tokenizer_of_ones_own_is_used_as_it_is(tmp_path: Path) -> None:
    content = build_tokenizer(TokenizerConfig(), "ab")
    (tmp_path / "tokenizer.json").write_bytes(content)
    own = TokenizerConfig(file=tmp_path / "tokenizer.json")
    assert build_tokenizer(own, "others") == content
    with pytest.raises(portfire.NotFoundError, match="no-such"):
        build_tokenizer(TokenizerConfig(file=tmp_path / "no-such"), "")


def test_random_windows_follow_the_seed_alone() -> None:
    windows = RandomWindows(torch.arange(100), 8, 1000)
    assert len(windows) == 1000
    ids, targets = windows[Batch(indices=(0, 1, 2), seed=5)]
    assert ids.shape == targets.shape == (3, 8)
    assert torch.equal(ids + 1, targets)
    assert torch.equal(windows[Batch(indices=(7, 8, 9), seed=5)][0], ids)
    assert not torch.equal(windows[Batch(indices=(0, 1, 2), seed=6)][0], ids)


def test_random_windows_reach_both_ends() -> None:
    ids, targets = RandomWindows(torch.arange(10), 8, 64)[Batch(indices=tuple(range(64)), seed=0)]
    assert (int(ids.min()), int(targets.max())) == (0, 9)
    with pytest.raises(portfire.InvalidInputError, match="a window of 8 needs more"):
        RandomWindows(torch.arange(8), 8, 64)


@pytest.mark.parametrize("count", [5, 8, 9, 10, 16, 17])
def test_consecutive_windows_ask_for_every_token_but_the_first_once(count: int) -> None:
    windows = ConsecutiveWindows(torch.arange(count), 4)
    ids, targets = windows[Batch(indices=tuple(range(len(windows))), seed=0)]
    asked = targets != NO_TARGET
    assert targets[asked].tolist() == list(range(1, count))
    assert ids[asked].tolist() == list(range(count - 1))
    assert bool((ids[~asked] == 0).all())


def test_golden_texts_are_pieces_of_several_lengths() -> None:
    text = "abcdefghij" * 20
    made = tokenizer(text)
    pieces = golden_texts(text, 4, 64, made)
    assert [len(piece) for piece in pieces] == [16, 32, 48, 64]
    assert all(piece in text for piece in pieces)
    assert [len(piece) for piece in golden_texts("abcd", 2, 64, made)] == [2, 4]
    assert [len(piece) for piece in golden_texts(text, 2, 4, made)] == [2, 4]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: DataConfig(window=3), "data.window is 3; 4 to 65,536"),
        (lambda: DataConfig(validation=1), "data.validation is 1; above 0"),
        (lambda: DataConfig(steps=0), "data.steps is 0; at least 1"),
        (lambda: DataConfig(file=Path("x")), "data.file is for data.dataset=file"),
        (lambda: ModelConfig(heads=3), "a multiple of model.heads=3"),
        (lambda: ModelConfig(kind="llama", kv_heads=3), "model.kv_heads is 3; a divisor of model.heads=4"),
        (lambda: ModelConfig(kind="llama", width=4), "an even number for each of model.heads=4"),
        (lambda: ModelConfig(kind="llama", dropout=0.1), "model.kind=llama has none"),
        (lambda: ModelConfig(layers=0), "model.layers is 0"),
        (lambda: TrainConfig(warmup=0), "train.warmup is 0"),
        (lambda: TrainConfig(learning_rate=1e-5), "train.last_learning_rate is 0.0001; 0 to"),
        (lambda: TrainConfig(betas=(0.9,)), "train.betas is 0.9; two"),
        (lambda: Config(name="x", description="", prompt=""), "prompt is empty"),
        (lambda: Config(name="x", description="", golden=1), "golden is 1"),
        (
            lambda: Config(
                name="x",
                description="",
                model=ModelConfig(kind="gru"),
                train=TrainConfig(optimizer="muon"),
            ),
            "model.kind=gru is trained with adamw",
        ),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(make: Any, said: str) -> None:
    with pytest.raises(portfire.InvalidArgumentError, match=said.replace(".", r"\.")):
        make()


def test_a_recurrent_network_needs_no_heads() -> None:
    assert ModelConfig(kind="gru", width=33).width == 33
    config = Config(name="x", description="", model=ModelConfig(kind="lstm", longest=500))
    assert config.context == 500
    assert Config(name="x", description="", data=DataConfig(window=32)).context == 32


def test_show_prints_the_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--preset", "gpt-file", "--set", "train.betas=0.8, 0.9", "--show"]
    assert main(["text-generation", *arguments]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["train"]["betas"] == [0.8, 0.9]
    assert shown["data"]["dataset"] == "file"


def test_presets_and_data_set_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in [*PRESETS, "tinyshakespeare", "wikitext-2"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--preset", "gpt-file"], "--data FILE"),
        (["--preset", "gpt-file", "--data", "no-such.txt"], "no-such.txt: no such file"),
        (["--preset", "gpt-file", "--data", "{text}"], "a window of 128 needs more"),
        (["--preset", "gpt-file", "--data", "{text}", "--set", "model.heads=3"], "a multiple of"),
        (
            ["--preset", "gpt-file", "--data", "{text}", "--set", "data.window=4", "--set", "prompt=abcd"],
            "prompt fills the context of 4 tokens",
        ),
    ],
)
def test_an_error_is_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "book.txt"
    text.write_text("A short text, in which nothing happens.\n", encoding="utf-8")
    command = [*(word.format(text=text) for word in arguments), "--runs", str(tmp_path)]
    assert main(["text-generation", *command]) == 1
    error = capsys.readouterr().err
    assert error.startswith("portfire-train: ")
    assert error.count("\n") == 1
    assert said in error


@pytest.mark.data
def test_tiny_shakespeare_is_split_as_nanogpt_splits_it(data_folder: Path) -> None:
    corpus = load(DataConfig(), data_folder)
    assert (len(corpus.train), len(corpus.validation)) == (1003854, 111540)
    assert len(set(corpus.train)) == 65


@pytest.mark.data
def test_wikitext_has_the_tokens_that_are_published(data_folder: Path) -> None:
    corpus = load(DataConfig(dataset="wikitext-2", train_file="valid"), data_folder)
    valid = corpus.train + corpus.validation
    made = portfire.Tokenizer.from_bytes(build_tokenizer(TokenizerConfig(kind="words"), valid))
    assert (len(encode(valid, made)), len(encode(corpus.test, made))) == (217646, 245569)
    assert unknown_share(corpus.test) == pytest.approx(0.0620, abs=1e-4)


@pytest.mark.data
def test_samples_of_wikitext_have_whole_words(
    tmp_path: Path, data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["samples", "wikitext-2", str(out), "--count", "3", "--data", str(data_folder)]) == 0
    assert "3 texts of wikitext-2" in capsys.readouterr().out
    corpus = load(DataConfig(dataset="wikitext-2", train_file="valid"), data_folder)
    for path in out.iterdir():
        assert f" {path.read_text(encoding='utf-8')} " in corpus.validation


@pytest.mark.data
def test_samples_are_beginnings_of_validation_texts(
    tmp_path: Path, data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["samples", "tinyshakespeare", str(out), "--count", "3", "--data", str(data_folder)]
    assert main(command) == 0
    assert "3 texts of tinyshakespeare" in capsys.readouterr().out
    texts = [path.read_text(encoding="utf-8") for path in sorted(out.iterdir())]
    validation = load(DataConfig(), data_folder).validation
    assert len(texts) == 3
    assert all(len(text) == 48 and text in validation for text in texts)
