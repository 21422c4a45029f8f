"""What a server tells of its models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from faces import Program
from serving import Server
from small_models import DigitsWorld, make_scale
from small_texts import CONTEXT, make_classifier, make_writer


@pytest.fixture(scope="module")
def folder(digits: DigitsWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    make_classifier(folder / "bag")
    make_writer(folder / "letters", "gpt")
    (folder / "digits" / "10").mkdir(parents=True)
    (folder / "digits" / "10" / "model.pt").write_bytes(digits.package.read_bytes())
    for name, version in (("scale", "1"), ("broken", "2")):
        (folder / name / version).mkdir(parents=True)
    make_scale(folder / "scale" / "1" / "model.pt")
    (folder / "broken" / "2" / "model.pt").write_text("no package")
    return folder


@pytest.fixture(scope="module")
def server(program: Program, folder: Path) -> Iterator[Server]:
    with Server(program, folder, "--threads", 1) as running:
        yield running


def test_a_model_says_what_its_package_says(server: Server, digits: DigitsWorld) -> None:
    info = server.ask("/v1/models/digits").json
    assert (info["name"], info["version"], info["versions"]) == ("digits", "10", ["10"])
    assert (info["task"], info["description"]) == ("image-classification", "Handwritten digits")
    assert (info["licence"], info["state"], info["max_batch"]) == ("Apache-2.0", "READY", 16)
    assert info["input"]["kind"] == "image" and info["input"]["max_pixels"] > 0
    assert (info["labels_count"], info["labels"]) == (10, list("0123456789"))
    assert info["parameters"] == sum(one.numel() for one in digits.eager.parameters())
    assert info["file_bytes"] == digits.package.stat().st_size
    assert (info["engine"], info["device"], info["precision"]) == ("torchscript", "cpu", "packaged")
    assert server.ask("/v1/models/digits/versions/10").json == info


def test_a_signature_has_sizes_names_and_bounds(server: Server) -> None:
    (x,) = server.ask("/v1/models/scale").json["signature"]["inputs"]
    assert x == {"name": "x", "datatype": "FP32", "shape": ["N", 1, 8, 8], "minimum": 0.0, "maximum": 1.0}


def test_models_of_text_say_how_much_they_take(server: Server) -> None:
    assert server.ask("/v1/models/letters").json["context"] == CONTEXT
    assert "chat_roles" not in server.ask("/v1/models/bag").json
    text = server.ask("/v1/models/bag").json["input"]
    assert text["kind"] == "text" and text["max_tokens"] == 32 and text["max_bytes"] > 0


def test_it_is_what_openai_s_clients_retrieve(server: Server) -> None:
    info = server.ask("/v1/models/letters").json
    (listed,) = [one for one in server.ask("/v1/models").json["data"] if one["id"] == "letters"]
    assert {name: info[name] for name in ("id", "object", "owned_by")} == {
        name: listed[name] for name in ("id", "object", "owned_by")
    }
    assert abs(info["created"] - listed["created"]) <= 1


def test_no_path_of_the_machine_is_told(server: Server, folder: Path) -> None:
    for name in ("bag", "digits", "letters", "scale"):
        assert str(folder) not in server.ask(f"/v1/models/{name}").body.decode()


def test_a_model_that_is_not_there_or_not_ready(server: Server) -> None:
    assert server.ask("/v1/models/nobody").json["code"] == "not-found"
    assert server.ask("/v1/models/digits/versions/3").status == 404
    assert server.ask("/v1/models/digits/versions/x").status == 404
    broken = server.ask("/v1/models/broken")
    assert (broken.status, broken.json["code"]) == (503, "unavailable")


def test_the_state_has_all_versions(server: Server, digits: DigitsWorld) -> None:
    before = {one["name"]: one for one in server.ask("/page/state").json["models"]}
    assert {name: one["state"] for name, one in before.items()} == {
        "bag": "READY",
        "broken": "UNAVAILABLE",
        "digits": "READY",
        "letters": "READY",
        "scale": "READY",
    }
    assert "not a package" in before["broken"]["reason"] and "counters" not in before["broken"]
    server.ask("/v1/models/digits:run", digits.pictures[0].read_bytes())
    server.ask("/v1/models/digits:run", b"no picture")
    state = server.ask("/page/state").json
    counters = next(one["counters"] for one in state["models"] if one["name"] == "digits")
    assert counters["answered"] == before["digits"]["counters"]["answered"] + 1
    assert counters["failed"] == before["digits"]["counters"]["failed"] + 1
    assert sum(counters["latencies"]) == counters["answered"]
    assert len(counters["latencies"]) == len(state["latency_bounds"]) + 1
