#!/usr/bin/env python3
"""Clients that never stop, while the models that they ask are swapped, broken and removed.

Every few seconds the folder changes: a new version (with other weights) by renaming, one that is copied
slowly, one that is rubbish, one that is cut short, an old one removed. Client processes hold each answer
against what its version gives, and are killed at random. At the end: answers, wrong ones, failed ones that
were nobody's fault but the server's, and the server's memory.

Usage: .venv/bin/python tools/bench/soak.py --minutes 10     (after tools/build; exit status 1 on a failure)
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models import MODELS

ROOT = Path(__file__).resolve().parents[2]
KINDS = 8  # sets of weights


def make(folder: Path) -> tuple[list[Path], np.ndarray, np.ndarray]:
    """KINDS programs, an input, and what each gives for it: float32 [KINDS, 10]."""
    x = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    files, expected = [], []
    for kind in range(KINDS):
        torch.manual_seed(kind)
        module = MODELS["cnn"].make().eval()
        batch = torch.export.Dim("batch", min=1, max=4096)
        program = torch.export.export(module, (x,), dynamic_shapes=({0: batch},))
        files.append(folder / f"{kind}.pt2")
        torch.export.save(program, files[-1])
        with torch.inference_mode():
            expected.append(module(x).numpy())
    return files, x.numpy(), np.stack(expected)


def client(port: int, x: np.ndarray, expected: np.ndarray, counts: Any, first: int, threads: int) -> None:
    """Thread k counts in `counts` (int64, three for each thread of all clients) at 3 * (first + k)."""
    described = {"name": "input", "shape": list(x.shape), "datatype": "FP32"}
    head = {
        "inputs": [{**described, "parameters": {"binary_data_size": x.nbytes}}],
        "parameters": {"binary_data_output": True},
    }
    text = json.dumps(head).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))}
    failures = Path(tempfile.gettempdir()) / f"soak-failures-{os.getppid()}"

    def ask(thread: int) -> None:
        at = 3 * (first + thread)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            try:
                connection.request("POST", "/v2/models/swapped/infer", text + x.tobytes(), headers)
                reply = connection.getresponse()
                body = reply.read()
                if reply.status != 200:
                    raise OSError(f"{reply.status} {body[:300]!r}")
                size = int(reply.headers["Inference-Header-Content-Length"])
                version = int(json.loads(body[:size])["model_version"])
                y = np.frombuffer(body[size:], np.float32).reshape(-1, 10)
                good = np.allclose(y, expected[version % KINDS], atol=1e-4, rtol=1e-4)
                counts[at] += 1
                counts[at + 1] += not good
            except (OSError, http.client.HTTPException) as error:
                counts[at + 2] += 1
                with failures.open("a") as file:
                    file.write(f"{error!r}\n")
                connection.close()
                time.sleep(0.05)

    for thread in range(1, threads):
        threading.Thread(target=ask, args=(thread,), daemon=True).start()
    ask(0)


def change(folder: Path, version: int, files: list[Path], chance: random.Random) -> str:
    """One thing that happens to the folder; the version that it is about is the newest."""
    target = folder / str(version)
    source = files[version % KINDS]
    size = source.stat().st_size  # of all of them
    what = chance.choice(["renamed", "renamed", "slow", "rubbish", "cut short", "replaced"])
    if what == "replaced":
        newest = max((int(one.name) for one in folder.iterdir() if one.name.isdigit()), default=0)
        if newest:
            beside = folder / str(newest) / ".model.pt2.new"
            shutil.copy(files[newest % KINDS], beside)
            beside.rename(folder / str(newest) / "model.pt2")
        return what
    target.mkdir()
    if what == "renamed":
        shutil.copy(source, target / "model.part")
        (target / "model.part").rename(target / "model.pt2")
    elif what == "slow":
        data = source.read_bytes()
        with (target / "model.pt2").open("wb") as file:
            for begin in range(0, len(data), 1 << 14):
                file.write(data[begin : begin + (1 << 14)])
                file.flush()
                time.sleep(0.02)
    else:
        data = source.read_bytes()
        (target / "model.pt2").write_bytes(os.urandom(4096) if what == "rubbish" else data[: len(data) // 2])
    # Old ones go, but for the newest that was whole, which answers.
    numbers = sorted((int(one.name) for one in folder.iterdir() if one.name.isdigit()), reverse=True)
    whole = [number for number in numbers if (folder / str(number) / "model.pt2").stat().st_size == size]
    for gone in numbers:
        if gone < whole[0]:
            shutil.rmtree(folder / str(gone))
    return what


def resident_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--every", type=float, default=5, help="seconds between two changes of the folder")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    program = os.environ.get("PORTFIRE_BIN", str(ROOT / "build/dev/bin/portfire"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as scratch:
        files, x, expected = make(Path(scratch))
        folder = Path(scratch) / "models" / "swapped"
        (folder / "1").mkdir(parents=True)
        shutil.copy(files[1], folder / "1/model.pt2")
        log = Path(scratch) / "log"
        with log.open("w") as errors:
            command = [program, "serve", str(folder.parent), "--port", str(port), "--no-grpc"]
            command += ["--max-batch", "64"]
            server = subprocess.Popen(command, stderr=errors)
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=5).close()
                break
            except OSError:
                time.sleep(0.05)
        threads = 8
        processes = max(1, options.clients // threads)
        # Without a lock, which a client that is killed would keep.
        counts = multiprocessing.Array("q", 3 * threads * processes, lock=False)

        def start(k: int) -> multiprocessing.Process:
            arguments = (port, x, expected, counts, k * threads, threads)
            process = multiprocessing.Process(target=client, args=arguments, daemon=True)
            process.start()
            return process

        clients = [start(k) for k in range(processes)]
        end = time.monotonic() + options.minutes * 60
        happened: dict[str, int] = {}
        memory = []
        version, killed = 1, 0
        while time.monotonic() < end and server.poll() is None:
            time.sleep(options.every)
            version += 1
            what = change(folder, version, files, chance)
            happened[what] = happened.get(what, 0) + 1
            victim = chance.randrange(len(clients))
            os.kill(clients[victim].pid or 0, signal.SIGKILL)
            clients[victim].join()
            clients[victim] = start(victim)
            killed += 1
            memory.append(resident_mib(server.pid))
        alive = server.poll() is None
        for one in clients:
            one.kill()
        server.terminate()
        server.wait(60)
        answered, wrong, failed = (sum(counts[k::3]) for k in range(3))
        print(f"{answered} answers, {wrong} wrong, {failed} failed; {killed} clients killed")
        print("changes: " + ", ".join(f"{count} {what}" for what, count in sorted(happened.items())))
        quarter = max(1, len(memory) // 4)
        first, last = np.mean(memory[:quarter]), np.mean(memory[-quarter:])
        print(f"memory, MiB: {first:.0f} in the first quarter, {last:.0f} in the last")
        failures = Path(tempfile.gettempdir()) / f"soak-failures-{os.getpid()}"
        if failures.exists():
            print("".join(failures.read_text().splitlines(keepends=True)[:20]))
            failures.unlink()
        if not alive or wrong or failed:
            print("".join(log.read_text().splitlines(keepends=True)[-30:]))
        return int(not alive or wrong > 0 or failed > 0 or answered == 0 or server.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
