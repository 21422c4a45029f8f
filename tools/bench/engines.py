#!/usr/bin/env python3
"""What a model costs in each engine: the same weights and inputs, called from Python, in turn in one run.

Each engine runs in a process of its own, and the others are stopped while it is timed. A cell is the least
time of a call by its batch, once the answer was held against eager's. ONNX Runtime has inputs and outputs
bound, OpenVINO is reshaped to the batch, AOTInductor has frozen weights and a dynamic batch, "portfire
static" is the graph of a program that was exported for the batch. For all of them glibc keeps freed memory,
as it does for the portfire program (--malloc stock: for none).

Usage: .venv/bin/python tools/bench/engines.py --peers peers/bin/python   (after tools/build; --help has the
rest, and tools/bench/requirements-peers.txt says how peers is made)
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import math
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine_worker import ENGINES, PEERS

HERE = Path(__file__).resolve().parent
LIBC = ctypes.CDLL(None)
ROUNDS = 5
OPTIONAL = ("portfire static", "portfire compiled", "aotinductor", "openvino-dynamic")
# What the portfire program asks glibc for with mallopt.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(16 << 20),
}

Cell = dict[str, Any]  # min_us, median_us, load_ms, first_ms, peak_mb; or failed and reason


@dataclass(frozen=True, kw_only=True)
class Settings:
    models: list[str]
    batches: list[int]
    threads: list[int]
    engines: list[str]
    peers: str | None
    seconds: float
    limit_s: float
    malloc: str
    files: Path

    def environment(self, threads: int) -> dict[str, str]:
        chosen = {"PYTHONPATH": str(HERE.parents[1] / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            chosen[variable] = str(threads)
        return {**os.environ, **chosen, **(KEEP_MEMORY if self.malloc == "keep" else {})}

    @property
    def ratio(self) -> list[str]:
        """The last column, if there is one."""
        return ["peer / graph"] if set(PEERS) & set(self.engines) else []

    def python(self, engine: str) -> str:
        return self.peers if engine in PEERS and self.peers else sys.executable


@dataclass
class Worker:
    """One engine with one model in a process, which is stopped unless it is asked."""

    engine: str
    process: subprocess.Popen[str]
    log: Path
    limit_s: float
    last: Cell = field(default_factory=dict)

    def ask(self, **order: float) -> Cell:
        if self.process.poll() is not None:
            return self.last
        assert self.process.stdin is not None and self.process.stdout is not None
        start = time.monotonic()
        alarm = threading.Timer(self.limit_s, self.process.kill)
        alarm.start()
        os.kill(self.process.pid, signal.SIGCONT)
        try:
            print(json.dumps(order), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        alarm.cancel()
        if line:
            os.kill(self.process.pid, signal.SIGSTOP)
            self.last = json.loads(line)
            return self.last
        code = self.process.wait()
        if time.monotonic() - start >= self.limit_s:
            self.last = {"failed": "late", "reason": f"more than {self.limit_s:.0f} s"}
        else:
            how = signal.Signals(-code).name if code < 0 else f"exit {code}"
            said = last_line(self.log.read_text(errors="replace"))
            self.last = {"failed": "crash", "reason": f"{how} {said}".strip()}
        return self.last


def last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1][:200]


def end_with_parent() -> None:
    """In the new process: stopped, it would stay when this one is killed."""
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@contextmanager
def workers(settings: Settings, engines: list[str], job: list[str], threads: int) -> Iterator[list[Worker]]:
    """One for each engine; `job` is a model, a precision, and the folder that `export` made."""
    started: list[Worker] = []
    try:
        for engine in engines:
            log = Path(job[-1]) / f"{engine}.log"
            script = [settings.python(engine), str(HERE / "engine_worker.py")]
            with log.open("w") as errors:
                process = subprocess.Popen(
                    [*script, engine, *job, str(threads)],
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


def export(settings: Settings, name: str, precision: str, batches: list[int]) -> tuple[Path, dict[str, str]]:
    """The folder with the model's files, and the reason for each engine that has none."""
    script = HERE / "models.py"
    digest = hashlib.sha256(script.read_bytes() + version("torch").encode()).hexdigest()[:8]
    folder = settings.files / f"{name}-{precision}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    missing: dict[str, str] = {}

    def make(what: str, files: list[str], engines: list[str], threads: int = 1) -> None:
        if not engines or all((folder / file).exists() for file in files):
            return
        say(f"{name} {precision}: {what}")
        python = settings.python("onnxruntime") if what == "onnx" else sys.executable
        command = [python, str(script), what, name, precision, str(folder), *map(str, batches)]
        done = subprocess.run(command, env=settings.environment(threads), capture_output=True, text=True)
        if done.returncode:
            for engine in engines:
                missing[engine] = f"no {what} file: {last_line(done.stderr)}"

    ours = [engine for engine in settings.engines if engine not in PEERS]
    peers = [engine for engine in settings.engines if engine in PEERS]
    data = [f"{which}-{batch}.npy" for batch in batches for which in "xy"]
    make("torch", ["model.pt", "model.pt2", *data], [*ours, *peers])
    make("onnx", ["model.onnx"], peers)
    if "aotinductor" in ours:
        for threads in settings.threads:
            make("aoti", [f"aoti-{threads}.pt2"], ["aotinductor"], threads)
    if "portfire compiled" in ours:
        make("compiled", ["compiled/1/model.pt2"], ["portfire compiled"])
    if "portfire static" in ours:
        make("static", [f"static-{batch}.pt2" for batch in batches], ["portfire static"])
    return folder, missing


