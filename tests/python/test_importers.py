"""Models of other projects as packages."""

from __future__ import annotations

import json
import os
import struct
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import portfire
from portfire.importers import llama2c
from portfire.importers.__main__ import import_llama2c, main

_DATA = os.environ.get("PORTFIRE_DATA", "")
_STORIES = Path(_DATA) / "weights" / "tinystories_260k"
needs_stories = pytest.mark.skipif(not _DATA, reason="PORTFIRE_DATA has the weights")


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stories") / "1" / "model.pt"
    import_llama2c(_STORIES, path, name="stories", licence="MIT")
    return path.parent


@needs_stories
@pytest.mark.parametrize("engine", ["torchscript", "graph"])
@pytest.mark.parametrize("prompt", ["Once upon a time", "Tom had a red"])
def test_tinystories_writes_what_it_writes_in_eager_python(stories: Path, engine: str, prompt: str) -> None:
    network, _ = llama2c.read_model(_STORIES / "checkpoint_legacy.bin")
    tokenizer = portfire.Tokenizer.from_bytes(llama2c.read_tokenizer(_STORIES / "tokenizer.bin", 512))
    generation = portfire.load(stories, engine=engine, threads=1).generate(prompt, max_new_tokens=60)
    ids = tokenizer.encode(prompt).ids
    first = len(ids)
    with torch.inference_mode():  # the whole text each time, without a state
        for _ in range(60):
            ids.append(int(network.logits(torch.tensor([ids]))[0, -1].argmax()))
    assert generation.sequences[0].ids == ids[first:]
    assert tokenizer.decode(ids) == prompt + generation.text
    if prompt == "Once upon a time":
        assert generation.text.startswith(
            ", there was a little girl named Lily"
        )  # as the weights' source says


def _tokens_by_scores(content: bytes, text: str) -> list[int]:
    """llama2.c's own way: the two neighbours whose piece has the highest score are joined, while one has."""
    pieces: list[bytes] = []
    scores: list[float] = []
    at = 4
    while at < len(content):
        score, size = struct.unpack_from("<fi", content, at)
        pieces.append(content[at + 8 : at + 8 + size])
        scores.append(score)
        at += 8 + size
    known = {piece: k for k, piece in enumerate(pieces)}
    ids: list[int] = []
    for letter in " " + text:
        encoded = letter.encode()
        ids += [known[encoded]] if encoded in known else [byte + 3 for byte in encoded]
    while True:
        joined = [known.get(pieces[a] + pieces[b], -1) for a, b in pairwise(ids)]
        best = max(range(len(joined)), key=lambda k: (scores[joined[k]] if joined[k] >= 0 else -1e10, -k))
        if joined[best] < 0:
            return ids
        ids[best : best + 2] = [joined[best]]


@needs_stories
@pytest.mark.parametrize(
    "text",
    [
        "Once upon a time, there was a little girl named Lily.",
        "Lily's mom said, \"Lily, let's go to the park.\"",
        "The unbelievably knowledgeable hippopotamus ate 13 bananas!",
        "déjà vu 漢字 👍\nnew line",
    ],
)
def test_the_tokens_are_llama2cs(text: str) -> None:
    content = (_STORIES / "tokenizer.bin").read_bytes()
    tokenizer = portfire.Tokenizer.from_bytes(llama2c.read_tokenizer(_STORIES / "tokenizer.bin", 512))
    assert tokenizer.encode(text).ids == [llama2c.BEGIN, *_tokens_by_scores(content, text)]
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def _checkpoint(folder: Path, header: tuple[int, ...], numbers: int) -> Path:
    path = folder / "model.bin"
    path.write_bytes(struct.pack("<7i", *header) + bytes(4 * numbers))
    return path


def test_a_checkpoint_that_is_none_is_refused_by_its_header(tmp_path: Path) -> None:
    with pytest.raises(portfire.InvalidInputError, match=r"not a llama2\.c checkpoint of the first format"):
        llama2c.read_model(_checkpoint(tmp_path, (8, 16, 1, 3, 1, 32, 16), 10))
    with pytest.raises(portfire.InvalidInputError, match="10 numbers; its header asks for"):
        llama2c.read_model(_checkpoint(tmp_path, (8, 16, 1, 2, 1, 32, 16), 10))
    (tmp_path / "short.bin").write_bytes(b"12")
    with pytest.raises(portfire.InvalidInputError, match=r"2 bytes; a llama2\.c checkpoint begins with 28"):
        llama2c.read_model(tmp_path / "short.bin")


def test_a_head_of_its_own_follows_the_angles(tmp_path: Path) -> None:
    channels, hidden, vocabulary, context, heads = 8, 16, 32, 4, 2
    tied = vocabulary * channels + 4 * channels**2 + 3 * hidden * channels + 3 * channels
    angles = context * channels // heads
    path = tmp_path / "model.bin"
    header = struct.pack("<7i", channels, hidden, 1, heads, heads, -vocabulary, context)
    head = torch.arange(vocabulary * channels, dtype=torch.float32)
    path.write_bytes(header + bytes(4 * (tied + angles)) + head.numpy().tobytes())
    model, read = llama2c.read_model(path)
    assert read == context
    assert model.head.weight.flatten().tolist() == head.tolist()
    assert not model.token.weight.any()


def test_the_command_says_in_one_line_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["llama2c", str(tmp_path), "--name", "x", "--licence", "MIT"]) == 1
    assert capsys.readouterr().err == (
        f"importers: {tmp_path}: holds 0 checkpoints; one .bin file and tokenizer.bin are needed\n"
    )
    _checkpoint(tmp_path, (8, 16, 1, 2, 2, 32, 4), 32 * 8 + 4 * 64 + 3 * 128 + 24 + 16)
    (tmp_path / "tokenizer.bin").write_bytes(struct.pack("<ifi", 1, 0.0, 1000) + b"abc")
    assert main(["llama2c", str(tmp_path), "--name", "x", "--licence", "MIT"]) == 1
    assert "piece 0 is of 1000 bytes, beyond the file's end" in capsys.readouterr().err


def test_pieces_become_merges_by_their_scores(tmp_path: Path) -> None:
    names = ["<unk>", "\n<s>\n", "\n</s>\n", *(f"<0x{k:02X}>" for k in range(256)), "a", "b", " ", "ab", " a"]
    scores = [0.0] * 262 + [-1.0, -2.0]
    path = tmp_path / "tokenizer.bin"
    rows = [
        struct.pack("<fi", score, len(name.encode())) + name.encode()
        for name, score in zip(names, scores, strict=True)
    ]
    path.write_bytes(struct.pack("<i", 8) + b"".join(rows))
    whole = json.loads(llama2c.read_tokenizer(path, len(names)))
    assert whole["model"]["merges"] == [["a", "b"], ["▁", "a"]]
    tokenizer = portfire.Tokenizer.from_bytes(json.dumps(whole).encode())
    assert tokenizer.encode("ab").tokens == ["<s>", "▁", "ab"]
    assert tokenizer.decode(tokenizer.encode("ab a").ids) == "ab a"
