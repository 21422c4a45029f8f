"""Ctrl-C, and a task that is cancelled, end a text at once, not at its end."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faces import Program
from small_texts import TextWorld, make_writer

import portfire

_TOKENS = 900_000  # more than anybody waits for


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> TextWorld:
    return make_writer(tmp_path_factory.mktemp("endless"), "gru", context=1_000_000)


def _wait_until_caught(process: subprocess.Popen[bytes]) -> None:
    """Until the program has a handler for SIGINT: it has loaded its model."""
    for _ in range(6000):
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)
        if caught >> (signal.SIGINT - 1) & 1:
            return
        time.sleep(0.01)
    raise AssertionError("it never was")


@pytest.mark.parametrize("options", [("--beams", 4), ("--sequences", 3, "--temperature", 1), ("--json",)])
def test_an_interrupt_ends_the_program_before_its_texts(
    endless: TextWorld, program: Program, options: tuple[object, ...]
) -> None:
    process = subprocess.Popen(
        program.command("run", endless.folder, "a", "--max-tokens", _TOKENS, *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _wait_until_caught(process)
    time.sleep(0.3)
    assert process.poll() is None, "it writes"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, b"", b"")


_SCRIPT = """
import signal, sys, time
import portfire

signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the parent ignores it
model = portfire.load(sys.argv[1], threads=1)
batcher = portfire.TextBatcher(model, max_sequences=8)
options = {"max_new_tokens": int(sys.argv[3])}
calls = {
    "generate": lambda: model.generate("abc", **options),
    "beams": lambda: model.generate("abc", num_beams=4, **options),
    "each": lambda: model.generate_each(["abc", "b"], **options),
    "batcher": lambda: batcher.generate("abc", **options),
}
print("ready", flush=True)
try:
    calls[sys.argv[2]]()
except KeyboardInterrupt:
    for _ in range(1000):
        if batcher.stats.sequences == 0:
            break
        time.sleep(0.01)
    print("interrupted", batcher.stats.cancelled, batcher.stats.sequences)
"""


@pytest.mark.parametrize(("call", "cancelled"), [("generate", 0), ("beams", 0), ("each", 0), ("batcher", 1)])
def test_an_interrupt_is_a_keyboard_interrupt_where_python_waits(
    endless: TextWorld, call: str, cancelled: int
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, endless.folder, call, str(_TOKENS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(0.5)
    assert process.poll() is None, "it writes"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, b"interrupted %d 0\n" % cancelled, b"")


def test_a_cancelled_task_ends_the_text_that_it_waits_for(endless: TextWorld) -> None:
    batcher = portfire.TextBatcher(portfire.load(endless.folder, threads=1), max_sequences=1)

    async def impatient(prompt: str) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(batcher.generate_async(prompt, max_new_tokens=_TOKENS), 0.3)

    async def all_of() -> None:
        await asyncio.gather(*(impatient(prompt) for prompt in "abc"))  # one is written, two wait
        for _ in range(1000):
            if batcher.stats.cancelled == 3:
                break
            await asyncio.sleep(0.01)

    asyncio.run(all_of())
    assert (batcher.stats.cancelled, batcher.stats.sequences, batcher.stats.waiting) == (3, 0, 0)
    assert batcher.generate("abc", max_new_tokens=3).sequences[0].finish_reason == "length"