def measure(live: list[Worker], batch: int, seconds: float) -> dict[str, Cell]:
    """A row: each engine is prepared and checked, then all are timed in turn."""
    cells = {worker.engine: dict(worker.ask(batch=batch)) for worker in live}
    rounds: dict[str, list[Cell]] = {worker.engine: [] for worker in live}
    for _ in range(ROUNDS):
        for worker in live:
            if "failed" not in cells[worker.engine]:
                took = worker.ask(seconds=seconds / ROUNDS)
                rounds[worker.engine].append(took)
                if "failed" in took:
                    cells[worker.engine] = dict(took)
    for engine, cell in cells.items():
        if "failed" not in cell:
            cell["min_us"] = min(took["min_us"] for took in rounds[engine])
            cell["median_us"] = statistics.median(took["median_us"] for took in rounds[engine])
    return cells


def say(line: str) -> None:
    """Progress, where someone looks on."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


def three_digits(value: float) -> str:
    return f"{value:.{max(0, 2 - math.floor(math.log10(max(value, 1e-3))))}f}"


def duration(us: float) -> str:
    return f"{three_digits(us)} µs" if us < 1000 else f"{three_digits(us / 1000)} ms"


@dataclass
class Notes:
    """Reasons under a table, numbered."""

    reasons: list[str] = field(default_factory=list)

    def mark(self, engine: str, cell: Cell) -> str:
        reason = f"{engine}: {cell['reason']}"
        if reason not in self.reasons:
            self.reasons.append(reason)
        return f"{cell['failed']} [{self.reasons.index(reason) + 1}]"


def print_row(model: str, cells: list[str]) -> None:
    say("")
    print(f"| {model:22} | {' | '.join(f'{cell:>12}' for cell in cells)} |", flush=True)


def ratio(cells: dict[str, Cell]) -> float | None:
    """The best peer's time by Portfire graph's: above 1 Portfire is faster."""
    peers = [cells[engine]["min_us"] for engine in PEERS if "min_us" in cells.get(engine, {})]
    graph = cells.get("portfire graph", {}).get("min_us")
    return min(peers) / graph if peers and graph else None


def compare(settings: Settings, precision: str) -> list[dict[str, Any]]:
    """Prints a precision's two tables; gives the rows."""
    from models import MODELS

    rows: list[Cell] = []
    notes = Notes()
    print(f"\n{precision}, the least time for one item\n")
    print_row("model, threads, batch", [*settings.engines, *settings.ratio])
    print_row("---", ["---:"] * len([*settings.engines, *settings.ratio]))
    for name in settings.models:
        batches = sorted({min(batch, MODELS[name].largest_batch) for batch in settings.batches})
        folder, missing = export(settings, name, precision, batches)
        for threads in settings.threads:
            engines = [engine for engine in settings.engines if engine not in missing]
            with workers(settings, engines, [name, precision, str(folder)], threads) as live:
                for batch in batches:
                    title = f"{name}, {threads}, {batch}"
                    say(title)
                    cells = {engine: {"failed": "-", "reason": reason} for engine, reason in missing.items()}
                    cells |= measure(live, batch, settings.seconds)
                    row: Cell = {"model": name, "precision": precision, "threads": threads, "batch": batch}
                    rows.append(row | {"peer_by_graph": ratio(cells), "engines": cells})
                    print_row(title, shown(settings, notes, cells, batch))
    for number, reason in enumerate(notes.reasons, 1):
        print(f"[{number}] {reason}")
    summary(rows)
    print(f"\n{precision}, ms to load / ms of the first call / MB at the peak, at the smallest batch\n")
    print_row("model, threads", settings.engines)
    print_row("---", ["---:"] * len(settings.engines))
    seen = set()
    for row in rows:
        title = f"{row['model']}, {row['threads']}"
        if title not in seen:
            print_row(title, [start(row["engines"][engine]) for engine in settings.engines])
        seen.add(title)
    return rows


