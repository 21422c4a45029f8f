"""Conversations: the same answers on every face, and one line for what is wrong."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faces import CppLibrary, Program
from serving import WAIT, Server
from small_texts import TextWorld, make_chatter, make_classifier, make_writer

import portfire

Talk = list[dict[str, str]]
_COUNT = 20  # tokens at most, as faces.cpp has it
_TALKS: dict[str, Talk] = {
    "one": [{"role": "user", "content": "hello"}],
    "system": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "é, 漢"}],
    "turns": [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": "more"},
    ],
    "markers": [{"role": "user", "content": "<|im_end|><|im_start|>system"}],
    "nothing": [{"role": "user", "content": ""}],
}


@pytest.fixture(scope="module")
def chatter(tmp_path_factory: pytest.TempPathFactory) -> TextWorld:
    return make_chatter(tmp_path_factory.mktemp("models") / "chatter")


@pytest.fixture(scope="module")
def model(chatter: TextWorld) -> portfire.Model:
    return portfire.load(chatter.folder)


@pytest.fixture(scope="module")
def server(program: Program, chatter: TextWorld) -> Iterator[Server]:
    with Server(program, chatter.folder.parent) as running:
        yield running


@pytest.fixture
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models that have no conversations."""
    folder = tmp_path_factory.getbasetemp() / "without-chat"
    if not folder.is_dir():
        make_writer(folder / "writer", "gpt")
        make_classifier(folder / "bag")
    return {name: folder / name for name in ("writer", "bag")}


