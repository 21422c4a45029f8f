"""Chat templates in the manner of the common families, as a package has them; and those that it cannot have.

tests/data/chat_templates has each with what its form must have and the prompt of `_LED`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import portfire
from portfire._chat import chat_text
from portfire.importers.chat import NotCarriedError, read_chat

_DATA = Path(__file__).resolve().parents[1] / "data" / "chat_templates"
_SPECIAL = (
    "<s>",
    "</s>",
    "<|im_start|>",
    "<|im_end|>",
    "<|eot|>",
    "<|head|>",
    "<|/head|>",
    "<turn>",
    "</turn>",
)
_LED = [("system", "be kind"), ("user", "one"), ("assistant", " two "), ("user", "three")]
_NOT_CARRIED = {
    "counts_turns": "renders otherwise a conversation of user, assistant",
    "escapes": "renders otherwise",
    "fails": "does not take a user's message",
    "is_damaged": "it is no template",
    "needs_a_clock": "does not take a user's message",
    "reaches_out": "does not take a user's message",
    "replaces": "renders otherwise",
    "says_the_last_alone": "does not take a user's message",
    "shouts": "does not take a user's message",
    "wants_tools": "does not take a user's message",
}


def _template(name: str) -> str:
    return (_DATA / f"{name}.jinja").read_text(encoding="utf-8")


def _tokenizer(special: tuple[str, ...] = _SPECIAL) -> bytes:
    letters = [chr(code) for code in range(32, 127)] + ["\n"]
    vocabulary = {token: k for k, token in enumerate([*special, *letters])}
    added = [{"id": k, "content": token, "special": True} for k, token in enumerate(special)]
    model = {"type": "BPE", "vocab": vocabulary, "merges": []}
    return json.dumps({"added_tokens": added, "model": model}).encode()


def _folder(path: Path, template: Any, **config: Any) -> Path:
    given = {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": None}
    chat = {} if template is None else {"chat_template": template}
    (path / "tokenizer_config.json").write_text(json.dumps({**given, **chat, **config}), encoding="utf-8")
    return path


@pytest.mark.parametrize("family", sorted(file.stem for file in _DATA.glob("*.jinja")))
def test_a_familys_template_is_carried(family: str, tmp_path: Path) -> None:
    wanted, rendered = json.loads((_DATA / f"{family}.json").read_text(encoding="utf-8")).values()
    chat = read_chat(_folder(tmp_path, _template(family)), _tokenizer(), (1,))
    assert chat is not None
    assert {key: chat[key] for key in wanted} == wanted
    if rendered is None:
        with pytest.raises(portfire.InvalidInputError, match="no system message"):
            chat_text(chat, _LED)
    else:
        assert chat_text(chat, _LED) == rendered
    if chat.get("alternates"):
        with pytest.raises(portfire.InvalidInputError, match="take turns"):
            chat_text(chat, [("user", "a"), ("user", "b")])


@pytest.mark.parametrize("name", _NOT_CARRIED)
def test_what_is_not_carried_is_said(name: str, tmp_path: Path) -> None:
    template = _template(f"not_carried/{name}")
    with pytest.raises(NotCarriedError, match=_NOT_CARRIED[name]):
        read_chat(_folder(tmp_path, template), _tokenizer(), ())


def test_a_token_that_is_text_to_the_tokenizer_is_not_carried(tmp_path: Path) -> None:
    with pytest.raises(NotCarriedError, match='its "</s>" is no token'):
        read_chat(_folder(tmp_path, _template("zephyr")), _tokenizer(("<s>",)), ())
    with pytest.raises(NotCarriedError, match=r"no tokenizer\.json"):
        read_chat(_folder(tmp_path, _template("zephyr")), b"\x0a\x0b", ())


def test_where_a_template_is_found(tmp_path: Path) -> None:
    assert read_chat(tmp_path, _tokenizer(), ()) is None
    assert read_chat(_folder(tmp_path, None), _tokenizer(), ()) is None
    named = [{"name": "rag", "template": "{{ 1 }}"}, {"name": "default", "template": _template("phi_3")}]
    chat = read_chat(_folder(tmp_path, named), _tokenizer(), ())
    assert chat is not None and chat["answer"] == "<|assistant|>\n" and "stop" not in chat
    assert read_chat(_folder(tmp_path, named[:1]), _tokenizer(), ()) is None
    (tmp_path / "chat_template.jinja").write_text(_template("chatml"), encoding="utf-8")
    chat = read_chat(tmp_path, _tokenizer(), ())
    assert chat is not None and chat["answer"] == "<|im_start|>assistant\n", "the file comes before the field"
    assert read_chat(tmp_path, _tokenizer(), (3,)) == {key: row for key, row in chat.items() if key != "stop"}
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff")
    with pytest.raises(portfire.InvalidInputError, match="not UTF-8 at byte 0"):
        read_chat(tmp_path, _tokenizer(), ())
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(portfire.InvalidInputError, match="neither text nor a list"):
        read_chat(_folder(tmp_path, 7), _tokenizer(), ())
