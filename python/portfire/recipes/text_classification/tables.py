"""Rows of text and label from a user's CSV, TSV or JSONL file; a bad row is named by its line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

from portfire import InvalidInputError, NotFoundError

SUFFIXES = (".csv", ".tsv", ".jsonl")
Row = tuple[str, str]  # text, label

_Place = tuple[int, object, object]  # the line from 1, and what its two columns hold


def read_rows(path: Path, text_column: str, label_column: str) -> list[Row]:
    """The rows of a table with a header, or of a file of JSON objects. UTF-8; a CSV's fields may be quoted, a
    TSV's are what lies between its tabs. Labels may be numbers or true and false in JSON."""
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidInputError(f'{path}: "{path.suffix}" is no table; {", ".join(SUFFIXES)} are read')
    columns = (text_column, label_column)
    source = _objects if path.suffix.lower() == ".jsonl" else _table
    rows = [
        (_field(path, line, text_column, text), _field(path, line, label_column, label))
        for line, text, label in source(path, decode(path), columns)
    ]
    if not rows:
        raise InvalidInputError(f"{path}: holds no rows")
    return rows


def decode(path: Path, encoding: str = "utf-8") -> str:
    """The file's text, without the mark that some editors begin UTF-8 with."""
    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidInputError(
            f"{path}: line {line} is not UTF-8 (byte 0x{content[error.start]:02x}); save the file as UTF-8"
        ) from error


def _table(path: Path, content: str, columns: tuple[str, str]) -> Iterator[_Place]:
    quoted = path.suffix.lower() == ".csv"
    reader = csv.reader(
        io.StringIO(content, newline=""),
        delimiter="," if quoted else "\t",
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=quoted,
    )
    try:
        header = next(reader, [])
        for column in columns:
            if column not in header:
                raise InvalidInputError(
                    f'{path}: line 1 has no column "{column}"; it has {", ".join(header)}'
                )
        places = [header.index(column) for column in columns]
        for fields in reader:
            if not fields:
                continue
            if len(fields) != len(header):
                raise InvalidInputError(
                    f"{path}: line {reader.line_num} has {len(fields)} columns; line 1 has {len(header)}"
                )
            yield reader.line_num, fields[places[0]], fields[places[1]]
    except csv.Error as error:
        raise InvalidInputError(f"{path}: line {reader.line_num} is no CSV ({error})") from error


def _objects(path: Path, content: str, columns: tuple[str, str]) -> Iterator[_Place]:
    for line, row in enumerate(content.split("\n"), 1):
        if not row.strip():
            continue
        try:
            fields = json.loads(row)
        except ValueError as error:
            raise InvalidInputError(f"{path}: line {line} is no JSON ({error})") from error
        if not isinstance(fields, dict):
            raise InvalidInputError(f"{path}: line {line} is no JSON object")
        for column in columns:
            if column not in fields:
                raise InvalidInputError(f'{path}: line {line} has no "{column}"; it has {", ".join(fields)}')
        text, label = (fields[column] for column in columns)
        if not isinstance(text, str):
            raise InvalidInputError(f'{path}: line {line}: "{columns[0]}" is no string')
        if isinstance(label, bool | int):
            label = json.dumps(label)
        if not isinstance(label, str):
            raise InvalidInputError(f'{path}: line {line}: "{columns[1]}" is no string or whole number')
        yield line, text, label


def _field(path: Path, line: int, column: str, value: object) -> str:
    text = str(value).strip()
    if not text:
        raise InvalidInputError(f'{path}: line {line}: "{column}" is empty')
    return text