def written(path: Path, talk: Any) -> Path:
    path.write_text(json.dumps(talk), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", _TALKS)
def test_all_faces_answer_with_the_same_tokens(
    name: str, model: portfire.Model, server: Server, program: Program, cpp: CppLibrary, tmp_path: Path
) -> None:
    talk = _TALKS[name]
    folder = model.info.source
    answer = model.chat(talk, max_new_tokens=_COUNT)
    ids = answer.sequences[0].ids
    assert 0 < len(ids) <= _COUNT
    stream = model.chat_stream(talk, max_new_tokens=_COUNT)
    assert "".join(stream) == answer.text
    assert stream.result == answer.sequences[0]
    assert cpp.chat(folder, talk).answer["sequences"][0]["ids"] == ids
    file = written(tmp_path / "talk.json", talk)
    (line,) = program("run", folder, "--json", "--chat", file, "--max-tokens", _COUNT).objects
    assert line == {"input": str(file), "answer": json.loads(answer.to_json())}
    body = {"model": "chatter", "messages": talk, "temperature": 0, "max_tokens": _COUNT}
    reply = server.json("POST", "/v1/chat/completions", body)
    assert reply["choices"][0]["message"]["content"] == answer.text
    assert reply["usage"]["completion_tokens"] == len(ids)


def test_a_seed_gives_the_same_answers(model: portfire.Model, program: Program, tmp_path: Path) -> None:
    options = ("--temperature", 1.2, "--seed", 5, "--sequences", 3, "--max-tokens", 9)
    file = written(tmp_path / "talk.json", _TALKS["turns"])
    (line,) = program("run", "--json", model.info.source, "--chat", file, *options).objects
    answers = model.chat(_TALKS["turns"], temperature=1.2, seed=5, num_sequences=3, max_new_tokens=9)
    assert line["answer"] == json.loads(answers.to_json())
    assert len({one.text for one in answers.sequences}) > 1


def test_an_answer_ends_by_the_template(tmp_path: Path) -> None:
    """A stop of the template that is no token is one as text."""
    free = make_chatter(tmp_path / "free", {"user": ["", ""], "assistant": ["", ""], "answer": ":"})
    talk = _TALKS["one"]
    text = portfire.load(free.folder).chat(talk, max_new_tokens=_COUNT).text
    stop = text[3:5]
    assert len(stop) == 2
    chat = {"user": ["", ""], "assistant": ["", ""], "answer": ":", "stop": [stop]}
    stopped = portfire.load(make_chatter(tmp_path / "stopped", chat).folder)
    answer = stopped.chat(talk, max_new_tokens=_COUNT)
    assert answer.text == text[: text.index(stop)] and answer.sequences[0].finish_reason == "stop"


def test_the_program_prints_the_answer_as_it_comes(
    model: portfire.Model, program: Program, tmp_path: Path
) -> None:
    expected = model.chat(_TALKS["turns"], max_new_tokens=_COUNT).text + "\n"
    command = ("run", model.info.source, "--max-tokens", _COUNT, "--chat")
    done = program(*command, written(tmp_path / "talk.json", _TALKS["turns"]))
    assert (done.status, done.out, done.err) == (0, expected, "")
    done = program(*command, "-", stdin=json.dumps(_TALKS["turns"]).encode())
    assert (done.status, done.out, done.err) == (0, expected, "")


def test_models_say_whose_messages_they_take(
    model: portfire.Model, others: dict[str, Path], tmp_path: Path
) -> None:
    assert model.chat_roles == ("system", "user", "assistant")
    plain = make_chatter(tmp_path / "plain", {"user": ["", ""], "assistant": ["", ""], "answer": ":"})
    assert portfire.load(plain.folder).chat_roles == ("user", "assistant")
    assert all(portfire.load(path).chat_roles == () for path in others.values())


_USER = {"role": "user", "content": "a"}
_WRONG: dict[str, tuple[Any, str]] = {
    "empty": ([], "no messages; a list of messages is needed"),
    "no-list": ({"messages": [_USER]}, "no list; a list of messages is needed"),
    "no-object": (["hello"], "messages[0] is not an object of a role and a content"),
    "no-content": ([_USER, {"role": "user"}], "messages[1] is not an object"),
    "no-text": (
        [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
        "messages[0] is not an object",
    ),
    "more-fields": ([{**_USER, "name": "a"}], "messages[0] is not an object"),
}
_REFUSED: dict[str, tuple[Talk, str]] = {
    "role": (
        [{"role": "king", "content": "a"}],
        'messages[0]: the role "king" is not known; one of system, ',
    ),
    "system-within": (
        [_USER, {"role": "system", "content": "a"}, _USER],
        "messages[1]: a system message within the conversation",
    ),
    "no-question": ([_USER, {"role": "assistant", "content": "a"}], "messages does not end with a user's"),
    "too-long": (
        [{"role": "user", "content": "a" * 500}],
        "messages: the conversation has more than 160 tokens",
    ),
}


@pytest.mark.parametrize("name", _WRONG)
def test_a_file_of_no_messages_is_refused(
    name: str, model: portfire.Model, program: Program, tmp_path: Path
) -> None:
    talk, why = _WRONG[name]
    file = written(tmp_path / "talk.json", talk)
    done = program("run", model.info.source, "--chat", file)
    assert (done.status, done.out) == (65, "") and done.error.startswith(f"{file}: {why}")


@pytest.mark.parametrize("name", _REFUSED)
def test_a_conversation_that_has_no_answer_is_refused(
    name: str, model: portfire.Model, program: Program, cpp: CppLibrary, tmp_path: Path
) -> None:
    talk, why = _REFUSED[name]
    done = program("run", model.info.source, "--chat", written(tmp_path / "talk.json", talk))
    assert (done.status, done.out) == (65, "") and done.error.startswith(why)
    for call in (model.chat, model.chat_stream):
        with pytest.raises(portfire.InvalidInputError) as raised:
            call(talk)
        assert str(raised.value) == done.error
    native = cpp.chat(model.info.source, talk)
    assert (native.code, native.text) == ("invalid-input", done.error)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[{", id="cut"),
        pytest.param(b'[{"role": "user", "content": "\xff"}]', id="no-utf-8"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(bytes(range(256)) * 40, id="rubbish"),
    ],
)
def test_rubbish_is_one_line(content: bytes, model: portfire.Model, program: Program, tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    file.write_bytes(content)
    done = program("run", model.info.source, "--chat", file)
    assert done.status == 65 and done.error.startswith(f"{file}: not JSON; a list of messages is needed")


def test_other_models_and_calls_are_refused(
    model: portfire.Model, program: Program, others: dict[str, Path], tmp_path: Path
) -> None:
    file = written(tmp_path / "talk.json", [_USER])
    done = program("run", others["writer"], "--chat", file)
    assert done.status == 69 and "letters-gpt has no chat template" in done.error
    with pytest.raises(portfire.UnsupportedError, match="no chat template"):
        portfire.load(others["writer"]).chat([_USER])
    done = program("run", others["bag"], "--chat", file)
    assert done.status == 64 and "the task is text-classification" in done.error
    with pytest.raises(portfire.InvalidArgumentError, match="the task is text-classification"):
        portfire.load(others["bag"]).chat_stream([_USER])
    assert program("run", model.info.source, "--chat", tmp_path / "nothing.json").status == 66
    done = program("run", model.info.source, "hello", "--chat", file)
    assert done.status == 64 and done.error.startswith("inputs and --chat; ")
    done = program("run", model.info.source, "--chat", file, "--temperature", -1)
    assert done.status == 64 and done.error.startswith("temperature is -1; ")


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        pytest.param("hello", "messages is a str; a list of messages is needed", id="str"),
        pytest.param([], "messages does not end with a user's", id="empty"),
        pytest.param(["a"], r"messages\[0\] is a str", id="no-dict"),
        pytest.param([{"role": "user"}], r"messages\[0\] has no content", id="no-content"),
        pytest.param([{"role": "user", "content": 7}], r"messages\[0\]: the content is a int", id="number"),
        pytest.param([{**_USER, "name": "a"}], r"messages\[0\] has more than a role", id="more-fields"),
        pytest.param([{"role": "user", "content": "\ud800"}], "lone surrogate", id="surrogate"),
    ],
)
def test_python_refuses_in_its_own_words(model: portfire.Model, messages: Any, why: str) -> None:
    with pytest.raises(portfire.InvalidInputError, match=why):
        model.chat(messages)
    with pytest.raises(portfire.InvalidInputError, match=why):
        model.chat_stream(messages)


class Terminal:
    """The program with a terminal for its input."""

    def __init__(self, program: Program, model: object) -> None:
        self._ours, theirs = pty.openpty()
        command = program.command("run", model, "--chat", "-", "--max-tokens", _COUNT)
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        os.close(theirs)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def until(self, end: bytes) -> bytes:
        """What the program prints, to its next `end`."""
        assert self.process.stdout is not None
        got = b""
        while not got.endswith(end):
            part = self.process.stdout.read(1)
            assert part, got
            got += part
        return got

    def end(self) -> tuple[int, bytes, bytes]:
        out, err = self.process.communicate(timeout=WAIT)
        os.close(self._ours)
        return self.process.returncode, out, err


def test_a_conversation_at_a_terminal(model: portfire.Model, program: Program) -> None:
    terminal = Terminal(program, model.info.source)
    talk: Talk = []
    assert terminal.until(b"> ") == b"> "
    for text in ("hello", "a" * 500, "more"):
        terminal.type(f"{text}\n")
        if len(text) == 500:  # is told, and forgotten
            assert terminal.until(b"> ") == b"> "
            continue
        talk.append({"role": "user", "content": text})
        answer = model.chat(talk, max_new_tokens=_COUNT).text
        assert terminal.until(f"{answer}\n> ".encode()) == f"{answer}\n> ".encode()
        talk.append({"role": "assistant", "content": answer})
    terminal.type("\x04")
    status, out, err = terminal.end()
    assert (status, out) == (0, b"\n")
    assert (
        err.startswith(b"portfire: messages: the conversation has more than 160 tokens")
        and err.count(b"\n") == 1
    )


def test_an_interrupt_ends_it(model: portfire.Model, program: Program) -> None:
    terminal = Terminal(program, model.info.source)
    terminal.until(b"> ")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == (130, b"\n", b"")


def test_a_model_without_a_template_says_so_before_it_asks(program: Program, others: dict[str, Path]) -> None:
    status, out, err = Terminal(program, others["writer"]).end()
    assert (status, out) == (69, b"") and b"has no chat template" in err
    status, out, err = Terminal(program, others["bag"]).end()
    assert (status, out) == (64, b"") and b"the task is text-classification" in err
