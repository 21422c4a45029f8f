"""The completion scripts, driven by the shells that they are for."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from faces import Program


@pytest.fixture
def script(request: pytest.FixtureRequest, tmp_path: Path, program: Program) -> Path:
    """Of the shell that the test's name ends in."""
    shell = request.node.originalname.rsplit("_", 1)[-1]
    done = program("completion", shell)
    assert (done.status, done.err) == (0, "")
    path = tmp_path / f"script.{shell}"
    path.write_text(done.out)
    return path


def _bash(script: Path, words: list[str]) -> list[str]:
    """What bash would offer for the last of `words`."""
    commands = f"""
        source {shlex.quote(str(script))}
        COMP_WORDS=({" ".join(map(shlex.quote, words))})
        COMP_CWORD={len(words) - 1}
        function=$(complete -p portfire | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
        "$function" portfire "${{COMP_WORDS[-1]}}" "${{COMP_WORDS[-2]}}"
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", commands], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_commands_are_completed_by_bash(script: Path) -> None:
    assert _bash(script, ["portfire", ""])[:4] == ["inspect", "verify", "run", "bench"]
    assert _bash(script, ["portfire", "ver"]) == ["verify"]
    assert "--version" in _bash(script, ["portfire", "--"])


def test_options_are_those_of_the_command_by_bash(script: Path) -> None:
    assert _bash(script, ["portfire", "run", "--to"]) == ["--top", "--top-k", "--top-p"]
    assert _bash(script, ["portfire", "inspect", "--to"]) in ([], [""])
    assert _bash(script, ["portfire", "bench", "models", "--ba"]) == ["--batch"]


def test_values_are_those_of_the_option_by_bash(script: Path) -> None:
    assert _bash(script, ["portfire", "run", "--device", ""]) == ["cpu", "cuda"]
    assert _bash(script, ["portfire", "run", "--optimize", "f"]) == ["freeze", "full"]
    assert _bash(script, ["portfire", "completion", "z"]) == ["zsh"]


class _Shell:
    """An interactive shell on a terminal of its own."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.chdir(folder)
            environment = {
                **os.environ,
                "TERM": "xterm",
                "PS1": "ready> ",
                "ZDOTDIR": str(folder),
                "HOME": str(folder),
            }
            os.execvpe(command[0], command, environment)

    def send(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def wait_for(self, pattern: str, seconds: float = 30) -> str:
        """Reads until `pattern` shows; escape codes are dropped first."""
        shown = ""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self._terminal], [], [], 0.2)[0]:
                shown += os.read(self._terminal, 65536).decode(errors="replace")
                plain = re.sub(r"\x1b(\[[0-9;?]*[a-zA-Z]|[=>])", "", shown)
                if re.search(pattern, plain):
                    return plain
        pytest.fail(f"the shell never showed {pattern!r}, but {shown!r}")

    def close(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._terminal)


def _type_and_complete(command: list[str], script: Path, folder: Path) -> None:
    (folder / "my model.pt").write_text("")
    shell = _Shell(command, folder)
    try:
        shell.wait_for("ready> ")
        shell.send(f"source {script}; echo loaded-$?\n")
        assert "error" not in shell.wait_for("loaded-0")
        for typed, completed in (
            ("portfire ver", "portfire verify "),
            ("portfire run --image-s", "portfire run --image-size "),
            ("portfire run --engine t", "portfire run --engine torchscript "),
            ("portfire inspect my", r"portfire inspect my\\ model\.pt"),
        ):
            shell.send(typed + "\t")
            shell.wait_for(completed)
            shell.send("\x15")  # clears the line
    finally:
        shell.close()


def test_keys_are_completed_by_bash(script: Path, tmp_path: Path) -> None:
    _type_and_complete(["bash", "--norc", "--noprofile", "-i"], script, tmp_path)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_keys_are_completed_by_zsh(script: Path, tmp_path: Path) -> None:
    _type_and_complete(["zsh", "-f", "-i"], script, tmp_path)
