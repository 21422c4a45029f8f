"""What tools/deploy says agrees with the program: its options, ports, paths and times."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "tools" / "deploy"
CHART = DEPLOY / "helm" / "portfire"
SERVE = "".join((ROOT / "cpp/apps" / name).read_text() for name in ("serve.cpp", "options.cpp"))
OPTIONS = set(re.findall(r'"(?:-\w,)?(--[a-z-]+)', SERVE))
DRAIN_SECONDS = int(re.findall(r"int drain_seconds = (\d+);", SERVE)[0])
HTTP_PORT = int(re.findall(r"port = (\d+);", (ROOT / "cpp/transport/http/server.h").read_text())[0])
GRPC_PORT = 8001
PATHS = set(re.findall(r'"(/v2/health/\w+)"', (ROOT / "cpp/transport/routes/open_inference.cpp").read_text()))


def _documents(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text()))


def _options_in(words: list[str]) -> set[str]:
    return {word.split("=")[0] for word in words if word.startswith("--")}


def _unit() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd/portfire.service").read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


@pytest.fixture(scope="module")
def manifests() -> dict[str, Any]:
    return {one["kind"]: one for one in _documents(DEPLOY / "kubernetes/portfire.yaml")}


@pytest.fixture(scope="module")
def values() -> Any:
    (found,) = _documents(CHART / "values.yaml")
    return found


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft7Validator:
    found = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(found)
    return jsonschema.Draft7Validator(found)


def test_every_yaml_and_json_file_is_one() -> None:
    files = [path for path in DEPLOY.rglob("*.y*ml") if path.parent.name != "templates"]
    assert len(files) > 5
    for path in files:
        assert all(isinstance(one, dict) for one in _documents(path)), path
    for path in DEPLOY.rglob("*.json"):
        json.loads(path.read_text())


def test_the_unit_waits_longer_than_the_server_drains_and_allows_generated_code() -> None:
    unit = _unit()
    assert int(unit["TimeoutStopSec"][0]) > DRAIN_SECONDS
    assert unit["Type"] == ["notify"]
    assert unit["MemoryDenyWriteExecute"] == ["no"]
    (example,) = re.findall(r"PORTFIRE_OPTIONS=(.*)", (DEPLOY / "systemd/portfire.default").read_text())
    assert _options_in(example.split()) <= OPTIONS


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "portfire.service"
    unit.write_text(
        (DEPLOY / "systemd/portfire.service").read_text().replace("/usr/bin/portfire", "/bin/true")
    )
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if "portfire" in line]) == (0, [])


def test_the_image_serves_with_options_that_the_program_has() -> None:
    text = (DEPLOY / "docker/Dockerfile").read_text()
    command = json.loads(re.findall(r"^CMD (\[.*)$", text, re.MULTILINE)[0])
    assert command[0] == "serve"
    assert _options_in(command) <= OPTIONS
    assert f"EXPOSE {HTTP_PORT} {GRPC_PORT}" in text
    assert "/v2/health/ready" in PATHS
    health = (DEPLOY / "docker/healthcheck").read_text()
    assert "GET /v2/health/ready " in health and f"{{1:-{HTTP_PORT}}}" in health
    for copied in re.findall(r"^COPY (tools/.*) tools/$", text, re.MULTILINE)[0].split():
        assert (ROOT / copied).is_file(), copied


def test_compose_mounts_what_is_there_and_waits_longer_than_the_server_drains() -> None:
    (compose,) = _documents(DEPLOY / "docker/compose.yaml")
    service = compose["services"]["portfire"]
    assert _options_in(service["command"]) <= OPTIONS
    drain = int(service["command"][service["command"].index("--drain-seconds") + 1])
    assert int(service["stop_grace_period"].removesuffix("s")) > drain
    assert service["read_only"] and service["volumes"][0]["read_only"]
    for name in ("prometheus", "grafana"):
        for volume in compose["services"][name]["volumes"]:
            source = volume.split(":")[0]
            # The dashboard is written together with the metrics.
            if source.startswith(".") and source != "../grafana.json":
                assert (DEPLOY / "docker" / source).is_file(), source
    (prometheus,) = _documents(DEPLOY / "docker/prometheus.yml")
    assert prometheus["scrape_configs"][0]["static_configs"][0]["targets"] == [f"portfire:{HTTP_PORT}"]


def test_the_charts_values_fit_their_schema(values: Any, schema: jsonschema.Draft7Validator) -> None:
    schema.validate(values)
    assert set(values) <= set(schema.schema["properties"])
    assert values["serve"]["drainSeconds"] == DRAIN_SECONDS
    assert (values["service"]["httpPort"], values["service"]["grpcPort"]) == (HTTP_PORT, GRPC_PORT)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("replica", 2),
        ("replicas", "two"),
        ("models.from", "bucket"),
        ("models.from", "existingClaim"),
        ("models.from", "image"),
        ("models.claim.size", "large"),
        ("serve.drainSeconds", -1),
        ("service.httpPort", 0),
    ],
)
def test_values_that_mean_nothing_are_refused(
    path: str, value: object, values: Any, schema: jsonschema.Draft7Validator
) -> None:
    wrong = copy.deepcopy(values)
    *folders, name = path.split(".")
    inner = wrong
    for folder in folders:
        inner = inner[folder]
    inner[name] = value
    assert not schema.is_valid(wrong)


def test_the_manifests_ask_for_what_the_program_has(manifests: dict[str, Any]) -> None:
    pod = manifests["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"][:2] == ["serve", container["volumeMounts"][0]["mountPath"]]
    assert _options_in(container["args"]) <= OPTIONS
    assert {port["containerPort"] for port in container["ports"]} == {HTTP_PORT, GRPC_PORT}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in PATHS
        assert container[probe]["httpGet"]["port"] == "http"
    pre_stop = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > DRAIN_SECONDS + pre_stop
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert manifests["Service"]["spec"]["selector"].items() <= (
        manifests["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
    )


def test_kserve_starts_the_program_with_options_and_probes_that_it_has() -> None:
    (runtime,) = _documents(DEPLOY / "kserve/servingruntime.yaml")
    (service,) = _documents(DEPLOY / "kserve/inferenceservice.yaml")
    (container,) = runtime["spec"]["containers"]
    assert _options_in(container["args"]) <= OPTIONS
    assert {"/mnt/models", "--name={{.Name}}"} <= set(container["args"])  # KServe fills the name in
    assert f"--port={container['ports'][0]['containerPort']}" in container["args"]
    assert {container[name]["httpGet"]["path"] for name in ("readinessProbe", "livenessProbe")} <= PATHS
    model = service["spec"]["predictor"]["model"]
    assert model["modelFormat"]["name"] in {one["name"] for one in runtime["spec"]["supportedModelFormats"]}
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]


def test_the_manifests_are_what_the_chart_gives(manifests: dict[str, Any]) -> None:
    if shutil.which("helm"):
        command = ["helm", "template", "portfire", str(CHART), "--namespace", "default"]
    elif shutil.which("go") and Path("/usr/share/gocode/src/github.com/Masterminds/sprig").is_dir():
        render = str(DEPLOY / "helm/render/main.go")
        command = ["env", "GO111MODULE=off", "GOPATH=/usr/share/gocode", "go", "run", render]
        command += [str(CHART), "portfire", "default"]
    else:
        pytest.skip("neither helm nor Go with sprig is installed")
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    assert {one["kind"]: one for one in yaml.safe_load_all(text) if one} == manifests
