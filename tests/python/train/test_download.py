import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import portfire
from portfire.train.download import download

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT, dropping the connection as often as `cuts` says."""

    cuts = 0
    ranges = True
    asked: list[str | None]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/data.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        if self.path != "/data.bin":
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        end = len(CONTENT)
        if self.server.cuts:
            self.server.cuts -= 1
            end = start + (end - start) // 2
        self.wfile.write(CONTENT[start:end])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(server: Server, path: Path, sha256: str = SHA256) -> None:
    download(server.url, path, sha256=sha256, size=len(CONTENT), attempts=3, pause_s=0.01)


def test_a_file_arrives_whole(server: Server, tmp_path: Path) -> None:
    fetch(server, tmp_path / "deep" / "data.bin")
    assert (tmp_path / "deep" / "data.bin").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["data.bin"]


def test_a_dropped_connection_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    server.cuts = 6
    fetch(server, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert server.asked[:2] == [None, f"bytes={len(CONTENT) // 2}-"]


def test_what_an_earlier_process_fetched_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(CONTENT[:1000])
    fetch(server, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]


def test_a_server_without_ranges_is_started_over(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "data.bin.part").write_bytes(CONTENT[:1000])
    fetch(server, tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_a_wrong_hash_leaves_nothing_behind(server: Server, tmp_path: Path) -> None:
    with pytest.raises(portfire.InvalidInputError, match=f"{SHA256}, not 00"):
        fetch(server, tmp_path / "data.bin", "0" * 64)
    assert not any(tmp_path.iterdir())


def test_a_file_that_is_not_there_is_not_asked_for_twice(server: Server, tmp_path: Path) -> None:
    with pytest.raises(portfire.IoError, match=r"Not Found.*--data"):
        download(server.url + "x", tmp_path / "data.bin", sha256=SHA256, size=1, attempts=3, pause_s=0.01)
    assert len(server.asked) == 1


def test_an_unreachable_server_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(portfire.IoError, match="cannot be fetched"):
        download("http://127.0.0.1:1/x", tmp_path / "x", sha256=SHA256, size=1, attempts=2, pause_s=0.01)
