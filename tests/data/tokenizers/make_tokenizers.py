#!/usr/bin/env python3
"""Make the SentencePiece models here and the first inputs of the fuzzers that read tokenizers, with the
packages `sentencepiece` and `tokenizers`. Run it only to add a case:

    python tests/data/tokenizers/make_tokenizers.py
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

HERE = Path(__file__).parent
CORPUS = HERE.parents[1] / "fuzz" / "corpus"
TEXT = """
Once upon a time there was a tokenizer that read every word of every book.
It read the words from the left, and the longest of them came first.
A word that it did not know was cut into pieces, and a piece into letters.
The letters of a café are four, and those of naïve are five.
Whoever reads 1,024 words a day reads 373,760 words a year.
"""
# What a character becomes: small beside the 230 kB of the library's own map.
RULES = {"A": "a", "I": "i", "O": "o", "T": "t", "W": "w", "ﬁ": "fi", "\u3000": " ", "½": "1/2", "\u00ad": ""}


def spelled(text: str) -> str:
    return " ".join(f"{ord(c):X}" for c in text)


def train(name: str, **options: object) -> None:
    lines = [line for line in TEXT.splitlines() if line] * 4
    out = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.tsv"
        rules.write_text("".join(f"{spelled(a)}\t{spelled(b)}\n" for a, b in RULES.items()), encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=out,
            num_threads=1,
            minloglevel=2,
            normalization_rule_tsv=str(rules),
            **options,
        )
    (HERE / f"{name}.model").write_bytes(out.getvalue())


def write(folder: str, name: str, data: bytes) -> None:
    (CORPUS / folder).mkdir(parents=True, exist_ok=True)
    (CORPUS / folder / name).write_bytes(data)


def json_seeds() -> dict[str, Tokenizer]:
    """A tokenizer.json with every part that is read, spread over a few."""
    words = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "##a": 4, "caf": 5, "##e": 6}
    bert = Tokenizer(models.WordPiece(words, unk_token="[UNK]", max_input_chars_per_word=20))
    bert.normalizer = normalizers.BertNormalizer()
    bert.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [("[CLS]", 1), ("[SEP]", 2)]
    bert.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special)
    bert.decoder = decoders.WordPiece()
    bert.add_special_tokens(["[CLS]", "[SEP]"])
    bert.enable_truncation(6)
    bert.enable_padding(length=8, pad_id=0, pad_token="[UNK]")

    level = Tokenizer(
        models.BPE({"Ġ": 0, "t": 1, "e": 2, "s": 3, "te": 4, "Ġte": 5}, [("t", "e"), ("Ġ", "te")])
    )
    level.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel()]
    )
    level.post_processor = processors.RobertaProcessing(("t", 1), ("e", 2))
    level.decoder = decoders.ByteLevel()

    steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁"), normalizers.NFKC(), normalizers.Strip()]
    pieces = {"<unk>": 0, "▁": 1, "a": 2, "▁a": 3} | {f"<0x{k:02X}>": 4 + k for k in range(256)}
    meta = Tokenizer(models.BPE(pieces, [("▁", "a")], unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    meta.normalizer = normalizers.Sequence(steps)
    meta.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )

    level_words = Tokenizer(models.WordLevel({"<unk>": 0, "▁a": 1, "test": 2}, unk_token="<unk>"))
    level_words.normalizer = normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    level_words.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Punctuation(), pre_tokenizers.Metaspace(prepend_scheme="first")]
    )
    level_words.decoder = decoders.Metaspace()
    return {"bert": bert, "bytes": level, "fallback": meta, "words": level_words}


def main() -> None:
    shared = {"unk_id": 0, "bos_id": 1, "eos_id": 2, "user_defined_symbols": ["<sep>"]}
    train("unigram", model_type="unigram", vocab_size=70, **shared)
    train("bpe", model_type="bpe", vocab_size=380, byte_fallback=True, character_coverage=0.98, **shared)
    train("char", model_type="char", vocab_size=40, hard_vocab_limit=False, **shared)
    train("word", model_type="word", vocab_size=60, hard_vocab_limit=False, **shared)
    for name, tokenizer in json_seeds().items():
        write("tokenizer_json", name, tokenizer.to_str().encode())
    ngrams = b'{"model":{"type":"HashedNGrams","buckets":64,"words":[1,2],"characters":[3,4]},'
    write("tokenizer_json", "ngrams", ngrams + b'"pre_tokenizer":{"type":"Whitespace"}}\0two words')
    texts = ["the café's  aaaaa", "a b's", "[SEP] a, a's", "ﬁne é", "It's 1234\n\n  x<|end|>", "ab a"]
    for kind, text in enumerate(texts):
        write("bpe_encode", str(kind), bytes([kind]) + text.encode())
        write(
            "decode_stream",
            str(kind),
            bytes([kind, *b"\x00\x00\x01\x00\x02\x00\xc3\x00\xa9\x00\xe2\x00a\x00"]),
        )


if __name__ == "__main__":
    main()