def shown(settings: Settings, notes: Notes, cells: dict[str, Cell], batch: int) -> list[str]:
    times = []
    for engine in settings.engines:
        cell = cells[engine]
        times.append(notes.mark(engine, cell) if "failed" in cell else duration(cell["min_us"] / batch))
    better = ratio(cells)
    return [*times, *[f"{better:.2f}" if better else "" for _ in settings.ratio]]


def start(cell: Cell) -> str:
    parts = [cell.get(key) for key in ("load_ms", "first_ms", "peak_mb")]
    return " / ".join(three_digits(part) for part in parts if part is not None) or "-"


def summary(rows: list[dict[str, Any]]) -> None:
    known = [row for row in rows if row["peer_by_graph"]]
    if known:
        mean = statistics.geometric_mean(row["peer_by_graph"] for row in known)
        worst = min(known, key=lambda row: float(row["peer_by_graph"]))
        where = f"{worst['model']}, threads {worst['threads']}, batch {worst['batch']}"
        print(
            f"\nbest peer / portfire graph (above 1 Portfire is faster): geometric mean {mean:.2f} of "
            f"{len(known)} rows, worst {worst['peer_by_graph']:.2f} ({where})"
        )


def machine(settings: Settings) -> dict[str, Any]:
    from torch.backends.cpu import get_cpu_capability

    processor = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.split(":")[1].strip()
            break
    versions = {"torch": version("torch")}
    for engine in {engine.split("-")[0] for engine in settings.engines if engine in PEERS}:
        code = f"from importlib.metadata import version; print(version('{engine}'))"
        done = subprocess.run([settings.python(engine), "-c", code], capture_output=True, text=True)
        versions[engine] = done.stdout.strip() or "missing"
    about = {"processor": processor, "vectors": get_cpu_capability(), "cores": len(os.sched_getaffinity(0))}
    return about | {"load": os.getloadavg()[0], "versions": versions}


def arguments() -> argparse.Namespace:
    from models import MODELS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32], metavar="N")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], metavar="N")
    parser.add_argument("--precision", nargs="+", choices=["float32", "bfloat16"], default=["float32"])
    default = [engine for engine in ENGINES if engine not in OPTIONAL]
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=default, metavar="ENGINE")
    parser.add_argument(
        "--aoti",
        action="store_true",
        help="AOTInductor too, bare and in our packages; needs a compiler, and minutes",
    )
    parser.add_argument("--peers", metavar="PYTHON", help="an interpreter that has ONNX Runtime and OpenVINO")
    parser.add_argument("--seconds", type=float, default=1.0, help=f"for a cell, in {ROUNDS} rounds")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds until a cell is given up")
    parser.add_argument(
        "--malloc", choices=["keep", "stock"], default="keep", help="keep freed memory, or not"
    )
    parser.add_argument("--files", type=Path, metavar="FOLDER", help="keep the exported models here")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers here too")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    wanted = {*given.engines, *(["aotinductor", "portfire compiled"] if given.aoti else [])}
    if not given.peers:
        wanted -= set(PEERS)
    with tempfile.TemporaryDirectory() as temporary:
        settings = Settings(
            models=given.models,
            batches=given.batches,
            threads=given.threads,
            engines=[engine for engine in ENGINES if engine in wanted],
            peers=given.peers,
            seconds=given.seconds,
            limit_s=given.limit,
            malloc=given.malloc,
            files=(given.files or Path(temporary)).resolve(),
        )
        about = machine(settings)
        versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
        where = f"{about['processor']} ({about['vectors']}), {about['cores']} cores"
        print(f"{where}; {versions}; malloc {settings.malloc}")
        if about["load"] > 0.5:
            print(f"The machine is busy (load {about['load']:.1f}): the numbers are not to be quoted.")
        if not given.peers:
            print(
                "Without --peers there are no peers; tools/bench/requirements-peers.txt says how to get them."
            )
        rows = [row for precision in given.precision for row in compare(settings, precision)]
        if given.json:
            asked = {"seconds": given.seconds, "rounds": ROUNDS, "malloc": given.malloc}
            report = {"when": time.strftime("%Y-%m-%dT%H:%M:%S"), "machine": about, **asked, "rows": rows}
            given.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
