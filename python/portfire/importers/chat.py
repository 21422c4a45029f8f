"""Chat templates of Hugging Face, which are programs, as the plain form that a package has.

A template is rendered on conversations of marked words; the form (docs/package-format.md) is read off what
stands between them, and holds only if it then gives the same bytes for other conversations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2.ext
import jinja2.sandbox

from portfire import InvalidInputError, Tokenizer
from portfire._chat import Chat, Message, chat_text
from portfire._golden import read_file
from portfire.importers.hugging_face import read_json

Render = Callable[[Sequence[Message]], str]

_UNIT = re.compile(r"<[^<>\s]*>|\[/?\w+\]|.", re.DOTALL)  # a marker in brackets, or a character
_SAID = ("Qzua", "Qzab", "Qzuc")  # words that are in no template
_SYSTEM = "Qzsy"
_PLACES = ("first_user", "first_content", "last_user")
_ODD = (
    "hello",
    "two\nlines\n\n  and more",
    " \t\u3000around\n ",
    "",
    "{{ x }} {% if y %} {# z #} <b> [c] 'd' \"e\" \\n & é漢🙂",
)


class NotCarriedError(Exception):
    """Why a template has no such form."""


def read_chat(folder: Path, tokenizer: bytes, stop_tokens: Sequence[int]) -> Chat | None:
    """The form of a folder's template; None where it has none. Raises NotCarriedError, and InvalidInputError
    on damaged files."""
    path = folder / "tokenizer_config.json"
    config = read_json(path) if path.is_file() else {}
    template = _template(folder, config)
    if template is None:
        return None
    if not tokenizer.lstrip().startswith(b"{"):
        raise NotCarriedError("the tokenizer is no tokenizer.json, which can tell control tokens from text")
    tokens = {key: _spelled(value) for key, value in config.items() if key.endswith("_token")}
    given = {key: token for key, token in tokens.items() if token is not None}
    chat = derive(_renderer(template, given), given.get("bos_token", ""))
    _require_tokens(chat, Tokenizer.from_bytes(tokenizer), [token for token in given.values() if token])
    return {**chat, **_stop(chat, tokenizer, stop_tokens)}


def derive(render: Render, begin_token: str = "") -> Chat:
    """The form that gives what `render` gives. Raises NotCarriedError."""
    problem = "it is of a kind that a package has no form for"
    for chat in _candidates(render, begin_token):
        for alternates in ({}, {"alternates": True}):
            found = _difference(render, {**chat, **alternates})
            if found is None:
                return {**chat, **alternates}
            problem = found
    raise NotCarriedError(problem)


def _template(folder: Path, config: Mapping[str, Any]) -> str | None:
    """As transformers chooses it: the file, else the field, of several the one called default."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        try:
            return read_file(path).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"{path}: not UTF-8 at byte {error.start}") from error
    given = config.get("chat_template")
    if isinstance(given, list):
        named = [one for one in given if isinstance(one, dict) and one.get("name") == "default"]
        given = named[0].get("template") if named else None
    if given is not None and not isinstance(given, str):
        raise InvalidInputError(
            f"{folder}/tokenizer_config.json: chat_template is neither text nor a list of named ones"
        )
    return given


def _spelled(token: Any) -> str | None:
    value = token.get("content") if isinstance(token, dict) else token
    return value if isinstance(value, str) else None


def _renderer(template: str, tokens: Mapping[str, str]) -> Render:
    """In the sandbox that transformers uses, with the names that it gives; there is no clock."""
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols]
    )

    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    def to_json(value: Any, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=False, **options)

    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = refuse
    try:
        program = environment.from_string(template)
    except jinja2.TemplateError as error:
        raise NotCarriedError(f"it is no template ({error})") from error

    def render(messages: Sequence[Message]) -> str:
        conversation = [{"role": role, "content": content} for role, content in messages]
        names = {"messages": conversation, "add_generation_prompt": True, "tools": None, "documents": None}
        return program.render(**names, **tokens)

    return render


def _tried(render: Render, messages: Sequence[Message]) -> str | None:
    """None where the template refuses, or fails: it is somebody's program."""
    try:
        return render(messages)
    except Exception:
        return None


def _between(text: str | None, words: Sequence[str]) -> list[str] | None:
    """What stands before, between and after the words, each of which is there once and in order."""
    parts = re.split("|".join(words), text or "")
    ordered = text == "".join(part + word for part, word in zip(parts, [*words, ""], strict=False))
    return parts if ordered and len(parts) == len(words) + 1 else None


def _units(text: str) -> list[str]:
    return _UNIT.findall(text)


def _common_prefix(*texts: str) -> str:
    common = []
    for units in zip(*map(_units, texts), strict=False):
        if len(set(units)) > 1:
            break
        common.append(units[0])
    return "".join(common)


def _common_suffix(*texts: str) -> str:
    common: list[str] = []
    for units in zip(*(reversed(_units(text)) for text in texts), strict=False):
        if len(set(units)) > 1:
            break
        common.insert(0, units[0])
    return "".join(common)


