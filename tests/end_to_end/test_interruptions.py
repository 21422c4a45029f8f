"""Outputs that cannot be written, readers that go away, and Ctrl-C in the middle."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from faces import Finished, Program
from small_models import DigitsWorld


@pytest.fixture
def x_npy(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", np.zeros(3, np.float32))
    return tmp_path / "x.npy"


def _shell(command: str, program: Program, *, cwd: Path | None = None) -> Finished:
    """`portfire` in `command` is the program."""
    done = subprocess.run(
        ["bash", "-c", f'portfire() {{ "$PORTFIRE" "$@"; }}; {command}'],
        capture_output=True,
        env={**os.environ, "PORTFIRE": str(program.path)},
        timeout=120,
        check=False,
        cwd=cwd,
    )
    return Finished(status=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("target", ["missing/y.npy", "/proc/y.npy", "file/y.npy", "folder.npy"])
def test_an_output_that_cannot_be_written_is_one_line(
    target: str, bare: Path, x_npy: Path, tmp_path: Path, program: Program
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.npy").mkdir()
    before = _names(tmp_path)
    done = program("run", bare, x_npy, "--output", target, cwd=tmp_path)
    assert done.status == 74
    assert done.error.startswith(f"{target}: cannot be written: ")
    assert _names(tmp_path) == before


def test_an_output_is_replaced_only_by_a_whole_one(
    bare: Path, x_npy: Path, tmp_path: Path, program: Program
) -> None:
    output = tmp_path / "y.npy"
    output.write_text("the old one")
    (tmp_path / "bad.npy").write_text("not an array")
    assert program("run", bare, tmp_path / "bad.npy", "--output", output).status == 65
    assert output.read_text() == "the old one"
    assert program("run", bare, x_npy, "--output", output).status == 0
    np.testing.assert_array_equal(np.load(output), np.zeros(3, np.float32))
    assert _names(tmp_path) == ["bad.npy", "x.npy", "y.npy"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """Where a shell in a mount namespace of its own may mount 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        probe = subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=64k", "none", disk],
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if probe.returncode != 0:
        pytest.skip("this system lets nobody mount a small disk")
    return disk


def _on_small_disk(disk: Path, command: list[str]) -> Finished:
    """Runs `command`, then lists the disk on standard output."""
    script = f'mount -t tmpfs -o size=64k none "{disk}"; "$@"; status=$?; ls -A "{disk}"; exit $status'
    done = subprocess.run(
        ["unshare", "-rm", "bash", "-c", script, "-", *command], capture_output=True, timeout=120, check=False
    )
    return Finished(status=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())


def test_a_full_disk_leaves_no_output(bare: Path, tmp_path: Path, small_disk: Path, program: Program) -> None:
    np.save(tmp_path / "large.npy", np.zeros(100_000, np.float32))
    output = small_disk / "y.npy"
    done = _on_small_disk(
        small_disk, program.command("run", bare, tmp_path / "large.npy", "--output", output)
    )
    assert done.status == 74
    assert done.error == f"{output}: cannot be written: No space left on device"
    assert done.out == ""


_PACKAGE = """
import sys, portfire, torch
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(100_000))
    def forward(self, x):
        return x + self.weight.sum()
try:
    golden = [torch.zeros(1)]
    portfire.package(Model(), sys.argv[1], name="large", task="tensor", licence="MIT", golden=golden)
except portfire.Error as error:
    print(f"portfire: {error.code}: {error}", file=sys.stderr)
    sys.exit(74)
"""


@pytest.mark.slow
def test_a_full_disk_leaves_no_package(tmp_path: Path, small_disk: Path) -> None:
    package = small_disk / "large" / "1" / "model.pt"
    script = tmp_path / "package.py"
    script.write_text(_PACKAGE)
    done = _on_small_disk(small_disk, [sys.executable, "-W", "ignore", str(script), str(package)])
    assert done.status == 74, done.err
    assert done.error == f"io: {package}: cannot be written (No space left on device)"
    assert done.out == ""


def test_a_full_standard_output_is_an_error(digits: DigitsWorld, program: Program) -> None:
    picture = digits.pictures[0]
    for command in (
        f"portfire run {digits.folder} {picture}",
        f"portfire run --json {digits.folder} {picture}",
        f"portfire inspect {digits.folder}",
        f"portfire verify {digits.folder}",
        "portfire --help",
        "portfire --version",
        "portfire completion bash",
    ):
        done = _shell(f"{command} > /dev/full", program)
        assert done.status == 74, command
        assert done.error == "standard output cannot be written", command


def test_a_closed_standard_output_is_an_error(digits: DigitsWorld, program: Program) -> None:
    done = _shell(f"portfire run {digits.folder} {digits.pictures[0]} >&-", program)
    assert done.status == 74
    assert done.error == "standard output cannot be written"


