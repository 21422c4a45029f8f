"""Folders that transformers saved: what transformers computes with them, and what is refused.

tests/data/hugging_face/make_hugging_face.py makes them.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.dlpack import from_dlpack

import portfire
from portfire.importers import gpt2, llama
from portfire.importers.__main__ import main
from portfire.importers.hugging_face import Config
from portfire.importers.llama import frequencies
from portfire.manifest import Manifest

_FOLDERS = Path(__file__).resolve().parents[1] / "data" / "hugging_face"
_NAMES = ("gpt2", "llama_3", "llama_tied")
_READERS = {"gpt2": gpt2.read_folder, "llama_3": llama.read_folder, "llama_tied": llama.read_folder}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with all of them."""
    models = tmp_path_factory.mktemp("models")
    for name in _NAMES:
        kind = name.partition("_")[0]
        options = ["--name", name, "--licence", "Apache-2.0", "--models", str(models)]
        assert main([kind, str(_FOLDERS / name), *options]) == 0
    return models


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[str], Path]:
    """A folder to be changed."""

    def copied(name: str) -> Path:
        return Path(shutil.copytree(_FOLDERS / name, tmp_path / name))

    return copied


def _rows(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((_FOLDERS / name / "greedy.json").read_text(encoding="utf-8"))
    return rows


def _edit(path: Path, **changes: Any) -> None:
    whole = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**whole, **changes}), encoding="utf-8")


def _tensors(path: Path) -> dict[str, Any]:
    return {name: from_dlpack(x) for name, x in portfire.decode_safetensors(path.read_bytes()).items()}


@pytest.mark.parametrize("name", _NAMES)
def test_the_logits_are_those_of_transformers(name: str) -> None:
    expected = _tensors(_FOLDERS / name / "logits.safetensors")
    with torch.inference_mode():
        logits = _READERS[name](_FOLDERS / name).model.logits(expected["ids"])
    torch.testing.assert_close(logits, expected["logits"][..., : logits.size(2)], atol=1e-5, rtol=0)


@pytest.mark.parametrize("engine", ["torchscript", "graph"])
@pytest.mark.parametrize("name", _NAMES)
def test_greedy_texts_are_those_of_transformers(packages: Path, name: str, engine: str) -> None:
    model = portfire.load(packages / name, engine=engine, threads=1)
    source = _READERS[name](_FOLDERS / name)
    tokenizer = portfire.Tokenizer.from_bytes(source.tokenizer)
    rows = _rows(name)  # with prompts of 3 to 31 tokens
    together = model.generate_each([row["prompt"] for row in rows], max_new_tokens=len(rows[0]["greedy"]))
    for row, answer in zip(rows, together, strict=True):
        assert tokenizer.encode(row["prompt"]).ids == row["ids"]
        ends = [k for k, token in enumerate(row["greedy"]) if token in source.stop_tokens]
        wanted = row["greedy"][: ends[0] + 1] if ends else row["greedy"]
        alone = model.generate(row["prompt"], max_new_tokens=len(row["greedy"]))
        for written in (alone.sequences[0], answer.sequences[0]):
            assert (written.ids, written.finish_reason) == (wanted, "stop" if ends else "length")


@pytest.mark.parametrize("engine", ["torchscript", "graph"])
@pytest.mark.parametrize("name", _NAMES)
def test_beams_are_those_of_transformers(packages: Path, name: str, engine: str) -> None:
    model = portfire.load(packages / name, engine=engine, threads=1)
    prompts = [row["prompt"] for row in _rows(name)]
    for settings in json.loads((_FOLDERS / name / "beams.json").read_text(encoding="utf-8")):
        wanted = settings.pop("texts")
        options = {**settings, "num_sequences": 2, "max_new_tokens": 24}
        together = model.generate_each(prompts, **options)
        assert [[text.ids for text in one.sequences] for one in together] == wanted
        alone = model.generate(prompts[1], **options)
        assert [text.ids for text in alone.sequences] == wanted[1]


