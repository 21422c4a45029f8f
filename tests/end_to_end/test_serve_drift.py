"""What a server says of inputs that are not like those that a model was made with."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import grpc_client
import numpy as np
import pytest
import tritonclient.grpc as triton
from faces import Program
from prometheus_client.parser import text_string_to_metric_families
from serving import Server
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from small_models import DigitsWorld, make_columns, png
from small_texts import LABELS, WORDS, BagOfWords, make_writer, word_tokenizer

import portfire

_SOME, _MUCH = 0.1, 0.25  # of the population stability index, by custom


def _greys() -> tuple[np.ndarray, np.ndarray]:
    """The digits that were trained with, and the 360 that were not."""
    bunch = load_digits()
    grey = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    rest, held_out = train_test_split(range(len(grey)), test_size=360, random_state=0, stratify=bunch.target)
    return grey[rest], grey[held_out]


def _texts(seed: int, count: int, *, known: float = 0.9) -> list[str]:
    """Of 5 to 20 words, of which the tokenizer knows such a share."""
    draw = random.Random(seed)
    words = [[draw.choice(WORDS) for _ in range(draw.randint(5, 20))] for _ in range(count)]
    return [" ".join(word if draw.random() < known else "strange" for word in text) for text in words]


@pytest.fixture(scope="module")
def models(digits: DigitsWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """digits, texts, writer and columns, each with statistics; plain, without."""
    folder = tmp_path_factory.mktemp("drift")
    trained, _ = _greys()
    for name, statistics in (
        ("digits", [np.repeat(grey[..., None], 3, 2) for grey in trained]),
        ("plain", None),
    ):
        portfire.package(
            digits.eager,
            folder / name / "1" / "model.pt",
            name=name,
            golden=digits.pictures[:1],
            licence="Apache-2.0",
            labels=tuple("0123456789"),
            max_batch=16,
            statistics=statistics,
        )
    content = word_tokenizer()
    portfire.package(
        BagOfWords(len(WORDS) + 1).eval(),
        folder / "texts" / "1" / "model.pt",
        name="texts",
        task="text-classification",
        tokenizer=content,
        golden=["w1 w2", "w3"],
        licence="Apache-2.0",
        labels=LABELS,
        statistics=_texts(1, 1000),
    )
    make_writer(folder / "writer", "gpt", statistics=["abcdefghij"[: k % 10 + 1] for k in range(200)])
    make_columns(folder / "columns" / "1" / "model.pt")
    return folder


@pytest.fixture
def server(program: Program, models: Path) -> Iterator[Server]:
    with Server(program, models) as running:
        yield running


def counted(server: Server, model: str, name: str = "portfire_input_bin_total") -> dict[str, list[float]]:
    """The samples of that name, by quantity."""
    families = text_string_to_metric_families(server.ask("/metrics").body.decode())
    found: dict[str, list[float]] = {}
    for one in [one for family in families for one in family.samples if one.name == name]:
        if one.labels["model"] == model:
            found.setdefault(one.labels["quantity"], []).append(one.value)
    return found


def drift(server: Server, model: str) -> dict[str, float]:
    """The index by quantity."""
    return {name: value for name, (value,) in counted(server, model, "portfire_input_drift").items()}


def test_pictures_like_those_of_training_have_not_drifted(server: Server) -> None:
    _, held_out = _greys()
    expected = counted(server, "digits", "portfire_input_bin_expected_ratio")
    assert set(expected) == {"x[0] mean", "x[0] spread", "answer"}
    assert all(sum(shares) == pytest.approx(1) for shares in expected.values())
    for number, grey in enumerate(held_out):
        assert server.ask("/v1/models/digits:run", png(grey)).status == 200
        if number == 198:
            assert drift(server, "digits") == {}
    found = drift(server, "digits")
    assert set(found) == set(expected)
    assert max(found.values()) < _SOME, found
    assert {sum(bins) for bins in counted(server, "digits").values()} == {len(held_out)}


def test_inverted_pictures_have(server: Server) -> None:
    _, held_out = _greys()
    for grey in held_out:
        assert server.ask("/v1/models/digits:run", png(255 - grey)).status == 200
    found = drift(server, "digits")
    assert min(found["x[0] mean"], found["answer"]) > _MUCH, found


def test_all_routes_count_and_what_is_refused_does_not(server: Server) -> None:
    _, held_out = _greys()
    picture = png(held_out[0])
    samples = (held_out[:5, None].astype(np.float32) / 255 - 0.3).tolist()
    infer = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [5, 1, 8, 8], "data": samples}]}

    def count() -> set[float]:
        return {sum(bins) for bins in counted(server, "digits").values()}

    assert server.ask("/v1/models/digits:run", picture).status == 200
    assert count() == {1}
    reply = server.ask("/v2/models/digits/infer", json.dumps(infer).encode())
    assert reply.status == 200, reply.body
    assert count() == {6}
    for body in (b"no picture", b""):
        assert server.ask("/v1/models/digits:run", body).status == 400
    infer["inputs"][0]["shape"] = [5, 1, 64]
    assert server.ask("/v2/models/digits/infer", json.dumps(infer).encode()).status == 400
    # Pictures with something hidden are none that anybody has sent.
    assert server.ask("/v1/models/digits:explain", picture).status == 200
    assert count() == {6}
    assert server.ask("/v1/models/plain:run", picture).status == 200
    assert counted(server, "plain") == {}


def test_grpc_counts(program: Program, models: Path) -> None:
    with Server(program, models, grpc=True) as server:
        client = triton.InferenceServerClient(server.grpc)
        client.infer("digits", [grpc_client.tensor("x", grpc_client.pictures(7))])
        assert {sum(bins) for bins in counted(server, "digits").values()} == {7}
        wrong = grpc_client.tensor("x", grpc_client.pictures(7).reshape(7, 1, 64))
        grpc_client.refused(lambda: client.infer("digits", [wrong]), "INVALID_ARGUMENT", "x")
        assert {sum(bins) for bins in counted(server, "digits").values()} == {7}


def test_strange_texts_have_drifted_and_others_not(server: Server) -> None:
    for text in _texts(2, 400):
        assert server.ask("/v1/models/texts:run", text.encode()).status == 200
    found = drift(server, "texts")
    assert set(found) == {"tokens", "token 0", "answer"}
    assert max(found.values()) < _SOME, found
    for text in _texts(3, 1000, known=0.3):
        assert server.ask("/v1/models/texts:run", text.encode()).status == 200
    found = drift(server, "texts")
    assert found["token 0"] > _MUCH, found
    assert found["tokens"] < _SOME, found


def test_prompts_count_once_they_are_read(server: Server) -> None:
    request = {"text_input": "abcdefghij", "parameters": {"max_tokens": 1}}
    for _ in range(3):
        assert server.ask("/v2/models/writer/generate", json.dumps(request).encode()).status == 200
    assert server.ask("/v1/models/writer:run", b"a").status == 200
    completion = {"model": "writer", "prompt": "%", "max_tokens": 1}
    assert server.ask("/v1/completions", json.dumps(completion).encode()).status == 200
    assert (
        server.ask("/v1/completions", json.dumps({**completion, "prompt": "a" * 99}).encode()).status == 400
    )
    found = counted(server, "writer")
    assert set(found) == {"tokens", "token 0"}
    assert found["tokens"] == [0, 2, *[0] * 8, 3, 0]
    assert [sum(found["token 0"][:2]), sum(found["token 0"][2:])] == [4, 1]


def test_tensors_are_measured_by_their_columns(server: Server) -> None:
    numbers = np.random.default_rng(1).normal(0, 1, (250, 3)).astype(np.float32)
    numbers[:, 1] += 1
    body = json.dumps({"x": numbers.tolist()}).encode()
    assert server.ask("/v1/models/columns:run", body).status == 200
    found = drift(server, "columns")
    assert set(found) == {"x[0] mean", "x[1] mean", "x[2] mean"}
    assert found["x[1] mean"] > _MUCH > _SOME > max(found["x[0] mean"], found["x[2] mean"]), found
