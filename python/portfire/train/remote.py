"""What is known of a public data set, whatever is in it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    url: str
    sha256: str
    size: int  # bytes

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class DataSet:
    name: str
    title: str
    licence: str
    source: str  # a page that describes it
    folder: str  # in the cache and in a local copy
    files: tuple[RemoteFile, ...] = ()
    unpacks_to: str = ""  # the folder that the one archive holds; empty when the files are used as they are
