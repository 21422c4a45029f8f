"""Downloads that resume, show their progress and are held against a sha256."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm  # type: ignore[import-untyped]

from portfire import InvalidInputError, IoError

_CHUNK = 1 << 18
_TIMEOUT_S = 30


def download(
    url: str, path: Path, *, sha256: str, size: int, attempts: int = 5, pause_s: float = 1.0
) -> None:
    """Fetches `url` to `path`. What was fetched before an interruption lies in `path`.part and is not
    fetched again, not even by another process later. Raises IoError when the server cannot be reached
    `attempts` times in a row without a byte of progress, InvalidInputError when the bytes are not those
    of `sha256`; nothing is then left behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    failures = 0
    with tqdm(total=size, desc=path.name, unit="B", unit_scale=True, leave=False, disable=None) as bar:
        while _length(part) < size:
            before = _length(part)
            try:
                _fetch(url, part, bar)
                if _length(part) < size:
                    raise http.client.IncompleteRead(b"")
            except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
                failures = 1 if _length(part) > before else failures + 1
                if failures >= attempts or (isinstance(error, urllib.error.HTTPError) and error.code < 500):
                    raise IoError(
                        f"{url}: cannot be fetched ({getattr(error, 'reason', None) or error}); "
                        "run it again to go on, or give a local copy with --data"
                    ) from error
                time.sleep(pause_s * failures)
    given = sha256_of(part)
    if given != sha256:
        part.unlink()
        raise InvalidInputError(f"{url}: sha256 is {given}, not {sha256}; the file was thrown away")
    part.replace(path)


def _fetch(url: str, part: Path, bar: tqdm) -> None:
    start = _length(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply:
        resumed = reply.status == http.HTTPStatus.PARTIAL_CONTENT
        with part.open("ab" if resumed else "wb") as out:
            bar.n = start if resumed else 0
            bar.refresh()
            while chunk := reply.read(_CHUNK):
                out.write(chunk)
                bar.update(len(chunk))
            out.flush()
            os.fsync(out.fileno())


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
