"""Texts that are written together say what they say alone; beams; the batcher."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from faces import Program
from small_texts import CONTEXT, TextWorld, make_classifier, make_writer, prompts

import portfire


@pytest.fixture(scope="session", params=["gpt", "llama", "gru"])
def writer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TextWorld:
    return make_writer(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="session")
def endless(tmp_path_factory: pytest.TempPathFactory) -> TextWorld:
    return make_writer(tmp_path_factory.mktemp("endless"), "gru")


def _options(number: int) -> dict[str, Any]:
    """Of every kind."""
    kinds: tuple[dict[str, Any], ...] = (
        {"max_new_tokens": 20},
        {"max_new_tokens": 5 + number, "temperature": 1.0, "seed": number},
        {"max_new_tokens": 12, "num_beams": 3, "num_sequences": 2, "length_penalty": 0.5},
        {"max_new_tokens": 9, "temperature": 1.3, "top_k": 9, "num_sequences": 2, "seed": number},
    )
    return kinds[number % len(kinds)]


@pytest.mark.parametrize("engine", ["torchscript", "graph"])
def test_a_text_is_the_same_alone_and_among_sixteen_others(writer: TextWorld, engine: str) -> None:
    model = portfire.load(writer.folder, engine=engine, threads=1)
    texts = prompts(17)
    alone = [model.generate(text, **_options(k)) for k, text in enumerate(texts)]
    batcher = portfire.TextBatcher(model, max_sequences=40)
    with ThreadPoolExecutor(len(texts)) as callers:
        together = list(callers.map(lambda k: batcher.generate(texts[k], **_options(k)), range(len(texts))))
    for one, other in zip(alone, together, strict=True):
        assert [text.ids for text in one.sequences] == [text.ids for text in other.sequences]
        assert one.text == other.text
    assert batcher.stats.finished == len(texts)
    assert batcher.stats.steps < sum(len(one.sequences[0].ids) for one in alone)


def test_many_prompts_of_one_call_are_written_together(
    writer: TextWorld, program: Program, tmp_path: Path
) -> None:
    model = portfire.load(writer.folder, threads=1)
    texts = prompts(20)
    alone = [model.generate(text, max_new_tokens=15) for text in texts]
    together = model.generate_each([*texts[:10], "", *texts[10:]], max_new_tokens=15)
    assert isinstance(together.pop(10), portfire.InvalidInputError)
    ids = [one.sequences[0].ids for one in alone]
    assert [one.sequences[0].ids for one in together] == ids
    lines = tmp_path / "prompts.txt"
    lines.write_text("\n".join(texts) + "\n", encoding="utf-8")
    done = program("run", writer.folder, "--from", lines, "--threads", 1, "--max-tokens", 15)
    assert [line["answer"]["sequences"][0]["ids"] for line in done.objects] == ids


def test_beams_on_every_face(writer: TextWorld, program: Program) -> None:
    model = portfire.load(writer.folder, threads=1)
    greedy = model.generate("the quick", max_new_tokens=12).sequences[0]
    best = model.generate(
        "the quick",
        max_new_tokens=12,
        num_beams=4,
        num_sequences=3,
        length_penalty=0.0,
        early_stopping="never",
    )
    likelihood = [sum(text.log_probabilities) for text in best.sequences]
    assert likelihood == sorted(likelihood, reverse=True)
    assert likelihood[0] >= sum(greedy.log_probabilities) - 1e-4
    options = ("--beams", 4, "--sequences", 3, "--length-penalty", 0, "--early-stopping", "never")
    (line,) = program("run", "--json", writer.folder, "the quick", *options, "--max-tokens", 12).objects
    assert [text["ids"] for text in line["answer"]["sequences"]] == [text.ids for text in best.sequences]
    shown = program("run", writer.folder, "the quick", "--beams", 4, "--max-tokens", 12)
    assert (shown.status, shown.err) == (0, "")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--beams", 4, "--temperature", 1), "num_beams is 4 and temperature 1: beam search does not draw"),
        (("--beams", 0), "num_beams is 0; 1 (none) to 64"),
        (("--beams", 2, "--sequences", 3), "num_sequences is 3; at most num_beams, which is 2"),
        (("--length-penalty", 2), "length_penalty and early_stopping are for beam search"),
    ],
)
def test_beams_that_contradict_are_refused(
    endless: TextWorld, program: Program, options: tuple[Any, ...], error: str
) -> None:
    done = program("run", endless.folder, "abc", *options)
    assert done.status == 64
    assert error in done.error


def test_a_batcher_refuses_in_one_line(endless: TextWorld, tmp_path: Path) -> None:
    model = portfire.load(endless.folder, threads=1)
    for options, error in (
        ({"max_sequences": 0}, "max_sequences is 0; 1 to 4096"),
        ({"max_tokens": -1}, "max_tokens is -1; 0 "),
        ({"max_waiting": 0}, "max_waiting is 0; 1 or more"),
        ({"max_cache_bytes": 7}, "max_cache_bytes is 7; one text of"),
        ({"rows": 7}, "there is no option rows; there are max_sequences, max_tokens"),
    ):
        with pytest.raises(portfire.InvalidArgumentError, match=error):
            portfire.TextBatcher(model, **options)
    with pytest.raises(portfire.InvalidArgumentError, match="text-generation writes texts"):
        portfire.TextBatcher(portfire.load(make_classifier(tmp_path).folder))
    batcher = portfire.TextBatcher(model, max_sequences=2, max_tokens=10)
    with pytest.raises(portfire.InvalidInputError, match="takes 1 to 10"):
        batcher.generate("a long prompt")
    with pytest.raises(portfire.InvalidArgumentError, match="num_beams is 3; this batcher writes 2"):
        batcher.generate("ab", num_beams=3)
    with pytest.raises(portfire.InvalidArgumentError, match="there is no stream of it"):
        batcher.stream("ab", num_beams=2)
    with pytest.raises(portfire.InvalidArgumentError, match='early_stopping is 3; False, True or "never"'):
        batcher.generate("ab", num_beams=2, early_stopping=3)
    with pytest.raises(portfire.InvalidInputError, match="the text is empty"):
        batcher.stream("")
    assert len(batcher.generate("abcd", max_new_tokens=100).sequences[0].ids) <= 6


def test_the_cache_has_a_bound(writer: TextWorld) -> None:
    model = portfire.load(writer.folder, threads=1)
    one = portfire.TextBatcher(model, max_sequences=1).stats.cache_bytes
    bounded = portfire.TextBatcher(model, max_sequences=100, max_cache_bytes=3 * one + one // 2)
    assert (bounded.stats.max_sequences, bounded.stats.cache_bytes) == (3, 3 * one)
    with ThreadPoolExecutor(8) as callers:
        texts = list(callers.map(lambda k: bounded.generate("abc", max_new_tokens=9).text, range(8)))
    assert set(texts) == {model.generate("abc", max_new_tokens=9).text}


def test_a_stream_that_is_let_go_frees_its_place(endless: TextWorld) -> None:
    model = portfire.load(endless.folder, threads=1)
    batcher = portfire.TextBatcher(model, max_sequences=1)
    stream = batcher.stream("abc", max_new_tokens=CONTEXT)
    first = next(stream)
    waits = batcher.stream("abc", max_new_tokens=3)
    del stream
    assert "".join(waits) == model.generate("abc", max_new_tokens=3).text
    assert waits.result.finish_reason in ("length", "stop")
    stream = batcher.stream("abc", max_new_tokens=CONTEXT)
    assert first.startswith(next(stream)[:1])
    stream.cancel()
    assert stream.result.finish_reason in ("cancelled", "length")
    assert json.loads(batcher.generate("abc", max_new_tokens=1).to_json())["sequences"]


def test_a_stream_outlives_its_batcher(endless: TextWorld) -> None:
    model = portfire.load(endless.folder, threads=1)
    batcher = portfire.TextBatcher(model, max_sequences=1)
    streams = [batcher.stream("abc", max_new_tokens=CONTEXT) for _ in range(3)]
    del batcher
    for stream in streams:
        text = "".join(stream)
        assert stream.result.text == text
    assert streams[2].result.finish_reason == "cancelled"


def test_async_callers_share_a_batch(endless: TextWorld) -> None:
    model = portfire.load(endless.folder, threads=1)
    batcher = portfire.TextBatcher(model, max_sequences=4)

    async def read(prompt: str) -> str:
        return "".join([part async for part in batcher.stream_async(prompt, max_new_tokens=10)])

    async def all_of(texts: list[str]) -> list[str]:
        generations = asyncio.gather(*(batcher.generate_async(text, max_new_tokens=10) for text in texts))
        streamed = await asyncio.gather(*(read(text) for text in texts))
        assert streamed == [generation.text for generation in await generations]
        return streamed

    texts = prompts(9)
    expected = [model.generate(text, max_new_tokens=10).text for text in texts]
    assert asyncio.run(all_of(texts)) == expected


def test_a_task_that_is_cancelled_ends_its_text(endless: TextWorld) -> None:
    """While a part is being written on another thread: by itself and in a batch."""
    model = portfire.load(endless.folder, threads=1)
    batcher = portfire.TextBatcher(model, max_sequences=2)

    async def impatient(writer: portfire.Model | portfire.TextBatcher, seconds: float) -> None:
        async def read() -> None:
            async for _ in writer.stream_async("abc", max_new_tokens=CONTEXT):
                pass

        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(read(), seconds)

    async def many() -> None:
        for k in range(60):
            await impatient((model, batcher)[k % 2], 0.0003 * (k % 9))

    asyncio.run(many())
    expected = model.generate("abc", max_new_tokens=5).text
    assert batcher.generate("abc", max_new_tokens=5).text == expected
    assert batcher.stats.sequences == 0


def test_a_batcher_under_load_loses_nothing(endless: TextWorld) -> None:
    """Callers that read, wait, or walk away; all that stayed have what the model says."""
    model = portfire.load(endless.folder, threads=1)
    expected = model.generate("abc", max_new_tokens=12).text
    batcher = portfire.TextBatcher(model, max_sequences=5)
    wrong: list[str] = []

    def call(number: int) -> None:
        for k in range(12):
            if (number + k) % 3 == 0:
                next(batcher.stream("abc", max_new_tokens=12), None)
            elif (number + k) % 3 == 1:
                wrong.extend({"".join(batcher.stream("abc", max_new_tokens=12))} - {expected})
            else:
                wrong.extend({batcher.generate("abc", max_new_tokens=12).text} - {expected})

    callers = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong
    stats = batcher.stats
    assert stats.finished + stats.cancelled + stats.sequences + stats.waiting >= 8 * 12 - 1
    assert stats.failed == 0