def test_what_ends_a_text_is_read_from_generation_config_first(copy: Callable[[str], Path]) -> None:
    folder = copy("gpt2")
    row = _rows("gpt2")[0]
    _edit(folder / "generation_config.json", eos_token_id=[row["greedy"][2], 50256])
    assert gpt2.read_folder(folder).stop_tokens == (row["greedy"][2],)
    (folder / "generation_config.json").unlink()
    assert gpt2.read_folder(folder).stop_tokens == (0,)
    _edit(folder / "config.json", eos_token_id=None)
    assert gpt2.read_folder(folder).stop_tokens == ()
    _edit(folder / "config.json", eos_token_id="end")
    with pytest.raises(
        portfire.InvalidInputError, match='eos_token_id is "end"; a token id or a list of them'
    ):
        gpt2.read_folder(folder)


def test_vocab_json_and_merges_txt_are_a_tokenizer_too(copy: Callable[[str], Path]) -> None:
    folder = copy("gpt2")
    before = portfire.Tokenizer.from_bytes(gpt2.read_folder(folder).tokenizer)
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    after = portfire.Tokenizer.from_bytes(gpt2.read_folder(folder).tokenizer)
    for text in (*(row["prompt"] for row in _rows("gpt2")), "a <|endoftext|>b\n\n it's  #"):
        assert after.encode(text).ids == before.encode(text).ids
        assert after.decode(after.encode(text).ids) == before.decode(before.encode(text).ids)
    (folder / "merges.txt").unlink()
    with pytest.raises(portfire.NotFoundError, match="holds no tokenizer"):
        gpt2.read_folder(folder)


def test_older_names_and_what_older_files_hold_beside(copy: Callable[[str], Path]) -> None:
    folder = copy("gpt2")
    path = folder / "model.safetensors"
    tensors = {name.removeprefix("transformer."): x for name, x in _tensors(path).items()}
    mask = torch.ones(1, 1, 64, 64, dtype=torch.uint8).tril()
    older = {**tensors, "h.0.attn.bias": mask, "h.0.attn.masked_bias": torch.tensor(-1e4)}
    path.write_bytes(portfire.encode_safetensors({**older, "lm_head.weight": tensors["wte.weight"]}))
    read = gpt2.read_folder(folder).model.state_dict()
    expected = gpt2.read_folder(_FOLDERS / "gpt2").model.state_dict()
    assert all(torch.equal(read[name], x) for name, x in expected.items())
    path.write_bytes(portfire.encode_safetensors({**older, "lm_head.weight": tensors["wte.weight"] + 1}))
    with pytest.raises(portfire.InvalidInputError, match=r"lm_head\.weight and wte\.weight differ"):
        gpt2.read_folder(folder)