def _candidates(render: Render, begin_token: str) -> Iterator[Chat]:
    """Forms that agree with the marked conversations, those with a system message first."""
    first, second, third = _SAID
    talk = [("user", first), ("assistant", second), ("user", third)]
    alone, several = _between(_tried(render, talk[:1]), [first]), _between(_tried(render, talk), _SAID)
    if alone is None or several is None:
        raise NotCarriedError("it does not take a user's message, an answer and another message as they are")
    begin, end, answered = alone[0], alone[1], several[2]
    led = _between(_tried(render, [("system", _SYSTEM), talk[0]]), [_SYSTEM, first])
    trim = _trimmed(render)
    if led is not None:
        before, after = led[0], led[1]
        if begin and before.startswith(begin):  # within the user's message
            user = _common_suffix(answered, begin)
            folded = {"system": [before.removeprefix(begin), after]}
            for place in _PLACES:
                more = {**folded, "system_place": place, **trim}
                yield _form(begin.removesuffix(user), user, several, end, more)
        given = begin[len(before) : len(begin) - len(after)]
        has_default = begin == before + given + after
        user = _common_suffix(answered, after, *([] if has_default else [begin]))
        opening = _units(before.removeprefix(begin_token))[:1]
        if opening and opening[0] in _units(user):  # turns begin alike
            user = opening[0] + user.rpartition(opening[0])[2]
        start = (
            (begin_token if before.startswith(begin_token) else "")
            if has_default
            else begin.removesuffix(user)
        )
        if before.startswith(start):
            system = {"system": [before.removeprefix(start), after.removesuffix(user)]}
            default = {"default_system": given} if has_default else {}
            yield _form(start, user, several, end, {**system, **default, **trim})
    user = _common_suffix(answered, begin)
    kept = {"trim": roles} if (roles := [role for role in trim.get("trim", []) if role != "system"]) else {}
    yield _form(begin.removesuffix(user), user, several, end, kept)


def _form(begin: str, user: str, several: Sequence[str], end: str, more: Mapping[str, Any]) -> Chat:
    answer_end = several[2].removesuffix(user)
    alike = answer_end and several[1].startswith(answer_end) and end.startswith(answer_end)
    user_end = answer_end if alike else _common_prefix(several[1], end)
    return {
        **({"begin": begin} if begin else {}),
        "user": [user, user_end],
        "assistant": [several[1].removeprefix(user_end), answer_end],
        "answer": end.removeprefix(user_end),
        **more,
    }


def _trimmed(render: Render) -> Chat:
    """The roles whose contents lose the white space around them."""
    first, second, third = _SAID
    around = {word: f"\t{word}\t" for word in (first, second, _SYSTEM)}
    spaced = {
        "user": ([("user", around[first])], around[first]),
        "assistant": ([("user", first), ("assistant", around[second]), ("user", third)], around[second]),
        "system": ([("system", around[_SYSTEM]), ("user", first)], around[_SYSTEM]),
    }
    rendered = {role: (_tried(render, talk), content) for role, (talk, content) in spaced.items()}
    roles = [role for role, (text, content) in rendered.items() if text is not None and content not in text]
    return {"trim": roles} if roles else {}


def _difference(render: Render, chat: Chat) -> str | None:
    """How the form and the template differ; None where they agree on all that the form takes."""
    for messages in _conversations(chat):
        expected = _tried(render, messages)
        if expected != chat_text(chat, messages):
            kind = ", ".join(role for role, _ in messages)
            what = "refuses" if expected is None else "renders otherwise"
            return f"it {what} a conversation of {kind}, as no form that a package has does"
    return None


def _conversations(chat: Chat) -> Iterator[list[Message]]:
    turns = [("user", "assistant")[k % 2] for k in range(7)]
    orders = [turns[:count] for count in (1, 3, 5, 7)]
    if "alternates" not in chat:
        orders += [
            ["user", "user"],
            ["assistant", "user"],
            ["user", "assistant", "assistant", "user", "user"],
        ]
    for shift in range(len(_ODD)):
        for order in orders:
            talk = [(role, _ODD[(k + shift) % len(_ODD)]) for k, role in enumerate(order)]
            yield talk
            if "system" in chat:
                yield [("system", _ODD[(shift * 2 + len(order)) % len(_ODD)]), *talk]


def _require_tokens(chat: Chat, tokenizer: Tokenizer, tokens: Sequence[str]) -> None:
    """Raises NotCarriedError where a token of the template is mere text to the tokenizer."""
    text = chat_text(chat, [("user", "a"), ("assistant", "b"), ("user", "c")])
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    for token in tokens:
        if token in text and tokenizer.id(token) not in ids:
            raise NotCarriedError(f'its "{token}" is no token in a text to the tokenizer')


def _stop(chat: Chat, tokenizer: bytes, stop_tokens: Sequence[int]) -> Chat:
    """What the template puts after an answer ends one, where it is a special token that does not end every
    text."""
    added = json.loads(tokenizer).get("added_tokens") or []
    special = {row["content"]: row["id"] for row in added if row.get("special")}
    for unit in _units(chat["assistant"][1]):
        if unit in special:
            return {} if special[unit] in stop_tokens else {"stop": [unit]}
    return {}
