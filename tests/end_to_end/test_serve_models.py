"""Models come, change, break and go while `portfire serve` answers."""

from __future__ import annotations

import json
import resource
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import tritonclient.http as triton
from faces import Program
from serving import Server, asked, batch, names, wait_until
from small_models import DigitsWorld

import portfire


@pytest.fixture(scope="module")
def model(digits: DigitsWorld) -> portfire.Model:
    return portfire.load(digits.package)


class Asking:
    """Clients that ask all the time; `wrong` has what was no right answer."""

    def __init__(self, server: Server, count: int, ask: Callable[[triton.InferenceServerClient], str | None]):
        self.server, self.count, self.ask = server, count, ask
        self.wrong: list[str] = []
        self.right = 0
        self._stop = threading.Event()

    def _work(self) -> None:
        with triton.InferenceServerClient(self.server.address) as client:
            while not self._stop.is_set():
                try:
                    fault = self.ask(client)
                except Exception as error:
                    fault = f"{time.monotonic():.2f} {error}"
                if fault:
                    self.wrong.append(fault)
                else:
                    self.right += 1

    def __enter__(self) -> Asking:
        self._threads = [threading.Thread(target=self._work) for _ in range(self.count)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def put(source: Path, target: Path) -> None:
    """A file where another one may be, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name("beside")
    shutil.copyfile(source, beside)
    beside.rename(target)


def test_models_change_while_clients_ask(
    program: Program, digits: DigitsWorld, model: portfire.Model, tmp_path: Path
) -> None:
    name, output = names(model)
    x = batch(2)
    expected = np.asarray(model.forward(x))
    folder = tmp_path / "models"
    put(digits.package, folder / "digits/1/model.pt")

    def ask(client: triton.InferenceServerClient) -> str | None:
        got = client.infer("digits", asked(name, x, binary=True)).as_numpy(output)
        return None if np.allclose(got, expected, atol=1e-5) else "wrong numbers"

    with Server(program, folder) as server, Asking(server, 16, ask) as asking:

        def logged(event: str, times: int = 1) -> None:
            wait_until(lambda: sum(event in line for line in server.log) >= times, event)

        def version() -> str:
            return str(server.json("GET", "/v2/models/digits")["versions"])

        put(digits.package, folder / "digits/1/model.pt")  # replaced by itself
        logged("digits/1: replaced")
        put(digits.package, folder / "digits/2/model.pt")  # a newer one
        logged("digits/2: ready")
        logged("digits/1: unloaded")
        assert version() == "['2']"
        (tmp_path / "rubbish").write_bytes(b"rubbish" * 1000)
        put(tmp_path / "rubbish", folder / "digits/2/model.pt")  # what is loaded goes on
        logged("digits/2: failed")
        assert version() == "['2']"
        put(tmp_path / "rubbish", folder / "digits/3/model.pt")  # a newer one that is none
        logged("digits/3: failed")
        half = digits.package.read_bytes()
        with (folder / "digits/3/model.pt").open("wb") as file:  # written in place, slowly
            for k in range(4):
                file.write(half[k * len(half) // 4 : (k + 1) * len(half) // 4])
                file.flush()
                time.sleep(0.1)
        logged("digits/3: ready")
        assert version() == "['3']"
        put(digits.package, folder / "another/1/model.pt")
        logged("another/1: ready")
        shutil.rmtree(folder / "digits/3")  # back to the older one
        logged("digits/3: unloaded")
        shutil.rmtree(folder / "another")
        logged("another/1: unloaded")
        folder.rename(tmp_path / "away")  # all goes on
        logged("cannot be read")
        assert version() == "['2']" or version() == "['1']"
        (tmp_path / "away").rename(folder)
        server.json("POST", "/v2/repository/index")
        assert asking.right > 16
    assert asking.wrong == []


def test_the_newest_two_answer(program: Program, digits: DigitsWorld, tmp_path: Path) -> None:
    for number in ("1", "2", "3"):
        put(digits.package, tmp_path / f"digits/{number}/model.pt")
    with Server(program, tmp_path, "--latest", 2) as server:
        assert [server.get(f"/v2/models/digits/versions/{k}/ready")[0] for k in (1, 2, 3)] == [503, 200, 200]
        assert server.json("GET", "/v2/models/digits")["versions"] == ["2", "3"]
        assert server.stop() == 0


def test_versions_are_served_as_each_model_s_policy_says(
    program: Program, digits: DigitsWorld, tmp_path: Path
) -> None:
    for name in ("a", "b", "c"):
        for number in ("1", "2", "3"):
            put(digits.package, tmp_path / f"{name}/{number}/model.pt")
    policies = ("--versions", "a=1,3", "--versions", "b=latest:2")
    with Server(program, tmp_path, *policies) as server:
        wanted = {"a": ["1", "3"], "b": ["2", "3"], "c": ["3"]}
        for name, versions in wanted.items():
            wait_until(lambda name=name: server.get(f"/v2/models/{name}/ready")[0] == 200)
            assert server.json("GET", f"/v2/models/{name}")["versions"] == versions
        assert server.get("/v2/models/a/versions/2/ready")[0] == 503
        assert server.stop() == 0


@pytest.mark.parametrize("lies_in", ["", "1", "7"], ids=["plain", "version-1", "version-7"])
def test_one_model_s_folder_is_served_under_a_name(
    program: Program, digits: DigitsWorld, tmp_path: Path, lies_in: str
) -> None:
    """As KServe brings what storageUri names to /mnt/models, whatever that is."""
    put(digits.package, tmp_path / "models" / lies_in / "model.pt")
    with Server(program, tmp_path / "models", "--name", "my-digits") as server:
        versions = server.json("GET", "/v2/models/my-digits")["versions"]
        assert versions == [lies_in or "1"]
        status, reply = server.request("POST", "/v1/models/my-digits:run", digits.pictures[0].read_bytes())
        assert status == 200, reply
        assert server.get("/v2/models/models")[0] == 404
        assert server.stop() == 0


def test_no_caller_learns_where_the_folder_lies(
    program: Program, digits: DigitsWorld, tmp_path: Path
) -> None:
    torch.jit.save(torch.jit.script(digits.eager), tmp_path / "model.pt")
    put(tmp_path / "model.pt", tmp_path / "models/bare/1/model.pt")  # no manifest: called by its file
    (tmp_path / "models/bad/1").mkdir(parents=True)
    (tmp_path / "models/bad/1/model.pt").write_bytes(b"rubbish")
    body = {"inputs": [{"name": "no such", "shape": [1, 64], "datatype": "FP32", "data": [0] * 64}]}
    with Server(program, tmp_path / "models") as server:
        status, reply = server.request("POST", "/v2/models/bare/infer", json.dumps(body))
        assert status == 400 and b"model.pt: " in reply
        _, index = server.request("POST", "/v2/repository/index")
        assert b"bad" in index
        assert str(tmp_path).encode() not in reply + index


def test_it_opens_as_many_files_as_it_may(program: Program, digits: DigitsWorld, tmp_path: Path) -> None:
    put(digits.package, tmp_path / "digits/1/model.pt")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))  # inherited
    try:
        running = Server(program, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with running as server:
        assert resource.prlimit(server.pid, resource.RLIMIT_NOFILE) == (hard, hard)
        assert server.stop() == 0


def test_what_cannot_be_loaded_is_told_and_holds_up_nothing(
    program: Program, digits: DigitsWorld, tmp_path: Path
) -> None:
    put(digits.package, tmp_path / "good/1/model.pt")
    (tmp_path / "bad/1").mkdir(parents=True)
    (tmp_path / "bad/1/model.pt").write_bytes(b"rubbish")
    with Server(program, tmp_path) as server:
        index = {m["name"]: m for m in server.json("POST", "/v2/repository/index")}
        assert index["good"]["state"] == "READY" and index["bad"]["state"] == "UNAVAILABLE"
        assert "not a zip" in index["bad"]["reason"] or index["bad"]["reason"]
        assert server.get("/v2/models/bad/ready")[0] == 503
        assert [m["name"] for m in server.json("POST", "/v2/repository/index", {"ready": True})] == ["good"]
        with ThreadPoolExecutor() as pool:
            done = pool.map(lambda _: server.request("POST", "/v2/repository/models/bad/load")[0], range(4))
        assert set(done) == {503}
        assert server.stop() == 0
