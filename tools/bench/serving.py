#!/usr/bin/env python3
"""How fast servers answer, beside one another: the same weights, the same inputs, one client.

Portfire, Triton (its Python backend calling the TorchScript file, batches by Triton) and FastAPI (one
process, raw bodies or JSON, batches of what waits) are started once and measured in turn, while the others
have nothing to do. The client is wrk with one thread, for gRPC h2load; it shares the processors with the
server. A cell is the median of the rounds, and its last number the server's processor time for a request,
which the machine's other load moves least.

Usage: .venv/bin/python tools/bench/serving.py --peers-python peers/bin/python
(after tools/build; tools/bench/requirements-serving.txt says how peers is made; without it Portfire runs
alone)
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from engines import end_with_parent
from serving_clients import Way, with_h2load, with_wrk

from models import MODELS, inputs

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BATCH = {"cnn": 64, "resnet18": 16}


@dataclass(kw_only=True)
class Running:
    name: str
    process: subprocess.Popen[bytes]
    cold_s: float
    ways: list[Way]
    figures: dict[tuple[str, int], list[dict[str, float]]] = field(default_factory=dict)

    def signal(self, what: signal.Signals) -> None:
        os.killpg(self.process.pid, what)

    def processes(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if os.getpgid(int(entry.name)) == self.process.pid:
                        found.append(int(entry.name))
                except ProcessLookupError:
                    continue
        return found

    def cpu_s(self) -> float:
        total = 0.0
        for pid in self.processes():
            parts = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")
        return total

    def resident_mib(self) -> float:
        total = 0
        for pid in self.processes():
            found = re.search(r"^Pss: +(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
            total += int(found.group(1)) if found else 0
        return total / 1024


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(6000):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.01)
    raise SystemExit(f"{url} never answered:\n{log.read_text()[-2000:]}")


def start(
    name: str,
    command: list[str],
    environment: dict[str, str],
    ready: str,
    folder: Path,
    ways: list[Way],
) -> Running:
    log = folder / f"{name}.log"
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
            process_group=0,
            preexec_fn=end_with_parent,
        )
    wait_for(ready, process, log)
    return Running(name=name, process=process, cold_s=time.perf_counter() - began, ways=ways)


def infer_ways(port: int, grpc_port: int, model: str, x: np.ndarray, name: str = "x") -> list[Way]:
    """Requests of the Open Inference Protocol; `name` is the input's."""
    url = f"http://127.0.0.1:{port}/v2/models/{model}/infer"
    datatype = {"float32": "FP32", "int64": "INT64"}[str(x.dtype)]
    described = {"name": name, "shape": list(x.shape), "datatype": datatype}
    head = json.dumps(
        {
            "inputs": [{**described, "parameters": {"binary_data_size": x.nbytes}}],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    binary = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
    plain = json.dumps({"inputs": [{**described, "data": x.ravel().tolist()}]}).encode()
    ways = [
        Way(name="http binary", url=url, body=head + x.tobytes(), headers=binary),
        Way(name="http json", url=url, body=plain, headers={"Content-Type": "application/json"}),
    ]
    if grpc_port:
        ways.append(
            Way(
                name="grpc",
                url=f"http://127.0.0.1:{grpc_port}/inference.GRPCInferenceService/ModelInfer",
                body=grpc_request(model, x, name, datatype),
                headers={"content-type": "application/grpc", "te": "trailers"},
                grpc=True,
            )
        )
    return ways


def grpc_request(model: str, x: np.ndarray, name: str, datatype: str) -> bytes:
    """ModelInferRequest as protobuf writes it, in a gRPC frame."""

    def part(number: int, content: bytes) -> bytes:
        size, length = b"", len(content)
        while length > 127:
            size += bytes([length & 127 | 128])
            length >>= 7
        return bytes([number << 3 | 2]) + size + bytes([length]) + content

    def varint(value: int) -> bytes:
        out = b""
        while value > 127:
            out += bytes([value & 127 | 128])
            value >>= 7
        return out + bytes([value])

    tensor = (
        part(1, name.encode())
        + part(2, datatype.encode())
        + part(3, b"".join(varint(size) for size in x.shape))
    )
    message = part(1, model.encode()) + part(5, tensor) + part(7, x.tobytes())
    return struct.pack(">BI", 0, len(message)) + message


def start_portfire(model: str, x: np.ndarray, folder: Path, port: int) -> Running:
    repository = folder / "portfire"
    (repository / model / "1").mkdir(parents=True)
    shutil.copy(folder / "model.pt2", repository / model / "1" / "model.pt2")
    ways = infer_ways(port, port + 1, model, x, "input")
    options = ["--grpc-port", str(port + 1), "--max-batch", str(BATCH[model])]
    return serve(repository, port, options, folder, ways)


def serve(repository: Path, port: int, options: list[str], folder: Path, ways: list[Way]) -> Running:
    program = os.environ.get("PORTFIRE_BIN", str(ROOT / "build/dev/bin/portfire"))
    command = [program, "serve", str(repository), "--port", str(port), *options]
    return start("portfire", command, {}, f"http://127.0.0.1:{port}/v2/health/ready", folder, ways)


def start_triton(python: str, model: str, x: np.ndarray, folder: Path, port: int, threads: int) -> Running:
    code = "import pytriton, pathlib; print(pathlib.Path(pytriton.__file__).parent)"
    home = Path(
        subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    )
    site = home.parent
    backends = folder / "backends"
    shutil.copytree(home / "tritonserver/backends/python", backends / "python")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = home / "tritonserver/python_backend_stubs" / version / "triton_python_backend_stub"
    shutil.copy(stub, backends / "python/triton_python_backend_stub")
    repository = folder / "triton" / model
    (repository / "1").mkdir(parents=True)
    shutil.copy(HERE / "serving_peers/triton_model.py", repository / "1/model.py")
    dims = ", ".join(str(size) for size in x.shape[1:])
    outputs = 10 if model == "cnn" else 1000
    (repository / "config.pbtxt").write_text(
        f'name: "{model}" backend: "python" max_batch_size: {BATCH[model]} dynamic_batching {{ }}\n'
        f'input [ {{ name: "x" data_type: TYPE_FP32 dims: [ {dims} ] }} ]\n'
        f'output [ {{ name: "y" data_type: TYPE_FP32 dims: [ {outputs} ] }} ]\n'
        "instance_group [ { count: 1 kind: KIND_CPU } ]\n"
    )
    environment = {
        "BENCH_FILE": str(folder / "model.pt"),
        "BENCH_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
        "LD_LIBRARY_PATH": str(site / "nvidia_pytriton.libs"),
        "PYTHONPATH": os.pathsep.join([str(site), *paths_of(python)]),
    }
    command = [str(home / "tritonserver/bin/tritonserver"), f"--model-repository={repository.parent}"]
    command += [f"--backend-directory={backends}", f"--http-port={port}", f"--grpc-port={port + 1}"]
    command += ["--allow-metrics=false", "--http-address=127.0.0.1", "--grpc-address=127.0.0.1"]
    ready = f"http://127.0.0.1:{port}/v2/health/ready"
    return start("triton", command, environment, ready, folder, infer_ways(port, port + 1, model, x))


def paths_of(python: str) -> list[str]:
    code = "import sys; print('\\n'.join(p for p in sys.path if 'site-packages' in p))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def start_fastapi(python: str, model: str, x: np.ndarray, folder: Path, port: int, threads: int) -> Running:
    environment = {
        "BENCH_FILE": str(folder / "model.pt"),
        "BENCH_THREADS": str(threads),
        "BENCH_BATCH": str(BATCH[model]),
        "BENCH_SHAPE": ",".join(str(size) for size in x.shape[1:]),
        "OMP_NUM_THREADS": str(threads),
    }
    command = [python, "-m", "uvicorn", "fastapi_app:app", "--app-dir", str(HERE / "serving_peers")]
    command += ["--port", str(port), "--no-access-log", "--log-level", "warning"]
    base = f"http://127.0.0.1:{port}"
    ways = [
        Way(name="http binary", url=f"{base}/raw", body=x.tobytes(), headers={}),
        Way(
            name="http json",
            url=f"{base}/json",
            body=json.dumps({"x": x.ravel().tolist()}).encode(),
            headers={"Content-Type": "application/json"},
        ),
    ]
    return start("fastapi", command, environment, f"{base}/ready", folder, ways)


def measure(running: Running, way: Way, connections: int, seconds: float, folder: Path) -> None:
    client: Callable[[Way, int, float, Path], dict[str, float]] = with_h2load if way.grpc else with_wrk
    before = running.cpu_s()
    figures = client(way, connections, seconds, folder)
    figures["cpu"] = (running.cpu_s() - before) / max(figures["count"], 1) * 1e6
    running.figures.setdefault((way.name, connections), []).append(figures)


def report(model: str, servers: list[Running], ways: list[str], connections: list[int]) -> None:
    print(f"\n{model}: requests/s, p50 / p99 ms (grpc: mean), server's processor time in us")
    for way in ways:
        for count in connections:
            cells = []
            for server in servers:
                rounds = server.figures.get((way, count), [])
                if not rounds:
                    continue
                middle = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
                tail = "" if np.isnan(middle["p99"]) else f" / {middle['p99']:.2f}"
                times = f"{middle['p50']:.2f}{tail} ms  {middle['cpu']:.0f} us"
                cells.append(f"{server.name} {middle['rate']:8.0f}  {times}")
            print(f"  {way:11} c={count:<4} " + "   ".join(cells))
    for server in servers:
        print(f"  {server.name}: ready after {server.cold_s:.2f} s, {server.resident_mib():.0f} MiB")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers-python", help="an interpreter that has Triton and FastAPI")
    parser.add_argument("--models", nargs="+", default=["cnn", "resnet18"], choices=sorted(BATCH))
    parser.add_argument("--connections", nargs="+", type=int, default=[1, 16, 64, 512])
    parser.add_argument("--ways", nargs="+", default=["http binary", "http json", "grpc"])
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-grpc", action="store_true")
    options = parser.parse_args()
    ways = [way for way in options.ways if not (options.no_grpc and way == "grpc")]
    for model in options.models:
        threads = 1 if model == "cnn" else len(os.sched_getaffinity(0))
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            subprocess.run(
                [sys.executable, str(HERE / "models.py"), "torch", model, "float32", str(folder), "1"],
                check=True,
            )
            x = inputs(model, 1).numpy()
            assert x.shape[1:] == MODELS[model].shape
            servers: list[Running] = []
            try:
                servers.append(start_portfire(model, x, folder, 18000))
                if options.peers_python:
                    servers.append(start_triton(options.peers_python, model, x, folder, 18010, threads))
                    servers.append(start_fastapi(options.peers_python, model, x, folder, 18020, threads))
                for turn in range(options.rounds):
                    for name in ways:
                        for count in options.connections:
                            for server in servers[:: -1 if turn % 2 else 1]:
                                for way in server.ways:
                                    if way.name == name:
                                        measure(server, way, count, options.seconds, folder)
                report(model, servers, ways, options.connections)
            finally:
                for server in servers:
                    server.signal(signal.SIGTERM)
                for server in servers:
                    server.process.wait(60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
