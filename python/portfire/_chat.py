"""Chat templates in the plain form that a package has: docs/package-format.md, field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from portfire import InvalidArgumentError, InvalidPackageError, _core

Chat = Mapping[str, Any]
Message = tuple[str, str]  # the role and what was said


def chat_text(chat: Chat, messages: Sequence[Message]) -> str:
    """The prompt that a conversation becomes, by the runtime's own code. Raises InvalidPackageError where
    `chat` is no template, InvalidInputError on a conversation that it has no form for."""
    return _core.chat_text(_dumped(chat), messages)


def chat_file(name: str, chat: Chat) -> bytes:
    """As it is packaged. Raises InvalidArgumentError where it is no template."""
    try:
        chat_text(chat, [("user", "a")])
    except InvalidPackageError as error:
        raise InvalidArgumentError(f"{name}: {error}") from error
    return f"{_dumped(chat)}\n".encode()


def _dumped(chat: Chat) -> str:
    try:
        return json.dumps(chat, ensure_ascii=False, allow_nan=False, indent=1)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"chat is not plain JSON ({error})") from error
