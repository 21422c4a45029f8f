"""Many raw things in one request: forms, as browsers, curl and Python's clients send them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faces import Program
from serving import Server, wait_until
from small_models import DigitsWorld

import portfire

BOUNDARY = "multipart/form-data; boundary=b"
Part = tuple[str, str | None, bytes]  # its name, its file's name, its bytes


def expected(model: Path, inputs: list[Path] | list[str]) -> list[Any]:
    loaded = portfire.load(model)
    return [json.loads(loaded.run(one).to_json()) for one in inputs]


def close(given: Any, wanted: Any) -> bool:
    """Another batch may change the last digits."""
    if isinstance(wanted, dict):
        return given.keys() == wanted.keys() and all(close(given[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return len(given) == len(wanted) and all(map(close, given, wanted))
    if isinstance(wanted, float):
        return bool(given == pytest.approx(wanted, rel=1e-4, abs=1e-5))
    return bool(given == wanted)


def form(parts: list[Part]) -> bytes:
    made = b""
    for name, file_name, content in parts:
        file = "" if file_name is None else f'; filename="{file_name}"'
        made += part(f'Content-Disposition: form-data; name="{name}"{file}'.encode(), content)
    return made + b"--b--\r\n"


def part(head: bytes, content: bytes) -> bytes:
    return b"--b\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


def post(server: Server, path: str, parts: list[Part]) -> tuple[int, Any]:
    status, reply = server.request("POST", path, form(parts), {"Content-Type": BOUNDARY})
    return status, json.loads(reply)


def test_curl_s_pictures_are_answered_in_their_order(
    server: Server, served_models: Path, digits: DigitsWorld
) -> None:
    pictures = list(digits.pictures[:20])
    forms = [part for path in pictures for part in ("-F", f"image=@{path}")]
    url = f"http://{server.address}/v1/models/digits"
    ran = subprocess.run(["curl", "-sS", *forms, f"{url}:run"], capture_output=True, check=True)
    assert close(json.loads(ran.stdout), expected(served_models / "digits", pictures))
    one = ["curl", "-sS", *forms[:2], f"{url}/versions/10:run?top_k=1"]
    (answer,) = json.loads(subprocess.run(one, capture_output=True, check=True).stdout)
    assert (
        len(answer["top"]) == 1
        and answer["label"] == expected(served_models / "digits", pictures[:1])[0]["label"]
    )


def test_they_share_batches(server: Server, digits: DigitsWorld) -> None:
    def executions() -> tuple[int, int]:
        (stats,) = server.json("GET", "/v2/models/digits/stats")["model_stats"]
        return stats["inference_count"], stats["execution_count"]

    before = executions()
    parts: list[Part] = [("image", path.name, path.read_bytes()) for path in digits.pictures[:64]]
    assert len(post(server, "/v1/models/digits:run", parts)[1]) == 64
    after = executions()
    assert after[0] - before[0] == 64 and after[1] - before[1] < 32


def test_texts_too(server: Server, served_models: Path) -> None:
    texts = ["w1 w2 w3", "w7", "nothing known, w8 and w9"]
    parts: list[Part] = [("text", None, text.encode()) for text in texts]
    assert close(post(server, "/v1/models/bag:run", parts)[1], expected(served_models / "bag", texts))
    _, written = post(server, "/v1/models/writer:run", [("text", None, b"the ")])
    assert written == expected(served_models / "writer", ["the "])


def test_inputs_by_their_names(server: Server, tmp_path: Path) -> None:
    def npy(value: list[float]) -> bytes:
        np.save(tmp_path / "x.npy", np.array(value, np.float32))
        return (tmp_path / "x.npy").read_bytes()

    def differences(parts: list[Part]) -> list[Any]:
        return [one["difference"]["data"] for one in post(server, "/v1/models/pair:run", parts)[1]]

    parts: list[Part] = [("left", "a.npy", npy([5])), ("right", "b.npy", npy([2]))]
    assert differences(parts) == [[3]]
    parts += [("right", "c.npy", npy([7])), ("left", "d.npy", npy([9]))]
    assert differences(parts) == [[3], [2]]
    whole: list[Part] = [
        ("all", None, b'{"left": [1.5], "right": [0.5]}'),
        ("all", None, b'{"right": [0.25], "left": [2.5]}'),
    ]
    assert differences(whole) == [[1], [2.25]]
    bad: dict[str, list[Part]] = {
        'the form has 1 parts "right" and 2 "left"': [*parts[:2], parts[3]],
        'the form has 0 parts "right"': parts[:1],
        'parts[0] "left": 2 tensors': [("left", None, b'{"a": [1.0], "b": [2.0]}'), parts[1]],
        'parts[0] "left": not JSON': [("left", None, b"x"), parts[1]],
        "call 0: ": [("left", "a.npy", npy([1, 2])), parts[1]],
        'parts[0] "a.npy": ': [parts[0], ("other", None, b"{}")],
    }
    for said, wrong in bad.items():
        status, reply = post(server, "/v1/models/pair:run", wrong)
        assert status == 400 and said in reply["error"], reply


def test_a_bad_part_is_named_and_spoils_the_request_alone(server: Server, digits: DigitsWorld) -> None:
    good: Part = ("image", "a.png", digits.pictures[0].read_bytes())
    bad: Part = ("image", "../../etc/passwd", b"no picture")
    empty: Part = ("image", None, b"")
    status, reply = post(server, "/v1/models/digits:run", [good, bad, empty])
    assert status == 400 and reply["code"] == "invalid-input"
    assert reply["error"].startswith('parts[1] "../../etc/passwd": not an image')
    assert post(server, "/v1/models/digits:run", [good, empty])[1]["error"].startswith('parts[1] "image": ')
    status, reply = post(server, "/v1/models/digits:run?top_k=0", [good])
    assert status == 400 and "top_k" in reply["error"]
    assert post(server, "/v1/models/digits:run", [good])[0] == 200


IMAGE = b'Content-Disposition: form-data; name="image"; filename="a.png"'
GOOD = part(IMAGE, b"x")


@pytest.mark.parametrize(
    ("content_type", "body", "said"),
    [
        pytest.param("multipart/form-data", GOOD + b"--b--", "no boundary", id="no-boundary"),
        pytest.param(BOUNDARY, b"", "the body is empty", id="nothing"),
        pytest.param(BOUNDARY, b"x", "does not begin", id="no-form"),
        pytest.param(BOUNDARY, b"--b--", "no part", id="no-part"),
        pytest.param(BOUNDARY, GOOD, "does not end", id="no-end"),
        pytest.param(BOUNDARY, GOOD + b"--b--\r\nGET / HTTP/1.1", "follow its end", id="more-behind-it"),
        pytest.param(BOUNDARY, GOOD * 257 + b"--b--", "more than 256 parts", id="257-parts"),
        pytest.param(BOUNDARY, b"--b\r\n" * 100_000, "head does not end", id="boundaries"),
        pytest.param(BOUNDARY, b"--b\r\n" + b"x" * 100_000, "head does not end", id="a-long-head"),
        pytest.param(
            BOUNDARY,
            part(IMAGE + b"\r\nContent-Transfer-Encoding: base64", b"eA==") + b"--b--",
            "base64",
            id="base64",
        ),
        pytest.param(
            BOUNDARY, part(b"Content-Type: x/y", b"") + b"--b--", "no Content-Disposition", id="no-name"
        ),
    ],
)
def test_forms_that_are_none_are_refused(server: Server, content_type: str, body: bytes, said: str) -> None:
    status, reply = server.request("POST", "/v1/models/digits:run", body, {"Content-Type": content_type})
    assert status == 400, reply
    assert said in json.loads(reply)["error"] and b"\n" not in reply[:-1]


def test_all_or_none_of_a_form_waits(program: Program, served_models: Path, digits: DigitsWorld) -> None:
    parts: list[Part] = [("image", "a.png", digits.pictures[0].read_bytes())]
    with Server(program, served_models, "--max-waiting", 4) as few:
        status, reply = post(few, "/v1/models/digits:run", parts * 200)
        assert status == 429, reply
        # Those that had been taken are dropped when their turn comes.
        wait_until(lambda: post(few, "/v1/models/digits:run", parts * 4)[0] == 200)
        assert len(post(few, "/v1/models/digits:run", parts)[1]) == 1


def test_other_bodies_are_read_as_before(server: Server, served_models: Path, digits: DigitsWorld) -> None:
    wanted = expected(served_models / "digits", [digits.pictures[0]])[0]
    for content_type in ("image/png", "application/json", "multipart/mixed; boundary=b", ""):
        headers = {"Content-Type": content_type} if content_type else {}
        status, reply = server.request(
            "POST", "/v1/models/digits:run", digits.pictures[0].read_bytes(), headers
        )
        assert status == 200 and close(json.loads(reply), wanted)
