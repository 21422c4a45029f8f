"""The three faces, each as something that takes a model and an input and tells what came of it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import portfire

TOP = 10  # classes that every face is asked for


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """An answer, or an error's code and message."""

    code: str  # "ok" for an answer
    text: str  # the answer as JSON, or the message

    @property
    def answer(self) -> Any:
        assert self.code == "ok", f"{self.code}: {self.text}"
        return json.loads(self.text)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a process left: its exit status (negative: the signal that ended it) and its output."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def objects(self) -> list[Any]:
        """Standard output as JSON Lines."""
        return [json.loads(line) for line in self.lines]

    @property
    def error(self) -> str:
        """The one line on standard error, without the program's name."""
        lines = self.err.splitlines()
        assert len(lines) == 1 and self.err.endswith("\n"), self.err
        assert lines[0].startswith("portfire: "), self.err
        return lines[0].removeprefix("portfire: ")


@dataclass(frozen=True, kw_only=True)
class Program:
    """The `portfire` program, as a user starts it."""

    path: Path

    def __call__(
        self,
        *arguments: object,
        stdin: bytes = b"",
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> Finished:
        done = subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            timeout=120,
            check=False,
        )
        return Finished(status=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())

    def command(self, *arguments: object) -> list[str]:
        return [str(self.path), *map(str, arguments)]


@dataclass(frozen=True, kw_only=True)
class CppLibrary:
    """faces.cpp: a C++ program that is linked with the library."""

    path: Path

    def codes(self) -> dict[str, tuple[int, str]]:
        """Exit status and Python class by code."""
        rows = (line.split() for line in self._lines(["codes"]) if line)
        return {name: (int(status), python) for name, status, python in rows}

    def run(self, pairs: Sequence[tuple[object, object]]) -> list[Outcome]:
        return self._outcomes([f"run\t{model}\t{file}" for model, file in pairs])

    def chat(self, model: object, messages: Sequence[Mapping[str, str]]) -> Outcome:
        said = "".join(f"\t{one['role']}\t{one['content']}" for one in messages)
        return self._outcomes([f"chat\t{model}{said}\t"])[0]

    def inspect(self, model: object) -> Outcome:
        return self._outcomes([f"inspect\t{model}"])[0]

    def _outcomes(self, questions: Sequence[str]) -> list[Outcome]:
        lines = self._lines(questions)
        assert len(lines) == len(questions), lines
        return [Outcome(code=line.partition(" ")[0], text=line.partition(" ")[2]) for line in lines]

    def _lines(self, questions: Sequence[str]) -> list[str]:
        done = subprocess.run(
            [self.path],
            input="\n".join(questions) + "\n",
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert done.stderr == "", done.stderr
        return done.stdout.split("\n")[:-1]


def run_in_python(model: object, file: object) -> Outcome:
    """The Python module's `load` and `run`."""
    try:
        return Outcome(code="ok", text=portfire.load(str(model)).run(str(file), top_k=TOP).to_json())
    except portfire.Error as error:
        return Outcome(code=error.code, text=str(error))


def inspect_in_python(model: object) -> Outcome:
    try:
        return Outcome(code="ok", text=portfire.inspect(str(model)).to_json())
    except portfire.Error as error:
        return Outcome(code=error.code, text=str(error))
