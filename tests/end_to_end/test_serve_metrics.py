"""What Prometheus reads of a server, and what the dashboard makes of it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faces import Program
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from serving import Server
from small_models import DigitsWorld, make_columns
from small_texts import make_writer

_DASHBOARD = Path(__file__).parents[2] / "tools/deploy/grafana.json"
# https://prometheus.io/docs/practices/naming: base units, and _total for what counts.
_UNITS = (
    "_seconds",
    "_bytes",
    "_total",
    "_info",
    "_samples",
    "_length",
    "_limit",
    "_fds",
    "_threads",
    "_ratio",
)
_BARE = {"portfire_ready", "portfire_processors", "portfire_model_state", "portfire_text_sequences"}
_BARE |= {"portfire_http_open_connections", "portfire_input_drift"}


@pytest.fixture(scope="module")
def server(
    program: Program, digits: DigitsWorld, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    make_writer(folder / "letters-gpt", "gpt")
    (folder / "broken" / "1").mkdir(parents=True)
    (folder / "broken" / "1" / "model.pt").write_text("no package")
    (folder / "digits" / "10").mkdir(parents=True)
    (folder / "digits" / "10" / "model.pt").write_bytes(digits.package.read_bytes())
    columns = make_columns(folder / "columns" / "1" / "model.pt")
    with Server(program, folder, "--threads", 1) as running:
        enough = json.dumps({"x": columns[:250].tolist()}).encode()
        assert running.ask("/v1/models/columns:run", enough).status == 200
        yield running


def families(server: Server) -> dict[str, Metric]:
    reply = server.ask("/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = list(text_string_to_metric_families(reply.body.decode()))
    assert len({family.name for family in found}) == len(found), "a family comes twice"
    return {family.name: family for family in found}


def value(server: Server, name: str, **labels: str) -> float:
    """The one sample of that name that has these labels."""
    samples = [one for family in families(server).values() for one in family.samples]
    found = [s.value for s in samples if s.name == name and labels.items() <= s.labels.items()]
    assert len(found) == 1, f"{name} {labels}: {found}"
    return found[0]


def test_answers_are_counted(server: Server, digits: DigitsWorld) -> None:
    model = {"model": "digits", "version": "10"}
    names = ("portfire_inference_duration_seconds_count", "portfire_inference_samples_total")
    names += ("portfire_inference_queue_duration_seconds_count",)
    before = [value(server, name, **model) for name in names]
    answered = value(server, "portfire_inference_requests_total", code="ok", **model)
    batches = value(server, "portfire_batch_samples_count", **model)
    stages = [
        value(server, "portfire_batch_stage_duration_seconds_sum", stage=stage, **model)
        for stage in ("preprocess", "forward", "postprocess")
    ]
    for picture in digits.pictures[:3]:
        assert server.ask("/v1/models/digits:run", picture.read_bytes()).status == 200
    assert [value(server, name, **model) for name in names] == [one + 3 for one in before]
    assert value(server, "portfire_inference_requests_total", code="ok", **model) == answered + 3
    assert value(server, "portfire_batch_samples_count", **model) == batches + 3
    for stage, spent in zip(("preprocess", "forward", "postprocess"), stages, strict=True):
        assert value(server, "portfire_batch_stage_duration_seconds_sum", stage=stage, **model) > spent
    last = value(server, "portfire_inference_last_timestamp_seconds", **model)
    assert abs(last - time.time()) < 60


def test_errors_are_counted_by_their_code(server: Server) -> None:
    before = value(server, "portfire_inference_requests_total", model="digits", code="invalid-input")
    assert server.ask("/v1/models/digits:run", b"no picture").status == 400
    after = value(server, "portfire_inference_requests_total", model="digits", code="invalid-input")
    assert after == before + 1


def test_texts_are_counted(server: Server) -> None:
    before = value(server, "portfire_text_requests_total", model="letters-gpt", outcome="finished")
    steps = value(server, "portfire_text_steps_total", model="letters-gpt")
    durations = {
        name: value(server, name + "_count", model="letters-gpt")
        for name in ("portfire_text_duration_seconds", "portfire_text_first_token_duration_seconds")
    }
    tokens = {
        name: value(server, f"portfire_text_{name}_tokens_total", model="letters-gpt")
        for name in ("prompt", "generated")
    }
    request = json.dumps({"text_input": "abc", "parameters": {"max_tokens": 5}}).encode()
    assert server.ask("/v2/models/letters-gpt/generate", request).status == 200
    assert (
        value(server, "portfire_text_requests_total", model="letters-gpt", outcome="finished") == before + 1
    )
    assert value(server, "portfire_text_steps_total", model="letters-gpt") >= steps + 5
    for name in ("portfire_text_duration_seconds", "portfire_text_first_token_duration_seconds"):
        assert value(server, name + "_count", model="letters-gpt") == durations[name] + 1
    whole = value(server, "portfire_text_duration_seconds_sum", model="letters-gpt")
    assert 0 < value(server, "portfire_text_first_token_duration_seconds_sum", model="letters-gpt") <= whole
    for name, more in (("prompt", 3), ("generated", 5)):
        now = value(server, f"portfire_text_{name}_tokens_total", model="letters-gpt")
        assert now == tokens[name] + more, name
    assert value(server, "portfire_text_sequences", model="letters-gpt") == 0
    assert value(server, "portfire_text_sequences_limit", model="letters-gpt") == 16


def test_every_version_has_one_state(server: Server) -> None:
    states: dict[str, list[str]] = {}
    for sample in families(server)["portfire_model_state"].samples:
        states.setdefault(sample.labels["model"], [])
        if sample.value == 1:
            states[sample.labels["model"]].append(sample.labels["state"])
    ready = {name: ["ready"] for name in ("columns", "digits", "letters-gpt")}
    assert states == {"broken": ["failed"], **ready}


def test_a_histogram_is_cumulative_and_ends_with_all(server: Server, digits: DigitsWorld) -> None:
    server.ask("/v1/models/digits:run", digits.pictures[0].read_bytes())
    for family in families(server).values():
        if family.type != "histogram":
            continue
        series: dict[tuple[str, ...], list[tuple[str, float]]] = {}
        counts: dict[tuple[str, ...], float] = {}
        for sample in family.samples:
            key = tuple(text for name, text in sorted(sample.labels.items()) if name != "le")
            if sample.name.endswith("_bucket"):
                series.setdefault(key, []).append((sample.labels["le"], sample.value))
            elif sample.name.endswith("_count"):
                counts[key] = sample.value
        assert series.keys() == counts.keys() and series
        for key, buckets in series.items():
            bounds = [float(bound) for bound, _ in buckets]
            assert bounds == sorted(bounds) and buckets[-1][0] == "+Inf"
            values = [count for _, count in buckets]
            assert values == sorted(values) and values[-1] == counts[key]


def test_names_follow_the_conventions(server: Server) -> None:
    for name, family in families(server).items():
        assert re.fullmatch("(portfire|process)_[a-z][a-z0-9_]*[a-z0-9]", name)
        written = {sample.name for sample in family.samples}
        if family.type == "counter":
            assert written == {name + "_total"}  # the parser leaves it out of the family's name
        else:
            assert name in _BARE or name.endswith(_UNITS), name
            assert not name.endswith("_total")
        assert family.documentation.endswith(".") and "\n" not in family.documentation
    assert families(server)["portfire_build_info"].samples[0].labels["version"].count(".") == 2


def test_the_process_is_as_the_kernel_has_it(server: Server) -> None:
    fields = Path(f"/proc/{server.pid}/statm").read_text().split()
    resident = value(server, "process_resident_memory_bytes")
    assert resident == pytest.approx(int(fields[1]) * 4096, rel=0.2)
    open_files = value(server, "process_open_fds")
    assert abs(open_files - len(list(Path(f"/proc/{server.pid}/fd").iterdir()))) <= 2
    assert 0 < time.time() - value(server, "process_start_time_seconds") < 600
    assert 0 < value(server, "process_cpu_seconds_total") < 600
    assert value(server, "portfire_ready") == 1


def test_requests_over_http_are_counted(server: Server) -> None:
    before = value(server, "portfire_http_requests_total")
    assert value(server, "portfire_http_requests_total") == before + 1
    assert value(server, "portfire_http_open_connections") >= 1


def test_the_dashboard_shows_only_what_is_there(server: Server) -> None:
    found = families(server)
    exported = {sample.name for family in found.values() for sample in family.samples}
    labels = {name for family in found.values() for sample in family.samples for name in sample.labels}
    dashboard = json.loads(_DASHBOARD.read_text())
    texts = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    texts += [one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"]
    assert len(texts) > 20
    shown = {name for text in texts for name in re.findall(r"\b(?:portfire|process)_[a-z_]+", text)}
    assert shown <= exported, shown - exported
    grouped = {
        name.strip() for text in texts for by in re.findall(r"by \(([^)]*)\)", text) for name in by.split(",")
    }
    matched = {name for text in texts for name in re.findall(r"[{,]([a-z_]+)(?:=|!=)", text)}
    assert grouped | matched <= labels | {"instance"}, (grouped | matched) - labels
