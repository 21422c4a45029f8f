#!/usr/bin/env python3
"""How fast text becomes token ids: Portfire's tokenizers beside the packages `tokenizers` and
`sentencepiece`, one thread each, on a whole file and line by line, in turn. Of `encode` and
`encode_batch_fast` the better one counts.

Usage: .venv/bin/python tools/bench/tokenizer_speed.py TEXT   (after tools/build; trains on the text)
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
ROOT = Path(__file__).resolve().parents[2]
sys.path = [str(ROOT / "python"), *(path for path in sys.path if path != str(Path(__file__).parent))]

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ROUNDS = 7
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train(kind: str, lines: list[str]) -> Tokenizer:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    quiet = {"show_progress": False}
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if kind in {"GPT-2", "Llama 3"}:
        made = Tokenizer(models.BPE(ignore_merges=kind == "Llama 3"))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        if kind == "Llama 3":
            steps = [pre_tokenizers.Split(Regex(LLAMA_3), "isolated")]
            steps += [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
            made.pre_tokenizer = pre_tokenizers.Sequence(steps)
        trainer = trainers.BpeTrainer(vocab_size=8000, initial_alphabet=alphabet, **quiet)
    elif kind == "BERT":
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer()
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=8000, special_tokens=["[UNK]"], **quiet)
    elif kind == "words":
        made = Tokenizer(models.WordLevel(unk_token="<unk>"))
        made.normalizer = normalizers.Lowercase()
        made.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(vocab_size=20_000, special_tokens=["<unk>"], **quiet)
    elif kind == "Metaspace BPE":
        made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        made.normalizer = normalizers.NFKC()
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.BpeTrainer(vocab_size=5000, special_tokens=["<unk>"], **quiet)
    else:
        made = Tokenizer(models.BPE(unk_token="<unk>"))
        trainer = trainers.BpeTrainer(vocab_size=10, special_tokens=["<unk>"], **quiet)
    made.train_from_iterator(lines, trainer)
    return made


def train_pieces(kind: str, lines: list[str]) -> bytes:
    import sentencepiece

    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=out,
        model_type=kind,
        vocab_size=4000,
        num_threads=1,
        minloglevel=2,
        hard_vocab_limit=False,
    )
    return out.getvalue()


def in_turn(sides: list[Callable[[], Any]]) -> list[list[float]]:
    """Seconds of each side, round by round; the first, which fills caches, is not counted."""
    times: list[list[float]] = [[] for _ in sides]
    for number in range(ROUNDS + 1):
        for side, seen in zip(sides, times, strict=True):
            start = time.perf_counter()
            side()
            if number > 0:
                seen.append(time.perf_counter() - start)
    return times


def row(name: str, texts: dict[str, list[str]], ours: Any, theirs: list[Callable[[list[str]], Any]]) -> None:
    cells = []
    for parts in texts.values():
        megabytes = sum(len(part.encode()) for part in parts) / 1e6
        sides: list[Callable[[], Any]] = [lambda parts=parts: [ours.encode(part) for part in parts]]  # type: ignore[misc]
        sides += [lambda parts=parts, call=call: call(parts) for call in theirs]  # type: ignore[misc]
        mine, *others = in_turn(sides)
        best = min(others, key=statistics.median)
        ratio = statistics.median(other / own for own, other in zip(mine, best, strict=True))
        speeds = [megabytes / statistics.median(seen) for seen in (mine, best)]
        cells.append(f"{speeds[0]:8.2f} {speeds[1]:8.2f} {ratio:7.2f}")
    print(f"{name:26} {'   '.join(cells)}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("text", type=Path, metavar="TEXT", help="a file of UTF-8, one megabyte or so")
    arguments = parser.parse_args()
    if not list((ROOT / "python" / "portfire").glob("_core*.so")):
        print("tokenizers.py: build first (tools/build)", file=sys.stderr)
        return 1
    import sentencepiece

    import portfire

    text = arguments.text.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip()]
    texts = {"whole": [text], "lines": lines}
    size = f"{len(text.encode()) / 1e6:.2f} MB, {len(lines)} lines"
    print(f"{arguments.text.name}, {size}; MB/s, median of {ROUNDS} rounds")
    print(f"{'':26} {'the whole file':^25}   {'line by line':^25}")
    print(f"{'':26} {'   '.join(['portfire    other   ratio'] * 2)}")
    for kind in ("GPT-2", "Llama 3", "BERT", "words", "Metaspace BPE", "characters"):
        made = train(kind, lines)
        ours = portfire.Tokenizer.from_bytes(made.to_str().encode())
        row(
            f"{kind} (tokenizers)",
            texts,
            ours,
            [
                lambda parts, made=made: [made.encode(part) for part in parts],
                lambda parts, made=made: made.encode_batch_fast(parts),
            ],
        )
    for kind in ("unigram", "bpe"):
        data = train_pieces(kind, lines)
        processor = sentencepiece.SentencePieceProcessor(model_proto=data)
        ours = portfire.Tokenizer.from_bytes(data)
        row(
            f"{kind} (sentencepiece)",
            texts,
            ours,
            [lambda parts, made=processor: [made.encode(part) for part in parts]],
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