def test_angles_as_older_configurations_name_them(copy: Callable[[str], Path]) -> None:
    folder = copy("llama_3")
    whole = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    rope = whole.pop("rope_parameters")
    expected = frequencies(Config({"rope_parameters": rope}, ""), 8, 128)
    theta = rope.pop("rope_theta")
    older = {**whole, "rope_theta": theta, "rope_scaling": rope}
    assert frequencies(Config(older, ""), 8, 128) == expected
    assert frequencies(Config({"rope_theta": 10000.0}, ""), 8, 128) == pytest.approx([1, 0.1, 0.01, 0.001])
    linear = {"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_theta": 10000}
    assert frequencies(Config(linear, ""), 8, 128) == pytest.approx([0.5, 0.05, 0.005, 0.0005])


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("gpt2", {"model_type": "gptj"}, r'config\.json: model_type is "gptj"; implemented is "gpt2"$'),
        (
            "gpt2",
            {"activation_function": "relu"},
            'activation_function is "relu"; implemented is "gelu_new" or',
        ),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "_idx is true; implemented is false"),
        ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights is false; implemented is true"),
        ("gpt2", {"add_cross_attention": True}, "add_cross_attention is true; implemented is false"),
        ("gpt2", {"tie_word_embeddings": False}, "tie_word_embeddings is false; implemented is true"),
        ("gpt2", {"n_head": 3}, r"n_embd is 8; a multiple of n_head \(3\) is needed"),
        ("gpt2", {"n_layer": 0}, "n_layer is 0; a whole number from 1 to 1024 is needed"),
        ("gpt2", {"n_positions": 1e3}, r"n_positions is 1000\.0; a whole number from 1 to"),
        ("gpt2", {"vocab_size": None}, "vocab_size is missing; a whole number from 1 to"),
        ("gpt2", {"vocab_size": 200}, r"tokenizer\.json: 300 tokens; the model has 200, so this is another"),
        ("gpt2", {"layer_norm_epsilon": "small"}, 'layer_norm_epsilon is "small"; a number above 0'),
        ("gpt2", {"n_inner": 16}, r"c_fc\.weight is float32 \[8, 24\]; .* bfloat16 \[8, 16\] is needed"),
        ("gpt2", {"n_layer": 3}, r"tensor transformer\.h\.2\.\S+ \(and 11 more\) is missing"),
        ("gpt2", {"n_layer": 1}, r"tensor transformer\.h\.1\.\S+ \(and 11 more\) is not known"),
        ("llama_3", {"model_type": "mistral"}, 'model_type is "mistral"; implemented is "llama"'),
        ("llama_3", {"hidden_act": "gelu"}, 'hidden_act is "gelu"; implemented is "silu"'),
        ("llama_3", {"attention_bias": True}, "attention_bias is true; implemented is false"),
        ("llama_3", {"mlp_bias": True}, "mlp_bias is true; implemented is false"),
        ("llama_3", {"sliding_window": 4096}, "sliding_window is 4096; implemented is null"),
        ("llama_3", {"quantization_config": {"bits": 4}}, r'quantization_config is {"bits": 4}; implemented'),
        ("llama_3", {"num_key_value_heads": 3}, r"is 4; a multiple of num_key_value_heads \(3\) is needed"),
        ("llama_3", {"head_dim": 5}, r"head_dim is 5; a multiple of 2, the channels of a pair"),
        ("llama_3", {"tie_word_embeddings": True}, r"lm_head\.weight and model\.embed_tokens\.weight differ"),
        (
            "llama_3",
            {"tie_word_embeddings": "no"},
            'tie_word_embeddings is "no"; implemented is false or true',
        ),
        ("llama_3", {"rope_parameters": 7}, "rope_parameters is 7; an object is needed"),
        (
            "llama_3",
            {"rope_parameters": {"rope_type": "yarn"}},
            r'rope_parameters\.rope_type is "yarn"; implemented is "default" or "linear" or "llama3"',
        ),
        ("llama_3", {"rope_parameters": {"type": "linear"}}, r"rope_parameters\.factor is missing; a number"),
        (
            "llama_3",
            {"rope_parameters": {"partial_rotary_factor": 0.5}},
            r"_factor is 0\.5; implemented is 1\.0",
        ),
    ],
)
def test_a_configuration_is_refused(
    copy: Callable[[str], Path], name: str, changes: dict[str, Any], message: str
) -> None:
    folder = copy(name)
    _edit(folder / "config.json", **changes)
    with pytest.raises(portfire.Error, match=message) as caught:
        _READERS[name](folder)
    assert "\n" not in str(caught.value)


def _narrow(tensors: dict[str, Any]) -> None:
    tensors["transformer.wpe.weight"] = tensors["transformer.wpe.weight"][1:]


