"""Colours and progress bars: where a terminal is, and nowhere else."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from faces import Program
from small_models import DigitsWorld

_ESCAPE = "\x1b["
_BAR = re.compile(r"\r\w+ \[=* *\] +\d+ %")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What came on standard output and on standard error."""

    out: str
    err: str


def _drain(descriptor: int, parts: list[bytes]) -> None:
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # the other end of a pseudo-terminal was closed
            return
        if not part:
            return
        parts.append(part)


def _run(command: list[str], *, out: bool, err: bool, env: dict[str, str] | None = None) -> Shown:
    """Runs with a terminal of its own for each stream that asks for one."""
    pairs = [pty.openpty() if wanted else os.pipe() for wanted in (out, err)]
    # A pseudo-terminal's first end is ours; so is a pipe's.
    ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=theirs[0],
        stderr=theirs[1],
        env={**environment, **(env or {})},
    )
    for descriptor in theirs:
        os.close(descriptor)
    parts: list[list[bytes]] = [[], []]
    threads = [threading.Thread(target=_drain, args=pair) for pair in zip(ours, parts, strict=True)]
    for thread in threads:
        thread.start()
    assert process.wait(120) == 0
    for thread in threads:
        thread.join(60)
    for descriptor in ours:
        os.close(descriptor)
    return Shown(out=b"".join(parts[0]).decode(), err=b"".join(parts[1]).decode())


def _commands(digits: DigitsWorld, bare: Path, program: Program) -> list[list[str]]:
    return [
        program.command("run", digits.folder, *digits.pictures[:80]),
        program.command("inspect", digits.folder),
        program.command("verify", digits.folder),
        program.command("bench", bare, "--shape", "x=3", "--seconds", 0.1),
    ]


def test_pipes_get_neither_colours_nor_a_bar(digits: DigitsWorld, bare: Path, program: Program) -> None:
    for command in _commands(digits, bare, program):
        shown = _run(command, out=False, err=False)
        assert _ESCAPE not in shown.out
        assert "\r" not in shown.out
        assert shown.err == ""


def test_a_terminal_gets_both(digits: DigitsWorld, bare: Path, program: Program) -> None:
    for command in _commands(digits, bare, program):
        shown = _run(command, out=True, err=True)
        assert _ESCAPE in shown.out
        if command[1] in ("run", "bench"):
            assert _BAR.search(shown.err)
            assert shown.err.endswith("\r\x1b[K"), "the bar is wiped at the end"


def test_json_on_a_terminal_is_plain(digits: DigitsWorld, program: Program) -> None:
    shown = _run(program.command("run", "--json", digits.folder, digits.pictures[0]), out=True, err=True)
    assert _ESCAPE not in shown.out


def test_no_color_switches_colours_off_and_leaves_the_bar(
    digits: DigitsWorld, bare: Path, program: Program
) -> None:
    for command in _commands(digits, bare, program):
        shown = _run(command, out=True, err=True, env={"NO_COLOR": "1"})
        assert _ESCAPE not in shown.out
    assert _BAR.search(shown.err)


def test_an_empty_no_color_means_nothing(digits: DigitsWorld, program: Program) -> None:
    """As no-color.org has it: present and not empty."""
    shown = _run(program.command("inspect", digits.folder), out=True, err=True, env={"NO_COLOR": ""})
    assert _ESCAPE in shown.out


def test_answers_in_a_pipe_and_a_bar_on_the_terminal(digits: DigitsWorld, program: Program) -> None:
    shown = _run(program.command("run", digits.folder, *digits.pictures[:80]), out=False, err=True)
    assert _ESCAPE not in shown.out
    assert len(shown.out.splitlines()) == 80
    assert _BAR.search(shown.err)
