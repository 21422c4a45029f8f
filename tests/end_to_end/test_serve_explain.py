"""What an answer hangs on: `:explain` against the same done by hand in Python."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from serving import Server, wait_until
from small_models import DigitsWorld, png

import portfire


def explain(server: Server, path: str, body: bytes) -> Any:
    status, reply = server.request("POST", f"/v1/models/{path}", body)
    assert status == 200, reply
    return json.loads(reply)


def test_a_picture_s_map_is_what_hiding_its_patches_does(server: Server, digits: DigitsWorld) -> None:
    path = digits.pictures[1]
    given = explain(server, "digits:explain", path.read_bytes())
    with Image.open(path) as opened:
        pixels = torch.from_numpy(np.asarray(opened.convert("RGB")).copy())
    with torch.no_grad():
        whole = digits.eager.preprocess(pixels)
        hidden = whole.repeat(64, 1, 1, 1)
        for k in range(64):
            hidden[k, :, k // 8, k % 8] = whole.mean((1, 2))
        p = torch.softmax(digits.eager(torch.cat([whole[None], hidden])), 1).numpy()
    label = int(p[0].argmax())
    assert (given["label"], given["method"]) == (str(label), "occlusion")
    assert given["probability"] == pytest.approx(p[0, label], abs=1e-5)
    assert (given["heatmap"]["height"], given["heatmap"]["width"]) == (8, 8)
    expected = (p[0, label] - p[1:, label]).reshape(8, 8)
    np.testing.assert_allclose(given["heatmap"]["values"], expected, atol=1e-4)
    other = explain(server, "digits/versions/10:explain?label=3", path.read_bytes())
    assert other["label"] == "3"
    np.testing.assert_allclose(other["heatmap"]["values"], (p[0, 3] - p[1:, 3]).reshape(8, 8), atol=1e-4)


def test_a_text_s_words_are_left_out_one_by_one(server: Server, served_models: Path) -> None:
    bag = portfire.load(served_models / "bag")

    def probability(text: str, label: str) -> float:
        return next(one.probability for one in bag.run(text, top_k=3).top if one.label == label)

    text = "w1  é漢 w199\nw3"
    given = explain(server, "bag:explain", text.encode())
    assert given["label"] == bag.run(text).label
    whole = probability(text, given["label"])
    assert given["probability"] == pytest.approx(whole, abs=1e-5)
    assert [text.encode()[one["start"] : one["end"]].decode() for one in given["tokens"]] == text.split()
    for k, one in enumerate(given["tokens"]):
        rest = " ".join(text.split()[:k] + text.split()[k + 1 :])
        assert one["value"] == pytest.approx(whole - probability(rest, given["label"]), abs=1e-4), one
    alone = explain(server, "bag:explain?label=low", b"w1")
    assert alone["label"] == "low"
    assert alone["tokens"] == [{"text": "w1", "start": 0, "end": 2, "value": None}]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        pytest.param("scale:explain", b"[1.0]", 400, "no explanation for task tensor", id="another-task"),
        pytest.param("nothing:explain", b"x", 404, "there is no model", id="no-model"),
        pytest.param("digits/versions/9:explain", b"x", 404, "no version 9", id="no-version"),
        pytest.param("digits:explain", b"", 400, "the body is empty", id="nothing"),
        pytest.param("digits:explain", b"x", 400, "not an image", id="no-picture"),
        pytest.param("digits:explain?label=x", b"x", 400, 'no label "x"', id="no-label"),
        pytest.param("digits:explain?timeout=0", b"x", 400, "timeout is", id="no-time"),
        pytest.param("digits:explain?timeout=1e9", b"x", 400, "timeout is", id="no-number"),
        pytest.param("bag:explain", b" \n", 400, "no token", id="no-text"),
        pytest.param("bag:explain", b"w " * 513, 400, "513 words; at most 512", id="513-words"),
    ],
)
def test_what_cannot_be_explained_is_said(
    server: Server, path: str, body: bytes, status: int, said: str
) -> None:
    given, reply = server.request("POST", f"/v1/models/{path}", body)
    assert given == status and said in json.loads(reply)["error"], reply


def test_many_explanations_and_answers_side_by_side(server: Server, digits: DigitsWorld) -> None:
    body = digits.pictures[0].read_bytes()
    expected = explain(server, "digits:explain", body)
    with ThreadPoolExecutor(16) as pool:
        explained = [pool.submit(explain, server, "digits:explain", body) for _ in range(16)]
        answered = [pool.submit(explain, server, "digits:run", body) for _ in range(64)]
    for one in explained:
        np.testing.assert_allclose(
            one.result()["heatmap"]["values"], expected["heatmap"]["values"], atol=1e-4
        )
    assert {one.result()["label"] for one in answered} == {expected["label"]}


def test_a_client_that_goes_away_takes_its_explanation_along(server: Server) -> None:
    def waiting() -> int:
        models = server.json("GET", "/page/state")["models"]
        return sum(one["counters"]["waiting"] for one in models if one["name"] == "digits")

    body = png(np.zeros((8, 8), np.uint8))
    head = f"POST /v1/models/digits:explain HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n"
    for _ in range(20):
        with server.client() as client:
            client.send(head.encode() + body)
    wait_until(lambda: waiting() == 0, "an empty queue")
    assert explain(server, "digits:explain", body)["method"] == "occlusion"