def _double(tensors: dict[str, Any]) -> None:
    tensors["transformer.ln_f.bias"] = tensors["transformer.ln_f.bias"].double()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_narrow, r"wpe\.weight is float32 \[63, 8\]; float32, float16 or bfloat16 \[64, 8\] is needed"),
        (_double, r"ln_f\.bias is float64 \[8\]; float32, float16 or bfloat16 \[8\] is needed"),
        (lambda tensors: tensors.pop("transformer.ln_f.bias"), r"transformer\.ln_f\.bias is missing"),
        (lambda tensors: tensors.update(score=torch.zeros(2, 8)), "tensor score is not known"),
    ],
)
def test_other_tensors_are_refused(
    copy: Callable[[str], Path], change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    folder = copy("gpt2")
    tensors = _tensors(folder / "model.safetensors")
    change(tensors)
    (folder / "model.safetensors").write_bytes(portfire.encode_safetensors(tensors))
    with pytest.raises(portfire.InvalidInputError, match=message):
        gpt2.read_folder(folder)


def test_damaged_files_are_refused(copy: Callable[[str], Path]) -> None:
    folder = copy("llama_3")
    index = folder / "model.safetensors.index.json"
    listed = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    for other in ({"x": "../gpt2/model.safetensors"}, {"x": 1}, {}, None):
        _edit(index, weight_map=other)
        with pytest.raises(portfire.InvalidInputError, match="weight_map does not name files of this folder"):
            llama.read_folder(folder)
    _edit(index, weight_map={**listed, "x": "model-4.safetensors"})
    with pytest.raises(portfire.NotFoundError, match=r"model-4\.safetensors: cannot be read"):
        llama.read_folder(folder)
    first = folder / "model-00001-of-00003.safetensors"
    shutil.copy(first, folder / "model-4.safetensors")
    with pytest.raises(portfire.InvalidInputError, match="is in another file of the folder too"):
        llama.read_folder(folder)
    first.write_bytes(first.read_bytes()[:-1])
    with pytest.raises(portfire.InvalidInputError, match=r"model-00001-of-00003\.safetensors: tensor"):
        llama.read_folder(folder)
    index.unlink()
    with pytest.raises(portfire.NotFoundError, match=r"holds neither model\.safetensors nor"):
        llama.read_folder(folder)
    for damaged, message in ((b"{", "not JSON"), (b"\xff", "not JSON"), (b"[]", "holds no JSON object")):
        (folder / "config.json").write_bytes(damaged)
        with pytest.raises(portfire.InvalidInputError, match=rf"config\.json: {message}"):
            llama.read_folder(folder)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "llama_3",
            {"add_bos_token": False},
            r"tokenizer\.json: adds the bos_token, and .* add_bos_token false",
        ),
        ("llama_3", {"add_eos_token": True}, r"tokenizer\.json: does not add the eos_token, and .* true"),
        (
            "llama_tied",
            {"add_bos_token": True, "bos_token": {"content": "<s>"}},
            r"tokenizer\.model: does not add",
        ),
    ],
)
def test_a_tokenizer_that_transformers_would_use_otherwise_is_refused(
    copy: Callable[[str], Path], name: str, changes: dict[str, Any], message: str
) -> None:
    folder = copy(name)
    path = folder / "tokenizer_config.json"
    if not path.exists():
        path.write_text("{}", encoding="utf-8")
    _edit(path, **changes)
    with pytest.raises(portfire.UnsupportedError, match=message):
        llama.read_folder(folder)


def test_weights_beyond_the_tokenizers_tokens_are_left_out() -> None:
    source = llama.read_folder(_FOLDERS / "llama_3")
    stored = _tensors(_FOLDERS / "llama_3" / "model-00003-of-00003.safetensors")["lm_head.weight"]
    assert stored.shape == (304, 16)
    head = source.model.state_dict()["head.weight"]
    np.testing.assert_array_equal(head.numpy(), stored[:300].float().numpy())


def test_the_command_says_in_one_line_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gpt2", str(tmp_path), "--name", "x", "--licence", "MIT", "--models", str(tmp_path)]) == 1
    said = f"importers: {tmp_path}/config.json: cannot be read (No such file or directory)\n"
    assert capsys.readouterr().err == said


def test_a_chat_template_is_packaged_or_left_out_in_words(
    copy: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy("llama_3")
    template = folder / "chat_template.jinja"
    options = ["--name", "x", "--licence", "MIT", "--models", str(tmp_path / "models")]

    def imported() -> Manifest:
        assert main(["llama", str(folder), *options]) == 0
        with zipfile.ZipFile(tmp_path / "models" / "x" / "1" / "model.pt") as archive:
            (name,) = (one for one in archive.namelist() if one.endswith("/manifest.json"))
            return Manifest.loads(archive.read(name))

    turn = "{% for m in messages %}{{ bos_token + m.role + ': ' + m.content + eos_token }}{% endfor %}"
    template.write_text(turn + "{{ bos_token + 'assistant: ' }}", encoding="utf-8")
    assert "assets/chat.json" in imported().files
    assert capsys.readouterr().err == ""
    template.write_text("{% for m in messages %}{{ loop.index ~ m.content }}{% endfor %}", encoding="utf-8")
    manifest = imported()
    assert "assets/chat.json" not in manifest.files
    assert manifest.provenance["chat_template"].startswith("left out: ")
    said = f"importers: {folder}: chat_template: {manifest.provenance['chat_template']}\n"
    assert capsys.readouterr().err == said
