"""What tools/bench/serving.py asks servers with: wrk, and h2load for gRPC."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Way:
    """One kind of request to one server."""

    name: str
    url: str
    body: bytes
    headers: dict[str, str]
    grpc: bool = False


def milliseconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if not found:  # no request ended in time
        return float("nan")
    return float(found.group(1)) * {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}[found.group(2)]


def check(way: Way) -> None:
    """One request, so that an error is seen as such."""
    request = urllib.request.Request(way.url, data=way.body, headers=way.headers)
    try:
        urllib.request.urlopen(request, timeout=30).close()
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{way.url}: {error.code} {error.read()[:500]!r}") from None
    except OSError as error:
        raise SystemExit(f"{way.url}: {error}") from None


def with_wrk(way: Way, connections: int, seconds: float, folder: Path) -> dict[str, float]:
    check(way)
    body, script = folder / "body", folder / "request.lua"
    body.write_bytes(way.body)
    lines = [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in way.headers.items()]
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = io.open({json.dumps(str(body))}, "rb"):read("*a")\n'
        + "\n".join(lines)
    )
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "30s", "--latency"]
    out = subprocess.run(
        [*command, "-s", str(script), way.url], capture_output=True, text=True, check=True
    ).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    if bad:
        raise SystemExit(f"{way.url}: {bad.group(1)} answers were errors\n{out}")
    share = dict(re.findall(r"^ +(\d+)% +(\S+)$", out, re.MULTILINE))
    count = re.search(r"(\d+) requests in", out)
    rate = re.search(r"Requests/sec: +([\d.]+)", out)
    assert count and rate, out
    return {
        "count": float(count.group(1)),
        "rate": float(rate.group(1)),
        "p50": milliseconds(share.get("50", "")),
        "p99": milliseconds(share.get("99", "")),
    }


def with_h2load(way: Way, connections: int, seconds: float, folder: Path) -> dict[str, float]:
    body = folder / "body"
    body.write_bytes(way.body)
    headers = [part for name, value in way.headers.items() for part in ("-H", f"{name}: {value}")]
    command = [
        "h2load",
        "-t1",
        f"-c{connections}",
        "-m1",
        "-D",
        f"{max(seconds, 1):g}",
        "-d",
        str(body),
        *headers,
        way.url,
    ]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"finished in [^,]+, ([\d.]+) req/s", out)
    done = re.search(r"requests: .*?(\d+) done, (\d+) succeeded", out)
    mean = re.search(r"time for request: +\S+ +\S+ +(\S+)", out)
    assert rate and done and mean, out
    if done.group(1) != done.group(2):
        raise SystemExit(f"{way.url}: not all calls succeeded\n{out}")
    return {
        "count": float(done.group(1)),
        "rate": float(rate.group(1)),
        "p50": milliseconds(mean.group(1)),
        "p99": float("nan"),
    }
