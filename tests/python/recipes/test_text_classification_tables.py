from pathlib import Path

import pytest

import portfire
from portfire.recipes.text_classification.tables import read_rows


def rows(path: Path, content: str | bytes) -> list[tuple[str, str]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_rows(path, "text", "label")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'id,label,text\n1,up,"Good, ""very""\ngood"\n\n2,down, bad \n'),
        ("a.CSV", '\ufefflabel,text\r\nup,"Good, ""very""\ngood"\r\ndown,bad\r\n'),
        (
            "a.jsonl",
            '{"text": "Good, \\"very\\"\\ngood", "label": "up"}\n\n{"label": "down", "text": "bad"}\n',
        ),
    ],
)
def test_a_table_is_read(tmp_path: Path, name: str, content: str) -> None:
    assert rows(tmp_path / name, content) == [('Good, "very"\ngood', "up"), ("bad", "down")]


def test_a_tsv_has_no_quotes(tmp_path: Path) -> None:
    assert rows(tmp_path / "a.tsv", "text\tlabel\n\"half\t0\nit's\t1\n") == [('"half', "0"), ("it's", "1")]


def test_labels_of_json_may_be_numbers_and_truths(tmp_path: Path) -> None:
    content = '{"text": "a", "label": 3}\n{"text": "b", "label": true}'
    assert rows(tmp_path / "a.jsonl", content) == [("a", "3"), ("b", "true")]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "", '".txt" is no table; .csv, .tsv, .jsonl are read'),
        ("a.csv", "", 'line 1 has no column "text"'),
        ("a.csv", "words,label\na,b\n", 'line 1 has no column "text"; it has words, label'),
        ("a.csv", "text,label\n", "holds no rows"),
        ("a.csv", "text,label\na,x\nb\n", "line 3 has 1 columns; line 1 has 2"),
        ("a.csv", 'text,label\n"a\nb",x\nc,\n', 'line 4: "label" is empty'),
        ("a.csv", "text,label\n  ,x\n", 'line 2: "text" is empty'),
        ("a.csv", 'text,label\n"a"b,x\n', "line 2 is no CSV"),
        ("a.csv", b"text,label\na,x\n\xe9t\xe9,y\n", "line 3 is not UTF-8 (byte 0xe9)"),
        ("a.tsv", "text\tlabel\na\tx\ty\n", "line 2 has 3 columns; line 1 has 2"),
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text"', "line 2 is no JSON"),
        ("a.jsonl", '["a", "x"]\n', "line 1 is no JSON object"),
        ("a.jsonl", '{"text": "a"}\n', 'line 1 has no "label"; it has text'),
        ("a.jsonl", '{"text": 1, "label": "x"}\n', 'line 1: "text" is no string'),
        ("a.jsonl", '{"text": "a", "label": 0.5}\n', 'line 1: "label" is no string or whole number'),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    with pytest.raises(portfire.InvalidInputError) as caught:
        rows(tmp_path / name, content)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert "\n" not in str(caught.value)