def test_closed_standard_streams_do_not_end_up_in_the_output(
    bare: Path, x_npy: Path, tmp_path: Path, program: Program
) -> None:
    done = _shell(f"portfire run {bare} x.npy --output y.npy <&- >&- 2>&-", program, cwd=tmp_path)
    assert done.status == 0
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), np.zeros(3, np.float32))
    assert _names(tmp_path) == ["x.npy", "y.npy"]


def test_a_reader_that_has_enough_ends_the_program_quietly(digits: DigitsWorld, program: Program) -> None:
    folder = digits.pictures[0].parent
    done = _shell(
        f'portfire run --json {digits.folder} {folder} | head -n 1; echo "${{PIPESTATUS[0]}}"', program
    )
    line, status = done.lines
    assert line.startswith('{"input"')
    assert int(status) == 128 + signal.SIGPIPE
    assert done.err == ""


def test_where_sigpipe_is_ignored_the_first_failed_write_ends_it(
    digits: DigitsWorld, program: Program
) -> None:
    """As under supervisors that ignore SIGPIPE: it does not go on to an input that never comes."""
    process = subprocess.Popen(
        program.command("run", "--json", digits.folder, *digits.pictures, "-"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        restore_signals=False,
        preexec_fn=_ignore_sigpipe,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    try:
        assert process.wait(60) == 74
        assert process.stderr.read() == b"portfire: standard output cannot be written\n"
    finally:
        process.kill()
        process.stderr.close()


def _ignore_sigpipe() -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


@pytest.fixture
def many(digits: DigitsWorld, program: Program) -> Iterator[subprocess.Popen[bytes]]:
    """A run that is far from done: its answers are many times what a pipe holds."""
    process = subprocess.Popen(
        program.command("run", "--json", digits.folder, *digits.pictures * 20),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # what readline does not need stays for communicate
    )
    yield process
    process.kill()
    process.communicate()


def test_an_interrupt_in_the_middle_ends_with_130_after_a_whole_line(many: subprocess.Popen[bytes]) -> None:
    assert many.stdout is not None
    first = many.stdout.readline()
    many.send_signal(signal.SIGINT)
    rest, errors = many.communicate(timeout=60)
    assert many.returncode == 130
    assert errors == b""
    done = Finished(status=130, out=(first + rest).decode(), err="")
    assert done.out.endswith("\n")
    assert 1 <= len(done.objects) < 360 * 20
    assert all("answer" in line for line in done.objects)


def test_an_interrupt_while_waiting_for_input_ends_with_130(
    bare: Path, x_npy: Path, tmp_path: Path, program: Program
) -> None:
    process = subprocess.Popen(
        program.command("run", bare, "x.npy", "-"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    with process:
        assert process.stdin and process.stdout and process.stderr
        assert process.stdout.readline().startswith(b"x.npy: ")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130, "standard input is open all the while"
        assert (process.stdout.read(), process.stderr.read()) == (b"", b"")


def test_an_interrupt_leaves_no_part_of_the_output(
    bare: Path, x_npy: Path, tmp_path: Path, program: Program
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        ["bash", "-c", 'exec "$@" < fifo', "-", *program.command("run", bare, "-", "--output", "y.npy")],
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    with fifo.open("wb") as pipe:
        pipe.write(x_npy.read_bytes()[:-4])  # all but the last number
        pipe.flush()
        _wait_until_read(process.pid, pipe.fileno())
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, b"")
    assert _names(tmp_path) == ["fifo", "x.npy"]


def _wait_until_read(pid: int, pipe: int) -> None:
    """Until the reader of `pipe` has emptied it, which it does after its model is loaded."""
    for _ in range(1200):
        (left,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0"))
        if left == 0:
            return
        assert Path(f"/proc/{pid}").exists()
        time.sleep(0.05)
    pytest.fail("nobody read the pipe")


def test_a_limit_on_file_sizes_is_an_error_and_no_signal(
    bare: Path, tmp_path: Path, program: Program
) -> None:
    np.save(tmp_path / "large.npy", np.zeros(100_000, np.float32))

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = subprocess.run(
        program.command("run", bare, tmp_path / "large.npy", "--output", tmp_path / "y.npy"),
        capture_output=True,
        preexec_fn=limit,
        restore_signals=False,
        check=False,
    )
    assert done.returncode == 74
    assert done.stderr.decode().endswith("cannot be written: File too large\n")
    assert _names(tmp_path) == ["large.npy"]


def test_a_run_writes_nothing_anywhere(digits: DigitsWorld, tmp_path: Path, program: Program) -> None:
    shutil.copy(digits.pictures[0], tmp_path / "seven.png")
    done = program(
        "run", digits.folder, "seven.png", cwd=tmp_path, env={"TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    )
    assert done.status == 0
    assert _names(tmp_path) == ["seven.png"]
