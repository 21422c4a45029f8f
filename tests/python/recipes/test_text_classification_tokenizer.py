import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import portfire
from portfire.recipes.text_classification.config import TokenizerConfig, text_file
from portfire.recipes.text_classification.tokenizer import build_tokenizer
from portfire.train.config import override


def tokenizer(texts: list[str], **changes: Any) -> portfire.Tokenizer:
    return portfire.Tokenizer.from_bytes(build_tokenizer(TokenizerConfig(**changes), texts))


def test_words_are_numbered_by_how_common_they_are() -> None:
    words = tokenizer(["Good, GOOD film", "bad film!", "good"], kind="words")
    assert words.encode("good film , bad !").ids == [1, 2, 4, 5, 3]
    assert words.encode("Unheard-of").ids == [0, 0, 0]
    assert words.vocabulary_size == 6


def test_rare_words_and_those_beyond_the_most_are_unknown() -> None:
    texts = ["a a a b b c"]
    assert tokenizer(texts, kind="words", least_count=2).encode("a b c").ids == [1, 2, 0]
    assert tokenizer(texts, kind="words", most=1).encode("a b c").ids == [1, 0, 0]


def test_every_word_and_character_of_the_training_texts_is_known() -> None:
    texts = ["Ünïcode, naïve Çedilla", "e\u0301te\u0301", "Ω mega ΑΣ", "日本 語", "O'Brien—x"]
    for kind in ("words", "characters"):
        made = tokenizer(texts, kind=kind)
        assert all(0 not in made.encode(text).ids for text in texts)


def test_characters_are_one_token_each() -> None:
    made = tokenizer(["Bach", "d'A Ho"], kind="characters")
    assert len(made.encode("bach ho").ids) == 7
    assert made.encode("BACH").ids == made.encode("bach").ids
    assert made.encode("?").ids == [0]
    kept = tokenizer(["Bb"], kind="characters", lowercase=False)
    assert len(set(kept.encode("Bb").ids)) == 2


def test_ngrams_need_no_texts() -> None:
    content = build_tokenizer(TokenizerConfig(words=(1, 2), characters=(3, 4), buckets=1000), [])
    assert json.loads(content)["model"] == {
        "type": "HashedNGrams", "words": [1, 2], "characters": [3, 4], "buckets": 1000,
    }  # fmt: skip
    made = portfire.Tokenizer.from_bytes(content)
    assert made.vocabulary_size == 1000
    ids = made.encode("No, no").ids
    assert len(ids) == 3 + 2 + (2 + 1) + 1 + (2 + 1)  # words, pairs, and the parts of <no>, <,>, <no>
    assert ids[0] == ids[2]
    assert all(0 <= k < 1000 for k in ids)


def test_a_tokenizer_of_ones_own_is_used_as_it_is(tmp_path: Path) -> None:
    content = build_tokenizer(TokenizerConfig(kind="words"), ["a b"])
    (tmp_path / "tokenizer.json").write_bytes(content)
    own = TokenizerConfig(kind="file", file=tmp_path / "tokenizer.json")
    assert build_tokenizer(own, ["others"]) == content
    with pytest.raises(portfire.NotFoundError, match="no-such"):
        build_tokenizer(TokenizerConfig(kind="file", file=tmp_path / "no-such"), [])


def test_texts_without_a_common_word_are_refused() -> None:
    with pytest.raises(portfire.InvalidInputError, match=r"tokenizer\.least_count"):
        tokenizer(["a b"], kind="words", least_count=2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"words": (2, 1)}, "tokenizer.words is 2, 1"),
        ({"words": (1,)}, "tokenizer.words is 1;"),
        ({"words": (0, 0)}, "both 0, 0"),
        ({"kind": "file"}, "tokenizer.file"),
        ({"file": Path("x")}, "tokenizer.file"),
        ({"max_tokens": 0}, "tokenizer.max_tokens is 0; at least 1"),
        ({"buckets": 1 << 25}, "at most 16,777,216"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(changes: Any, said: str) -> None:
    with pytest.raises(portfire.InvalidArgumentError, match=said.replace(".", r"\.")):
        TokenizerConfig(**changes)


@pytest.mark.parametrize("order", [1, -1])
def test_a_file_is_set_together_with_its_kind(order: int) -> None:
    config = override(text_file(), ["tokenizer.kind=file", "tokenizer.file=mine.json"][::order])
    assert config.tokenizer == replace(text_file().tokenizer, kind="file", file=Path("mine.json"))
    with pytest.raises(portfire.InvalidArgumentError, match=r"tokenizer\.file is for tokenizer\.kind=file"):
        override(text_file(), ["tokenizer.kind=file"])
