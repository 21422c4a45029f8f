"""Models that read and write text: the same on every face, and one line for what is wrong."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from faces import CppLibrary, Program
from small_texts import CONTEXT, LABELS, TextWorld, make_classifier, make_writer, prompts, sentences

import portfire

_CLOSE = 1e-6


@pytest.fixture(scope="session")
def bag(tmp_path_factory: pytest.TempPathFactory) -> TextWorld:
    return make_classifier(tmp_path_factory.mktemp("bag"))


@pytest.fixture(scope="session", params=["gpt", "gru"])
def writer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TextWorld:
    return make_writer(tmp_path_factory.mktemp(request.param), request.param)


def _table(answers: Sequence[Any]) -> np.ndarray:
    table = np.full((len(answers), len(LABELS)), np.nan)
    for row, answer in zip(table, answers, strict=True):
        for scored in answer["top"]:
            row[scored["index"]] = scored["probability"]
    return table


def _eager(world: TextWorld, texts: Sequence[str]) -> np.ndarray:
    rows = []
    with torch.inference_mode():
        for text in texts:
            ids, length = world.module.preprocess(torch.tensor(world.tokenizer.encode(text).ids[:32]))
            logits = world.module(ids.unsqueeze(0), length.unsqueeze(0))[0]
            rows.append(world.module.postprocess(logits))
    return torch.stack(rows).numpy()


def test_a_thousand_sentences_have_the_same_probabilities_everywhere(
    bag: TextWorld, program: Program, cpp: CppLibrary, tmp_path: Path
) -> None:
    texts = sentences(1000)
    expected = _eager(bag, texts)
    lines = tmp_path / "texts.txt"
    lines.write_text("\n".join(texts) + "\n", encoding="utf-8")
    done = program("run", bag.folder, "--from", lines)
    assert (done.status, done.err) == (0, "")
    assert [line["input"] for line in done.objects] == texts
    np.testing.assert_allclose(_table([line["answer"] for line in done.objects]), expected, atol=_CLOSE)
    files = []
    for k, text in enumerate(texts):
        files.append(tmp_path / f"{k}.txt")
        files[-1].write_text(text, encoding="utf-8")
    native = cpp.run([(bag.folder, file) for file in files])
    np.testing.assert_allclose(_table([outcome.answer for outcome in native]), expected, atol=_CLOSE)
    for engine in ("torchscript", "graph"):
        model = portfire.load(bag.folder, engine=engine)
        for batch in (1, 64):
            answers = [json.loads(a.to_json()) for a in model.map(texts, batch_size=batch, top_k=3)]
            np.testing.assert_allclose(_table(answers), expected, atol=_CLOSE)


def _greedy(world: TextWorld, prompt: str, count: int) -> list[int]:
    """The likeliest tokens by the whole text each time, without a state."""
    ids = list(world.tokenizer.encode(prompt).ids)
    first = len(ids)
    with torch.inference_mode():
        while len(ids) < min(first + count, CONTEXT):
            ids.append(int(world.module.logits(torch.tensor([ids]))[0, -1].argmax()))
    return ids[first:]


@pytest.mark.parametrize("number", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_prompts_go_on_with_the_same_tokens_everywhere(
    writer: TextWorld, program: Program, cpp: CppLibrary, tmp_path: Path, number: int
) -> None:
    texts = prompts(number)
    count = 10
    expected = [_greedy(writer, text, count) for text in texts]
    done = program("run", "--json", "--threads", 1, "--max-tokens", count, "--", writer.folder, *texts)
    assert (done.status, done.err) == (0, "")
    given = [line["answer"]["sequences"][0]["ids"] for line in done.objects]
    assert given == [ids[: len(mine)] for ids, mine in zip(expected, given, strict=True)]
    assert all(len(mine) == count for mine in given) or "gpt" in writer.folder.name
    for engine in ("torchscript", "graph"):
        model = portfire.load(writer.folder, engine=engine, threads=1)
        for text, mine in zip(texts, given, strict=True):
            generation = model.generate(text, max_new_tokens=count)
            assert generation.sequences[0].ids == mine
            stream = model.stream(text, max_new_tokens=count)
            assert "".join(stream) == generation.text == stream.result.text
    file = tmp_path / "prompt.txt"
    file.write_text(texts[0], encoding="utf-8")
    (native,) = cpp.run([(writer.folder, file)])
    assert native.answer["sequences"][0]["ids"][:count] == given[0]


def test_the_program_prints_the_text_as_it_comes(writer: TextWorld, program: Program) -> None:
    done = program("run", writer.folder, "the quick", "--max-tokens", 10)
    text = portfire.load(writer.folder).generate("the quick", max_new_tokens=10).text
    assert (done.status, done.err, done.out) == (0, "", f"the quick{text}\n")


def test_a_seed_gives_the_same_texts_on_every_face(writer: TextWorld, program: Program) -> None:
    options = ("--temperature", 1.2, "--top-k", 8, "--seed", 5, "--sequences", 3, "--max-tokens", 9)
    (line,) = program("run", "--json", writer.folder, "abc", *options).objects
    generation = portfire.load(writer.folder).generate(
        "abc", temperature=1.2, top_k=8, seed=5, num_sequences=3, max_new_tokens=9
    )
    assert line["answer"] == json.loads(generation.to_json())
    assert len({text.text for text in generation.sequences}) > 1


def test_an_interrupt_ends_the_text_with_what_was_said(
    program: Program, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = make_writer(tmp_path_factory.mktemp("endless"), "gru").folder
    process = subprocess.Popen(
        program.command("run", folder, "a", "--max-tokens", 40, "--temperature", 1),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdout is not None
    process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130), err  # forty tokens may have been quicker than the signal
    assert out.endswith(b"\n") and err == b""


_BAD = (
    ((), ("",), 65, "text: the text is empty; "),
    (("--temperature", -1), ("a",), 64, "temperature is -1; 0 (the likeliest token), or 1e-06 to 1e+06"),
    (("--temperature", 1, "--top-p", 0), ("a",), 64, "top_p is 0; above 0 and at most 1"),
    (("--temperature", 1, "--top-p", 1.5), ("a",), 64, "top_p is 1.5; above 0 and at most 1"),
    (("--top-k", 3), ("a",), 64, "top_k, top_p and min_p are for drawing"),
    (("--max-tokens", 0), ("a",), 64, "max_new_tokens is 0; at least 1"),
    (("--stop-token", 4000), ("a",), 64, "stop token 4000; "),
    ((), ("a" * (CONTEXT + 1),), 65, f"text: the text has more than {CONTEXT} tokens"),
    ((), (), 64, "no inputs; "),
)


@pytest.mark.parametrize(("options", "texts", "status", "message"), _BAD)
def test_what_is_wrong_is_one_line(
    bag: TextWorld,
    program: Program,
    tmp_path_factory: pytest.TempPathFactory,
    options: tuple[object, ...],
    texts: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    folder = tmp_path_factory.getbasetemp() / "bad-writer"
    if not folder.is_dir():
        make_writer(folder, "gpt")
    done = program("run", folder, *texts, *options)
    assert (done.status, done.out.strip()) == (status, texts[0].strip() if done.out.strip() else "")
    assert done.error.startswith(message)


def test_lines_of_standard_input_are_texts_and_one_without_end_is_an_error(
    bag: TextWorld, program: Program
) -> None:
    long = b"w1 " * 700_000
    done = program("run", "--json", bag.folder, "-", stdin=b"w1 w2\r\n\n" + long + b"\nw3 \xff\n")
    assert done.status == 65
    first, second, third = done.objects
    assert first["input"] == "w1 w2"
    assert second["error"]["message"].startswith("standard input:3: a text of 2100000 bytes; at most")
    assert third["answer"]["label"] in LABELS


def test_a_table_is_mapped_to_json_lines(bag: TextWorld, program: Program, tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text('id,review\n1,"w1, ""w2""\nw3"\n2,w4\n', encoding="utf-8")
    done = program("run", bag.folder, "--from", table, "--column", "review")
    assert [line["input"] for line in done.objects] == ['w1, "w2"\nw3', "w4"]
    done = program("run", bag.folder, "--from", table)
    assert done.status == 64
    assert done.error == f'{table}: has no column "text"; it has "id", "review"; --column names one'


def test_python_refuses_in_its_own_words(bag: TextWorld, writer: TextWorld) -> None:
    reads, writes = portfire.load(bag.folder), portfire.load(writer.folder)
    with pytest.raises(portfire.InvalidInputError, match="the text is empty"):
        reads.run("")
    with pytest.raises(portfire.InvalidInputError, match="lone surrogate"):
        reads.run("\ud800")
    with pytest.raises(portfire.InvalidArgumentError, match="text-generation writes texts"):
        reads.stream("a")
    with pytest.raises(portfire.InvalidArgumentError, match="there is no option top"):
        writes.generate("a", top=3)
    with pytest.raises(portfire.InvalidArgumentError, match="temperature is a str, which it cannot be"):
        writes.generate("a", temperature="hot")
    with pytest.raises(portfire.InvalidArgumentError, match="a stream is of one text"):
        writes.stream("a", temperature=1.0, num_sequences=2)
    beyond = np.array([[4000]]), np.array([[0]]), np.array([0])
    state = [np.zeros([2 if size == "L" else size for size in shape], np.float32) for shape in _sizes(writer)]
    with pytest.raises(portfire.InvalidInputError, match="ids"):
        writes.forward(*beyond, *state)


def _sizes(world: TextWorld) -> list[list[int]]:
    sizes = {"N": 1, "T": 4}
    return [
        [sizes[size] if isinstance(size, str) else size for size in shape]
        for shape in world.module.state_shapes().values()
    ]


def test_forward_leaves_its_inputs_as_they_are(writer: TextWorld) -> None:
    """The bare call is not a stream: what the program writes to is a copy."""
    ids = np.array([[1, 2, 3]])
    state = [np.zeros(shape, np.float32) for shape in _sizes(writer)]
    for engine in ("torchscript", "graph"):
        model = portfire.load(writer.folder, engine=engine)
        model.forward(ids, np.array([[0, 1, 2]]), np.array([2]), *state)
        assert not any(part.any() for part in state)


def test_an_async_stream_gives_the_same_parts(writer: TextWorld) -> None:
    model = portfire.load(writer.folder, threads=1)

    async def read(most: int) -> list[str]:
        parts: list[str] = []
        async for part in model.stream_async("abc", max_new_tokens=15):
            parts.append(part)
            if len(parts) == most:
                break
        return parts

    whole = list(model.stream("abc", max_new_tokens=15))
    assert asyncio.run(read(99)) == whole
    assert asyncio.run(read(2)) == whole[:2]


def test_a_stream_that_is_let_go_frees_what_it_takes(writer: TextWorld) -> None:
    stream = portfire.load(writer.folder).stream("abc", max_new_tokens=20)
    first = next(stream)
    stream.cancel()
    assert stream.result.text == first
    assert stream.result.finish_reason == "cancelled"
    assert list(stream) == []
