"""Tokenizers against the packages `tokenizers` and `sentencepiece`: the same ids, offsets and texts.

Their Unicode tables are of other versions than ours. What code points are left out of random texts is not
for us to say: those on which the package `tokenizers` itself disagrees with Python's `unicodedata`, asked one
by one (`disputed`), and those that `unicodedata` has not.
"""

# ruff: noqa: RUF001

from __future__ import annotations

import functools
import io
import os
import random
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
import sentencepiece
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as Reference

import portfire

TEXT = [
    "Once upon a time there was a tokenizer that read 1,024 words a day, 373,760 words a year.",
    "It's the café's naïve façade that we'll remember; they've seen ½ of it, haven't they?",
    "Привет, мир! 你好，世界。こんにちは、世界。 שלום עולם مرحبا بالعالم 안녕하세요 γειά σου κόσμε",
    "for (int k = 0; k < size; ++k) total += values[k] * 2;  // 😀 👩‍👩‍👧 🇩🇪",
] * 20
LLAMA_3 = "|".join(
    [
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)
AWKWARD = [
    "",
    " ",
    "\n",
    "\u0000a\u0000",
    "👩‍👩‍👧‍👦👍🏽🇩🇪🇫🇷❤️‍🔥",
    "e\u0301\u0323a\u0308\u0304o\u0338\u20dd",
    "\u0301\u0301a" + "\u0323\u0301" * 50,
    "a\u200bb\u200cc\u200dd\ufeffe\u2060f",
    "漢字かな交じり文、カタカナ。中文標點「」",
    "العَرَبِيَّةُ ‏مرحبا‎ ١٢٣ ﷺ ﻻ",
    "각 한글 \u1100\u1161\u11a8",
    "ﬁ ﬃ ½ ² Ⅷ ㌀ ＡＢＣ　ｱ",
    "it's IT'S ſ'S ß ẞ İ ı K Å",
    "a  b   c\t\td\r\n\r\n e \u3000\u00a0\u2028x",
    "x" * 5000,
    " " * 5000,
    "<|end|>a<|end|> <|end|>",
    "[CLS] [MASK][SEP]",
    "▁a▁▁b ▁",
    "<0x41><0x0A>",
]
BITS = [
    "'s",
    "'LL",
    " the",
    "  ",
    "\u00a0",
    "\u200d",
    "\ufe0f",
    "\u0301",
    "👩‍👩‍👧",
    "🇩🇪",
    "日本",
    "ß",
    "İ",
    "ﬁ",
]
BITS += ["<|end|>", "[SEP]"]
BITS += ["é", "e\u0301", "العربية", "\u3000", "\u0345", "각", "\u1100\u1161", "\r\n", "café", "\u0000"]
PLAIN = "abcdefghij KLMNOP 0123456789 .,!?'\"-\n\t  "


def gpt_2() -> tuple[Reference, trainers.Trainer]:
    made = Reference(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.post_processor = processors.ByteLevel(trim_offsets=True, add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return made, trainers.BpeTrainer(
        vocab_size=800, special_tokens=["<|end|>"], initial_alphabet=alphabet, show_progress=False
    )


def llama_3() -> tuple[Reference, trainers.Trainer]:
    made, trainer = gpt_2()
    made.model = models.BPE(ignore_merges=True)
    steps = [
        pre_tokenizers.Split(Regex(LLAMA_3), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
    made.pre_tokenizer = pre_tokenizers.Sequence(steps)
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    return made, trainer


def falcon() -> tuple[Reference, trainers.Trainer]:
    """With steps after ByteLevel, which look at the letters that it spells bytes with."""
    made, trainer = gpt_2()
    steps = [
        pre_tokenizers.Punctuation("contiguous"),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated"),
    ]
    made.pre_tokenizer = pre_tokenizers.Sequence(steps)
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    return made, trainer


def bert() -> tuple[Reference, trainers.Trainer]:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made = Reference(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made, trainers.WordPieceTrainer(vocab_size=600, special_tokens=special, show_progress=False)


def words() -> tuple[Reference, trainers.Trainer]:
    made = Reference(models.WordLevel(unk_token="<unk>"))
    made.normalizer = normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made, trainers.WordLevelTrainer(special_tokens=["<pad>", "<unk>"], show_progress=False)


def metaspace() -> tuple[Reference, trainers.Trainer]:
    made = Reference(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    steps = [decoders.ByteFallback(), decoders.Metaspace(), decoders.Fuse()]
    made.decoder = decoders.Sequence(steps)
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    return made, trainers.BpeTrainer(vocab_size=900, special_tokens=special, show_progress=False)


def characters() -> tuple[Reference, trainers.Trainer]:
    made = Reference(models.BPE(unk_token="<unk>"))
    made.decoder = decoders.Fuse()
    return made, trainers.BpeTrainer(vocab_size=10, special_tokens=["<pad>", "<unk>"], show_progress=False)


KINDS: dict[str, Callable[[], tuple[Reference, trainers.Trainer]]] = {
    made.__name__: made for made in (gpt_2, llama_3, falcon, bert, words, metaspace, characters)
}
# Where marks change their places or are composed, their offsets are of one code point, ours of all that took
# part.
FORMS: dict[str, Literal["NFD", "NFKC"]] = {"bert": "NFD", "words": "NFD", "metaspace": "NFKC"}
SENTENCE_PIECES: dict[str, dict[str, object]] = {
    "unigram": {"model_type": "unigram", "vocab_size": 120},
    "bpe": {"model_type": "bpe", "vocab_size": 560, "byte_fallback": True, "character_coverage": 0.98},
}


@functools.cache
def pair(kind: str) -> tuple[Reference, portfire.Tokenizer]:
    reference, trainer = KINDS[kind]()
    reference.train_from_iterator(TEXT, trainer)
    return reference, portfire.Tokenizer.from_bytes(reference.to_str().encode())


@functools.cache
def sentence_pieces(kind: str) -> tuple[sentencepiece.SentencePieceProcessor, portfire.Tokenizer]:
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT),
        model_writer=out,
        num_threads=1,
        minloglevel=2,
        user_defined_symbols=["<|end|>"],
        **SENTENCE_PIECES[kind],
    )
    data = out.getvalue()
    return sentencepiece.SentencePieceProcessor(model_proto=data), portfire.Tokenizer.from_bytes(data)


STRIP = normalizers.StripAccents()
CLEAN = normalizers.BertNormalizer(True, False, False, False)
ACCENTS = normalizers.BertNormalizer(False, False, True, False)
PUNCTUATION = pre_tokenizers.Punctuation()
DIGITS = pre_tokenizers.Digits()
LETTERS = pre_tokenizers.Split(Regex(r"\p{L}"), "isolated")
NUMBERS = pre_tokenizers.Split(Regex(r"\p{N}"), "isolated")


def disputed(c: str) -> bool:
    """Whether the package `tokenizers` and Python's `unicodedata` differ on a code point."""
    category = unicodedata.category(c)
    kept = category[0] != "C" or c in "\t\n\r"
    return (
        (STRIP.normalize_str(c) == "") != (category[0] == "M")
        or (ACCENTS.normalize_str(c) == "") != (category == "Mn")
        or (CLEAN.normalize_str(c) == "") == (kept and c != "\ufffd")
        or normalizers.NFD().normalize_str(c) != unicodedata.normalize("NFD", c)
        or normalizers.NFKC().normalize_str(c) != unicodedata.normalize("NFKC", c)
        or normalizers.Lowercase().normalize_str(c) != c.lower()
        or len(PUNCTUATION.pre_tokenize_str(f"a{c}")) != 1 + (category[0] == "P" or c in "$+<=>^`|~")
        or len(DIGITS.pre_tokenize_str(f"a{c}")) != 1 + (category[0] == "N")
        or len(LETTERS.pre_tokenize_str(f".{c}")) != 1 + (category[0] == "L")
        or len(NUMBERS.pre_tokenize_str(f".{c}")) != 1 + (category[0] == "N")
    )


def random_texts(count: int, seed: int) -> Iterator[str]:
    """Short texts of letters, awkward bits and code points of anywhere that are assigned and not disputed."""
    generator = random.Random(seed)
    known: dict[str, bool] = {}

    def anywhere() -> str:
        while True:
            # Half of them from where most scripts are.
            c = chr(generator.randrange(0x3400 if generator.random() < 0.5 else 0x2FA20))
            if c not in known:
                known[c] = unicodedata.category(c) not in {"Cs", "Cn"} and not disputed(c)
            if known[c]:
                return c

    for _ in range(count):
        parts = []
        for _ in range(generator.randint(1, 16)):
            kind = generator.random()
            if kind < 0.4:
                parts.append(generator.choice(PLAIN))
            else:
                parts.append(generator.choice(BITS) if kind < 0.7 else anywhere())
        yield "".join(parts)


def data_texts() -> list[str]:
    folder = os.environ.get("PORTFIRE_DATA", "")
    if not folder or not (Path(folder) / "text").is_dir():
        pytest.skip("PORTFIRE_DATA names no folder of data sets with text in it")
    texts = []
    for path in sorted((Path(folder) / "text").rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            try:
                texts.append(data.decode())
            except UnicodeDecodeError:
                texts.append(data.decode("latin-1"))
    assert texts
    return texts


def is_by_code_points(text: str, form: Literal["NFD", "NFKC"]) -> bool:
    text = "".join(c for c in text if unicodedata.category(c)[0] != "C")  # BERT's goes first
    return "".join(unicodedata.normalize(form, c) for c in text) == unicodedata.normalize(form, text)


def assert_equal(kind: str, texts: Iterator[str] | list[str]) -> None:
    reference, ours = pair(kind)
    for text in texts:
        expected, made = reference.encode(text), ours.encode(text)
        assert made.ids == expected.ids, ascii(text[:300])
        if kind not in FORMS or is_by_code_points(text, FORMS[kind]):
            assert made.offsets == expected.offsets, ascii(text[:300])


def assert_decodes(kind: str, texts: Iterator[str] | list[str]) -> None:
    reference, ours = pair(kind)
    for text in texts:
        ids = reference.encode(text).ids
        for skip in (True, False):
            assert ours.decode(ids, skip) == reference.decode(ids, skip_special_tokens=skip), ascii(text)


def assert_streams(ours: portfire.Tokenizer, ids: list[int]) -> None:
    for skip in (True, False):
        stream = portfire.DecodeStream(ours, skip)
        parts = [stream.push(token) for token in ids]  # each is a str: never half a character
        assert "".join(parts) + stream.finish() == ours.decode(ids, skip), ids


@pytest.mark.parametrize("kind", KINDS)
def test_random_texts_have_the_ids_of_hugging_faces(kind: str) -> None:
    assert_equal(kind, random_texts(1500, 0))
    assert_decodes(kind, random_texts(300, 1))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_thousand_texts_have_the_ids_of_hugging_faces(kind: str) -> None:
    assert_equal(kind, random_texts(100_000, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_awkward_texts_have_the_ids_of_hugging_faces(kind: str) -> None:
    assert_equal(kind, AWKWARD)
    assert_decodes(kind, AWKWARD)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("kind", KINDS)
def test_real_texts_have_the_ids_of_hugging_faces(kind: str) -> None:
    assert_equal(kind, data_texts())


@pytest.mark.parametrize("kind", ["gpt_2", "bert"])
def test_ten_megabytes_without_a_space_are_encoded(kind: str) -> None:
    """That this ends is the bound: an algorithm of quadratic time would take hours."""
    _, ours = pair(kind)
    text = "abcdefgh" * 1_250_000
    made = ours.encode(text, add_special_tokens=False)
    if kind == "bert":
        assert made.ids == [ours.id("[UNK]")]
    else:
        assert ours.decode(made.ids) == text


def assert_pieces(kind: str, texts: Iterator[str] | list[str]) -> None:
    reference, ours = sentence_pieces(kind)
    for text in texts:
        made = ours.encode(text)
        assert made.ids == reference.encode(text), ascii(text[:300])
        assert ours.decode(made.ids) == reference.decode(made.ids), ascii(text[:300])


@pytest.mark.parametrize("kind", SENTENCE_PIECES)
def test_random_texts_have_sentencepieces_ids(kind: str) -> None:
    assert_pieces(kind, random_texts(1500, 3))
    assert_pieces(kind, AWKWARD)
    reference, ours = sentence_pieces(kind)
    for text in [*AWKWARD, *TEXT[:4]]:
        data, pieces = text.encode(), reference.encode_as_proto(text).pieces
        offsets = [(len(data[: piece.begin].decode()), len(data[: piece.end].decode())) for piece in pieces]
        assert ours.encode(text).offsets == offsets, ascii(text)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SENTENCE_PIECES)
def test_a_hundred_thousand_texts_have_sentencepieces_ids(kind: str) -> None:
    assert_pieces(kind, random_texts(100_000, 4))


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("kind", SENTENCE_PIECES)
def test_real_lines_have_sentencepieces_ids(kind: str) -> None:
    """Lines: Unigram adds up float scores, and the two versions round the sums of a megabyte otherwise."""
    for text in data_texts():
        assert_pieces(kind, text.splitlines())


@pytest.mark.parametrize("kind", [*KINDS, *SENTENCE_PIECES])
def test_parts_of_a_stream_are_the_text(kind: str) -> None:
    ours = pair(kind)[1] if kind in KINDS else sentence_pieces(kind)[1]
    generator = random.Random(0)
    for text in [*AWKWARD[:14], *random_texts(50, 5)]:
        assert_streams(ours, ours.encode(text).ids)
    for _ in range(100):  # ids that no text has
        assert_streams(ours, [generator.randrange(ours.vocabulary_size) for _ in range(12)])


def test_tokens_are_known_by_their_ids_and_ids_by_their_tokens() -> None:
    reference, ours = pair("gpt_2")
    assert ours.vocabulary_size == reference.get_vocab_size()
    for token, number in reference.get_vocab().items():
        assert ours.id(token) == number
        assert ours.token(number) == token
    assert ours.id("no such token") is None


def test_bad_ids_and_files_are_one_line() -> None:
    _, ours = pair("gpt_2")
    for call in (lambda: ours.decode([10**6]), lambda: ours.token(-1)):
        with pytest.raises(portfire.InvalidInputError, match=r"^token id .* there are$"):
            call()
    with pytest.raises(portfire.InvalidPackageError, match=r"^mine: not JSON: "):
        portfire.Tokenizer.from_bytes(b"{", "mine")
    with pytest.raises(portfire.InvalidInputError):
        ours.encode("\ud800")
