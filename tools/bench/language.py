#!/usr/bin/env python3
"""How fast language models write in each engine: the same weights and the same prompts, greedily, in turn.

Each engine runs in a process of its own, and the others are stopped while it writes. A round is two calls:
one token (the time to the first), and one and --tokens more; what these take is the difference. Short calls
are repeated. Rounds go through all engines, every other one backwards; cells are medians, with the range of
the decoding. The bound is what reading each weight, and the keys and values at the middle position, once a
step would take at the bandwidth that was measured in the same rounds: a sum over 500 MB. "same" is for how
many of the tokens an engine writes what the first engine of float32 does, of a hundred; the peak is the
process's.

Usage: .venv/bin/python tools/bench/language.py --stories FOLDER --peers-python peers/bin/python
(after tools/build; FOLDER has a llama2.c checkpoint and tokenizer.bin, and
tools/bench/requirements-language.txt says how peers is made; without --peers-python Portfire runs alone)
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engines import KEEP_MEMORY, Cell, Worker, end_with_parent, last_line, three_digits
from language_worker import ENGINES, EXPORTS, file_of

HERE = Path(__file__).resolve().parent
MODELS = ("gpt2-small", "tinystories-260k")
PRECISIONS = {"float32": (4, 4), "half": (2, 2), "int8": (1, 4)}  # bytes of a weight, of a key or value
AT_LEAST = 0.3  # seconds; calls that are shorter are repeated, and their median counts
IN_CACHES = 64 << 20  # of fewer bytes a step, memory's bandwidth is no bound


@dataclass(frozen=True, kw_only=True)
class Settings:
    engines: list[str]
    precisions: list[str]
    batches: list[int]
    threads: list[int]
    prompt: int
    tokens: int
    rounds: int
    peers: str | None
    stories: Path | None
    files: Path
    limit_s: float

    def environment(self, threads: int) -> dict[str, str]:
        chosen = {"PYTHONPATH": str(HERE.parents[1] / "python"), "HF_HUB_OFFLINE": "1"}
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            chosen[variable] = str(threads)
        return {**os.environ, **chosen, **KEEP_MEMORY}

    def command(self, engine: str, *words: str) -> list[str]:
        python = sys.executable if engine == "portfire" else str(self.peers)
        return [python, str(HERE / "language_worker.py"), engine, *words]


@contextmanager
def workers(settings: Settings, folder: Path, precision: str, threads: int) -> Iterator[list[Worker]]:
    started: list[Worker] = []
    try:
        for engine in settings.engines:
            log = folder / f"{engine}-{precision}-{threads}.log"
            with log.open("w") as errors:
                process = subprocess.Popen(
                    settings.command(engine, str(folder), precision, str(threads)),
                    env=settings.environment(threads),
                    preexec_fn=end_with_parent,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                )
            started.append(Worker(engine, process, log, settings.limit_s))
            os.kill(process.pid, signal.SIGSTOP)
        yield started
    finally:
        for worker in started:
            worker.process.kill()
            worker.process.communicate()


def export(settings: Settings, folder: Path, precision: str) -> None:
    """What fails here is said again by the engine, which then has no file."""
    for engine in set(settings.engines) & EXPORTS.keys():
        if not file_of(engine, folder, precision).exists():
            command = settings.command(engine, str(folder), precision, "export")
            done = subprocess.run(command, env=settings.environment(1), capture_output=True, text=True)
            if done.returncode:
                print(f"{engine}, {precision}: no file ({last_line(done.stderr)})", file=sys.stderr)


class Bandwidth:
    """Bytes a second that a sum over 500 MB reads."""

    def __init__(self) -> None:
        import torch

        self._torch = torch
        self._numbers = torch.ones(125_000_000)

    def measure(self, threads: int, seen: list[float]) -> None:
        self._torch.set_num_threads(threads)
        times = []
        for _ in range(4):
            start = time.perf_counter()
            self._numbers.sum()
            times.append(time.perf_counter() - start)
        seen.append(self._numbers.nbytes / min(times))


def measure(
    settings: Settings, live: list[Worker], prompts: list[list[int]], read: Callable[[], None]
) -> dict[str, Cell]:
    """Of each engine: what its rounds took, or why there are none. `read` is called in each round."""
    cells: dict[str, Cell] = {worker.engine: {} for worker in live}
    first: dict[str, list[float]] = {worker.engine: [] for worker in live}
    rates: dict[str, list[float]] = {worker.engine: [] for worker in live}
    for number in range(settings.rounds + 1):  # the first, which fills caches, is not counted
        read()
        for worker in live if number % 2 else live[::-1]:
            engine = worker.engine
            if "failed" in cells[engine]:
                continue
            one = more = worker.ask(prompts=prompts, tokens=1, seconds=AT_LEAST)
            if "failed" not in one:
                more = worker.ask(prompts=prompts, tokens=settings.tokens + 1, seconds=AT_LEAST)
            cells[engine] = dict(more)
            if number and "failed" not in more:
                first[engine].append(one["seconds"] * 1e3)
                rates[engine].append(len(prompts) * settings.tokens / (more["seconds"] - one["seconds"]))
    for engine, cell in cells.items():
        if "failed" not in cell:
            cell |= {"first_ms": first[engine], "rates": rates[engine]}
    return cells


def agreement(ids: list[list[int]], expected: list[list[int]]) -> float:
    """Of a hundred tokens, how many come before the first other one in their text."""
    same = 0
    for text, wanted in zip(ids, expected, strict=True):
        same += next((k for k, (a, b) in enumerate(zip(text, wanted, strict=True)) if a != b), len(wanted))
    return 100 * same / sum(map(len, expected))


def row(engine: str, cell: Cell, expected: list[list[int]] | None) -> str:
    if "failed" in cell:
        return f"  {engine:14} {cell['failed']:>9}  {cell['reason']}"
    rates = cell["rates"]
    middle = f"{statistics.median(rates):9.1f} {f'({min(rates):.1f}-{max(rates):.1f})':>19}"
    same = "" if expected is None else f"{agreement(cell['ids'], expected):5.0f}"
    first = three_digits(statistics.median(cell["first_ms"]))
    return f"  {engine:14} {first:>9} {middle} {cell['peak_mb']:9.0f} {same:>5}"


def bound(settings: Settings, about: dict[str, Any], precision: str, batch: int, speeds: list[float]) -> str:
    weight, cached = PRECISIONS[precision]
    read = about["weights"] * weight
    read += batch * about["cached"] * cached * (settings.prompt + settings.tokens // 2)
    if read < IN_CACHES:
        return f"{read / 1e6:.1f} MB a step, which caches hold"
    least, middle, most = min(speeds), statistics.median(speeds), max(speeds)
    rates = f"{batch * middle / read:.0f} ({batch * least / read:.0f}-{batch * most / read:.0f}) tok/s"
    return f"{read / 1e6:.0f} MB a step at {middle / 1e9:.0f} GB/s: bound {rates}"


def compare(settings: Settings, name: str, bandwidth: Bandwidth) -> None:
    from language_models import make, prompts

    folder = settings.files / name
    about = make(name, folder, settings.stories)
    for precision in settings.precisions:
        export(settings, folder, precision)
    expected: dict[int, list[list[int]]] = {}  # by batch
    for threads in settings.threads:
        for precision in settings.precisions:
            with workers(settings, folder, precision, threads) as live:
                for batch in settings.batches:
                    given = prompts(about["vocabulary"], batch, settings.prompt)
                    speeds: list[float] = []
                    read = partial(bandwidth.measure, threads, speeds)
                    cells = measure(settings, live, given, read)
                    done = [cell["ids"] for cell in cells.values() if "ids" in cell]
                    if precision == "float32" and done:
                        expected.setdefault(batch, done[0])
                    limit = bound(settings, about, precision, batch, speeds)
                    print(f"\n{name}, {precision}, {threads} threads, batch {batch}; {limit}")
                    heads = f"{'first ms':>9} {'tok/s':>9} {'range':>19} {'peak MB':>9} {'same':>5}"
                    print(f"  {'':14} {heads}")
                    for engine, cell in cells.items():
                        print(row(engine, cell, expected.get(batch)), flush=True)


def versions(settings: Settings) -> str:
    import portfire

    known = [f"portfire {portfire.__version__}"]
    for engine in settings.engines:
        if engine != "portfire":
            code = f"from importlib.metadata import version; print(version('{engine}'))"
            done = subprocess.run([str(settings.peers), "-c", code], capture_output=True, text=True)
            known.append(f"{engine} {done.stdout.strip() or 'missing'}")
    return ", ".join(known)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers-python", metavar="PATH", help="the Python of the other engines")
    parser.add_argument("--stories", type=Path, metavar="FOLDER", help="with TinyStories, else left out")
    parser.add_argument("--files", type=Path, metavar="FOLDER", help="keeps what was made")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--precisions", nargs="+", choices=list(PRECISIONS), default=list(PRECISIONS))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--prompt", type=int, default=128, help="tokens (%(default)s)")
    parser.add_argument("--tokens", type=int, default=128, help="to decode after the first (%(default)s)")
    parser.add_argument("--rounds", type=int, default=4, help="(%(default)s)")
    parser.add_argument("--limit", type=float, default=300, help="seconds of a call (%(default)s)")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    if not list((HERE.parents[1] / "python" / "portfire").glob("_core*.so")):
        print("language.py: build first (tools/build)", file=sys.stderr)
        return 1
    sys.path.insert(0, str(HERE.parents[1] / "python"))
    with tempfile.TemporaryDirectory() as temporary:
        settings = Settings(
            engines=[engine for engine in given.engines if engine == "portfire" or given.peers_python],
            precisions=given.precisions,
            batches=sorted(given.batches),
            threads=given.threads,
            prompt=given.prompt,
            tokens=given.tokens,
            rounds=given.rounds,
            peers=given.peers_python,
            stories=given.stories,
            files=(given.files or Path(temporary)).resolve(),
            limit_s=given.limit,
        )
        print(f"{versions(settings)}; prompt {settings.prompt}, {settings.tokens} tokens more")
        bandwidth = Bandwidth()
        for name in given.models:
            if name == "gpt2-small" or settings.stories:
                compare(settings, name, bandwidth)
    return 0


if __name__ == "__main__":
    sys.exit(main())
